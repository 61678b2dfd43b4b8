"""What the reverse SDE makes of a wrong start, exactly, in one dimension.

With the exact score the reverse SDE is the forward process run backwards: from x at T it ends at time t in the posterior
p(x_t | x_T = x). So a start q_T gives

    q_t = int p(x_t | x_T = x) q_T(dx),    p(x_t | x_T = x) = sum_k r_k(x) N(m_k(x), v_k),

and a quadrature over x turns q_t into a mixture of Gaussians. The start survives in r_k and m_k only: the rest is fresh
noise. No simulation, no sampling error. Chapter 4 teaches this module.
"""

import math

import numpy as np
import torch

from ..errors import expect
from ..gap.line import line_parts
from ..schedules import Schedule
from ..targets import GaussianMixture

_TAIL = 9.5  # standard deviations of a start that are integrated over


def reverse_sde_law(
    target, schedule: Schedule, T=None, *, t: float = 0.0, start: GaussianMixture | None = None
) -> GaussianMixture:
    """The law at time t of the reverse SDE with the exact score, started at T from `start` (default N(0, s^2)).

    target, start: mixtures in one dimension. The result is a mixture with one component per quadrature node and component
    of the target. The trapezoid rule converges exponentially here; its step resolves the start, the posterior weights r_k(x)
    and the width of p(x_T | x_t). SNR must be positive at T. Derived here from the time reversal of diffusions.
    """
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    expect(0 <= float(t) < T, "t", f"a time in [0, {T:g})", t)
    (a, r), (b, q) = ((float(schedule.alpha(u)), float(schedule.sigma(u))) for u in (t, T))
    expect(b > 0, "T", "a time with SNR > 0", T)
    start = normal_start(schedule, T) if start is None else start
    for name, law in (("target", target), ("start", start)):
        fits = isinstance(law, GaussianMixture) and law.d == 1
        expect(fits, name, "a GaussianMixture in dimension 1", f"{type(law).__name__} in dimension {law.d}")
    (w, mu, std), (share, centre, width) = line_parts(target), line_parts(start)
    ratio = b / a
    noise2 = q**2 - (ratio * r) ** 2  # x_T = ratio x_t + sqrt(noise2) eps
    early, late = (a * std) ** 2 + r**2, (b * std) ** 2 + q**2  # variances of the components at t and T

    spread = b * (mu.max() - mu.min()) + 1e-300
    step = 0.25 * min(width.min(), math.sqrt(noise2), late.min() / spread)
    x = np.arange((centre - _TAIL * width).min(), (centre + _TAIL * width).max() + step, step)
    start_mass = step * np.exp(-0.5 * ((x[:, None] - centre) / width) ** 2) @ (share / width) / math.sqrt(2 * math.pi)
    x, start_mass = x[start_mass > 1e-20], start_mass[start_mass > 1e-20]
    log_r = np.log(w) - 0.5 * np.log(late) - 0.5 * (x[:, None] - b * mu) ** 2 / late
    posterior = np.exp(log_r - log_r.max(1, keepdims=True))
    posterior *= (start_mass / posterior.sum(1))[:, None]
    means = a * mu + ratio * early / late * (x[:, None] - b * mu)
    variances = np.broadcast_to(early * noise2 / late, means.shape)
    mass = posterior.ravel()
    keep = mass > 1e-22
    columns = (torch.from_numpy(v[keep].copy()) for v in (mass / mass.sum(), means.ravel(), variances.ravel()))
    weights, means, variances = columns
    return GaussianMixture(weights / weights.sum(), means[:, None], variances)


def normal_start(schedule: Schedule, T: float) -> GaussianMixture:
    """N(0, s^2), the usual start at time T, as a mixture of one component."""
    s = float(schedule.reference_std(T))
    expect(s > 0, "T", "a time at which the reference N(0, s^2) has a density", T)
    one = torch.ones(1, dtype=torch.float64)
    return GaussianMixture(one, 0 * one[:, None], s**2 * one)
