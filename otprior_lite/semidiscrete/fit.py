"""What a solver hands back: the map, and how far to trust it.

The error of a fit is the error of its cell masses, on samples that the solver never used. Sampling noise alone
makes any set of cells look wrong by about sqrt(2 N / (pi n)) in L1, so the noise is removed and what remains is
given with its standard error. `converged` is a statement about the upper end of that interval.

    L1 = sum_j |w_j - b_j|,    chi2 = sum_j (w_j - b_j)^2 / b_j,    L1 <= sqrt(chi2).

Chapter 7 teaches this module.
"""

from dataclasses import dataclass

import torch

from ..estimate import Estimate
from .brenier import BrenierMap


@dataclass(frozen=True)
class MassError:
    """Errors of the cell masses w against the weights b, noise removed.

    l1: sum |w - b|; chi2: sum (w - b)^2 / b, unbiased (may be slightly negative); `floor` of each: what pure
    sampling noise adds before it is removed. interval: 95 % interval of l1. n: rows of scores used.
    empty: cells that no row hit. exact errors have n = 0 and a zero-width interval.
    """

    l1: Estimate
    chi2: Estimate
    interval: tuple[float, float]
    n: int
    empty: int

    def __float__(self) -> float:
        return self.l1.value


@dataclass(frozen=True)
class Check:
    """One evaluation on the way: after `step` steps and `samples` base draws."""

    step: int
    samples: int
    error: MassError


@dataclass(frozen=True, eq=False)
class Fit:
    """A solved (or given up) semi-discrete problem.

    map: the BrenierMap onto the merged atoms; weights (N,): their weights; atom (n,): for each given point its
    row in map.points. converged: the 95 % upper end of the error is at most `tolerance`. reason: one sentence.
    error: on a fresh sample. steps, samples: of the whole solve, checks included. w2_squared: W2(N(0, I), atoms)^2
    by duality, a lower bound that is exact at the optimum. history: the checks made on the way.
    """

    map: BrenierMap
    weights: torch.Tensor
    atom: torch.Tensor
    converged: bool
    reason: str
    error: MassError
    w2_squared: Estimate
    steps: int
    samples: int
    method: str
    tolerance: float
    history: tuple[Check, ...] = ()

    @property
    def heights(self) -> torch.Tensor:
        """Heights (N,) of the merged atoms, mean zero."""
        return self.map.heights

    @property
    def empty(self) -> int:
        """Number of cells that the evaluation sample never hit."""
        return self.error.empty
