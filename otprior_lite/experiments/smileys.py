"""The smileys of emoji32 as a world: training and held-out pictures, the network that saw the first, seven ways to start it.

Starts that the data decide are fitted to the training pictures. The oracle noises pictures that neither network nor starts
have seen, the only unseen draws of p_0 there are; so that they can be compared with something, half of the held-out names
are the oracle's and the other half the reference. The studies of chapter 12 take their world from here.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch

from .. import data, features, priors
from ..forward import noise
from ..randomness import permutation, seeded
from ..schedules import Schedule
from ..train import load_model

STARTS = ("standard", "moment-matched", "semi-discrete", "smoothed", "fresh-noise", "data-initialised", "oracle")
TIMES = (250, 500, 1000)
TAU = 0.3
"""Temperature of the smoothed start, in units of the score scale."""
TOLERANCE = 0.1
"""L1 error of the cell masses at which a map is done."""
GROUP = 0
"""Smileys & Emotion."""


@dataclass(frozen=True, eq=False)
class World:
    """train (351, 3, 32, 32) and held_out (153, 3, 32, 32), in [-1, 1]; denoiser: the shipped network, which saw train alone."""

    schedule: Schedule
    train: torch.Tensor
    held_out: torch.Tensor
    denoiser: object


@cache
def smileys() -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct training smileys of `features.split("emoji32")` and the held-out ones."""
    train, held_out = (rows.rows(rows.y == GROUP).x for rows in (part.distinct() for part in features.split("emoji32")))
    return train, held_out


@cache
def world() -> World:
    """The smileys and the network of `weights/smileys`."""
    denoiser = load_model(data.path("weights/smileys"))[1]
    return World(denoiser.schedule, *smileys(), denoiser)


@dataclass(frozen=True, eq=False)
class Unseen(priors.DataInitialised):
    """p_t as far as there are unseen draws of p_0: held-out pictures, none twice before all came once, with fresh noise."""

    name = "oracle"

    def order(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Rows (n,) of the pictures that `sample` noises, given the same generator."""
        return torch.cat([permutation(len(self.points), generator) for _ in range(-(-n // len(self.points)))])[:n]

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return noise(self.points[self.order(n, generator)], self.schedule, self.t, generator)


def halves(held_out: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Held-out pictures of 25 names, the oracle's, and of 26, the reference: a name keeps its three drawings together."""
    names = len(held_out) // 3
    order = permutation(names, seeded(100 + seed))
    pick = lambda index: torch.cat([held_out[index + vendor * names] for vendor in range(3)])
    return pick(order[: names // 2]), pick(order[names // 2 :])


@lru_cache(maxsize=1)
def starts(world: World, t: float, seed: int) -> dict[str, priors.Prior]:
    """The seven starts at t by name. Maps and noised atoms are new for each seed; the smoothed start shares the map's solve.

    "moment-matched" has the training pictures' covariance in full: a diagonal and all 350 directions of the data.
    """
    fit = lambda kind, **options: kind.fit(world.train, world.schedule, t, generator=seeded(1000 + seed), **options)
    hard = fit(priors.SemiDiscrete, tolerance=TOLERANCE)
    found = (
        fit(priors.Standard), fit(priors.MomentMatched, form="low-rank", rank=len(world.train)), hard,
        priors.Smoothed(hard.map.smooth(TAU), hard.shape), fit(priors.FreshNoise, tolerance=TOLERANCE),
        fit(priors.DataInitialised), Unseen(halves(world.held_out, seed)[0], world.schedule, float(t)),
    )  # fmt: skip
    return {prior.name: prior for prior in found}
