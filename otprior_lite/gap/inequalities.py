"""Bounds on the gap from moments and from KL: one below, the others above.

Couple x_t = alpha x_0 + sigma eps and the prior by the same noise (synchronous, contraction), or go through
the KL divergence (Talagrand for W2, Pinsker for total variation):

    |m_t|^2 + sum_i (sqrt(lambda_i) - s)^2 <= W2^2 <= alpha^2 E|x_0|^2 + (s - sigma)^2 d.

Gelbrich's lower bound is reached by Gaussians, the KL bound by a single point. Chapter 3 teaches this module.
"""

import math

from ..errors import expect
from ..schedules import Schedule
from ..targets import GaussianMixture
from .divergence import kl
from .line import w2_one_dimensional
from .moments import check_reference, moments, second_moment


def gelbrich(target, schedule: Schedule, t) -> float:
    """Lower bound sqrt(|m_t|^2 + sum_i (sqrt(lambda_i) - s)^2) on W2(p_t, N(0, s^2 I)); exact for a Gaussian.

    Source: Gelbrich 1990.
    """
    _, _, s, mean, spectrum = moments(target, schedule, t)
    return float((mean.square().sum() + (spectrum.sqrt() - s).square().sum()).sqrt())


def synchronous_bound(target, schedule: Schedule, t) -> float:
    """Upper bound sqrt(alpha^2 E|x_0|^2 + (s - sigma)^2 d) on W2(p_t, N(0, s^2 I)).

    Couple x_t = alpha x_0 + sigma eps with s eps: the squares add because x_0 and eps are independent.
    """
    alpha, sigma, s, _, _ = moments(target, schedule, t)
    return math.sqrt(alpha**2 * second_moment(target) + (s - sigma) ** 2 * target.d)


def kl_bound(target, schedule: Schedule, t) -> float:
    """Upper bound on KL(p_t || N(0, s^2 I)) in nats; equality only for a single point.

    KL is convex: average the KL of N(alpha x_0, sigma^2 I) over x_0, which is
    1/2 [alpha^2 E|x_0|^2 / s^2 + d (r - 1 - log r)] with r = sigma^2 / s^2.
    """
    alpha, sigma, s, _, _ = moments(target, schedule, t)
    check_reference(s, t)
    r = (sigma / s) ** 2
    excess = r - 1 - math.log(r) if r > 0 else math.inf
    return 0.5 * ((alpha / s) ** 2 * second_moment(target) + target.d * excess)


def talagrand(target, schedule: Schedule, t, **kwargs) -> float:
    """Upper bound s sqrt(2 KL(p_t || N(0, s^2 I))) on W2; keyword arguments go to `kl`. Source: Talagrand 1996."""
    return float(schedule.reference_std(t)) * math.sqrt(2 * max(0.0, kl(target, schedule, t, **kwargs).value))


def pinsker(target, schedule: Schedule, t, **kwargs) -> float:
    """Upper bound min(1, sqrt(KL / 2)) on the total variation; keyword arguments go to `kl`. Source: Pinsker's inequality."""
    return min(1.0, math.sqrt(max(0.0, kl(target, schedule, t, **kwargs).value) / 2))


def contraction_bound(target, schedule: Schedule, t, *, w2_0: float | None = None) -> float:
    """Upper bound alpha W2(p_0, N(0, c^2 I)) on W2(p_t, N(0, s^2 I)), with c^2 = (s^2 - sigma^2) / alpha^2.

    The prior is the diffusion of N(0, c^2 I) by the same channel, so the same noise cancels. c = 1 under a
    variance-preserving schedule: the e^{-T} law. `w2_0` is the distance at time 0; it is computed where it is
    known exactly, in one dimension and for a single Gaussian, and must be given otherwise (ValueError).
    """
    alpha, sigma, s, _, _ = moments(target, schedule, t)
    if alpha == 0:
        return abs(s - sigma) * math.sqrt(target.d)
    c = math.sqrt(max(0.0, s**2 - sigma**2)) / alpha
    if w2_0 is None:
        gaussian = isinstance(target, GaussianMixture) and len(target.weights) == 1
        expect(
            target.d == 1 or gaussian,
            "w2_0",
            f"W2(p_0, N(0, {c:.6g}^2 I)), which is not known exactly in dimension {target.d}",
            None,
        )
        spectrum = (
            target.covariance.diagonal()
            if target.d == 1
            else moments(target, schedule, t)[4].sub(sigma**2).clamp_min(0) / alpha**2
        )
        exact = lambda: float((target.mean.square().sum() + (spectrum.sqrt() - c).square().sum()).sqrt())
        w2_0 = exact() if gaussian else w2_one_dimensional(target, c)
    expect(0 <= w2_0 < math.inf, "w2_0", "a finite distance", w2_0)
    return alpha * float(w2_0)
