"""Late starts: every prior at five start times, under every score, by the flow and by the SDE, for four budgets of calls.

The analogue of the paper's table 3, with the controls that it lacks: a start that noises training points without any
map, moments only, a perfect start, the full run from N(0, I) with as many calls, and questions about copies. Every run
ends with the denoising step to t = 0, so that leftover noise cannot hide a copy. Chapter 8 shows the rows;
`experiments.transported` arranges them.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch

from .. import data, metrics, priors
from ..discrete import assignment_cost
from ..randomness import permutation, seeded
from ..samplers import sample
from ..schedules import ou
from ..score import EmpiricalDenoiser, ExactDenoiser, LearnedDenoiser
from ..train import mlp, train
from .study import Study
from .worlds import World, world

SCHEDULE = ou(4.0)
TIMES = (0.05, 0.25, 0.5, 1.0, 2.0)
STEPS = (5, 10, 20, 50)
SEEDS = (0, 1, 2, 3, 4)
METHODS = ("ddim", "ddpm", "dpmpp2m")
"""The last, a second-order solver, for full runs alone: the rival at equal calls."""
SCORES = {"ring": ("exact", "learned"), "digits": ("learned", "empirical")}
STARTS = ("standard", "moment-matched", "semi-discrete", "smoothed", "fresh noise", "data-initialised", "oracle")
FULL = ("standard", "moment-matched")
"""Starts that run from T = 4, too."""
SAMPLES = {"ring": 400, "digits": 300}
TAU = 0.3
NETWORKS = {"ring": (32, 2, 2000), "digits": (192, 2, 3000)}
"""(width, hidden layers, training steps)."""
MEASURES = ("w2", "energy", "precision", "recall", "mixture", "nearer", "duplicates", "distinct", "to_train")
"""Of the samples: W2 and energy distance to new data; precision and recall; share between modes; share nearer to the
training set than to as many new data; share of near-copies; share unlike any other sample; median distance to the training set."""


@dataclass(frozen=True, eq=False)
class Judge:
    """New data, in parts that no start has seen, and the probabilities of the classes."""

    reference: torch.Tensor
    new: torch.Tensor
    classes: object


@cache
def place(name: str, seed: int) -> World:
    """The world of a seed, made once."""
    return world(name, seed)


@cache
def judge(name: str, seed: int) -> Judge:
    """ring: fresh draws of the law. digits: the half of the held-out digits that the oracle does not start from."""
    found, n = place(name, seed), SAMPLES[name]
    if found.law is not None:
        generator = seeded(3000 + seed)
        draws = found.law.sample(2 * n, generator), found.law.sample(len(found.train), generator)
        return Judge(*draws, found.law.responsibilities)
    from sklearn.linear_model import LogisticRegression

    kept, _ = data.load("digits").split(len(found.held_out), seeded(seed))  # the split of `worlds.world`
    classifier = LogisticRegression(C=0.1, max_iter=500).fit(kept.flat.double().numpy(), kept.y.numpy())
    probabilities = lambda x: torch.from_numpy(classifier.predict_proba(x.double().numpy()))
    return Judge(found.held_out[::2], found.held_out, probabilities)


@cache
def start(name: str, world_name: str, seed: int, t: float) -> priors.Prior | None:
    """The prior called `name` at t, fitted to the training set; None for the oracle, whose draws are new data noised."""
    if name == "oracle":
        return None
    kinds = {
        "standard": priors.Standard, "moment-matched": priors.MomentMatched, "semi-discrete": priors.SemiDiscrete,
        "smoothed": priors.Smoothed, "fresh noise": priors.FreshNoise, "data-initialised": priors.DataInitialised,
    }  # fmt: skip
    sharp = {"tolerance": 0.1} if name in ("semi-discrete", "fresh noise") else {}
    if name == "smoothed":
        hard = start("semi-discrete", world_name, seed, t)
        return priors.Smoothed(hard.map.smooth(TAU), hard.shape)
    return kinds[name].fit(place(world_name, seed).train, SCHEDULE, t, generator=seeded(4000 + seed), **sharp)


def draws(name: str, world_name: str, seed: int, t: float, n: int) -> torch.Tensor:
    """n draws of a start; all starts of one seed see the same generator."""
    generator, found = seeded(5000 + seed), place(world_name, seed)
    if name != "oracle":
        return start(name, world_name, seed, t).sample(n, generator)
    if found.law is not None:
        return found.fresh(SCHEDULE, t, n, generator)
    return World(found.name, seed, found.train, None, found.held_out[1::2]).fresh(SCHEDULE, t, n, generator)


@cache
def score(name: str, world_name: str, seed: int):
    """The denoiser: exact, of the training points (empirical), or a small network trained on them."""
    found = place(world_name, seed)
    if name == "exact":
        return ExactDenoiser(found.law, SCHEDULE)
    if name == "empirical":
        return EmpiricalDenoiser(found.train, SCHEDULE)
    width, depth, steps = NETWORKS[world_name]
    points = found.train
    std, generator = float(points.var(0).mean().sqrt()), seeded(6000 + seed)
    network = mlp(points.shape[1], width, depth, mean=points.mean(0), std=std, frequencies=4, generator=generator)
    for state in train(network, points, SCHEDULE, steps=steps, lr=3e-3, generator=generator):
        pass
    return LearnedDenoiser(state.average, SCHEDULE)


def end(cell: dict, name: str, t: float, steps: int) -> torch.Tensor:
    """What the reverse process makes of a start at t in `steps` calls."""
    x = draws(name, cell["world"], cell["seed"], t, SAMPLES[cell["world"]])
    denoiser = score(cell["score"], cell["world"], cell["seed"])
    return sample(denoiser, SCHEDULE, x, steps=steps, t_start=t, method=cell["method"], generator=seeded(7000 + cell["seed"]))


def grade(world_name: str, seed: int, x: torch.Tensor) -> list[float]:
    """MEASURES of the samples x, four digits each."""
    found, by = place(world_name, seed), judge(world_name, seed)
    n, generator = min(len(x), len(by.reference)), seeded(8000 + seed)
    some = x[permutation(len(x), generator)[:n]]
    covered = metrics.precision_recall(x, by.reference, repeats=1, generator=generator)
    near = metrics.memorisation(x, found.train, by.new)
    rows = torch.unique((x.double() / 1e-4).round(), dim=0, return_counts=True)[1]
    values = (
        math.sqrt(assignment_cost(some, by.reference[:n])), metrics.energy(x, by.reference, repeats=1).value,
        covered.precision.value, covered.recall.value, metrics.mode_mixture(x, by.reference, by.classes).value,
        near.value, near.duplicates.value, int((rows == 1).sum()) / len(x), near.to_train,
    )  # fmt: skip
    return [float(f"{value:.4g}") for value in values]


def cells(quick: bool) -> list[dict]:
    """Every world, score, sampler and seed; quick: one cell, two start times and budgets."""
    if quick:
        return [{"world": "ring", "score": "exact", "method": "ddim", "seed": 0, "times": [0.25, 2.0], "steps": [5, 10]}]
    return [
        {"world": name, "score": kind, "method": method, "seed": seed}
        for seed in SEEDS for name, scores in SCORES.items() for kind in scores for method in METHODS
    ]  # fmt: skip


def measure(cell: dict) -> dict:
    """runs: [start, t, calls, *MEASURES] each; new, training: MEASURES of new data and of the training points as samples."""
    name, seed, steps = cell["world"], cell["seed"], cell.get("steps", STEPS)
    late = () if cell["method"] == "dpmpp2m" else cell.get("times", TIMES)
    grid = [(who, t) for t in late for who in STARTS] + [(who, SCHEDULE.T) for who in FULL]
    runs = [[who, t, k, *grade(name, seed, end(cell, who, t, k))] for who, t in grid for k in steps]
    n, found = SAMPLES[name], place(name, seed)
    return {
        "runs": runs,
        "new": grade(name, seed, draws("oracle", name, seed, 0.0, n)),
        "training": grade(name, seed, found.train[:n]),
    }


STUDY = Study("late_start", cells, measure)
