"""Denoisers: E[x_0 | x_t = x], the one thing a diffusion model knows.

Score, noise prediction and probability-flow velocity all follow from it:

    score(x, t) = (alpha E[x_0 | x] - x) / sigma^2.

`ExactDenoiser` knows the data law; `EmpiricalDenoiser` knows only the training points, so it is what a
network of unlimited capacity would learn; `LearnedDenoiser` is what a network did learn. Chapters 4, 10 and 11 teach this module.
"""

import math
from dataclasses import dataclass, field

import torch

from .errors import expect, real_tensor, within
from .forward import denoiser_score
from .schedules import Schedule
from .targets import Empirical


@dataclass(frozen=True, eq=False)
class ExactDenoiser:
    """E[x_0 | x_t = x] of a target with closed-form posterior. Call it with x (n, d) and a time t in [0, T]."""

    target: object
    schedule: Schedule

    def __call__(self, x: torch.Tensor, t) -> torch.Tensor:
        alpha, sigma = float(self.schedule.alpha(t)), float(self.schedule.sigma(t))
        return self.target.posterior_mean(x, alpha, sigma).to(x)


@dataclass(frozen=True, eq=False)
class EmpiricalDenoiser:
    """E[x_0 | x_t = x] when p_0 is the uniform law on `points` (N, ...), of any point shape.

    It is a softmax average of the points, and its probability flow ends on them: it memorises.
    """

    points: torch.Tensor
    schedule: Schedule
    _exact: ExactDenoiser = field(init=False, repr=False)

    def __post_init__(self):
        points = real_tensor(self.points, "points")
        expect(points.ndim >= 2 and len(points) > 0, "points", "shape (N, ...) with N >= 1", f"shape {tuple(points.shape)}")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "_exact", ExactDenoiser(Empirical(points.flatten(1)), self.schedule))

    def __call__(self, x: torch.Tensor, t) -> torch.Tensor:
        fits = x.shape[1:] == self.points.shape[1:]
        expect(fits, "x", f"shape (n, {', '.join(map(str, self.points.shape[1:]))})", f"shape {tuple(x.shape)}")
        return self._exact(x.flatten(1), t).reshape(x.shape)


@dataclass(frozen=True, eq=False)
class LearnedDenoiser:
    """E[x_0 | x_t = x] as a network tells it: network(x, alpha, sigma) -> shape of x, as `train` makes them.

    With a label, a whole number or one per sample, the network is called with it, and classifier-free guidance moves
    away from the answer D without a label,

        D + guidance (D(label) - D),    1 = no guidance: E[x_0 | x_t = x, label].

    x goes in with the network's dtype and device and comes back with its own. No gradients: differentiate the network itself.
    Source: Ho and Salimans 2022.
    """

    network: torch.nn.Module
    schedule: Schedule
    label: object = None
    guidance: float = 1.0

    def __post_init__(self):
        expect(isinstance(self.network, torch.nn.Module), "network", "a torch.nn.Module", type(self.network).__name__)
        within(self.guidance, 0.0, math.inf, "guidance")
        expect(self.label is not None or self.guidance == 1, "guidance", "1 without a label", self.guidance)

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, t) -> torch.Tensor:
        x, alpha, sigma = real_tensor(x, "x"), float(self.schedule.alpha(t)), float(self.schedule.sigma(t))
        y = x.to(next(self.network.parameters()))
        if self.label is None:
            return self.network(y, alpha, sigma).to(x)
        told = self.network(y, alpha, sigma, self.label)
        if self.guidance != 1:
            plain = self.network(y, alpha, sigma)
            told = plain + self.guidance * (told - plain)
        return told.to(x)


def score(denoiser, schedule: Schedule, x: torch.Tensor, t) -> torch.Tensor:
    """grad log p_t(x) = (alpha E[x_0 | x] - x) / sigma^2, for t with sigma_t > 0."""
    return denoiser_score(denoiser(x, t), schedule, x, t)
