"""How far each start is from p_T, measured twice: against the finite set X_T, and against fresh samples of p_T.

This is the question of the paper's table 2. There every map is measured against the noised training points, and the
semi-discrete map scores zero. The second ruler is the one that matters for sampling: new draws of p_T. The floor of a
ruler is what a perfect start scores on it with as many samples: new draws of p_T, or uniform draws from X_T.

W2 between samples has a second defect: in many dimensions it rewards shrinking, so that a bad start may score below
the floor. The energy distance is unbiased; its floor is zero. Both are kept. Chapter 8 shows the rows.
"""

import math
import time
from dataclasses import dataclass
from statistics import mean

import torch

from .. import metrics, priors
from ..discrete import assignment_cost
from ..estimate import over_seeds
from ..forward import noise
from ..randomness import categorical, seeded
from ..schedules import Schedule, ou
from ..semidiscrete import solve
from .study import Study, load
from .worlds import World, world

TIMES = (0.25, 1.0, 2.0)
TAUS = (0.1, 0.3, 1.0)
"""Temperatures of the smoothed maps, in units of the score scale."""
SAMPLES = 1000
SEEDS = {"ring": 10, "moons": 5, "spiral": 5, "clusters": 5, "digits": 5}
PLAIN = ("standard", "moment-matched", "mixture", "data-initialised", "oracle")
MAPS = (
    "extended", "semi-discrete", "semi-discrete, 4 noises", *(f"smoothed {tau:g}" for tau in TAUS),
    "smoothed 0.3, solved again", "fresh noise",
)  # fmt: skip
PRIORS = (*PLAIN[:3], "learned", *MAPS, *PLAIN[3:])
"""In the order of tables and figures. "oracle" is the floor: new draws of p_T."""


@dataclass(frozen=True)
class Row:
    """One prior in one world at one time. Each pair is a mean over seeds and its standard error.

    fresh, fresh_energy: W2 and energy distance to new draws of p_T. stored, stored_energy: to X_T. seconds: to build it.
    """

    world: str
    t: float
    prior: str
    seeds: int
    fresh: tuple[float, float]
    fresh_energy: tuple[float, float]
    stored: tuple[float, float]
    stored_energy: tuple[float, float]
    seconds: float


def cells(quick: bool) -> list[dict]:
    """Every world, time, seed and group of priors; quick: two groups of one."""
    if quick:
        return [{"world": "ring", "t": 2.0, "seed": 0, "group": group} for group in ("plain", "maps")]
    return [
        {"world": name, "t": t, "seed": seed, "group": group}
        for name, seeds in SEEDS.items() for t in TIMES for seed in range(seeds) for group in ("plain", "maps", "learned")
    ]  # fmt: skip


def measure(cell: dict) -> dict:
    """Distances of SAMPLES draws of each prior of the group to fresh draws of p_T and to X_T, and the seconds to build it."""
    place, schedule, t, seed = world(cell["world"], cell["seed"]), ou(max(TIMES)), cell["t"], cell["seed"]
    atoms = noised(place, schedule, t)
    generator = seeded(1000 + seed)
    fresh = place.fresh(schedule, t, SAMPLES, generator)
    starts = {"plain": plain, "maps": maps, "learned": learned}[cell["group"]](place, schedule, t, seeded(2000 + seed))
    draws = {name: (start.sample(SAMPLES, generator), start.cost.solve_seconds) for name, start in starts.items()}
    if cell["group"] == "plain":
        draws["oracle"] = place.fresh(schedule, t, SAMPLES, generator), 0.0
        draws["X_T"] = atoms[categorical(torch.ones(len(atoms)), SAMPLES, generator)], 0.0
    return {name: {**_distances(x, fresh, atoms), "build_seconds": round(seconds, 3)} for name, (x, seconds) in draws.items()}


def noised(place: World, schedule: Schedule, t: float) -> torch.Tensor:
    """X_T: each training point noised once, the same for every prior of a world."""
    return noise(place.train, schedule, t, seeded(2000 + place.seed))


