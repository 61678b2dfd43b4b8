"""Gaussian starts: N(0, I), which ignores p_t, and the Gaussian with the moments of p_t.

The second costs nothing at sampling and removes the mean and the covariance part of the gap; what is left is of third
order in alpha. In many dimensions its covariance is a diagonal, or a diagonal plus a few directions,

    Sigma_t = alpha^2 S + sigma^2 I,    S ~ D + F F^T with D + F F^T exact on the diagonal and F of rank r.

`Offset` is the start that a network trained with offset noise expects. Chapter 5 teaches this module.
"""

import math
import time
from dataclasses import dataclass, field

import torch

from ..errors import count, expect, known, real_tensor
from ..linalg import check_spd, power
from ..randomness import normal
from ..schedules import Schedule
from .prior import Cost, Prior, sample_shape, training_points


@dataclass(frozen=True, eq=False)
class Standard(Prior):
    """N(0, prior_std^2 I): what everybody samples from, whatever p_T is."""

    schedule: Schedule
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    name = "standard"

    def __post_init__(self):
        object.__setattr__(self, "shape", sample_shape(self.shape))
        object.__setattr__(self, "device", torch.device(self.device))

    @property
    def cost(self) -> Cost:
        return Cost(0.0, math.prod(self.shape), 0)

    @classmethod
    def fit(cls, points, schedule: Schedule, t=None, *, generator=None) -> "Standard":
        """The standard prior with the points' shape, dtype and device; t and generator are not used."""
        points = training_points(points)
        return cls(schedule, points.shape[1:], points.dtype, points.device)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        z = normal((count(n), *self.shape), generator, dtype=self.dtype, device=self.device)
        return self.schedule.prior_std * z


@dataclass(frozen=True, eq=False)
class Offset(Prior):
    """N(0, prior_std^2 (I + offset^2 1 1^T in each channel)): where offset-noise training ends.

    Such a network sees the noise eps + offset delta, delta ~ N(0, 1) one number per channel, so at SNR zero p_T is this
    law; N(0, I) misses a variance of offset^2 times the number of pixels along each channel's mean.
    shape: (channels, ...). Source: Guttenberg 2023, "Diffusion with offset noise".
    """

    schedule: Schedule
    shape: tuple[int, ...]
    offset: float = 0.1
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    name = "offset"

    def __post_init__(self):
        object.__setattr__(self, "shape", sample_shape(self.shape))
        object.__setattr__(self, "device", torch.device(self.device))
        expect(len(self.shape) >= 2, "shape", "(channels, ...), two numbers at least", self.shape)
        expect(0 <= self.offset < math.inf, "offset", "a number >= 0", self.offset)

    @property
    def cost(self) -> Cost:
        return Cost(0.0, 2 * math.prod(self.shape), 0)

    @classmethod
    def fit(cls, points, schedule: Schedule, t=None, *, generator=None, offset: float = 0.1) -> "Offset":
        """The prior with the points' shape, dtype and device; t and generator are not used."""
        points = training_points(points)
        return cls(schedule, points.shape[1:], offset, points.dtype, points.device)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        draw = lambda shape: normal((count(n), *shape), generator, dtype=self.dtype, device=self.device)
        shift = draw((self.shape[0], *[1] * (len(self.shape) - 1)))
        return self.schedule.prior_std * (draw(self.shape) + self.offset * shift)


FORMS = ("full", "diagonal", "low-rank")


@dataclass(frozen=True, eq=False)
class MomentMatched(Prior):
    """N(mean, covariance + factor factor^T), the Gaussian with p_t's first two moments: one affine map of N(0, I).

    mean: the shape of one sample, d numbers. covariance: (d, d), symmetric positive semi-definite, or (d,) >= 0, a
    diagonal. factor: (d, r) or None; only with a diagonal. Source: Everaert et al. 2024 (signal leak), for images.
    """

    mean: torch.Tensor
    covariance: torch.Tensor
    factor: torch.Tensor | None = None
    solve_seconds: float = 0.0
    _root: torch.Tensor = field(init=False, repr=False)
    name = "moment-matched"

    def __post_init__(self):
        mean = real_tensor(self.mean, "mean")
        covariance = real_tensor(self.covariance, "covariance").to(mean)
        d = mean.numel()
        fits = covariance.shape in ((d, d), (d,)) and mean.ndim >= 1
        expect(fits, "covariance", f"shape ({d}, {d}) or ({d},)", f"shape {tuple(covariance.shape)}")
        if covariance.ndim == 2:
            expect(self.factor is None, "factor", "None with a full covariance", "a tensor")
            check_spd(covariance, "covariance", semi=True)
            root = power(covariance, 0.5)
        else:
            expect(bool((covariance >= 0).all()), "covariance", "variances >= 0", float(covariance.min()))
            root = covariance.sqrt()
        if self.factor is not None:
            factor = real_tensor(self.factor, "factor").to(mean)
            fits = factor.ndim == 2 and len(factor) == d and factor.numel() > 0
            expect(fits, "factor", f"shape ({d}, r)", f"shape {tuple(factor.shape)}")
            object.__setattr__(self, "factor", factor)
        for key, value in (("mean", mean), ("covariance", covariance), ("_root", root)):
            object.__setattr__(self, key, value)

    @property
    def cost(self) -> Cost:
        kept = [part for part in (self._root, self.factor) if part is not None]
        return Cost(self.solve_seconds, sum(part.numel() for part in kept), sum(part.nbytes for part in (self.mean, *kept)))

    @classmethod
    def fit(cls, points, schedule: Schedule, t, *, generator=None, form: str = "full", rank: int = 32) -> "MomentMatched":
        """N(alpha m, alpha^2 S + sigma^2 I) with the points' mean m and covariance S; generator is not used.

        form: "full" needs d^2 numbers; "diagonal" keeps the variances; "low-rank" keeps the `rank` leading directions
        of S (all of them if there are fewer) and is exact on the diagonal.
        """
        known(form, FORMS, "form")
        start = time.perf_counter()
        points = training_points(points)
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        mean, flat = alpha * points.mean(0), points.flatten(1)
        centred = alpha * (flat - flat.mean(0)) / math.sqrt(len(flat))
        factor = None
        if form == "full":
            covariance = centred.T @ centred + sigma**2 * torch.eye(flat.shape[1], dtype=flat.dtype, device=flat.device)
        else:
            variances = centred.square().sum(0)
            if form == "low-rank":
                _, lengths, axes = torch.linalg.svd(centred, full_matrices=False)
                factor = (lengths[:, None] * axes)[: count(rank, "rank")].T.contiguous()
                variances = (variances - factor.square().sum(1)).clamp_min(0)
            covariance = variances + sigma**2
        return cls(mean, covariance, factor, time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        z = normal((count(n), self.mean.numel()), generator, dtype=self.mean.dtype, device=self.mean.device)
        x = z @ self._root if self._root.ndim == 2 else z * self._root
        if self.factor is not None:
            x = x + normal((n, self.factor.shape[1]), generator, dtype=x.dtype, device=x.device) @ self.factor.T
        return self.mean + x.reshape(n, *self.mean.shape)
