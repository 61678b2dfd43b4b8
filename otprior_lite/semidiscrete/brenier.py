"""The map itself: the gradient of a maximum of affine functions.

A convex function that is a maximum of N planes, u(z) = max_j (<z, y_j> + h_j), has a gradient that takes N
values: it sends each z to the atom whose plane is on top there. The set where atom j wins is its cell, a convex
polytope; moving a plane up (its height h_j) grows its cell. By Brenier's theorem any such map is the optimal
transport from N(0, I) to the atoms weighted by their cells' masses.

    T(z) = grad u(z) = y_{j*(z)},   j*(z) = argmax_j <z, y_j> + h_j.

Chapter 7 teaches this module.
"""

from dataclasses import dataclass

import torch

from ..errors import count, expect, point_cloud, real_tensor
from ..randomness import normal
from .scores import best_cells


@dataclass(frozen=True, eq=False)
class BrenierMap:
    """z -> the atom whose plane is highest at z. points: (N, d); heights: (N,).

    Heights matter only up to a common constant. dtype and device are those of `points`.
    """

    points: torch.Tensor
    heights: torch.Tensor

    def __post_init__(self):
        points = point_cloud(self.points)
        heights = real_tensor(self.heights, "heights").to(points)
        expect(heights.shape == points.shape[:1], "heights", f"shape ({len(points)},)", f"shape {tuple(heights.shape)}")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "heights", heights)

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """The images (n, d) of z (n, d)."""
        return self.points[self.cell(z)]

    def cell(self, z: torch.Tensor) -> torch.Tensor:
        """The index (n,) of the cell that holds each z (n, d)."""
        return best_cells(self._source(z), self.points, self.heights)[0]

    def potential(self, z: torch.Tensor) -> torch.Tensor:
        """u(z) = max_j (<z, y_j> + h_j), shape (n,)."""
        return best_cells(self._source(z), self.points, self.heights)[1]

    def masses(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Shares (N,) of n draws of N(0, I) that fall into each cell; standard error sqrt(w (1 - w) / n)."""
        total, left = torch.zeros(len(self.points), dtype=torch.float64, device=self.points.device), count(n)
        while left:
            rows = min(left, max(1, 2**22 // self.points.shape[1]))
            z = normal((rows, self.points.shape[1]), generator, dtype=self.points.dtype, device=self.points.device)
            total += torch.bincount(self.cell(z), minlength=len(total))
            left -= rows
        return (total / n).to(self.points)

    def to(self, *args, **kwargs) -> "BrenierMap":
        """The same map on another device or in another dtype (arguments of `Tensor.to`)."""
        return BrenierMap(self.points.to(*args, **kwargs), self.heights.to(*args, **kwargs))

    def _source(self, z) -> torch.Tensor:
        return point_cloud(z, "z", self.points.shape[1]).to(self.points)
