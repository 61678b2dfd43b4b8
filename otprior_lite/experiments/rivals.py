"""Views of the three studies of the rivals: the cost-quality plane, a fair table, the map of regimes, the classes.

The rows are committed (`otprior experiments shootout regimes conditional` makes them); nothing here is random. Rivals of one
seed share their new data, so two of them are compared by the paired t-test of their differences. Chapter 13 shows the results.
"""

import math
from dataclasses import dataclass
from functools import cache
from statistics import mean

from .. import priors
from ..estimate import over_seeds
from ..randomness import seeded
from ..samplers import sample
from ..schedules import ou
from ..score import ExactDenoiser
from . import conditional as by_class
from . import regimes as map_study
from .shootout import SCENES
from .study import load
from .worlds import clusters

RIVALS = (
    "standard", "T = 1", "T = 2", "T = 4", "T = 4, no more calls", "zero SNR", "SDE", "SDE, twice the calls",
    "Langevin, 1", "Langevin, 3", "Langevin, 10", "Langevin, 30", "Langevin, 10 short",
    "moment-matched", "mixture", "learned", "semi-discrete", "smoothed", "fresh noise", "data-initialised",
    "oracle", "oracle, SDE",
)  # fmt: skip
STORED = ("semi-discrete", "smoothed", "fresh noise", "data-initialised", "semi-discrete, all classes")
"""Rivals that keep training points at sampling."""
RETRAINED = ("zero SNR",)
"""Rivals whose schedule a trained network does not know."""


@dataclass(frozen=True)
class Score:
    """One rival in one scene; a pair is a mean over seeds and its standard error.

    values: energy distance to new data at the end, seed by seed. excess: the same minus the oracle's of the seed.
    start: energy distance at T, None where the start is not at T. nearer: share nearer to training data than to new data.
    """

    scene: str
    rival: str
    values: tuple[float, ...]
    energy: tuple[float, float]
    excess: tuple[float, float]
    w2: tuple[float, float]
    start: tuple[float, float] | None
    nearer: tuple[float, float]
    calls: int
    build: float
    bytes: int

    @property
    def at_floor(self) -> bool:
        """Not told from the oracle by these seeds."""
        return not significant(*self.excess, len(self.values))


@cache
def critical(n: int) -> float:
    """The 97.5 % point of Student's t for n seeds: 2.57 for six."""
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


def significant(value: float, error: float, n: int) -> bool:
    """Two-sided, 5 %: is the mean of n differences away from zero?"""
    return abs(value) > critical(n) * error


@cache
def scores(scene: str) -> dict[str, Score]:
    """Every rival of a scene of the shootout, in the order of RIVALS."""
    rows = [row for row in load("shootout") if row["scene"] == scene]
    found = {}
    for rival in (name for name in RIVALS if name in rows[0]):
        of = lambda key, k: [row[rival][key][k] for row in rows]  # noqa: B023
        ends, truth = of("end", 0), [row["oracle"]["end"][0] for row in rows]
        found[rival] = Score(
            scene, rival, tuple(ends), over_seeds(ends), over_seeds(a - b for a, b in zip(ends, truth)), over_seeds(of("end", 1)),
            over_seeds(of("start", 0)) if "start" in rows[0][rival] else None, over_seeds(row[rival]["nearer"] for row in rows),
            rows[0][rival]["calls"], mean(row[rival]["build"] for row in rows), rows[0][rival]["bytes"],
        )  # fmt: skip
    return found


def start_excess(scene: str, rival: str) -> tuple[float, float]:
    """Energy distance of a start to p_T beyond the oracle's, at T, over the seeds."""
    rows = [row for row in load("shootout") if row["scene"] == scene]
    return over_seeds(row[rival]["start"][0] - row["oracle"]["start"][0] for row in rows)


def told_apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """The paired t-test of two rivals, 5 %: are the differences of their seeds away from zero?"""
    return significant(*over_seeds(x - y for x, y in zip(a, b)), len(a))


def ranking(values: dict[str, tuple[float, ...]], truth: tuple[float, ...] | None = None) -> list[tuple[str, bool]]:
    """Rivals from the smallest mean up, each with: tied with the first, that is not told apart from it.

    truth: the oracle's values. A rival not told from them is at the floor, and all at the floor are tied if the first is
    there: inside the band there is no order.
    """
    order = sorted(values, key=lambda name: mean(values[name]))
    first = values[order[0]]
    floor = lambda v: truth is not None and not told_apart(v, truth)
    tied = lambda v: v == first or not told_apart(v, first) or (floor(v) and floor(first))
    return [(name, tied(values[name])) for name in order]


