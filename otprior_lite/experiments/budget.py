"""Views of the error budget's grid: stacks of bounds under measured errors, the ablation, the U-shape, what a prior can gain.

The rows are committed (`otprior experiments budget` makes them); nothing here is random. Every mean is over the seeds,
each a training set with networks and priors of its own, with its standard error; bounds are those of the first seed.
Chapter 10 shows the results.
"""

import math
from dataclasses import dataclass
from functools import cache

from ..errors import known
from .budget_grid import EPS, KL_STEPS, LENGTHS, NETWORKS, SEEDS, STARTS, STEPS
from .study import load

__all__ = ["EPS", "KL_STEPS", "LENGTHS", "NETWORKS", "STARTS", "STEPS"]


@dataclass(frozen=True)
class Mean:
    """The mean over the seeds and its standard error."""

    value: float
    error: float


def mean(values) -> Mean:
    """Mean and standard error of at least two numbers."""
    n = len(values)
    average = sum(values) / n
    return Mean(average, math.sqrt(sum((v - average) ** 2 for v in values) / (n - 1) / n))


@cache
def _rows() -> dict:
    """(part, method, network, steps, T) -> the rows of all seeds, in the order of the seeds."""
    found = {}
    for row in sorted(load("budget"), key=lambda row: row["seed"]):
        found.setdefault((row["part"], row.get("method"), row["network"], row["steps"], row["T"]), []).append(row)
    return found


def rows(part: str, network: str, steps: int, T: float, method: str | None = None) -> list[dict]:
    """The rows of all seeds for one setting."""
    return _rows()[part, method, known(network, NETWORKS, "network"), steps, T]


def measured(network: str, steps: int, T: float, start: str, method: str = "ddim") -> Mean:
    """Measured W2 at EPS."""
    return mean([row[start] for row in rows("sample", network, steps, T, method)])


def floor() -> float:
    """What the measurement stays below for the truth itself: its mean plus two standard errors of a mean over the seeds."""
    row = rows("sample", "exact", STEPS[0], LENGTHS[0], "ddim")[0]
    return row["floor"] + 2 * row["floor_spread"] / math.sqrt(len(SEEDS))


@dataclass(frozen=True)
class Stack:
    """One run of DDIM: the terms of Gronwall's bound for the first seed, the error measured with it (matched), and the mean."""

    network: str
    steps: int
    T: float
    start: str
    prior: float
    score: float
    discretisation: float
    total: float
    matched: float
    measured: Mean
    floor: float

    @property
    def slack(self) -> float:
        """Bound over measured error, both of the first seed."""
        return self.total / self.matched

    @property
    def largest(self) -> str:
        """The name of the largest term."""
        return max(("prior", "score", "discretisation"), key=lambda name: getattr(self, name))


def stack(network: str, steps: int, T: float, start: str) -> Stack:
    """The budget of one setting."""
    (bound,), first = rows("w2", network, steps, T), rows("sample", network, steps, T, "ddim")[0]
    return Stack(network, steps, T, start, *bound[start], first[start], measured(network, steps, T, start), floor())


def stacks(T: float = 3.0, steps: int = 20) -> dict[str, list[Stack]]:
    """F17: budgets along T at fixed steps, and along the steps at fixed T, for two starts, with the wide network."""
    along_T = {f"T, {start}": [stack("wide", steps, length, start) for length in LENGTHS] for start in STARTS[:2]}
    along_steps = {f"steps, {start}": [stack("wide", K, T, start) for K in STEPS] for start in STARTS[:2]}
    return {**along_T, **along_steps}


def every_stack() -> list[Stack]:
    """All settings of the grid."""
    return [stack(net, K, T, start) for net in NETWORKS for K in STEPS for T in LENGTHS for start in STARTS]


@dataclass(frozen=True)
class Ablation:
    """One corner of the ablation: where it starts, whose score, how many steps, flow or SDE; the measured W2."""

    start: str
    network: str
    steps: int
    method: str
    measured: Mean
    floor: float


def ablation(T: float = 1.0, network: str = "wide", coarse: int = 10, fine: int = 80) -> list[Ablation]:
    """{starts} x {exact, learned score} x {coarse, fine} x {flow, SDE} at one T (the design of Pierret and Galerne)."""
    settings = [(net, K, method) for net in ("exact", network) for K in (coarse, fine) for method in ("ddim", "ddpm")]
    corners = [(start, *setting) for setting in settings for start in STARTS]
    return [Ablation(start, net, K, method, measured(net, K, T, start, method), floor()) for start, net, K, method in corners]


@dataclass(frozen=True)
class Trade:
    """Along T: Girsanov's terms for ancestral sampling, and measured W2 of DDIM, both at fixed steps.

    prior: KL(p_T | q_T) by start. score: half the integral of g^2 E|score error|^2, by network. measured: by start, wide network.
    """

    T: tuple[float, ...]
    steps: int
    prior: dict[str, list[float]]
    score: dict[str, list[float]]
    measured: dict[str, list[Mean]]
    floor: float


def trade(steps: int = 20) -> Trade:
    """The U-shape: a longer T shrinks the prior's term and grows the score's."""
    kl = {(net, T): path_kl(net, 80, T) for net in NETWORKS[:3] for T in LENGTHS}
    prior = {start: [kl["wide", T][f"prior {start}"] for T in LENGTHS] for start in ("standard", "moment-matched")}
    score = {net: [kl[net, T]["score"] for T in LENGTHS] for net in NETWORKS[:3]}
    seen = {start: [measured("wide", steps, T, start) for T in LENGTHS] for start in STARTS}
    return Trade(LENGTHS, steps, prior, score, seen, floor())


@dataclass(frozen=True)
class Gain:
    """What a perfect prior removes of the error from N(0, I): 1 - oracle / standard, seed by seed. visible: above two errors."""

    network: str
    T: float
    removed: Mean
    standard: Mean
    oracle: Mean

    @property
    def visible(self) -> bool:
        """Whether the gain is more than two standard errors above zero."""
        return self.removed.value > 2 * self.removed.error


def gains(steps: int = 80) -> list[Gain]:
    """The gain of a perfect prior for every network and T, for the flow with fine steps."""
    found = []
    for net in NETWORKS:
        for T in LENGTHS:
            pairs = rows("sample", net, steps, T, "ddim")
            removed = mean([1 - row["oracle"] / row["standard"] for row in pairs])
            found.append(Gain(net, T, removed, measured(net, steps, T, "standard"), measured(net, steps, T, "oracle")))
    return found


def path_kl(network: str, steps: int, T: float) -> dict:
    """Girsanov's terms and the KL that a histogram sees, for ancestral sampling with the first seed: the row itself."""
    (row,) = rows("kl", network, steps, T)
    return row


def grid() -> dict:
    """The whole grid as nested lists [network][steps][T][start], for the live figure."""
    nest = lambda f: [[[[f(net, K, T, start) for start in STARTS] for T in LENGTHS] for K in STEPS] for net in NETWORKS]
    terms = lambda s: [round(v, 4) for v in (s.prior, s.score, s.discretisation)]
    pair = lambda m: [round(m.value, 4), round(m.error, 4)]
    return {
        "bound": nest(lambda *key: terms(stack(*key))),
        "flow": nest(lambda *key: pair(measured(*key, "ddim"))),
        "sde": nest(lambda *key: pair(measured(*key, "ddpm"))),
    }
