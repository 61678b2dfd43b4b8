"""The paper's smoothed start: averages of atoms, with softmax weights, instead of the best atom.

How far the average reaches is set by tau against the typical gap between the two best scores <z, y_j> + h_j,

    scale = R / sqrt(2 log N),    R = root mean square distance of the atoms to their mean.

tau counts in that scale: at 0.05 the images keep nine tenths of their variance, at 1 about half in a plane and less in
more dimensions. The paper's tau is absolute; in pixel units its 0.02 is no smoothing, so such a fit warns. An average is less spread than what it
averages, Cov(T_tau) = Cov(target) - E Cov(y | z), and that only if the heights are solved for this tau; with the
unsmoothed map's heights, as in the paper, even the mean is off. Chapter 8 teaches this module.
"""

import math
import time
import warnings
from dataclasses import dataclass

import torch

from ..errors import count, expect
from ..estimate import Estimate
from ..randomness import normal
from ..schedules import Schedule
from ..semidiscrete.plan import iid_floor
from ..semidiscrete.smooth import SmoothMap, score_scale
from .prior import training_points
from .semidiscrete import Pushed, noised_atoms, solved

NO_OP = 0.99  # share of draws with a clear winner above which smoothing does nothing


@dataclass(frozen=True, eq=False)
class Smoothed(Pushed):
    """sum_j s_j(z) y_j with s = softmax((<z, y_j> + h_j) / tau), z ~ N(0, I).

    map: a SmoothMap on flattened atoms; its tau is absolute. sampled: draw one atom with the probabilities s instead
    of averaging, the entropic coupling itself: no shrinkage, but stored points again. Source: arXiv 2410.13431, Eq. 20-21.
    """

    map: SmoothMap
    shape: tuple[int, ...]
    sampled: bool = False
    solve_seconds: float = 0.0
    name = "smoothed"

    @property
    def tau(self) -> float:
        """The temperature in units of the score scale."""
        return self.map.tau / score_scale(self.map.points)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, tau: float = 0.3, relative: bool = True,
        resolve: bool = False, sampled: bool = False, copies: int = 1, tolerance: float = 0.05, strict: bool = True, **options,
    ) -> "Smoothed":  # fmt: skip
        """Solve as `SemiDiscrete.fit` does, then smooth.

        tau: in units of the score scale; relative=False: absolute, as the paper's. resolve: solve the entropic dual for
        this tau, so that every atom has mean share 1/N; otherwise the heights of the unsmoothed map, as in the paper.
        RuntimeError when a solve misses `tolerance` (L1 error of the masses, or of the mean shares); strict=False
        accepts it. UserWarning when tau is so small that more than 99 % of the draws have one atom only.
        """
        expect(0 < tau < math.inf, "tau", "a positive temperature", tau)
        start = time.perf_counter()
        points = training_points(points)
        atoms = noised_atoms(points, schedule, t, generator, copies)
        expect(bool((atoms != atoms[0]).any()), "points", "at least two different atoms to average", "one")
        units = tau if relative else tau / score_scale(atoms)
        if resolve:
            fit = solved(atoms, generator=generator, tolerance=tolerance, strict=False, method="entropic", tau=units, **options)
        else:
            fit = solved(atoms, generator=generator, tolerance=tolerance, strict=strict, **options)
        map = fit.map.smooth(tau, relative=relative)
        if resolve and strict:
            _check_shares(map, fit.weights, tolerance, generator)
        winner = clear_winner(map, 1000, generator)
        if winner > NO_OP:
            text = f"tau = {tau:g} smooths nothing: in {winner:.1%} of the draws the best score leads by more than 5 tau"
            warnings.warn(f"{text}; the score scale is {score_scale(map.points):.3g}", stacklevel=2)
        return cls(map, points.shape[1:], sampled, time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        if not self.sampled:
            return super().sample(n, generator)
        z = self.codes(n, generator)
        uniform = torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device).to(z.device)
        rows = max(1, 2**22 // len(self.map.points))
        index = [_pick(self.map.shares(part), u) for part, u in zip(z.split(rows), uniform.split(rows))]
        return self.map.points[torch.cat(index)].reshape(n, *self.shape)


def _pick(shares: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """One index per row, with the probabilities of the row."""
    running = shares.double().cumsum(1)
    index = torch.searchsorted(running, (uniform * running[:, -1])[:, None], right=True)[:, 0]
    return index.clamp_max(shares.shape[1] - 1)


def clear_winner(map: SmoothMap, n: int, generator: torch.Generator) -> float:
    """Share of n draws of N(0, I) whose best score leads the second by more than 5 tau: there the softmax is a maximum."""
    z = normal((count(n), map.points.shape[1]), generator, dtype=map.points.dtype, device=map.points.device)
    best = torch.addmm(map.heights, z, map.points.T).topk(2, dim=1).values
    return float((best[:, 0] - best[:, 1] > 5 * map.tau).double().mean())


def share_error(map: SmoothMap, weights: torch.Tensor, n: int, generator: torch.Generator) -> Estimate:
    """L1 error of the mean softmax shares against `weights` (N,), from n draws, sampling noise removed.

    value = max(0, raw - floor); floor: what noise alone gives; error: one standard error of raw, from above.
    """
    N, d = map.points.shape
    total, square = torch.zeros(2, N, dtype=torch.float64, device=map.points.device)
    for left in range(count(n), 0, -(rows := max(1, 2**22 // max(N, d)))):
        z = normal((min(left, rows), d), generator, dtype=map.points.dtype, device=map.points.device)
        shares = map.shares(z).double()
        total += shares.sum(0)
        square += shares.square().sum(0)
    mean = total / n
    deviation = ((square / n - mean.square()).clamp_min(0) / n).sqrt()
    raw, floor = float((mean - weights.to(mean)).abs().sum()), math.sqrt(2 / math.pi) * float(deviation.sum())
    return Estimate(max(0.0, raw - floor), floor, n, float(deviation.square().sum().sqrt()))


def _check_shares(map: SmoothMap, weights, tolerance: float, generator) -> None:
    error = share_error(map, weights, math.ceil(iid_floor(len(weights), tolerance)), generator)
    if error.value + 2 * error.error > tolerance:
        reason = f"L1 error of the mean shares {error.value:.3g} +- {error.error:.2g}, tolerance {tolerance:g}"
        raise RuntimeError(f"the entropic solve did not converge: {reason} (strict=False accepts it)")
