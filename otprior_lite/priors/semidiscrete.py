"""Starts that push N(0, I) through a semi-discrete map: onto noised training points, or onto clean ones with fresh noise.

`SemiDiscrete` is the paper's. Its law is a uniform draw from N stored points, whatever the labels: only equal cell
masses are used. `FreshNoise` maps to the clean points and noises after the map,

    x = alpha x_{j(z)} + sigma eps,    law = (1/N) sum_i N(alpha x_i, sigma^2 I),

so no sample comes twice, but the map is decoration: `DataInitialised` has the same law. Either law is exact up to the
error of the cell masses, which `tolerance` bounds. Chapter 8 teaches this module.
"""

import time
from dataclasses import dataclass

import torch

from ..errors import count, expect
from ..forward import noise
from ..randomness import normal
from ..schedules import Schedule
from ..semidiscrete import BrenierMap, Fit, solve
from ..semidiscrete.projected import ProjectedMap, solve_projected
from .prior import Cost, Prior, sample_shape, training_points


def solved(atoms: torch.Tensor, *, generator: torch.Generator, strict: bool = True, **options) -> Fit:
    """`solve`, or RuntimeError with its reason when it did not converge and `strict` does not waive that."""
    fit = solve(atoms, generator=generator, **options)
    return converged(fit) if strict else fit


def converged(fit: Fit) -> Fit:
    """`fit`, or RuntimeError with its reason."""
    if not fit.converged:
        raise RuntimeError(f"the semi-discrete solve did not converge: {fit.reason} (strict=False accepts it)")
    return fit


def noised_atoms(points: torch.Tensor, schedule: Schedule, t, generator: torch.Generator, copies: int = 1) -> torch.Tensor:
    """Each training point noised `copies` times to time t, flattened: (N * copies, d)."""
    return noise(points.repeat_interleave(count(copies, "copies"), 0), schedule, t, generator).flatten(1)


class Pushed(Prior):
    """map(z), z ~ N(0, I). Fields: map, a map of points (n, d) with atoms; shape, of one sample; solve_seconds."""

    def __post_init__(self):
        shape, d = sample_shape(self.shape), self._atoms.shape[1]
        fits = torch.Size(shape).numel() == d
        expect(fits, "shape", f"a shape of {d} numbers, the dimension of the map", shape)
        object.__setattr__(self, "shape", shape)

    @property
    def _atoms(self) -> torch.Tensor:
        return self.map.points

    @property
    def cost(self) -> Cost:
        return Cost(self.solve_seconds, self._atoms.numel(), self._atoms.nbytes + self._atoms[:, 0].nbytes)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.map(self.codes(n, generator)).reshape(n, *self.shape)

    def codes(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """The n draws z (n, d) of N(0, I) that `sample` maps, given the same generator."""
        atoms = self._atoms
        return normal((count(n), atoms.shape[1]), generator, dtype=atoms.dtype, device=atoms.device)


@dataclass(frozen=True, eq=False)
class SemiDiscrete(Pushed):
    """grad u_h of N(0, I): the optimal map onto noised training points, one cell of equal mass each.

    In law it is a uniform draw from those points; what the map adds is a code z for each of them.
    map: a BrenierMap on flattened points. shape: the shape of one sample. schedule, t: of the noise, where they are known.
    Source: arXiv 2410.13431, algorithms 1 and 2; Gu, Luo, Sun and Yau 2013.
    """

    map: BrenierMap
    shape: tuple[int, ...]
    solve_seconds: float = 0.0
    schedule: Schedule | None = None
    t: float | None = None
    name = "semi-discrete"

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, copies: int = 1, tolerance: float = 0.05, **options
    ) -> "SemiDiscrete":
        """Noise every training point to time t, then solve for the heights (options go to `solve`).

        copies: noises per point, 1 in the paper; K of them make N K atoms. Raises RuntimeError when the solver does not
        reach `tolerance`, with its reason; strict=False accepts what it reached.
        """
        start = time.perf_counter()
        points = training_points(points)
        atoms = noised_atoms(points, schedule, t, generator, copies)
        fit = solved(atoms, generator=generator, tolerance=tolerance, **options)
        return cls(fit.map, points.shape[1:], time.perf_counter() - start, schedule, float(t))


@dataclass(frozen=True, eq=False)
class FreshNoise(Pushed):
    """The map onto the clean atoms alpha x_i, then fresh noise sigma eps: p_T of the training set, in law.

    map: a BrenierMap on the flattened atoms alpha x_i, or a ProjectedMap. sigma: noise added after it, >= 0.
    """

    map: BrenierMap | ProjectedMap
    shape: tuple[int, ...]
    sigma: float
    solve_seconds: float = 0.0
    name = "fresh-noise"

    def __post_init__(self):
        super().__post_init__()
        expect(0 <= self.sigma < float("inf"), "sigma", "a number >= 0", self.sigma)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, components: int | None = None, tolerance: float = 0.05,
        strict: bool = True, **options,
    ) -> "FreshNoise":  # fmt: skip
        """Solve for the map onto alpha_t x_i; options, RuntimeError and strict as in `SemiDiscrete.fit`.

        components: principal directions that decide the cell, default all. Fewer make the solve faster and leave the law
        as it is, but the map is no longer optimal (`semidiscrete.projected`).
        """
        start = time.perf_counter()
        points = training_points(points)
        atoms = float(schedule.alpha(t)) * points.flatten(1)
        options |= {"generator": generator, "tolerance": tolerance}
        if components is None:
            map = solved(atoms, strict=strict, **options).map
        else:
            map, fit = solve_projected(atoms, components, **options)
            if strict:
                converged(fit)
        return cls(map, points.shape[1:], float(schedule.sigma(t)), time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        x = super().sample(n, generator)
        return x + self.sigma * normal(x.shape, generator, dtype=x.dtype, device=x.device)
