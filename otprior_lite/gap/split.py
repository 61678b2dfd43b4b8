"""The prior gap: how far p_T is from the Gaussian that sampling starts from.

W2(p_T, N(0, s^2 I))^2 splits into the shift of the mean |m_T|^2, the Bures distance of the covariances, and
what remains, the shape. The first two together are Gelbrich's lower bound, reached by Gaussians:

    W2^2 >= |m_T|^2 + sum_i (sqrt(lambda_i(Sigma_T)) - s)^2.

Upper bounds need only second moments: couple x_T and the prior by the same noise (synchronous), or use
Talagrand's inequality W2 <= s sqrt(2 KL). SNR alone is not the gap. Chapter 3 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from .discrete import assignment_cost
from .errors import count, expect
from .estimate import Estimate
from .forward import marginal
from .linalg import power
from .randomness import normal, seeded
from .schedules import Schedule
from .targets import Empirical, GaussianMixture, normal_to


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


def _moments(target, schedule: Schedule, t):
    """alpha, sigma, the prior's std s, and the mean and covariance spectrum of p_t."""
    alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    spectrum = torch.linalg.eigvalsh(target.covariance).clamp_min(0)
    return alpha, sigma, s, alpha * target.mean, alpha**2 * spectrum + sigma**2


def _second_moment(target) -> float:
    """E|x_0|^2."""
    return float(target.mean.square().sum() + target.covariance.trace())


def gelbrich(target, schedule: Schedule, t) -> float:
    """Lower bound sqrt(|m_t|^2 + sum_i (sqrt(lambda_i) - s)^2) on W2(p_t, N(0, s^2 I)); exact for a Gaussian.

    Source: Gelbrich 1990.
    """
    _, _, s, mean, spectrum = _moments(target, schedule, t)
    return float((mean.square().sum() + (spectrum.sqrt() - s).square().sum()).sqrt())


def synchronous_bound(target, schedule: Schedule, t) -> float:
    """Upper bound sqrt(alpha^2 E|x_0|^2 + (s - sigma)^2 d) on W2(p_t, N(0, s^2 I)).

    Couple x_t = alpha x_0 + sigma eps with s eps: the squares add because x_0 and eps are independent.
    """
    alpha, sigma, s, _, _ = _moments(target, schedule, t)
    return math.sqrt(alpha**2 * _second_moment(target) + (s - sigma) ** 2 * target.d)


def kl_bound(target, schedule: Schedule, t) -> float:
    """Upper bound on KL(p_t || N(0, s^2 I)) in nats; equality only for a single point.

    KL is convex: average the KL of N(alpha x_0, sigma^2 I) over x_0, which is
    1/2 [alpha^2 E|x_0|^2 / s^2 + d (r - 1 - log r)] with r = sigma^2 / s^2.
    """
    alpha, sigma, s, _, _ = _moments(target, schedule, t)
    _check_reference(s, t)
    r = (sigma / s) ** 2
    excess = r - 1 - math.log(r) if r > 0 else math.inf
    return 0.5 * ((alpha / s) ** 2 * _second_moment(target) + target.d * excess)


def _check_reference(s: float, t) -> None:
    expect(s > 0, "t", "a time at which the reference N(0, s^2 I) has a density", f"{t}, where s = 0")


def kl(target, schedule: Schedule, t, *, n: int = 100_000, generator: torch.Generator | None = None) -> Estimate:
    """KL(p_t || N(0, s^2 I)) in nats: quadrature in one dimension, n Monte-Carlo draws otherwise.

    The default generator has a fixed seed, so the estimate is deterministic.
    """
    p, s = marginal(target, schedule, t), float(schedule.reference_std(t))
    _check_reference(s, t)
    if isinstance(p, Empirical):
        return Estimate(math.inf, 0.0, 0, 0.0)
    if p.d == 1:
        return Estimate(_kl_by_quadrature(p, s), 0.0, 0, 0.0)
    x = p.sample(count(n, at_least=2), generator or seeded())
    log_ratio = p.log_prob(x) - _log_normal(x, s)
    error = float(log_ratio.std()) / math.sqrt(n)
    return Estimate(float(log_ratio.mean()), error, n, error)


def _log_normal(x: torch.Tensor, s: float) -> torch.Tensor:
    return -0.5 * (x / s).square().sum(-1) - x.shape[1] * math.log(s * math.sqrt(2 * math.pi))