def plain(place: World, schedule: Schedule, t: float, generator: torch.Generator) -> dict[str, priors.Prior]:
    """Starts that are explicit laws, fitted to the training points."""
    form = "full" if place.law is not None else "isotropic"
    return {
        "standard": priors.Standard.fit(place.train, schedule, t),
        "moment-matched": priors.MomentMatched.fit(place.train, schedule, t),
        "mixture": priors.Mixture.fit(place.train, schedule, t, generator=generator, form=form),
        "data-initialised": priors.DataInitialised.fit(place.train, schedule, t),
    }


def maps(place: World, schedule: Schedule, t: float, generator: torch.Generator) -> dict[str, priors.Prior]:
    """Starts that push N(0, I) through a semi-discrete map. `SemiDiscrete.fit` draws X_T first, so the atoms are `noised`."""
    points, shape = place.train, place.train.shape[1:]
    transport = priors.SemiDiscrete.fit(points, schedule, t, generator=generator)
    seconds, atoms = transport.solve_seconds, transport.map.points
    start = time.perf_counter()
    extended = transport.map.extend(100 * len(points), generator, jump=2.0)
    made = {"semi-discrete": transport, "extended": priors.Extended(extended, shape, seconds + time.perf_counter() - start)}
    for tau in TAUS:
        made[f"smoothed {tau:g}"] = priors.Smoothed(transport.map.smooth(tau), shape, solve_seconds=seconds)
    start = time.perf_counter()
    entropic = solve(atoms, method="entropic", tau=0.3, tolerance=0.05, generator=generator).map.smooth(0.3)
    made["smoothed 0.3, solved again"] = priors.Smoothed(entropic, shape, solve_seconds=time.perf_counter() - start)
    made["semi-discrete, 4 noises"] = priors.SemiDiscrete.fit(points, schedule, t, copies=4, tolerance=0.1, generator=generator)
    made["fresh noise"] = priors.FreshNoise.fit(points, schedule, t, generator=generator)
    return {name: made[name] for name in MAPS}


def learned(place: World, schedule: Schedule, t: float, generator: torch.Generator) -> dict[str, priors.Prior]:
    """A normalising flow, fitted to training points noised anew at every step."""
    return {"learned": priors.Learned.fit(place.train, schedule, t, steps=300, batch=256, strict=False, generator=generator)}


def table(rows: list[dict] | None = None) -> list[Row]:
    """The study's rows (default: the committed ones) averaged over seeds; "X_T" is the floor of the second ruler."""
    groups: dict[tuple, list[dict]] = {}
    for row in load("prior_error") if rows is None else rows:
        for name in (*PRIORS, "X_T"):
            if name in row:
                groups.setdefault((row["world"], row["t"], name), []).append(row[name])
    order = {name: k for k, name in enumerate((*PRIORS, "X_T"))}
    keys = sorted(groups, key=lambda key: (list(SEEDS).index(key[0]), key[1], order[key[2]]))
    return [
        Row(
            *key,
            len(group := groups[key]),
            *(over_seeds([entry[name] for entry in group]) for name in RULERS),
            mean(entry["build_seconds"] for entry in group),
        )
        for key in keys
    ]


RULERS = ("fresh", "fresh_energy", "stored", "stored_energy")


def _distances(x: torch.Tensor, fresh: torch.Tensor, atoms: torch.Tensor) -> dict[str, float]:
    # X_T is the law here, not a sample of one: its pairs count with repetition, which the unbiased estimator leaves out.
    repeated = float(torch.pdist(atoms).mean()) / len(atoms)
    found = {}
    for name, reference, correction in (("fresh", fresh, 0.0), ("stored", atoms, repeated)):
        found[name] = math.sqrt(assignment_cost(x, reference))
        found[f"{name}_energy"] = metrics.energy(x, reference, repeats=2).value + correction
    return found


STUDY = Study("prior_error", cells, measure)
