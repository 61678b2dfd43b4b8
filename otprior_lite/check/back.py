"""Checks of chapter 4."""

import math

import torch

from .. import bounds, schedules
from ..targets import GaussianMixture
from .verdict import Verdict, compare, returned

__all__ = ["one_sided_constant", "kept_shares", "crossover_time", "loose_bound", "no_lower_bound"]

_CLOCK = schedules.ou(6.0)


def one_sided_constant(answer, variance: float = 4.0, t: float = 0.5) -> Verdict:
    """L_t, the one-sided Lipschitz constant of the reverse flow's velocity x + score, for data N(0, variance) at OU time t."""
    a2 = math.exp(-2 * t)
    lam = 1 + (variance - 1) * a2
    slips = {
        "That is lambda_t. The Hessian of log p_t is -1/lambda_t.": lam,
        "That is the Hessian of log p_t. The velocity is x + score: add the derivative of x.": -1 / lam,
        "The sign of the Hessian: log p_t of a Gaussian curves downwards.": 1 + 1 / lam,
        "You used the data's variance at time 0. At time t it is 1 + (variance - 1) e^{-2t}.": 1 - 1 / variance,
        "That is the SDE's constant: its drift is x + 2 score. The flow's velocity has one score.": 1 - 2 / lam,
        "You used e^{-t}. Variances shrink by e^{-2t}.": 1 - 1 / (1 + (variance - 1) * math.exp(-t)),
        "You forgot the noise: lambda_t = e^{-2t} variance + 1 - e^{-2t}.": 1 - 1 / (variance * a2),
    }
    return compare(answer, 1 - 1 / lam, slips)


def kept_shares(answer) -> Verdict:
    """A function (variance, T) -> (flow, sde): the share of a shift of x_T that is left in x_0, for data N(0, variance)."""
    for variance, T in ((0.25, 1.0), (4.0, 0.5), (0.01, 2.0)):
        lam = 1 + (variance - 1) * math.exp(-2 * T)
        flow, sde = math.sqrt(variance / lam), math.exp(-T) * variance / lam
        slips = {
            "Flow and SDE are swapped: the flow keeps sqrt(variance / lambda_T).": (sde, flow),
            "The flow's share is a ratio of standard deviations: take the root.": (flow**2, sde),
            "The flow's share is upside down: from T to 0 it goes from sqrt(lambda_T) to sqrt(variance).": (1 / flow, sde),
            "The SDE's share is the slope of E[x_0 | x_T]: a factor e^{-T} is missing.": (flow, variance / lam),
            "The SDE's share is the slope of E[x_0 | x_T]: e^{-T} once, not twice.": (flow, math.exp(-T) * sde),
            "You divided by the data's variance in place of lambda_T.": (1.0, math.exp(-T)),
        }
        value = returned(answer, (variance, T), (2,))
        if isinstance(value, Verdict):
            return value
        near = lambda pair: torch.allclose(value, torch.tensor(pair, dtype=torch.float64), rtol=1e-4, atol=0)  # noqa: B023
        if near((flow, sde)):
            continue
        for hint, wrong in slips.items():
            if near(wrong):
                return Verdict(False, hint)
        got = ", ".join(f"{v:.4g}" for v in value.tolist())
        where = f"at variance {variance:g}, T = {T:g}"
        return Verdict(False, f"Not yet: {where} it returns ({got}), expected ({flow:.4g}, {sde:.4g}).")
    return Verdict(True, "Right: the SDE's share is the flow's, squared, times e^{-T}.")


def crossover_time(answer, m: float = 1.0, variance: float = 0.25) -> Verdict:
    """The T at which Gamma_sde = Gamma_ode for two bumps at +-m of that variance, under the OU process."""
    target = GaussianMixture([0.5, 0.5], [[-m], [m]], [variance, variance])
    log = lambda kind, T: math.log(bounds.amplification(kind, target, _CLOCK, T).value)
    slips = {
        "There Gamma_sde is 1: you lost one of the two factors Gamma_ode. Equal means Gamma_ode = e^T.": _last_zero(
            lambda T: log("sde", T)
        ),
        "That is the logarithm of Gamma_ode at T = infinity. Gamma_ode depends on T: solve log Gamma_ode(T) = T.": math.log(
            bounds.amplification("ode", target, schedules.flow_matching()).value
        ),
        "That is the log-concavity time. It says where the curvature turns, not where the integrals meet.": (
            bounds.log_concavity_time(target, _CLOCK).value
        ),
    }
    return compare(answer, _last_zero(lambda T: log("sde", T) - log("ode", T)), slips)


def _last_zero(f, low: float = 1e-3, high: float = 6.0) -> float:
    """The last T in [low, high] where f falls through 0; NaN when it does not."""
    grid = [low + (high - low) * k / 200 for k in range(201)]
    falls = [k for k in range(200) if f(grid[k]) > 0 >= f(grid[k + 1])]
    if not falls:
        return math.nan
    low, high = grid[falls[-1]], grid[falls[-1] + 1]
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return (low + high) / 2


def loose_bound(target: GaussianMixture, T: float = 1.0, factor: float = 10.0) -> Verdict:
    """A mixture on a line whose proved Gamma for the flow is finite and at least `factor` times what is measured, OU time T."""
    refused = _on_a_line(target)
    if refused is not None:
        return refused
    bound = bounds.amplification("ode", target, _CLOCK, T)
    if not bound.assumptions_met:
        return Verdict(False, "No finite Gamma is proved for this law: give all components the same covariance.")
    found = bounds.carried_w2(target, _CLOCK, T)
    if not found.at_T > 1e-12:
        return Verdict(False, "This law has no prior gap: there is nothing to amplify.")
    slack = bound.value / found.ratio
    said = f"Gamma is {bound.value:.3g}, measured {found.ratio:.3g}: loose by {slack:.3g}"
    if slack < factor:
        why = "One Gaussian has no mode boundary." if len(target.weights) == 1 else "Separate the modes, or make them narrower."
        return Verdict(False, f"{said}, below {factor:g}. {why}")
    return Verdict(True, f"Right. {said}.")


def no_lower_bound(target: GaussianMixture, T: float, factor: float = 10.0) -> Verdict:
    """A law on a line and a T where the SDE ends below 1/factor of the flow's lower bound, with an error above 0.01 at T."""
    refused = _on_a_line(target)
    if refused is not None:
        return refused
    try:
        flow, sde = bounds.amplification("ode", target, _CLOCK, T), bounds.carried_w2(target, _CLOCK, T, kind="sde")
    except ValueError as error:
        return Verdict(False, f"T: {error}")
    if sde.at_T < 0.01:
        return Verdict(False, f"The error at T is {sde.at_T:.2g}. Keep it above 0.01: with no error there is nothing to forget.")
    share = sde.at_0 / (flow.least * sde.at_T)
    said = f"the SDE ends at {share:.3g} times the flow's lower bound"
    if share > 1:
        return Verdict(False, f"Here {said}: nothing is broken. The SDE forgets what the data know already: take narrow data.")
    if share > 1 / factor:
        return Verdict(False, f"Here {said}. It is broken already; bring it to 1/{factor:g}: narrower data, or a longer T.")
    return Verdict(True, f"Right: {said}. The lower half of the theorem is a theorem on the flow.")


def _on_a_line(target) -> Verdict | None:
    if isinstance(target, GaussianMixture) and target.d == 1:
        return None
    return Verdict(False, "target: expected a GaussianMixture in one dimension.")
