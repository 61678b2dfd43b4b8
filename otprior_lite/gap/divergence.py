"""KL and total variation between p_t and the prior.

KL(p_t || N(0, s^2 I)) = E log p_t(x) - log N(x) is a quadrature in one dimension and an average over draws of
p_t otherwise, with its standard error. Total variation is half the L1 distance of the densities; in one dimension
it is a sum of differences of distribution functions between the points where the densities cross. Chapter 3
teaches this module.
"""

import math

import numpy as np
import torch

from ..errors import count, expect
from ..estimate import Estimate
from ..forward import marginal
from ..randomness import seeded
from ..schedules import Schedule
from ..targets import Empirical, GaussianMixture
from .line import line_parts, nodes, standardised
from .moments import check_reference


def kl(target, schedule: Schedule, t, *, n: int = 100_000, generator: torch.Generator | None = None) -> Estimate:
    """KL(p_t || N(0, s^2 I)) in nats: quadrature in one dimension, n Monte-Carlo draws otherwise.

    The default generator has a fixed seed, so the estimate is deterministic.
    """
    p, s = marginal(target, schedule, t), float(schedule.reference_std(t))
    check_reference(s, t)
    if isinstance(p, Empirical):
        return Estimate(math.inf, 0.0, 0, 0.0)
    count(n, at_least=2)
    if p.d == 1:
        return Estimate(_kl_by_quadrature(p, s), 0.0, 0, 0.0)
    x = p.sample(n, generator or seeded())
    log_ratio = p.log_prob(x) - _log_normal(x, s)
    error = float(log_ratio.std()) / math.sqrt(n)
    return Estimate(float(log_ratio.mean()), error, n, error)


def _log_normal(x: torch.Tensor, s: float) -> torch.Tensor:
    return -0.5 * (x / s).square().sum(-1) - x.shape[1] * math.log(s * math.sqrt(2 * math.pi))


def _kl_by_quadrature(p: GaussianMixture, s: float) -> float:
    """Gauss's rule on panels of one standard deviation of every component: accurate to rounding."""
    parts = line_parts(p)
    x, weight = nodes(*parts)
    _, log_p = standardised(*parts, x)
    log_ratio = log_p + 0.5 * (x / s) ** 2 + math.log(s * math.sqrt(2 * math.pi))
    return float(weight @ (np.exp(log_p) * log_ratio))


def total_variation(target, schedule: Schedule, t) -> Estimate:
    """1/2 int |p_t - N(0, s^2)| dx in one dimension, exact; more dimensions raise ValueError (use `pinsker`)."""
    expect(target.d == 1, "target", "a target in dimension 1", f"dimension {target.d}")
    p, s = marginal(target, schedule, t), float(schedule.reference_std(t))
    if isinstance(p, Empirical) or s == 0:
        return Estimate(1.0, 0.0, 0, 0.0)
    return Estimate(_crossing_total_variation(line_parts(p), s), 0.0, 0, 0.0)


def _crossing_total_variation(parts, s: float) -> float:
    """Between two crossings the densities keep their order, so |F - G| there is a difference of distribution functions."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    w, mu, std = parts

    def difference(x):  # log p - log q: same sign as p - q, and no underflow
        x = np.atleast_1d(x)
        return standardised(w, mu, std, x)[1] + 0.5 * (x / s) ** 2 + math.log(s * math.sqrt(2 * math.pi))

    x = np.unique(np.concatenate([nodes(w, mu, std)[0], np.linspace(-12 * s, 12 * s, 4001)]))
    sign = np.sign(difference(x))
    crossings = [
        brentq(lambda v: float(difference(v)[0]), x[i], x[i + 1], xtol=1e-15) for i in np.flatnonzero(sign[1:] * sign[:-1] < 0)
    ]
    cuts = np.array([-np.inf, *crossings, np.inf])
    excess = ndtr((cuts[:, None] - mu) / std) @ w - ndtr(cuts / s)
    return 0.5 * float(np.abs(np.diff(excess)).sum())
