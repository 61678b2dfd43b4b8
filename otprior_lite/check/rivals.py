"""Checks of chapter 13."""

import torch

from .. import metrics
from ..experiments import coupling, digits, rivals, shootout
from ..experiments.regimes import POINTS, TIMES
from ..randomness import seeded
from .verdict import Verdict, compare, returned

__all__ = ["extra_calls", "two_points", "conditional_gap", "losing_regime", "fair_ranking", "below_the_floor"]


def extra_calls(answer, T: float = 0.25, longer: float = 2.0, calls: int = 20) -> Verdict:
    """Network calls that a run from `longer` needs beyond one from T, at the same step length in log-SNR."""
    right = shootout.extra_calls(T, longer, calls)
    slips = {
        "That is the number of calls of the long run. The question asks for what comes on top.": calls + right,
        "You kept the step length in t. Here it is kept in log-SNR.": calls * (longer / T - 1),
        "You took log alpha. The log-SNR of the OU process is -log(e^{2t} - 1).": round(calls * (longer - T) / T / 10),
        "Round up: a step cannot be longer.": right - 1,
    }
    return compare(answer, right, {hint: wrong for hint, wrong in slips.items() if wrong != right}, rtol=1e-9)


def two_points(answer) -> Verdict:
    """The least W2 between N(0, 1) and any law on two points."""
    right = (1 - 2 / torch.pi) ** 0.5
    slips = {
        "That is W2 squared. Take the root.": 1 - 2 / torch.pi,
        "That is where the points stand, sqrt(2/pi), not how far they are from N(0, 1).": (2 / torch.pi) ** 0.5,
        "You put the points at -1 and 1. Each belongs at the mean of its half line.": (2 - 2 * (2 / torch.pi) ** 0.5) ** 0.5,
        "That is one point at zero. Two can do better.": 1.0,
    }
    return compare(answer, right, slips)


def conditional_gap(answer) -> Verdict:
    """W2 between N(0, 1) and z given class 1, pairs optimal over all classes, infinite batch (`coupling.limit`)."""
    half = coupling.gap(torch.special.ndtri((torch.arange(200_000, dtype=torch.float64) + 0.5) / 400_000 + 0.5))
    slips = {
        "That is without the condition: z over both classes is N(0, 1), whatever the pairing. Condition on class 1.": 0.0,
        "That is W2 squared. Take the root.": coupling.limit() ** 2,
        "That is a half normal: the limit of classes that do not overlap. Here they do, a little.": half,
        "That is the distance of class 1 itself to N(0, 1). The question is about z.": (
            (coupling.CENTRE**2 + (coupling.STD - 1) ** 2) ** 0.5
        ),
    }
    return compare(answer, coupling.limit(), slips, rtol=3e-3)


def losing_regime(points, t, rival: str = "standard", stage: str = "start") -> Verdict:
    """A cell of the map where the semi-discrete start is significantly worse than `rival`."""
    found = rivals.differences().get((stage, rival, points, t))
    if found is None:
        return Verdict(False, f"Choose from the map: points in {POINTS}, t in {TIMES}, stage 'start' or 'end'.")
    size = f"{found.value:+.4f} +- {found.error:.4f}"
    if found.verdict == 1:
        return Verdict(True, f"It loses there: {size}.")
    if found.verdict == -1:
        return Verdict(False, f"It wins there: {size}. Fewer points, or a later time?")
    return Verdict(False, f"The seeds cannot tell: {size}. A sign without significance is no regime.")


_TABLES = (
    {"a": (0.010, 0.012, 0.011, 0.009, 0.010, 0.011), "b": (0.013, 0.015, 0.014, 0.012, 0.013, 0.014), "c": (0.4,) * 6},
    {"a": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "b": (0.12, 0.21, 0.33, 0.41, 0.52, 0.63), "c": (0.05, 0.3, 0.2, 0.5, 0.4, 0.7)},
    {"a": (0.010, 0.011, 0.012, 0.010, 0.011, 0.012), "b": (0.012, 0.009, 0.013, 0.011, 0.013, 0.010)},
    {"a": (0.020, 0.021, 0.022, 0.020, 0.021, 0.022), "b": (0.0, 0.05, 0.06, 0.04, 0.07, 0.05)},
)  # fmt: skip
"""Shared noise that a paired test sees through, true ties, a rival with one lucky seed."""


def fair_ranking(answer) -> Verdict:
    """A function of {rival: values by seed} that returns the set of rivals not significantly worse than the best mean."""
    if not callable(answer):
        return Verdict(False, f"Expected a function, got {type(answer).__name__}.")
    for table in _TABLES:
        try:
            mine = set(answer(dict(table)))
        except Exception as error:  # the reader's code may fail in any way
            return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
        right = {name for name, tied in rivals.ranking(table) if tied}
        if mine == right:
            continue
        lucky = min(table, key=lambda name: min(table[name]))
        best = min(table, key=lambda name: sum(table[name]))
        if mine == {best}:
            return Verdict(False, "You return the first place alone. Who cannot be told apart from it?")
        if best not in mine:
            return Verdict(False, f"The best mean is missing. Did you rank by the best seed? {lucky} has it.")
        if mine > right:
            return Verdict(False, "Too many ties. Seeds share their data: test the differences seed by seed, with s / sqrt(n).")
        return Verdict(False, "Too few ties. With six seeds the critical value of Student's t is 2.57, two-sided.")
    return Verdict(True, "Right: ties included, noise that the seeds share taken off.")


def below_the_floor(answer, n: int = 300) -> Verdict:
    """A function of perfect samples x (n, 64) whose result has a smaller sample W2 to new data than x has, and is worse."""
    world = digits.world(0)
    truth = world.mixture.sample(2 * n, seeded(5))
    x, new = truth[:n], truth[n:]
    made = returned(answer, (x.clone(),), x.shape)
    if isinstance(made, Verdict):
        return made
    made = made.to(x)
    floor, value = metrics.w2(x, new).value, metrics.w2(made, new).value
    if not value < floor:
        both = f"Sample W2 {value:.2f} is not below the perfect samples' {floor:.2f}."
        return Verdict(False, f"{both} What does W2 in 64 dimensions reward?")
    test = metrics.energy(made, new)
    if test.p_value > 0.01:
        good = f"your samples are still good: p = {test.p_value:.2g}"
        return Verdict(False, f"W2 {value:.2f} beats {floor:.2f}, but {good}. Break more.")
    return Verdict(True, f"W2 {value:.2f}, below the perfect samples' {floor:.2f}; the energy test gives p = {test.p_value:.2g}.")
