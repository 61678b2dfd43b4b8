"""Priors: every way to start the reverse process at time t, behind one interface.

A prior has a `name`, a `cost`, and `sample(n, generator)` that returns (n, *shape). `Standard` is common
practice. `MomentMatched` is the free fix. `SemiDiscrete` is the paper's: an optimal map from N(0, I) to noised
training points. `DataInitialised` is the control every comparison needs: noise a training point. `Oracle`
samples p_t itself, so it is the floor. Chapters 5 and 8 teach this module.
"""

import math
import time
from dataclasses import dataclass, field

import torch

from .errors import count, expect, real_tensor
from .forward import marginal, noise
from .linalg import check_spd, power
from .randomness import categorical, normal
from .schedules import Schedule
from .semidiscrete import BrenierMap, solve


@dataclass(frozen=True)
class Cost:
    """What a prior costs: seconds to build, multiply-adds per sample, bytes kept."""

    solve_seconds: float
    sample_flops: float
    memory_bytes: int


def _training_points(points) -> torch.Tensor:
    points = real_tensor(points, "points")
    expect(points.ndim >= 2 and len(points) > 0, "points", "shape (N, ...) with N >= 1", f"shape {tuple(points.shape)}")
    return points


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
        points = _training_points(points)
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
        points = _training_points(points)
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


@dataclass(frozen=True, eq=False)
class SemiDiscrete:
    """grad u_h of N(0, I): the optimal map onto noised training points, one cell of mass 1/N each.

    In law it is a uniform draw from those points; what the map adds is a code z for each of them.
    map: a BrenierMap on flattened points. shape: the shape of one sample.
    Source: arXiv 2410.13431, algorithms 1 and 2; Gu, Luo, Sun and Yau 2013.
    """

    map: BrenierMap
    shape: tuple[int, ...]
    solve_seconds: float = 0.0
    name = "semi-discrete"

    @property
    def cost(self) -> Cost:
        """See `Cost`."""
        points = self.map.points
        return Cost(self.solve_seconds, points.numel(), points.nbytes + self.map.heights.nbytes)

    @classmethod
    def fit(cls, points, schedule: Schedule, t, *, generator: torch.Generator, tolerance: float = 0.05, **options):
        """Noise every training point once to time t, then solve for the heights (options go to `solve`).

        Raises RuntimeError when the solver does not reach `tolerance`, with its reason.
        """
        start = time.perf_counter()
        points = _training_points(points)
        atoms = noise(points, schedule, t, generator).flatten(1)
        fit = solve(atoms, tolerance=tolerance, generator=generator, **options)
        if not fit.converged:
            raise RuntimeError(f"the semi-discrete solve did not converge: {fit.reason}")
        return cls(fit.map, tuple(points.shape[1:]), time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample)."""
        points = self.map.points
        z = normal((count(n), points.shape[1]), generator, dtype=points.dtype, device=points.device)
        return self.map(z).reshape(n, *self.shape)


@dataclass(frozen=True, eq=False)
class DataInitialised:
    """The control: alpha_t x_I + sigma_t eps with I uniform over the training points and fresh noise.

    Its gap to the noised training set is zero by construction, without any transport.
    """

    points: torch.Tensor
    schedule: Schedule
    t: float
    name = "data-initialised"

    def __post_init__(self):
        object.__setattr__(self, "points", _training_points(self.points))
        self.schedule.alpha(self.t)

    @property
    def cost(self) -> Cost:
        """See `Cost`."""
        return Cost(0.0, self.points[0].numel(), self.points.nbytes)

    @classmethod
    def fit(cls, points, schedule: Schedule, t, *, generator=None) -> "DataInitialised":
        """The constructor; generator is not used."""
        return cls(points, schedule, float(t))

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample)."""
        uniform = torch.ones(len(self.points), device=self.points.device)
        chosen = self.points[categorical(uniform, count(n), generator)]
        return noise(chosen, self.schedule, self.t, generator)


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