def _kl_by_quadrature(p: GaussianMixture, s: float) -> float:
    """Trapezoid rule, exponentially accurate for a smooth density on a range of 12 standard deviations."""
    std = p._spectrum[:, 0].sqrt()
    low, high = float((p.means[:, 0] - 12 * std).min()), float((p.means[:, 0] + 12 * std).max())
    nodes = min(2**20, max(2001, int(20 * (high - low) / float(std.min()))))
    x = torch.linspace(low, high, nodes, dtype=torch.float64, device=p.means.device)[:, None]
    log_p = p.to(torch.float64).log_prob(x)
    return float(torch.trapezoid(log_p.exp() * (log_p - _log_normal(x, s)), x[:, 0]))


def talagrand(target, schedule: Schedule, t, **kwargs) -> float:
    """Upper bound s sqrt(2 KL(p_t || N(0, s^2 I))) on W2; keyword arguments go to `kl`. Source: Talagrand 1996."""
    return float(schedule.reference_std(t)) * math.sqrt(2 * max(0.0, kl(target, schedule, t, **kwargs).value))


def prior_gap(target, schedule: Schedule, t=None, *, n: int = 500, generator: torch.Generator | None = None) -> Gap:
    """W2(p_t, N(0, s^2 I)) split into mean, covariance and shape; t defaults to T.

    One dimension: exact, by the increasing map. More: the shape is the excess of the exact discrete cost
    between n samples of p_t and of the prior over the same cost for a Gaussian with p_t's moments. Their
    common sampling bias cancels; what is left under equality is the floor. Both are cut at the most that the
    exact bounds allow, upper^2 - lower^2. O(n^3) at worst.
    """
    t = schedule.T if t is None else t
    _, _, s, mean, spectrum = _moments(target, schedule, t)
    mean_part, covariance_part = float(mean.norm()), float((spectrum.sqrt() - s).norm())
    lower, upper = gelbrich(target, schedule, t), synchronous_bound(target, schedule, t)
    p = marginal(target, schedule, t)
    if p.d == 1:
        total = Estimate(_w2_one_dimensional(p, s), 0.0, 0, 0.0)
        shape = Estimate(math.sqrt(max(0.0, total.value**2 - lower**2)), 0.0, 0, 0.0)
    else:
        most = max(0.0, upper**2 - lower**2)
        excess, spread = _matched_excess(p, s, count(n, at_least=2), generator or seeded())
        excess, spread = min(max(excess, 0.0), most), min(spread, most)
        shape = Estimate(math.sqrt(excess), math.sqrt(spread), n)
        total = Estimate(math.sqrt(lower**2 + shape.value**2), math.sqrt(lower**2 + spread) - lower, n)
    return Gap(total, mean_part, covariance_part, shape, lower, upper, s)


def _w2_one_dimensional(p: GaussianMixture, s: float) -> float:
    """sqrt(int (T(z) - s z)^2 phi(z) dz) with the increasing map T, by the trapezoid rule; exact for points."""
    if isinstance(p, Empirical):
        return _w2_to_points(p.to(torch.float64), s)
    z = torch.linspace(-10, 10, 8001, dtype=torch.float64, device=p.means.device)
    density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
    return float(torch.trapezoid((normal_to(p.to(torch.float64), z) - s * z).square() * density, z).sqrt())


def _w2_to_points(p: Empirical, s: float) -> float:
    """T is constant between the normal quantiles q_i of the running weights: E[z T(z)] = sum x_i (phi(q_{i-1}) - phi(q_i))."""
    x, order = p.points[:, 0].sort()
    q = torch.special.ndtri(p.weights[order].cumsum(0)[:-1].clamp(0, 1))
    density = torch.nn.functional.pad((-q.square() / 2).exp() / math.sqrt(2 * math.pi), (1, 1))
    correlation = (x * (density[:-1] - density[1:])).sum()
    return math.sqrt(max(0.0, float(s**2 + p.weights[order] @ x.square() - 2 * s * correlation)))


def _matched_excess(p, s: float, n: int, generator, repeats: int = 3):
    """Mean of cost(x, z) - cost(y, z) over repeats, and the mean size of cost(y', z) - cost(y, z).

    x ~ p, z ~ N(0, s^2 I), and y, y' Gaussian with the mean and covariance of p.
    """
    root = power(p.covariance, 0.5)
    gaussian = lambda: p.mean + normal((n, p.d), generator, dtype=root.dtype, device=root.device) @ root  # noqa: E731
    excess = spread = 0.0
    for _ in range(repeats):
        z = s * normal((n, p.d), generator, dtype=root.dtype, device=root.device)
        reference = assignment_cost(gaussian(), z)
        excess += (assignment_cost(p.sample(n, generator), z) - reference) / repeats
        spread += abs(assignment_cost(gaussian(), z) - reference) / repeats
    return excess, spread
