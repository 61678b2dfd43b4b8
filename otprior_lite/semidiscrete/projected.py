"""Cells of a few principal directions: an approximation of the optimal map whose law is exact.

Where d is large and N larger, the solve's cost is N d a sample. Decide the cell from the k leading principal components of atoms
and z alone, solve in these k dimensions, and return the whole atom. Each cell still has its atom's mass, for F^T z is
N(0, I_k). What is lost is optimality, and by a known amount: with residuals r_j = (I - F F^T)(y_j - mean) of covariance R,

    cost - optimal cost  <=  2 min( tr R^{1/2},  max_j |r_j| sqrt(2 log N) ),

because E<z, T> splits into the part in F, which this map maximises, and the rest, which no map can raise above that
(Gelbrich's bound; a maximum of N normals). Zero where the atoms span k dimensions. Chapter 12 uses this module.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, expect, point_cloud
from .brenier import BrenierMap
from .fit import Fit
from .problem import pose
from .solve import solve


@dataclass(frozen=True, eq=False)
class ProjectedMap:
    """z (n, d) -> points[j], j = the cell of F^T z among the atoms' components. points (N, d); frame (d, k), orthonormal columns;
    inner: the BrenierMap onto the components F^T y_j (N, k)."""

    points: torch.Tensor
    frame: torch.Tensor
    inner: BrenierMap

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """The images (n, d) of z (n, d)."""
        return self.points[self.cell(z)]

    def cell(self, z: torch.Tensor) -> torch.Tensor:
        """The index (n,) of the cell that holds each z (n, d)."""
        return self.inner.cell(point_cloud(z, "z", self.points.shape[1]).to(self.frame) @ self.frame)

    def excess(self) -> float:
        """An upper bound of this map's mean squared cost less the optimal one, for heights that are right."""
        centred = (self.points - self.points.mean(0)).double()
        rest = centred - (centred @ self.frame.double()) @ self.frame.double().T
        nuclear = float(torch.linalg.svdvals(rest).sum()) / math.sqrt(len(rest))
        return 2 * min(nuclear, float(rest.norm(dim=1).max()) * math.sqrt(2 * math.log(len(rest))))


def principal(points: torch.Tensor, k: int) -> torch.Tensor:
    """The k leading principal directions of points (N, d), as orthonormal columns (d, k), in the points' dtype."""
    points = point_cloud(points)
    most = min(len(points), points.shape[1])
    expect(count(k, "components") <= most, "components", f"at most {most}, for {tuple(points.shape)} points", k)
    centred = points.double() - points.double().mean(0)
    if len(points) < points.shape[1]:
        axes = torch.linalg.svd(centred, full_matrices=False)[2].T
    else:
        axes = torch.linalg.eigh(centred.T @ centred)[1].flip(1)
    return axes[:, :k].contiguous().to(points)


def solve_projected(points: torch.Tensor, components: int, **options) -> tuple[ProjectedMap, Fit]:
    """The map onto points (N, d) that sees `components` directions, and the Fit of its cells; options of `solve`."""
    problem = pose(points)
    frame = principal(problem.points, components)
    fit = solve(problem.points @ frame, problem.weights, **options)
    apart = len(fit.heights) == len(problem.points)
    expect(apart, "components", "enough to tell the points apart", f"{components}, which leave {len(fit.heights)}")
    return ProjectedMap(problem.points, frame, fit.map), fit
