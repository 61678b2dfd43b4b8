"""The most that the reverse process can multiply a prior error by.

Two solutions of the reverse flow separate at most at the rate of the largest eigenvalue of its Jacobian (Gronwall). In
the variable tau = sigma/alpha this reads, for every schedule and with Lambda(tau) = sup lambda_max(Hess log(p_0 * N(0, tau^2 I))),

    Gamma_ode = (alpha_t / alpha_T) exp int tau Lambda(tau) dtau,    Gamma_sde = (alpha_t / alpha_T) exp int 2 tau Lambda(tau) dtau.

With components of one covariance Lambda has a closed upper bound, and so has the integral; two isotropic components
reach it. Worst cases are loose: the bound sees the boundary between modes, W2 hardly does. Chapter 4 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import expect, known
from ..flow.field import Field
from ..schedules import Schedule
from .concavity import Spread, WeakLogConcavity, common_spread, has_ridge
from .curvature import largest_curvature


@dataclass(frozen=True)
class Amplification:
    """A factor Gamma with W2(p_t, q_t) <= Gamma W2(p_T, q_T) for the exact score, and what is known of it.

    value: the upper bound when one is proved (infinite when there is none, and when it exceeds 1e300, as for drawings
    made of very narrow components), else the lower estimate of the worst-case constant.
    lower: the worst-case constant is at least this, up to quadrature (NaN: not computed). upper: at most this.
    least: W2(p_t, q_t) >= least * W2(p_T, q_T), proved, for the ODE; 0 for the SDE.
    certified: whether `value` is a proved upper bound. method: "closed form", "upper bound", "lower estimate" or "unbounded".
    assumptions: what was used, each with what was checked. assumptions_met: certified and finite.
    """

    value: float
    kind: str
    certified: bool
    method: str
    lower: float
    upper: float
    least: float
    assumptions: tuple[str, ...]
    assumptions_met: bool


def amplification(kind: str, target, schedule: Schedule, T=None, *, t: float = 0.0, estimate: bool = False) -> Amplification:
    """Gamma of the reverse "ode" or "sde" from T (default the schedule's end) down to t, with the exact score.

    target: a mixture, points (t with sigma_t > 0), or a `WeakLogConcavity`. Closed form for one Gaussian and for two equal
    isotropic components; a proved bound for components of one covariance; otherwise a lower estimate by search, labelled
    so, with assumptions_met=False: it must not be used as a bound. estimate=True adds that search to a proved bound.
    Derived here; on the OU process it is Gamma of the weakly log-concave literature.
    """
    known(kind, ("ode", "sde"), "kind")
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    expect(0 <= float(t) < T, "t", f"a time in [0, {T:g})", t)
    spread, exact = common_spread(target), "exact score: assumed"
    ends = tuple((float(schedule.alpha(v)), float(schedule.sigma(v))) for v in (t, T))
    least = _least(target, spread, ends) if kind == "ode" else 0.0
    if spread is not None:
        value = math.exp(min(700.0, _log_closed(kind, spread, *ends)))
        value = math.inf if value > 1e300 else value
        lower = value if spread.sharp else _searched(kind, target, ends) if estimate else math.nan
        which = (
            "weak log-concavity (a, M): given"
            if isinstance(target, WeakLogConcavity)
            else "components of one covariance: checked"
        )
        method = "closed form" if spread.sharp else "upper bound"
        return Amplification(value, kind, True, method, lower, value, least, (exact, which), value < math.inf)
    lower = _searched(kind, target, ends)
    if has_ridge(target):
        why = "a finite one-sided Lipschitz constant: checked, none exists (two covariances, neither larger, tie along a line to infinity)"
        return Amplification(math.inf, kind, True, "unbounded", lower, math.inf, least, (exact, why), False)
    why = "components of one covariance: checked, not so; no upper bound is proved"
    return Amplification(lower, kind, False, "lower estimate", lower, math.inf, least, (exact, why), False)


def _log_closed(kind: str, spread: Spread, start, end) -> float:
    """log Gamma for Lambda = -1/(hi + tau^2) + radius^2/(lo + tau^2)^2. alpha_T may be 0 (tau infinite)."""
    (a0, s0), (aT, sT) = start, end
    lo0, hi0 = a0**2 * spread.lowest + s0**2, a0**2 * spread.highest + s0**2
    loT, hiT = aT**2 * spread.lowest + sT**2, aT**2 * spread.highest + sT**2
    if lo0 == 0:
        return -math.inf if spread.radius2 == 0 and hi0 == 0 else math.inf
    times = 1 if kind == "ode" else 2
    with np.errstate(divide="ignore"):
        linear = 0.5 * times * math.log(hi0 / hiT) + (0 if kind == "ode" else float(np.log(aT / a0)))
    return linear + 0.5 * times * spread.radius2 * (a0**2 / lo0 - aT**2 / loT)


def _least(target, spread: Spread | None, ends) -> float:
    """exp int tau inf lambda_min: Hess >= -I/(lo + tau^2), lo the smallest variance of a component."""
    (a0, s0), (aT, sT) = ends
    if isinstance(target, WeakLogConcavity):
        return 0.0  # nothing is known below
    lowest = spread.lowest if spread is not None else Field.of(target).smallest
    return math.sqrt((a0**2 * lowest + s0**2) / (aT**2 * lowest + sT**2))


def _searched(kind: str, target, ends) -> float:
    """Gamma with Lambda replaced by what a search finds: quadrature over v = asinh(tau / smallest std), to 1e4 data sizes.

    -1/(c + tau^2) is integrated in closed form; what remains of tau Lambda decays like tau^{-3}.
    """
    field = Field.of(target)
    (a0, s0), (aT, sT) = ends
    c = float(np.linalg.eigvalsh(target.covariance.double().cpu().numpy()).max())
    if field.smallest == 0 and s0 == 0:
        return math.inf if len(field.weights) > 1 else 0.0
    unit = math.sqrt(field.smallest + (s0 / a0) ** 2)
    furthest = 1e4 * math.sqrt(c + unit**2)
    last = min(sT / aT, furthest) if aT > 0 else furthest
    low, high = (math.asinh(tau / unit) for tau in (s0 / a0, last))
    knots, weight = np.polynomial.legendre.leggauss(4)
    cuts, rest, starts = np.linspace(low, high, 11), 0.0, None
    for a, b in zip(cuts[:-1], cuts[1:]):
        for v, w in zip((b - a) / 2 * knots + (b + a) / 2, (b - a) / 2 * weight):
            tau = unit * math.sinh(v)
            found = largest_curvature(field, tau, starts=starts)
            starts = found.x[None]
            rest += w * unit * math.cosh(v) * tau * (found.value + 1 / (c + tau**2))
    spread = Spread(c, c, 0.0, True)
    return math.exp(min(700.0, _log_closed(kind, spread, *ends) + (1 if kind == "ode" else 2) * rest))
