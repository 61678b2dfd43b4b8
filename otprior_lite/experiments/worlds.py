"""Worlds: a law, a training set drawn from it, and fresh data of the same law that no prior has seen.

In two and in eight dimensions the law is a mixture, so everything about it is exact. The digits are real: their fresh
data are the half that is held out. The studies behind chapters 8 and 13 take their data from here.
"""

from dataclasses import dataclass

import torch

from .. import data
from ..errors import known
from ..forward import marginal, noise
from ..randomness import categorical, normal, seeded
from ..schedules import Schedule
from ..targets import GaussianMixture, toy

SIZES = {"ring": 300, "moons": 300, "spiral": 300, "clusters": 500, "digits": 898}
"""Worlds by name, with the size of the training set."""


@dataclass(frozen=True, eq=False)
class World:
    """train: (N, d). law: the exact p_0, or None for real data. held_out: (M, d) real data not in `train`, or None."""

    name: str
    seed: int
    train: torch.Tensor
    law: GaussianMixture | None
    held_out: torch.Tensor | None

    def fresh(self, schedule: Schedule, t: float, n: int, generator: torch.Generator) -> torch.Tensor:
        """n new draws of p_t: of the exact law, or held-out data noised anew; t = 0 is clean data."""
        if self.law is not None:
            return marginal(self.law, schedule, t).sample(n, generator)
        chosen = self.held_out[categorical(torch.ones(len(self.held_out)), n, generator)]
        return noise(chosen, schedule, t, generator)


def world(name: str, seed: int) -> World:
    """The world called `name`, its training set drawn with `seed`."""
    known(name, tuple(SIZES), "name")
    generator = seeded(seed)
    if name == "digits":
        digits = data.load("digits")
        train, test = digits.split(len(digits.x) - SIZES["digits"], generator)
        return World(name, seed, train.flat, None, test.flat)
    law = clusters() if name == "clusters" else toy(name)
    return World(name, seed, law.sample(SIZES[name], generator), law, None)


def clusters() -> GaussianMixture:
    """Six round clusters of unequal weight in eight dimensions, their centres drawn once; the mean is not zero."""
    means = 1.2 * normal((6, 8), seeded(8), dtype=torch.float64) + 0.3
    weights = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], dtype=torch.float64) / 21
    return GaussianMixture(weights, means, torch.full((6,), 0.15, dtype=torch.float64))
