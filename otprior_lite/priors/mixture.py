"""Starts that are Gaussian mixtures: p_t itself where it is known. Chapter 5 teaches this module."""

from dataclasses import dataclass

import torch

from ..forward import marginal
from ..schedules import Schedule
from .prior import Cost


@dataclass(frozen=True, eq=False)
class Oracle:
    """p_t itself, for a target whose diffusion is exact: the floor of every comparison."""

    target: object
    schedule: Schedule
    t: float
    name = "oracle"

    def __post_init__(self):
        object.__setattr__(self, "_law", marginal(self.target, self.schedule, self.t))

    @property
    def cost(self) -> Cost:
        """See `Cost`."""
        return Cost(0.0, self.target.d, self.target.means.nbytes)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample)."""
        return self._law.sample(n, generator)
