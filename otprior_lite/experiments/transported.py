"""The transported prior: what its studies say, and what can be measured while you wait.

Views arrange the committed rows of three studies: `prior_error` (both rulers), `late_start` (quality and copies against
start time, score, sampler and calls) and `tau`. The rest is computed here: the law of the map's images, what its pairing
is worth, and the state of the live figure. Chapter 8 shows it all, with `tracing`.
"""

from dataclasses import dataclass

import torch

from .. import metrics, priors
from ..errors import expect
from ..estimate import Estimate, over_seeds
from ..linalg import squared_distances
from ..randomness import categorical, normal, seeded
from ..semidiscrete import solve
from . import late_start, prior_error, tau
from .study import load

# ---- the studies


@dataclass(frozen=True)
class Late:
    """Rows of `late_start`: one value per seed, by (world, score, method, start, t, calls, measure).

    new: (mean, standard error) of new data as a sample, the floor. training: of the training points. Keys: world, measure.
    """

    values: dict[tuple, list[float]]
    new: dict[tuple, tuple[float, float]]
    training: dict[tuple, tuple[float, float]]
    seeds: int

    def of(self, *key) -> tuple[float, float]:
        """Mean and standard error over seeds; raises ValueError when the key was not measured."""
        return over_seeds(self._at(key))

    def gap(self, a: tuple, b: tuple) -> tuple[float, float]:
        """Mean of (a - b) and its standard error, paired: the runs of one seed share training set and judge."""
        return over_seeds([x - y for x, y in zip(self._at(a), self._at(b), strict=True)])

    def _at(self, key: tuple) -> list[float]:
        expect(key in self.values, "key", "a row of the study", key)
        return self.values[key]


def late(rows: list[dict] | None = None) -> Late:
    """The study of late starts (default: the committed rows)."""
    rows = sorted(load("late_start") if rows is None else rows, key=lambda row: row["seed"])
    values, new, training = {}, {}, {}
    for row in rows:
        place = (row["world"], row["score"], row["method"])
        for who, t, k, *found in row["runs"]:
            for measure, value in zip(late_start.MEASURES, found):
                values.setdefault((*place, who, t, k, measure), []).append(value)
        for kind, table in (("new", new), ("training", training)):
            for measure, value in zip(late_start.MEASURES, row[kind]):
                table.setdefault((row["world"], measure), {})[row["seed"]] = value
    over = lambda table: {key: over_seeds(list(by_seed.values())) for key, by_seed in table.items()}
    return Late(values, over(new), over(training), len({row["seed"] for row in rows}))


@dataclass(frozen=True)
class Win:
    """How much the error of another start exceeds that of the semi-discrete one: (mean, standard error), paired by seed.

    Against the moment-matched start and a full run of DPM-Solver++ with 5 and 20 calls, and against data-initialised with 20.
    """

    world: str
    t: float
    gauss_5: tuple[float, float]
    gauss_20: tuple[float, float]
    full_5: tuple[float, float]
    full_20: tuple[float, float]
    control_20: tuple[float, float]


def wins(found: Late | None = None) -> list[Win]:
    """Where the map wins and where it loses: the ring under the exact score, digits under the learned one, the flow by DDIM."""
    found, rows = late() if found is None else found, []
    for place, score in (("ring", "exact"), ("digits", "learned")):
        for t in late_start.TIMES:
            mine = lambda name, k: (place, score, "ddim", name, t, k, "energy")  # noqa: B023
            full = lambda k: (place, score, "dpmpp2m", "standard", late_start.SCHEDULE.T, k, "energy")  # noqa: B023
            rivals = [mine("moment-matched", 5), mine("moment-matched", 20), full(5), full(20), mine("data-initialised", 20)]
            rows.append(Win(place, t, *(found.gap(rival, mine("semi-discrete", rival[5])) for rival in rivals)))
    return rows


@dataclass(frozen=True)
class Temperatures:
    """Rows of `tau` over seeds, for one world. kept, solved: by measure, one (mean, standard error) for each tau;
    controls: by control and measure."""

    world: str
    taus: tuple[float, ...]
    kept: dict[str, list[tuple[float, float]]]
    solved: dict[str, list[tuple[float, float]]]
    controls: dict[tuple[str, str], tuple[float, float]]


def temperatures(rows: list[dict] | None = None) -> list[Temperatures]:
    """The study of tau (default: the committed rows), one for each world."""
    rows, found = load("tau") if rows is None else rows, []
    for name in dict.fromkeys(row["world"] for row in rows):
        mine = [row for row in rows if row["world"] == name]
        lists = {
            kind: {
                m: [over_seeds([row[kind][i][k] for row in mine]) for i in range(len(tau.TAUS))]
                for k, m in enumerate(tau.MEASURES)
            }
            for kind in ("kept", "solved")
        }
        controls = {(c, m): over_seeds([row[c][k] for row in mine]) for c in tau.CONTROLS for k, m in enumerate(tau.MEASURES)}
        found.append(Temperatures(name, tau.TAUS, lists["kept"], lists["solved"], controls))
    return found


def rulers(rows: list[dict] | None = None) -> list[prior_error.Row]:
    """Prior error of every start, by both rulers; see `prior_error.table`."""
    return prior_error.table(rows)


def difference(a: str, b: str, t: float, place: str = "ring", ruler: str = "fresh", rows: list[dict] | None = None) -> Estimate:
    """Mean over seeds of (error of start a) - (error of start b), paired by seed; error: its standard error."""
    rows = load("prior_error") if rows is None else rows
    by_seed: dict[int, dict] = {}
    for row in rows:
        if row["world"] == place and row["t"] == t:
            by_seed.setdefault(row["seed"], {}).update({name: row[name][ruler] for name in (a, b) if name in row})
    gaps = [found[a] - found[b] for found in by_seed.values() if a in found and b in found]
    value, error = over_seeds(gaps)
    return Estimate(value, 0.0, len(gaps), error)


