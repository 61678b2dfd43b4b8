"""Cells in 64 dimensions: how full each one is before and after the solve, and how sure a computer is of its cell.

With n draws and N cells of equal mass a cell holds about n / N of them, give or take the root. That spread is the floor of
every histogram of counts: a solver can be judged only by what exceeds it. And two scores that agree to the last digits of a
float32 are a tie, which rounding decides. Chapter 11.
"""

from dataclasses import dataclass

import torch
from scipy.stats import binom

from ..errors import count
from ..randomness import normal, seeded
from ..semidiscrete import BrenierMap
from ..semidiscrete.scores import argmax_rows
from ..semidiscrete.start import mean_field
from .digits import prior

KINDS = ("no heights", "nearest atom", "rule of thumb", "solved")
"""Heights 0; -|y|^2 / 2, which gives each z to its nearest atom; `start.mean_field`, where the solver begins; its result."""


@dataclass(frozen=True, eq=False)
class Occupancy:
    """counts (N,) of `draws` draws in the cells of one set of heights, of a kind in KINDS."""

    kind: str
    counts: torch.Tensor
    draws: int

    @property
    def relative(self) -> torch.Tensor:
        """Counts in units of the fair count, draws / N."""
        return self.counts * (len(self.counts) / self.draws)

    @property
    def l1(self) -> float:
        """sum |share - 1/N|, of these draws."""
        return float((self.relative - 1).abs().mean())

    @property
    def floor(self) -> float:
        """The mean of `l1` for as many draws and cells that are equal."""
        return float(binom(self.draws, 1 / len(self.counts)).expect(lambda k: abs(k * len(self.counts) / self.draws - 1)))

    @property
    def effective(self) -> float:
        """1 / sum of squared shares: the number of equal cells that would repeat a draw as often."""
        return self.draws**2 / float(self.counts.square().sum())

    @property
    def empty(self) -> int:
        """Cells that no draw fell into."""
        return int((self.counts == 0).sum())

    def fair(self, edges: torch.Tensor) -> torch.Tensor:
        """Expected number of cells whose relative count lies in each bin [edge_k, edge_k+1), were all cells equal."""
        N = len(self.counts)
        below = binom.cdf(torch.ceil(edges * self.draws / N - 1e-9).numpy() - 1, self.draws, 1 / N)
        return N * torch.from_numpy(below).diff()


def occupancy(t: float = 100, seed: int = 0, draws: int = 200) -> tuple[Occupancy, ...]:
    """One Occupancy for each of KINDS, for the digits of `digits.world(seed)` noised to t; draws: per cell."""
    fitted = prior("semi-discrete", seed, t).map
    atoms = fitted.points - fitted.points.mean(0)
    n, even = count(draws) * len(atoms), torch.full((len(atoms),), 1 / len(atoms), dtype=torch.float64)
    heights = (torch.zeros(len(atoms)), -atoms.square().sum(1) / 2, mean_field(atoms, even)[0])
    maps = (*(BrenierMap(atoms, h) for h in heights), fitted)
    return tuple(Occupancy(kind, (m.masses(n, seeded(3)).double() * n).round(), n) for kind, m in zip(KINDS, maps))


@dataclass(frozen=True)
class Rounding:
    """Cells found in one arithmetic against float64: changed, the share of draws whose cell differs; l1, how far the shares
    of the cells moved, summed; label: the arithmetic."""

    label: str
    changed: float
    l1: float


def rounding(t: float = 100, seed: int = 0, draws: int = 40_000) -> tuple[Rounding, ...]:
    """The same atoms, heights and draws in lower precision, and moved away from the origin.

    Moving all atoms by c adds <z, c> to every score and changes no cell; in float32 it uses up digits.
    """
    fitted = prior("semi-discrete", seed, t).map.to(torch.float64)
    centred = fitted.points - fitted.points.mean(0)
    z = normal((draws, fitted.d), seeded(4)).double()
    right = scored(z, centred, fitted.heights)
    shares = lambda cells: torch.bincount(cells, minlength=len(centred)).double() / draws
    found = []
    for label, dtype, move in (
        ("float32", torch.float32, 0.0), ("float32, moved by 100", torch.float32, 100.0),
        ("float32, moved by 10,000", torch.float32, 10_000.0), ("float16", torch.float16, 0.0),
    ):  # fmt: skip
        cells = scored(z.to(dtype), (centred + move).to(dtype), fitted.heights.to(dtype))
        changed = float((cells != right).double().mean())
        found.append(Rounding(label, changed, float((shares(cells) - shares(right)).abs().sum())))
    return tuple(found)


def scored(z, points, heights) -> torch.Tensor:
    """The cell of each z (n, d), all in one dtype: the plain formula, in blocks of rows."""
    return torch.cat([argmax_rows(torch.addmm(heights, part, points.T)) for part in z.split(256)])
