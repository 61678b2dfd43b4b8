"""The control that every comparison needs: draw a training point, noise it. Chapter 8 teaches this module."""

from dataclasses import dataclass

import torch

from ..errors import count
from ..forward import noise
from ..randomness import categorical
from ..schedules import Schedule
from .prior import Cost, Prior, training_points


@dataclass(frozen=True, eq=False)
class DataInitialised(Prior):
    """The control: alpha_t x_I + sigma_t eps with I uniform over the training points and fresh noise.

    Its gap to the noised training set is zero by construction, without any transport.
    """

    points: torch.Tensor
    schedule: Schedule
    t: float
    name = "data-initialised"

    def __post_init__(self):
        object.__setattr__(self, "points", training_points(self.points))
        self.schedule.alpha(self.t)

    @property
    def cost(self) -> Cost:
        return Cost(0.0, self.points[0].numel(), self.points.nbytes)

    @classmethod
    def fit(cls, points, schedule: Schedule, t, *, generator=None) -> "DataInitialised":
        """The constructor; generator is not used."""
        return cls(points, schedule, float(t))

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        uniform = torch.ones(len(self.points), device=self.points.device)
        chosen = self.points[categorical(uniform, count(n), generator)]
        return noise(chosen, self.schedule, self.t, generator)
