"""Every way to remove the prior error that needs no other network, under one score, one budget and one ruler.

A scene is a world, a start time T, a training set and a number of network calls. The score is exact, so what is left
at the end is prior and discretisation; the oracle, a start from p_T itself, shows the second alone. A rival may ask for
calls beyond the scene's: a longer run keeps the step length in log-SNR, a corrector adds its steps. Chapter 13 shows the
rows; `experiments.rivals` arranges them.
"""

import math
from dataclasses import dataclass

import torch

from .. import metrics, priors
from ..discrete import assignment_cost
from ..randomness import seeded
from ..samplers import sample
from ..samplers.grid import CLEAN
from ..schedules import ou, zero_terminal_snr
from ..score import ExactDenoiser
from . import digits
from .study import Study
from .worlds import World, world


@dataclass(frozen=True)
class Scene:
    """world, its first `points` training points, start time T of the OU process, network calls, and seeds."""

    world: str
    points: int
    T: float
    calls: int
    seeds: int


SCENES = {
    "short T": Scene("ring", 300, 0.25, 20, 6),
    "middle T": Scene("ring", 300, 0.5, 20, 6),
    "long T": Scene("ring", 300, 2.0, 20, 6),
    "few calls": Scene("ring", 300, 0.5, 4, 6),
    "few points": Scene("ring", 40, 0.5, 20, 6),
    "eight dimensions": Scene("clusters", 500, 0.5, 20, 6),
    "digits": Scene("digits", 898, 0.5, 10, 5),
}
LONGEST = 4.0
LONGER = (1.0, 2.0, LONGEST)
CORRECTOR = {
    "Langevin, 1": (1, 0.5), "Langevin, 3": (3, 0.5), "Langevin, 10": (10, 0.5), "Langevin, 30": (30, 0.5),
    "Langevin, 10 short": (10, 0.1),
}  # fmt: skip
"""Calls and step in units of sigma^2. The library's default step, 0.1, is the last: a corrector tuned badly."""
SAMPLES = 1000
PAIRED = 400
"""Points that W2 sees: an assignment of all SAMPLES costs more than the rest of a cell."""


def cells(quick: bool) -> list[dict]:
    """Every scene and seed; quick: one, without the learned start."""
    if quick:
        return [{"scene": "few points", "seed": 0, "learned": False}]
    return [{"scene": name, "seed": seed} for name, scene in SCENES.items() for seed in range(scene.seeds)]


def measure(cell: dict) -> dict:
    """By rival: energy and W2 at T and at the end, share nearer to training data than to new data, and the price."""
    scene, seed = SCENES[cell["scene"]], cell["seed"]
    place, law = _place(scene, seed)
    schedule, generator = ou(LONGEST), seeded(100 + seed)
    new = {t: _new(place, law, schedule, t, generator) for t in {0.0, scene.T, LONGEST}}
    judge = {"train": place.train, "test": place.held_out, "new": new}
    found, prices = {}, _starts(place, law, schedule, scene, seed, cell.get("learned", True))
    for name, (start, price) in prices.items():
        x = start.sample(SAMPLES, seeded(300 + seed))
        end = sample(ExactDenoiser(law, schedule), schedule, x, steps=scene.calls, t_start=scene.T, method="dpmpp2m")
        found[name] = _scores(end, judge, at_T=x, T=scene.T) | price
    for name, (end, extra) in _runs(place, law, schedule, scene, seed).items():
        found[name] = _scores(end, judge) | {"calls": extra, "build": 0.0, "bytes": 0}
    return found


def _place(scene: Scene, seed: int):
    """The world with its training set cut to size and as much fresh data, and the law whose score is used."""
    if scene.world == "digits":
        split = digits.world(seed)
        return World("digits", seed, split.train, None, split.test), split.mixture
    found = world(scene.world, seed)
    fresh = found.law.sample(scene.points, seeded(200 + seed))
    return World(found.name, seed, found.train[: scene.points], found.law, fresh), found.law


def _new(place: World, law, schedule, t: float, generator) -> torch.Tensor:
    """New data at t: of the law where it is known, held-out digits noised anew otherwise."""
    return place.fresh(schedule, t, SAMPLES, generator) if t > 0 or place.law is not None else place.held_out


