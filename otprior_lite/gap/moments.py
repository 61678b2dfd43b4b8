"""What every bound starts from: alpha, sigma, the prior's standard deviation, and two moments of p_t.

The mean of p_t is alpha m and the eigenvalues of its covariance are alpha^2 lambda_i + sigma^2, whatever the
shape of the data. Chapter 3 teaches this module.
"""

import torch

from ..errors import expect
from ..schedules import Schedule


def moments(target, schedule: Schedule, t):
    """alpha, sigma, the prior's std s, and the mean (d,) and covariance spectrum (d,) of p_t."""
    alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    spectrum = torch.linalg.eigvalsh(target.covariance).clamp_min(0)
    return alpha, sigma, s, alpha * target.mean, alpha**2 * spectrum + sigma**2


def second_moment(target) -> float:
    """E|x_0|^2."""
    return float(target.mean.square().sum() + target.covariance.trace())


def check_reference(s: float, t) -> None:
    """Raise unless N(0, s^2 I) has a density."""
    expect(s > 0, "t", "a time at which the reference N(0, s^2 I) has a density", f"{t}, where s = 0")
