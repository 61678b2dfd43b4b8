"""The flow as a path between laws: its energy, its Jacobian equation, and whether its lines are straight.

The OU flow is the steepest descent of KL in Wasserstein space, so its energy is the KL it spends:

    int_0^T E|v_t|^2 dt = KL_0 - KL_T,    W2(p_0, p_T)^2 <= T (KL_0 - KL_T).

Optimal transport would move on straight lines at constant speed; the flow does not, even between Gaussians. Any
transport map solves det J = p / q(T); the optimal one is a gradient besides. Chapter 9 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import count, expect, point_cloud, real_tensor
from ..estimate import Estimate
from ..gap import kl
from ..gap.line import line_parts, nodes, standardised
from ..randomness import seeded
from ..schedules import Schedule, ou
from ..targets import Empirical
from .field import Field, ou_time
from .maps import flow_map


@dataclass(frozen=True)
class Energy:
    """energy: int E|v|^2 du over OU time. kl_drop: KL_start - KL_end, the same number. duration: OU time spent.

    bound: sqrt(duration * energy), an upper bound on W2 between the two ends in coordinates x / sqrt(alpha^2 + sigma^2).
    """

    energy: Estimate
    kl_drop: Estimate
    duration: float

    @property
    def bound(self) -> float:
        """Upper bound on W2 between the ends (Benamou and Brenier 2000)."""
        return math.sqrt(self.duration * max(0.0, self.energy.value))


def _mean_square_speed(target, field: Field, u: float, n: int, generator) -> tuple[float, float]:
    """E|v|^2 at OU time u and its standard error: closed for a Gaussian, quadrature in one dimension, draws otherwise."""
    a, noise = math.exp(-u), -math.expm1(-2 * u)
    if len(field.weights) == 1:
        variance = a**2 * field.spectra[0] + noise
        return float(((1 / variance - 1) ** 2 * variance + a**2 * field.means[0] ** 2).sum()), 0.0
    p = target.diffuse(a, math.sqrt(noise))
    if target.d == 1:
        parts = line_parts(p)
        x, weight = nodes(*parts)
        return float(weight @ (np.exp(standardised(*parts, x)[1]) * field.velocity(u, x[:, None])[:, 0] ** 2)), 0.0
    square = (field.velocity(u, p.sample(n, generator).double().cpu().numpy()) ** 2).sum(1)
    return float(square.mean()), float(square.std() / math.sqrt(n))


def benamou_brenier_energy(target, schedule: Schedule, T=None, t=0.0, *, n: int = 20_000, generator=None) -> Energy:
    """Energy of the flow from t to T in OU time, and the KL it spends; exact for a Gaussian and in one dimension.

    More dimensions: n draws of p at each of 48 quadrature times, with a standard error; the default generator is seeded.
    Points have infinite energy from t = 0: they need sigma_t > 0.
    """
    T = schedule.T if T is None else float(T)
    expect(0 <= float(t) < T <= schedule.T, "t, T", f"0 <= t < T <= {schedule.T:g}", (t, T))
    points = isinstance(target, Empirical)
    expect(not points or float(schedule.sigma(t)) > 0, "t", "a time with sigma > 0 (points have infinite energy)", t)
    field, generator = Field.of(target), generator or seeded()
    start, end = ou_time(schedule, t)[0], ou_time(schedule, T)[0]
    scale = math.sqrt(max(field.smallest, 1e-300)) if not points else math.sqrt(math.expm1(2 * start))
    low, high = (math.asinh(math.sqrt(math.expm1(2 * u)) / scale) for u in (start, end))  # resolves the start of narrow data
    knots, weight = np.polynomial.legendre.leggauss(16)
    total = variance = 0.0
    for a, b in zip(np.linspace(low, high, 4)[:-1], np.linspace(low, high, 4)[1:]):
        for v, w in zip((b - a) / 2 * knots + (b + a) / 2, (b - a) / 2 * weight):
            tau = scale * math.sinh(v)
            jacobian = tau / (1 + tau**2) * scale * math.cosh(v)  # du / dv, with u = log(1 + tau^2)/2
            value, error = _mean_square_speed(target, field, 0.5 * math.log1p(tau**2), count(n, at_least=2), generator)
            total, variance = total + w * jacobian * value, variance + (w * jacobian * error) ** 2
    clock = ou(max(end, 1e-9))
    before, after = (_kl(target, field, clock, u) for u in (start, end))
    drop = Estimate(before.value - after.value, 0.0, before.n, math.hypot(before.error, after.error))
    return Energy(Estimate(float(total), 0.0, n if variance else 0, math.sqrt(variance)), drop, end - start)


def _kl(target, field: Field, clock: Schedule, u: float) -> Estimate:
    if len(field.weights) > 1:
        return kl(target, clock, u)
    variance = math.exp(-2 * u) * field.spectra[0] - math.expm1(-2 * u)
    return Estimate(float(0.5 * (math.exp(-2 * u) * field.means[0] ** 2 + variance - 1 - np.log(variance)).sum()), 0.0, 0, 0.0)


def monge_ampere_residual(p, q, x, y, jacobian) -> torch.Tensor:
    """log p(x) - log q(y) - log|det jacobian| at points x (n, d) sent to y (n, d): zero for any map from p to q.

    p, q: laws with `log_prob`. jacobian: (n, d, d), the map's derivative at x. A singular Jacobian gives infinity.
    """
    x = point_cloud(x, "x")
    y = point_cloud(y, "y", x.shape[1])
    jacobian = real_tensor(jacobian, "jacobian")
    fits = y.shape == x.shape and jacobian.shape == (*x.shape, x.shape[1])
    expect(fits, "y, jacobian", f"shapes {tuple(x.shape)} and {(*x.shape, x.shape[1])}", (tuple(y.shape), tuple(jacobian.shape)))
    return p.log_prob(x) - q.log_prob(y) - torch.linalg.slogdet(jacobian).logabsdet


@dataclass(frozen=True, eq=False)
class MidpointDeviation:
    """The flow at half time against the middle of its end points, each (n,).

    deviation: distance to the middle of the chord: zero for straight lines at constant speed.
    off_chord: distance to the line through the end points: zero for straight lines at any speed.
    """

    deviation: torch.Tensor
    off_chord: torch.Tensor


def midpoint_deviation(target, schedule: Schedule, x, t, s, *, tolerance: float = 1e-10) -> MidpointDeviation:
    """How far the flow from t to s, at time (t + s)/2, is from the straight path that optimal transport would take."""
    x = point_cloud(x, "x", target.d).double()
    expect(float(t) != float(s), "s", "a time other than t", s)
    middle = flow_map(target, schedule, x, t, (float(t) + float(s)) / 2, tolerance=tolerance)
    end = flow_map(target, schedule, x, t, s, tolerance=tolerance)
    away, chord = middle - (x + end) / 2, end - x
    direction = chord / chord.norm(dim=1, keepdim=True).clamp_min(1e-300)
    along = (away * direction).sum(1, keepdim=True) * direction
    return MidpointDeviation(away.norm(dim=1), (away - along).norm(dim=1))