def _starts(place: World, law, schedule, scene: Scene, seed: int, learned: bool) -> dict:
    """Rivals that are a law at T: name -> (prior, price)."""
    data, t, generator = place.train, scene.T, lambda: seeded(400 + seed)
    form = "isotropic" if scene.world == "digits" else "full"
    hard = priors.SemiDiscrete.fit(data, schedule, t, generator=generator(), tolerance=0.1)
    made = {
        "standard": priors.Standard.fit(data, schedule, t),
        "moment-matched": priors.MomentMatched.fit(data, schedule, t),
        "mixture": priors.Mixture.fit(data, schedule, t, generator=generator(), form=form, strict=False),
        "semi-discrete": hard,
        "smoothed": priors.Smoothed(hard.map.smooth(0.3), hard.shape, solve_seconds=hard.solve_seconds),
        "fresh noise": priors.FreshNoise.fit(data, schedule, t, generator=generator(), tolerance=0.1),
        "data-initialised": priors.DataInitialised.fit(data, schedule, t),
        "oracle": priors.Oracle(law, schedule, t),
    }
    if learned:
        options = {"steps": 150, "batch": 256, "strict": False}
        made["learned"] = priors.Learned.fit(data, schedule, t, generator=generator(), **options)
    for name, (steps, step) in CORRECTOR.items():
        made[name] = priors.Langevin(made["standard"], ExactDenoiser(law, schedule), schedule, t, steps, step)
    price = lambda cost: {"calls": cost.network_calls, "build": round(cost.solve_seconds, 4), "bytes": cost.memory_bytes}
    return {name: (start, price(start.cost)) for name, start in made.items()}


def _runs(place: World, law, schedule, scene: Scene, seed: int) -> dict:
    """Rivals that change the run: name -> (samples, calls beyond the scene's)."""
    K, z = scene.calls, priors.Standard.fit(place.train, schedule).sample(SAMPLES, seeded(300 + seed))
    true = priors.Oracle(law, schedule, scene.T).sample(SAMPLES, seeded(300 + seed))
    go = lambda x, **options: sample(ExactDenoiser(law, schedule), schedule, x, **options)
    ends, T = {}, scene.T
    for longer in (t for t in LONGER if t > T):
        extra = extra_calls(T, longer, K)
        ends[f"T = {longer:g}"] = go(z, steps=K + extra, t_start=longer, method="dpmpp2m"), extra
    ends["T = 4, no more calls"] = go(z, steps=K, t_start=LONGEST, method="dpmpp2m"), 0
    zero = zero_terminal_snr(ou(T))
    ends["zero SNR"] = sample(ExactDenoiser(law, zero), zero, z, steps=K, method="dpmpp2m"), 0
    for name, x, steps in (("SDE", z, K), ("SDE, twice the calls", z, 2 * K), ("oracle, SDE", true, K)):
        ends[name] = go(x, steps=steps, t_start=T, method="ddpm", generator=seeded(500 + seed)), steps - K
    return ends


def extra_calls(T: float, longer: float, calls: int) -> int:
    """Calls that a run from `longer` needs beyond one from T, at the same step length in log-SNR."""
    schedule = ou(LONGEST)
    step = (CLEAN - float(schedule.log_snr(T))) / (calls - 1)
    return math.ceil((float(schedule.log_snr(T)) - float(schedule.log_snr(longer))) / step)


def _scores(end: torch.Tensor, judge: dict, at_T=None, T: float = 0.0) -> dict:
    """Distances of the samples to new data, and, for a law at T, of the start to new data noised to T."""
    near = metrics.memorisation(end, judge["train"], judge["test"])
    found = {"end": _distances(end, judge["new"][0.0]), "nearer": round(near.value, 4)}
    return found if at_T is None else found | {"start": _distances(at_T, judge["new"][T])}


def _distances(x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Energy distance, and W2 of the first PAIRED points."""
    n = min(len(x), len(y), PAIRED)
    return [round(metrics.energy(x, y, repeats=1).value, 6), round(math.sqrt(assignment_cost(x[:n], y[:n])), 5)]


STUDY = Study("shootout", cells, measure)
