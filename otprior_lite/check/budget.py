"""Checks of chapter 10."""

import math
from itertools import product

import torch

from .. import bounds
from ..experiments import budget, budget_networks
from ..experiments.budget_grid import EPS, distance
from ..forward import marginal
from ..priors import Standard
from ..randomness import seeded
from ..samplers import sample
from ..score import ExactDenoiser
from .verdict import Verdict, compare, returned

__all__ = ["path_term", "carry", "spend", "hopeless", "trap"]


def path_term(answer, c: float = 0.3, T: float = 2.0, eps: float = 0.01) -> Verdict:
    """Girsanov's score term on the OU process when the score is off by a vector of length c at every x and t."""
    right = c**2 * (T - eps)
    slips = {
        "You lost the 1/2 in front of the integral.": 2 * right,
        "On the OU process g^2 = 2, not 1: with the 1/2 in front the factor is 1.": right / 2,
        "The error enters squared: c^2, not c.": c * (T - eps),
        "The run stops at eps, not at 0.": c**2 * T,
        "That is the root of the term. KL is a mean square, not a root mean square.": math.sqrt(right),
        "You multiplied by T only up to a factor: integrate over time, from eps to T.": c**2,
    }
    return compare(answer, right, slips, rtol=5e-4)


def carry(answer) -> Verdict:
    """A function (gamma, delta) -> bound on W2 at the end, for a start from p_T.

    gamma[k]: the factor of the exact flow from t_k to eps, gamma[-1] = 1. delta[k]: the error of the step from t_k to t_{k+1}.
    """
    for gamma, delta in (([5.0, 3.0, 2.0, 1.0], [0.1, 0.3, 0.2]), ([1.4, 2.2, 1.0], [0.5, 0.05])):
        g, e = (torch.tensor(v, dtype=torch.float64) for v in (gamma, delta))
        value = returned(answer, (g, e), torch.Size([]))
        if isinstance(value, Verdict):
            return value
        right = float((g[1:] * e).sum())
        slips = {
            "You carried the error of step k from t_k. It exists only at the end of the step: use gamma[k + 1].": float(
                (g[:-1] * e).sum()
            ),
            "You used the factor of the whole run for every step. A late error is carried a short way only.": float(
                g[0] * e.sum()
            ),
            "You did not carry the errors: multiply each by the factor of the way that is left.": float(e.sum()),
            "You added squares. The steps' errors may point the same way: lengths add.": float((g[1:] * e).norm()),
            "gamma[k] is the factor of all of the way from t_k to eps. Do not multiply the factors again.": float(
                (torch.flip(torch.flip(g[1:], [0]).cumprod(0), [0]) * e).sum()
            ),
        }
        verdict = compare(float(value), right, slips, rtol=1e-9)
        if not verdict:
            return verdict
    return Verdict(True, "Right: each local error is carried by what is left of the exact flow.")


def cost(network: str, steps: int) -> int:
    """Multiply-adds for one sample: weights of the network times steps."""
    return budget_networks.weights(network) * steps


def spend(network: str, steps: int, T: float, start: str, *, most: int = 50_000) -> Verdict:
    """A setting of the grid that costs at most `most` multiply-adds for a sample and has the smallest measured error of the flow.

    The oracle and the exact score are not for sale. Within two standard errors of the best counts as best.
    """
    choices = {"network": budget.NETWORKS[:3], "steps": budget.STEPS, "T": budget.LENGTHS, "start": budget.STARTS[:3]}
    for (name, allowed), value in zip(choices.items(), (network, steps, T, start)):
        if value not in allowed:
            return Verdict(False, f"{name}: choose one of {', '.join(map(str, allowed))}.")
    if cost(network, steps) > most:
        dear = f"{network} times {steps} steps is {cost(network, steps)} multiply-adds"
        return Verdict(False, f"Too dear: {dear}, the budget is {most}.")
    offers = [key for key in product(*choices.values()) if cost(*key[:2]) <= most]
    best = min(offers, key=lambda key: budget.measured(*key).value)
    mine, theirs = budget.measured(network, steps, T, start), budget.measured(*best)
    if mine.value - theirs.value <= 2 * math.hypot(mine.error, theirs.error):
        return Verdict(True, f"Right: {mine.value:.3f} (± {mine.error:.3f}); the best on offer is {theirs.value:.3f}.")
    largest = budget.stack(network, steps, T, start).largest
    had = f"Your error is {mine.value:.3f}; {theirs.value:.3f} can be had."
    return Verdict(False, f"{had} The largest term of your bound is the {largest}'s.")


def hopeless(network: str, T: float) -> Verdict:
    """A setting (80 steps, flow) where a perfect start changes the error from N(0, I) by less than 5 %, far above the floor."""
    found = {(g.network, g.T): g for g in budget.gains()}
    if (network, T) not in found:
        lengths = ", ".join(f"{t:g}" for t in budget.LENGTHS)
        return Verdict(False, f"Choose a network of {', '.join(budget.NETWORKS)} and a T of {lengths}.")
    g, floor = found[network, T], budget.floor()
    if g.oracle.value < 2 * floor:
        near = f"There the error from a perfect start is {g.oracle.value:.3f}, near the floor {floor:.3f}"
        return Verdict(False, f"{near}: nothing dominates there.")
    if g.removed.value >= 0.05:
        share = f"There a perfect start removes {g.removed.value:.0%} of the error."
        return Verdict(False, f"{share} Where is the prior's share smaller, and the score's larger?")
    return Verdict(True, f"Right: {g.standard.value:.3f} from N(0, I), {g.oracle.value:.3f} from p_T. The score dominates.")


def trap(answer, T: float = 0.1) -> Verdict:
    """A denoiser (x, t) -> E[x_0 | x_t = x]: score loss below 0.02 nats under p_t, twice the error of the flow from N(0, I) at T.

    The loss is half the integral of g^2 E_{p_t}|score error|^2 from eps to T, as in Girsanov's bound, by `bounds.girsanov_budget`.
    """
    law, schedule = budget_networks.law(), budget_networks.SCHEDULE
    exact = ExactDenoiser(law, schedule)
    x = marginal(law, schedule, 0.3).sample(7, seeded(1))
    shape = returned(answer, (x, 0.3), x.shape)
    if isinstance(shape, Verdict):
        return shape
    loss = bounds.girsanov_budget(answer, law, schedule, T, t_end=EPS, prior_kl=0.0, n=2000, generator=seeded(2)).score.value
    if loss > 0.02:
        return Verdict(False, f"The loss under p_t is {loss:.3g}: training would notice. Be wrong only where p_t has no mass.")
    ends = []
    for denoiser in (exact, answer):
        z = Standard(schedule, 2, torch.float64).sample(2000, seeded(3))
        ends.append(distance(sample(denoiser, schedule, z, steps=20, t_start=T, t_end=EPS), 0))
    if not ends[1] > 2 * ends[0]:
        seen = f"The loss is small ({loss:.2g}), but the error from N(0, I) is {ends[1]:.2f}; the exact score has {ends[0]:.2f}."
        return Verdict(False, f"{seen} Where does N(0, I) have mass that p_T has not?")
    errors = f"error {ends[1]:.2f} from N(0, I) against {ends[0]:.2f} with the exact score"
    return Verdict(True, f"Right: loss {loss:.2g} under p_t, {errors}.")
