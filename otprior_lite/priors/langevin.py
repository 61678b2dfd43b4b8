"""A corrector: start anywhere, then let Langevin steps at time t pull the samples towards p_t.

It needs the score at t only, which a trained network has. For a Gaussian with precision p each step multiplies the
error of the mean by 1 - h p, and the variance goes to (1/p) / (1 - h p / 2) instead of 1/p: geometric at first, then a
bias of order h.

    x <- x + h score(x, t) + sqrt(2 h) xi,    h = step sigma_t^2.

Since -Hess log p_t <= I / sigma_t^2, steps below 1 never overshoot a Gaussian. Chapter 5 teaches this module.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..errors import count, expect
from ..forward import denoiser_score
from ..randomness import normal
from ..schedules import Schedule
from .gaussian import MomentMatched
from .prior import Cost, Prior


@dataclass(frozen=True, eq=False)
class Langevin(Prior):
    """`steps` Langevin steps at time t from the samples of another prior.

    start: that prior. denoiser: callable (x, t) -> E[x_0 | x_t = x]; one call per step. step: h in units of
    sigma_t^2, in (0, 2). Source: Song et al. 2021 (corrector).
    """

    start: Prior
    denoiser: Callable
    schedule: Schedule
    t: float
    steps: int = 10
    step: float = 0.1
    name = "langevin"

    def __post_init__(self):
        expect(isinstance(self.start, Prior), "start", "a prior", type(self.start).__name__)
        expect(callable(self.denoiser), "denoiser", "a callable (x, t)", type(self.denoiser).__name__)
        count(self.steps, "steps", at_least=0)
        expect(0 < self.step < 2, "step", "a number in (0, 2): h = step sigma^2 is stable there", self.step)
        expect(float(self.schedule.sigma(self.t)) > 0, "t", "a time with sigma > 0", self.t)

    @property
    def cost(self) -> Cost:
        return replace(self.start.cost, network_calls=self.start.cost.network_calls + self.steps)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, denoiser: Callable, start: type = MomentMatched,
        steps: int = 10, step: float = 0.1, **options,
    ) -> "Langevin":  # fmt: skip
        """Fit the class `start` to the points (options go to its `fit`), then correct it with the denoiser."""
        return cls(start.fit(points, schedule, t, generator=generator, **options), denoiser, schedule, float(t), steps, step)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        x = self.start.sample(n, generator)
        h = self.step * float(self.schedule.sigma(self.t)) ** 2
        for _ in range(self.steps):
            score = denoiser_score(self.denoiser(x, self.t), self.schedule, x, self.t)
            x = x + h * score + math.sqrt(2 * h) * normal(x.shape, generator, dtype=x.dtype, device=x.device)
        return x
