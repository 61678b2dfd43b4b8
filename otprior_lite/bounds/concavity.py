"""When p_t becomes log-concave, and by how much it fails before.

A law is weakly log-concave with constants (a, M) if the curvature of -log p is at least a at large distance and at
least a - M anywhere. Under the forward channel both constants are known for all times, with n = alpha^2 + a sigma^2:

    -Hess log p_t >= (a_t - M_t) I,    a_t = a / n,    M_t = M alpha^2 / n^2.

For equal components of covariance S, lo I <= S <= hi I, and means within a diameter D: a = 1/hi, M = D^2 / (4 lo^2),
by Popoviciu's inequality. Two isotropic components reach it: m = D/2 gives M = |m|^2/s^4. Chapter 4 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import expect
from ..flow.field import Field
from ..schedules import Schedule
from ..targets import Empirical
from .curvature import largest_curvature


@dataclass(frozen=True)
class WeakLogConcavity:
    """-Hess log p_0 >= (a - M) I, with a > 0 and M >= 0, in the form that diffusion keeps. M = 0: log-concave.

    Source of the channel's law: Conforti 2024; Gentiloni-Silveri and Ocello 2025 (formulas known, not re-read).
    """

    a: float
    M: float

    def __post_init__(self):
        for name in ("a", "M"):
            value = getattr(self, name)
            good = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0 and (name == "M" or value > 0)
            expect(good, name, "a finite number, a > 0 and M >= 0", value)

    def at(self, schedule: Schedule, t) -> tuple[float, float]:
        """(a_t, M_t) of alpha_t x_0 + sigma_t eps."""
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        n = alpha**2 + self.a * sigma**2
        return self.a / n, self.M * alpha**2 / n**2


@dataclass(frozen=True)
class Spread:
    """Components of one covariance S, lowest <= S <= highest, and means within a ball: radius^2 = diameter^2 / 4.

    sharp: whether the bound -1/(highest + tau^2) + radius^2/(lowest + tau^2)^2 on the curvature is reached somewhere.
    """

    lowest: float
    highest: float
    radius2: float
    sharp: bool

    def curvature(self, tau2: float) -> float:
        """Upper bound on lambda_max(Hess log(p_0 * N(0, tau^2 I))), for tau^2 + lowest > 0."""
        return -1 / (self.highest + tau2) + self.radius2 / (self.lowest + tau2) ** 2


def common_spread(target) -> Spread | None:
    """The Spread of a target whose components share one covariance; None when they do not."""
    if isinstance(target, WeakLogConcavity):
        return Spread(1 / target.a, 1 / target.a, target.M / target.a**2, True)
    keep = target.weights > 0
    means = target.means[keep].double()
    radius2 = float((torch.pdist(means).max() if len(means) > 1 else torch.zeros(())) ** 2) / 4
    if isinstance(target, Empirical):
        return Spread(0.0, 0.0, radius2, len(means) <= 2)
    covariances = target.covariances[keep].double()
    spectra = target._spectrum[keep].double()
    if len(means) > 1 and float((covariances - covariances[0]).abs().max()) > 1e-12 * float(covariances.abs().max()):
        return None
    lowest, highest = float(spectra[0].min()), float(spectra[0].max())
    return Spread(lowest, highest, radius2, len(means) == 1 or (len(means) == 2 and highest - lowest <= 1e-12 * highest))


def has_ridge(target) -> bool:
    """Whether Hess log p_t is unbounded above at every t: no covariance exceeds all others (as matrices).

    Then two components tie along a direction to infinity, with gradients that differ more and more: no one-sided
    Lipschitz constant exists. Derived here; needs d >= 2.
    """
    if target.d == 1 or isinstance(target, Empirical) or target.covariances.ndim == 1:
        return False
    S = target.covariances[target.weights > 0].double()
    differences = torch.linalg.eigvalsh(S[:, None] - S[None]).amin(-1)  # of S_k - S_l
    return not bool((differences >= -1e-12 * float(S.abs().max())).all(1).any())


def weak_log_concavity(target) -> WeakLogConcavity:
    """(a, M) of a mixture whose components share one covariance; proved, and sharp for two isotropic components.

    Points (no density) and mixtures of unlike covariances raise ValueError.
    """
    spread = None if isinstance(target, Empirical) else common_spread(target)
    expect(spread is not None, "target", "a GaussianMixture whose components share one covariance", type(target).__name__)
    return WeakLogConcavity(1 / spread.highest, spread.radius2 / spread.lowest**2)


@dataclass(frozen=True)
class LogConcavityTime:
    """The time from which p_t is log-concave: lower <= true time <= upper; infinite where it is later than T.

    value: upper when certified, else lower. lower comes from points where Hess log p_t has a positive eigenvalue.
    certified: lower and upper agree to 1e-6, or both are 0 or infinite.
    """

    value: float
    lower: float
    upper: float
    certified: bool


def log_concavity_time(target, schedule: Schedule) -> LogConcavityTime:
    """When p_t becomes log-concave, and stays so: Gaussian smoothing keeps log-concavity (Prekopa).

    Closed form for one common covariance (OU, two components: log(1 + |m|^2 - s^2)/2), a search below it otherwise.
    target: a mixture, points, or a `WeakLogConcavity`. 0 if p_t is log-concave on all of [0, T].
    """
    spread = common_spread(target)
    if spread is None and has_ridge(target):
        return LogConcavityTime(math.inf, math.inf, math.inf, True)
    upper = math.inf if spread is None else _time_of(schedule, _last_positive(spread))
    if spread is not None and spread.sharp:
        return LogConcavityTime(upper, upper, upper, True)
    lower = _time_of(schedule, _searched(target))
    certified = upper == lower or upper - lower < 1e-6
    return LogConcavityTime(upper if certified else lower, lower, upper, certified)


def _last_positive(spread: Spread) -> float:
    """The largest tau^2 at which the bound on the curvature is positive: (lo + x)^2 = radius^2 (hi + x)."""
    b, c = 2 * spread.lowest - spread.radius2, spread.lowest**2 - spread.radius2 * spread.highest
    return max(0.0, (-b + math.sqrt(b * b - 4 * c)) / 2) if b * b > 4 * c else 0.0


def _searched(target) -> float:
    """The largest tau^2 at which a search meets a positive eigenvalue, by bisection on log tau."""
    field = Field.of(target)
    size = math.sqrt(float(target.covariance.trace()) + 1e-300)
    low, high = 1e-3 * max(math.sqrt(field.smallest), 1e-3 * size), 4 * size
    if largest_curvature(field, low).value <= 0:
        return 0.0
    for _ in range(24):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if largest_curvature(field, middle).value > 0 else (low, middle)
    return low**2


def _time_of(schedule: Schedule, tau2: float) -> float:
    """The t with sigma^2/alpha^2 = tau2: 0 before the schedule's start, infinite after its end."""

    def ratio(t):
        alpha = float(schedule.alpha(t))
        return (float(schedule.sigma(t)) / alpha) ** 2 if alpha > 0 else math.inf

    if tau2 <= ratio(0.0):
        return 0.0
    if tau2 > ratio(schedule.T):
        return math.inf
    return float(schedule.t_of_log_snr(-np.log(tau2)))