def long_run_shares(n: int = 20_000, calls: int = 31, seed: int = 0) -> tuple[float, float, float]:
    """Shares of the clusters after a run from N(0, I) at T = 4: their total variation to the weights; its floor; its worth.

    floor: the mean for n draws from the weights themselves. worth: the energy distance that these shares alone make, between
    the centres: -sum_ij e_i e_j |mu_i - mu_j| with errors e.
    """
    law, schedule = clusters(), ou(4.0)
    z = priors.Standard(schedule, 8, law.means.dtype).sample(n, seeded(seed))
    end = sample(ExactDenoiser(law, schedule), schedule, z, steps=calls, method="dpmpp2m")
    off = law.responsibilities(end).argmax(1).bincount(minlength=len(law.weights)) / n - law.weights
    floor = (law.weights * (1 - law.weights) * 2 / math.pi / n).sqrt().sum() / 2
    apart = (law.means[:, None] - law.means[None]).norm(dim=2)
    return float(off.abs().sum()) / 2, float(floor), -float(off @ apart @ off)


# ---- the map of regimes


@dataclass(frozen=True)
class Difference:
    """Energy distance of the semi-discrete start minus that of a rival, over the seeds: positive where the map loses."""

    points: int
    t: float
    rival: str
    stage: str
    value: float
    error: float
    seeds: int

    @property
    def verdict(self) -> int:
        """1: the map loses; -1: it wins; 0: these seeds cannot tell."""
        return 0 if not significant(self.value, self.error, self.seeds) else (1 if self.value > 0 else -1)


@cache
def differences() -> dict[tuple[str, str, int, float], Difference]:
    """(stage "start" or "end", rival, points, t) -> Difference, for every cell of the map."""
    values: dict[tuple, list[float]] = {}
    for row in sorted(load("regimes"), key=lambda row: row["seed"]):
        for t, name, start, end in row["rows"]:
            for stage, value in (("start", start), ("end", end)):
                values.setdefault((stage, name, row["points"], t), []).append(value)
    found = {}
    for stage, rival, points, t in values:
        if rival != "semi-discrete":
            both = zip(values[stage, "semi-discrete", points, t], values[stage, rival, points, t])
            gaps = [a - b for a, b in both]
            found[stage, rival, points, t] = Difference(points, t, rival, stage, *over_seeds(gaps), len(gaps))
    return found


def regimes() -> list[Difference]:
    """The cells of the map: against N(0, I), moments and the control, at T and at the end."""
    found = differences()
    rivals = ("standard", "moment-matched", "data-initialised")
    return [
        found[stage, rival, points, t]
        for stage in ("start", "end") for rival in rivals for points in map_study.POINTS for t in map_study.TIMES
    ]  # fmt: skip


# ---- classes


@dataclass(frozen=True)
class ClassScore:
    """One start under class-conditional scores, averaged over ten classes; pairs over seeds. values: energy by seed."""

    start: str
    t: float
    calls: int
    values: tuple[float, ...]
    energy: tuple[float, float]
    accuracy: tuple[float, float]
    nearer: tuple[float, float]


@cache
def classes() -> dict[tuple[str, float, int], ClassScore]:
    """(start, t, calls) -> ClassScore; ("training", 0, 0): the training digits themselves, as a sample."""
    columns: dict[tuple, list] = {}
    full = by_class.SCHEDULE.T
    for row in sorted(load("conditional"), key=lambda row: row["seed"]):
        for name, at, calls, *values in row["rows"]:
            if at != full or row["t"] == by_class.TIMES[0]:  # the full run is the same for every start time
                columns.setdefault((name, at, calls), []).append(values)
        if row["t"] == by_class.TIMES[0]:
            columns.setdefault(("training", 0, 0), []).append(row["training"])
    found = {}
    for key, rows in columns.items():
        energy, accuracy, nearer = zip(*rows)
        found[key] = ClassScore(*key, tuple(energy), over_seeds(energy), over_seeds(accuracy), over_seeds(nearer))
    return found


# ---- what the page shows


def plane() -> dict[str, dict[str, Score]]:
    """Every scene with its scores: the cost-quality plane."""
    return {scene: scores(scene) for scene in SCENES}


def live() -> dict:
    """State of the live figure: by scenario its rivals, each [extra calls, stores points, needs training, values by seed]."""
    entry = lambda name, calls, values: [calls, name in STORED, name in RETRAINED, [round(v, 5) for v in values]]
    found = {scene: {name: entry(name, s.calls, s.values) for name, s in scores(scene).items()} for scene in SCENES}
    t, calls = by_class.TIMES[0], by_class.CALLS[0]
    found["classes"] = {name: entry(name, 0, classes()[name, t, calls].values) for name in by_class.STARTS}
    found["classes"]["T = 3, no more calls"] = entry("T = 3", 0, classes()["standard", by_class.SCHEDULE.T, calls].values)
    return found
