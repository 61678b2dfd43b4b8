"""The gap split in three: mean, covariance, shape.

W2(p_T, N(0, s^2 I))^2 = |m_T|^2 + sum_i (sqrt(lambda_i(Sigma_T)) - s)^2 + shape^2. The first two parts are exact
and make Gelbrich's lower bound; what remains is the shape. It is exact in one dimension and an excess over a
Gaussian with the same moments, with a floor, in more. Chapter 3 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..discrete import assignment_cost
from ..errors import count, expect
from ..estimate import Estimate
from ..forward import marginal
from ..linalg import power
from ..randomness import normal, seeded
from ..schedules import Schedule
from .divergence import kl
from .inequalities import gelbrich, synchronous_bound
from .line import w2_one_dimensional
from .moments import moments


@dataclass(frozen=True)
class Gap:
    """W2(p_T, prior) and its parts, total^2 = mean^2 + covariance^2 + shape^2.

    mean and covariance are exact. total and shape are exact in one dimension (floor 0); in more they are
    estimated by matched samples. `lower` is Gelbrich's bound, `upper` the synchronous one.
    """

    total: Estimate
    mean: float
    covariance: float
    shape: Estimate
    lower: float
    upper: float
    reference_std: float


def prior_gap(target, schedule: Schedule, t=None, *, n: int = 500, generator: torch.Generator | None = None) -> Gap:
    """W2(p_t, N(0, s^2 I)) split into mean, covariance and shape; t defaults to T.

    One dimension: exact, by the increasing map. More: the shape is the excess of the exact discrete cost
    between n samples of p_t and of the prior over the same cost for a Gaussian with p_t's moments. Their
    common sampling bias cancels; what is left under equality is the floor. Both are cut at the most that the
    exact bounds allow, upper^2 - lower^2. O(n^3) at worst.
    """
    t = schedule.T if t is None else t
    _, _, s, mean, spectrum = moments(target, schedule, t)
    mean_part, covariance_part = float(mean.norm()), float((spectrum.sqrt() - s).norm())
    lower, upper = gelbrich(target, schedule, t), synchronous_bound(target, schedule, t)
    p = marginal(target, schedule, t)
    if p.d == 1:
        total = Estimate(w2_one_dimensional(p, s), 0.0, 0, 0.0)
        shape = Estimate(math.sqrt(max(0.0, total.value**2 - lower**2)), 0.0, 0, 0.0)
    else:
        most = max(0.0, upper**2 - lower**2)
        excess, spread = _matched_excess(p, s, count(n, at_least=2), generator or seeded())
        excess, spread = min(max(excess, 0.0), most), min(spread, most)
        shape = Estimate(math.sqrt(excess), math.sqrt(spread), n)
        total = Estimate(math.sqrt(lower**2 + shape.value**2), math.sqrt(lower**2 + spread) - lower, n)
    return Gap(total, mean_part, covariance_part, shape, lower, upper, s)


@dataclass(frozen=True)
class RelativeGap:
    """The gap in scale-free numbers, which compare schedules of different scale.

    w2: W2(p_t, prior) / sigma_t. kl: KL(p_t || prior) in nats. lower, upper: the bounds of `Gap` over sigma_t.
    """

    w2: Estimate
    kl: Estimate
    lower: float
    upper: float


def relative_gap(target, schedule: Schedule, t=None, *, n: int = 500, generator: torch.Generator | None = None) -> RelativeGap:
    """W2 / sigma_t and KL of the gap at t (default T): rescaling data and schedule together changes neither."""
    t = schedule.T if t is None else t
    sigma = float(schedule.sigma(t))
    expect(sigma > 0, "t", "a time with noise, sigma > 0", t)
    gap = prior_gap(target, schedule, t, n=n, generator=generator)
    w2 = Estimate(gap.total.value / sigma, gap.total.floor / sigma, gap.total.n, gap.total.error / sigma)
    return RelativeGap(w2, kl(target, schedule, t), gap.lower / sigma, gap.upper / sigma)


def _matched_excess(p, s: float, n: int, generator, repeats: int = 3):
    """Mean of cost(x, z) - cost(y, z) over repeats, and the mean size of cost(y', z) - cost(y, z).

    x ~ p, z ~ N(0, s^2 I), and y, y' Gaussian with the mean and covariance of p.
    """
    root = power(p.covariance, 0.5)
    gaussian = lambda: p.mean + normal((n, p.d), generator, dtype=root.dtype, device=root.device) @ root
    excess = spread = 0.0
    for _ in range(repeats):
        z = s * normal((n, p.d), generator, dtype=root.dtype, device=root.device)
        reference = assignment_cost(gaussian(), z)
        excess += (assignment_cost(p.sample(n, generator), z) - reference) / repeats
        spread += abs(assignment_cost(gaussian(), z) - reference) / repeats
    return excess, spread
