"""The paper's start: an optimal map from N(0, I) to noised training points. Chapter 8 teaches this module."""

import time
from dataclasses import dataclass

import torch

from ..forward import noise
from ..randomness import normal
from ..schedules import Schedule
from ..semidiscrete import BrenierMap, solve
from ..errors import count
from .prior import Cost, training_points


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
        points = training_points(points)
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
