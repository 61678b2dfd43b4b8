"""Real pictures: 351 smileys at 32 x 32 x 3, a small U-Net that learned them, and seven ways to start it.

Three start times of ddpm_linear(1000): T, where p_T is N(0, I) but for 0.6 % of its signal, and two late ones with
alpha = .28 and .72. Starts that the data decide are fitted to the training pictures; the oracle noises pictures that
neither network nor starts have seen, the only unseen draws of p_0 there are. Chapter 12 shows the results.
"""

from dataclasses import dataclass
from functools import cache

import torch

from .. import data, features, priors
from ..forward import noise
from ..randomness import permutation, seeded
from ..schedules import Schedule
from ..train import load_model
from .study import Study

STARTS = ("standard", "moment-matched", "semi-discrete", "smoothed", "fresh-noise", "data-initialised", "oracle")
TIMES = (250, 500, 1000)
NFES = (5, 10, 20, 50)
METHOD = "dpmpp2m"
SEEDS = (0, 1, 2, 3)
SAMPLES = 75
"""Pictures a cell, and pictures of the oracle's half."""
TAU = 0.3
"""Temperature of the smoothed start, in units of the score scale."""
TOLERANCE = 0.1
"""L1 error of the cell masses at which a map is done."""
GROUP = 0
"""Smileys & Emotion."""


@dataclass(frozen=True, eq=False)
class World:
    """train (351, 3, 32, 32) and held_out (153, 3, 32, 32), smileys in [-1, 1]; denoiser: the shipped network, which saw train alone."""

    schedule: Schedule
    train: torch.Tensor
    held_out: torch.Tensor
    denoiser: object


@cache
def world() -> World:
    """The distinct training smileys of `features.split("emoji32")`, the held-out ones, and the network of `weights/smileys`."""
    train, held = (rows.rows(rows.y == GROUP).x for rows in (part.distinct() for part in features.split("emoji32")))
    denoiser = load_model(data.path("weights/smileys"))[1]
    return World(denoiser.schedule, train, held, denoiser)


@dataclass(frozen=True, eq=False)
class Unseen(priors.DataInitialised):
    """p_t as far as there are unseen draws of p_0: held-out pictures, none twice before all came once, with fresh noise."""

    name = "oracle"

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        order = torch.cat([permutation(len(self.points), generator) for _ in range(-(-n // len(self.points)))])[:n]
        return noise(self.points[order], self.schedule, self.t, generator)


def halves(world: World, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Held-out pictures of 25 names, for the oracle, and of the other 26, to compare with: a name's three drawings stay together."""
    names = len(world.held_out) // 3
    order = permutation(names, seeded(100 + seed))
    pick = lambda index: torch.cat([world.held_out[index + vendor * names] for vendor in range(3)])
    return pick(order[: names // 2]), pick(order[names // 2 :])


def starts(world: World, t: float, seed: int) -> dict[str, priors.Prior]:
    """The seven starts at t by name. Maps and noised atoms are new for each seed; the smoothed start shares the map's solve.

    "moment-matched" has the training pictures' covariance in full: a diagonal and all 350 directions of the data.
    """
    fit = lambda kind, **options: kind.fit(world.train, world.schedule, t, generator=seeded(1000 + seed), **options)
    hard = fit(priors.SemiDiscrete, tolerance=TOLERANCE)
    found = (
        fit(priors.Standard), fit(priors.MomentMatched, form="low-rank", rank=len(world.train)), hard,
        priors.Smoothed(hard.map.smooth(TAU), hard.shape), fit(priors.FreshNoise, tolerance=TOLERANCE),
        fit(priors.DataInitialised), Unseen(halves(world, seed)[0], world.schedule, float(t)),
    )  # fmt: skip
    return {prior.name: prior for prior in found}


def cells(quick: bool) -> list[dict]:
    """Every seed, start time and start, with all numbers of calls in one cell; quick: one start from two times."""
    if quick:
        return [{"seed": 0, "t": t, "start": "semi-discrete", "n": 6, "calls": [5]} for t in TIMES[:2]]
    return [{"seed": seed, "t": t, "start": start} for seed in SEEDS for t in TIMES for start in STARTS]


def measure(cell: dict) -> dict:
    """To be filled."""
    raise NotImplementedError


STUDY = Study("pictures", cells, measure)
