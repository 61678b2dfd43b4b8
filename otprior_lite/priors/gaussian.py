"""Gaussian starts: N(0, I), which ignores p_t, and the Gaussian with the moments of p_t. Chapter 5 teaches this module."""

import math
import time
from dataclasses import dataclass, field

import torch

from ..errors import count, expect, real_tensor
from ..linalg import check_spd, power
from ..randomness import normal
from ..schedules import Schedule
from .prior import Cost, training_points


@dataclass(frozen=True, eq=False)
class Standard:
    """N(0, prior_std^2 I): what everybody samples from, whatever p_T is."""

    schedule: Schedule
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    name = "standard"

    def __post_init__(self):
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        for size in shape:
            count(size, "shape")
        object.__setattr__(self, "shape", shape)

    @property
    def cost(self) -> Cost:
        """See `Cost`."""
        return Cost(0.0, math.prod(self.shape), 0)

    @classmethod
    def fit(cls, points, schedule: Schedule, t=None, *, generator=None) -> "Standard":
        """The standard prior with the points' shape, dtype and device; t and generator are not used."""
        points = training_points(points)
        return cls(schedule, points.shape[1:], points.dtype, points.device)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample)."""
        z = normal((count(n), *self.shape), generator, dtype=self.dtype, device=self.device)
        return self.schedule.prior_std * z


@dataclass(frozen=True, eq=False)
class MomentMatched:
    """N(mean, covariance), the Gaussian with p_t's first two moments: one affine map of N(0, I).

    mean: the shape of one sample. covariance: (d, d), symmetric positive semi-definite, d = mean.numel().
    """

    mean: torch.Tensor
    covariance: torch.Tensor
    solve_seconds: float = 0.0
    _root: torch.Tensor = field(init=False, repr=False)
    name = "moment-matched"

    def __post_init__(self):
        mean = real_tensor(self.mean, "mean")
        covariance = real_tensor(self.covariance, "covariance").to(mean)
        d = mean.numel()
        expect(covariance.shape == (d, d), "covariance", f"shape ({d}, {d})", f"shape {tuple(covariance.shape)}")
        check_spd(covariance, "covariance", semi=True)
        for key, value in (("mean", mean), ("covariance", covariance), ("_root", power(covariance, 0.5))):
            object.__setattr__(self, key, value)

    @property
    def cost(self) -> Cost:
        """See `Cost`."""
        return Cost(self.solve_seconds, self.mean.numel() ** 2, self._root.nbytes + self.mean.nbytes)

    @classmethod
    def fit(cls, points, schedule: Schedule, t, *, generator=None) -> "MomentMatched":
        """N(alpha m, alpha^2 S + sigma^2 I) with the points' mean m and covariance S; generator is not used."""
        start = time.perf_counter()
        points = training_points(points)
        flat = points.flatten(1)
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        centred = flat - flat.mean(0)
        S = centred.T @ centred / len(flat)
        noise_part = sigma**2 * torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device)
        mean = alpha * points.mean(0)
        return cls(mean, alpha**2 * S + noise_part, time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample)."""
        z = normal((count(n), self.mean.numel()), generator, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + (z @ self._root).reshape(n, *self.mean.shape)