# ---- the law, and what the pairing is worth


def resampled(n: int = 600, t: float = 1.0, seed: int = 0) -> metrics.TwoSampleTest:
    """MMD between n draws of the semi-discrete start of the ring and n uniform draws from its atoms."""
    prior, generator = late_start.start("semi-discrete", "ring", seed, t), seeded(seed)
    atoms = prior.map.points
    index = categorical(torch.ones(len(atoms)), n, generator)
    return metrics.mmd(prior.sample(n, generator), atoms[index], generator=generator)


def list_cost(place: str, t: float, seed: int = 0) -> float:
    """E|x - x'| / N over the stored points X_t: the mean energy distance of a list of N draws to the law it was drawn from."""
    atoms = late_start.start("semi-discrete", place, seed, t).map.points
    N = len(atoms)
    return float(squared_distances(atoms, atoms).sqrt().sum()) / (N * (N - 1)) / N


@dataclass(frozen=True)
class Pairing:
    """How a start uses its code z, in the ring.

    cost: E|z - x|^2. step: median |x - x'| for codes 0.1 apart, in units of the median distance of two draws. jumps: share
    of such pairs farther apart than half that distance. distinct: share of draws that no other draw repeats.
    """

    name: str
    cost: float
    step: float
    jumps: float
    distinct: float


def pairings(t: float = 0.25, n: int = 2000, seed: int = 0) -> list[Pairing]:
    """Six starts as functions of z ~ N(0, I): the affine map, the optimal map, the smoothed one, shuffled labels, an index at random, fresh noise."""
    generator, points = seeded(seed), late_start.place("ring", seed).train
    hard = late_start.start("semi-discrete", "ring", seed, t).map
    soft = late_start.start("smoothed", "ring", seed, t).map
    gauss = late_start.start("moment-matched", "ring", seed, t)
    shuffle = torch.randperm(len(hard.points), generator=generator)
    z = normal((n, 2), generator, dtype=points.dtype)
    turn = normal((n, 2), generator, dtype=points.dtype)
    near = z + 0.1 * turn / turn.norm(dim=1, keepdim=True)
    anything = lambda z: hard.points[categorical(torch.ones(len(hard.points)), len(z), generator)]
    maps = {
        "moment-matched (affine)": lambda z: gauss.mean + z @ gauss._root,
        "semi-discrete": hard,
        "semi-discrete, smoothed": soft,
        "semi-discrete, labels shuffled": lambda z: hard.points[shuffle][hard.cell(z)],
        "stored point at random": anything,
        "training point, fresh noise": lambda z: late_start.start("data-initialised", "ring", seed, t).sample(len(z), generator),
    }
    rows = []
    for name, map in maps.items():
        x, y = map(z), map(near)
        usual = float(squared_distances(x[: n // 2], x[n // 2 :]).sqrt().median())
        moved = (x - y).norm(dim=1) / usual
        counts = torch.unique((x / 1e-6).round(), dim=0, return_counts=True)[1]
        alone = int((counts == 1).sum()) / n
        rows.append(
            Pairing(
                name, float((z - x).square().sum(1).mean()), float(moved.median()), float((moved > 0.5).double().mean()), alone
            )
        )
    return rows


# ---- the live figure


def live(times: tuple[float, ...] = late_start.TIMES, atoms: int = 60, codes: int = 150, tau: float = late_start.TAU) -> dict:
    """What the live figure starts from: for each T' the noised training points, heights, the absolute temperature, and the
    moments; a stock of codes z and of fresh noise; the committed errors of 20 DDIM calls with their floors."""
    points, generator = late_start.place("ring", 0).train[:atoms], seeded(1)
    z, fresh = (normal((codes, 2), generator, dtype=points.dtype) for _ in range(2))
    index = categorical(torch.ones(atoms), codes, generator)
    eps, frames = normal(points.shape, generator, dtype=points.dtype), []
    for t in times:
        alpha, sigma = float(late_start.SCHEDULE.alpha(t)), float(late_start.SCHEDULE.sigma(t))
        cloud = alpha * points + sigma * eps
        map = solve(cloud, tolerance=1e-6, generator=generator).map
        gauss = priors.MomentMatched.fit(points, late_start.SCHEDULE, t)
        frames.append({
            "t": t, "heights": map.heights.tolist(), "tau": map.smooth(tau).tau, "mean": gauss.mean.tolist(),
            "covariance": [float(gauss.covariance[i, j]) for i, j in ((0, 0), (0, 1), (1, 1))],
        })  # fmt: skip
    found, numbers = late(), {}
    for place, score in (("ring", "exact"), ("digits", "learned")):
        for start in late_start.STARTS[:-1]:
            for t in times:
                pick = lambda measure: found.of(place, score, "ddim", start, t, 20, measure)  # noqa: B023
                numbers[f"{place} {start} {t:g}"] = [*pick("energy"), *pick("nearer"), *pick("distinct")]
        for start in late_start.FULL:
            numbers[f"{place} {start} 4"] = [*found.of(place, score, "ddim", start, 4.0, 20, "energy")]
        numbers[f"{place} floor"] = [0.0, found.new[place, "energy"][1]]  # unbiased: zero, and the spread of new data
    state = {"points": points, "eps": eps, "z": z, "index": index, "fresh": fresh}
    return {"frames": frames, "numbers": numbers, **{key: value.tolist() for key, value in state.items()}}
