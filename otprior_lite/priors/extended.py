"""The AE-OT start: interpolate between neighbouring atoms, but not across a jump of the map.

It fills the gaps between the stored points that `SemiDiscrete` returns. What counts as a jump is a threshold: an angle
between the planes of two atoms, which depends on the units of the data, or |y_i - y_k| against the usual distance of
neighbours, which does not. Averages are less spread than what they average, here too. Chapter 8 teaches this module.
"""

import time
from dataclasses import dataclass

import torch

from ..schedules import Schedule
from ..semidiscrete.extension import ExtendedMap
from .prior import Cost, training_points
from .semidiscrete import Pushed, noised_atoms, solved


@dataclass(frozen=True, eq=False)
class Extended(Pushed):
    """sum_k lambda_k y_k over the cells whose mass centres are nearest to z, lambda_k ~ 1/|z - c_k|, no jumps crossed.

    map: an ExtendedMap on flattened atoms. Source: An et al. 2020 (AE-OT).
    """

    map: ExtendedMap
    shape: tuple[int, ...]
    solve_seconds: float = 0.0
    name = "extended"

    @property
    def _atoms(self) -> torch.Tensor:
        return self.map.map.points

    @property
    def cost(self) -> Cost:
        return Cost(self.solve_seconds, self._atoms.numel(), 2 * self._atoms.nbytes + self.map.map.heights.nbytes)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, angle: float | None = None, jump: float | None = 2.0,
        neighbours: int = 8, draws: int | None = None, copies: int = 1, tolerance: float = 0.05, **options,
    ) -> "Extended":  # fmt: skip
        """Solve as `SemiDiscrete.fit` does, then find the mass centres.

        angle: largest dihedral angle in radians, or None; jump: largest |y_i - y_k| in units of the usual distance of
        neighbours, or None. neighbours: centres considered. draws: of N(0, I), for the centres; default 100 per atom.
        Cells that none of them hits take no part.
        """
        start = time.perf_counter()
        points = training_points(points)
        atoms = noised_atoms(points, schedule, t, generator, copies)
        fit = solved(atoms, generator=generator, tolerance=tolerance, **options)
        draws = 100 * len(atoms) if draws is None else draws
        map = fit.map.extend(draws, generator, angle=angle, jump=jump, neighbours=neighbours)
        return cls(map, points.shape[1:], time.perf_counter() - start)
