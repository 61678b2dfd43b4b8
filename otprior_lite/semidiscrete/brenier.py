"""The map itself: the gradient of a maximum of affine functions.

A convex function that is a maximum of N planes, u(z) = max_j (<z, y_j> + h_j), has a gradient that takes N
values: it sends each z to the atom whose plane is on top there. The set where atom j wins is its cell, a convex
polytope; moving a plane up (its height h_j) grows its cell. By Brenier's theorem any such map is the optimal
transport from N(0, I) to the atoms weighted by their cells' masses.

    T(z) = grad u(z) = y_{j*(z)},   j*(z) = argmax_j <z, y_j> + h_j.

Chapter 7 teaches this module.
"""

import json
from dataclasses import dataclass

import torch

from ..archive import read_own, same_fields, write
from ..errors import count, expect, point_cloud, real_tensor
from ..randomness import normal
from .masses import exact_masses
from .scores import best_cells

KEY = "otprior_map"


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
        return best_cells(self.source(z), self.points, self.heights)[0]

    def potential(self, z: torch.Tensor) -> torch.Tensor:
        """u(z) = max_j (<z, y_j> + h_j), shape (n,)."""
        return best_cells(self.source(z), self.points, self.heights)[1]

    def masses(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Shares (N,) of n draws of N(0, I) that fall into each cell; standard error sqrt(w (1 - w) / n)."""
        total, left, d = torch.zeros(len(self.points), dtype=torch.float64, device=self.points.device), count(n), self.d
        while left:
            rows = min(left, max(1, 2**22 // d))
            z = normal((rows, d), generator, dtype=self.points.dtype, device=self.points.device)
            total += torch.bincount(self.cell(z), minlength=len(total))
            left -= rows
        return (total / n).to(self.points)

    def exact_masses(self) -> torch.Tensor:
        """Cell masses (N,) without sampling, float64; d = 1 or 2 only."""
        expect(self.d <= 2, "points", "dimension 1 or 2 (use masses(n, generator))", f"dimension {self.d}")
        return torch.from_numpy(exact_masses(self.points, self.heights)[0]).to(self.points.device)

    def polygons(self, box: float = 4.0) -> list[torch.Tensor]:
        """The cells cut by the square [-box, box]^2: for each atom its corners (k, 2), float64, counter-clockwise;
        (0, 2) if it does not meet the square. d = 2 only."""
        from .drawing import clipped_cells

        expect(self.d == 2, "points", "dimension 2", f"dimension {self.d}")
        expect(box > 0, "box", "a positive half-width", box)
        return clipped_cells(self.points, self.heights, box)

    def smooth(self, tau: float, *, relative: bool = True, heights: torch.Tensor | None = None):
        """The log-sum-exp smoothing of this map: a `SmoothMap`.

        tau: temperature, > 0. relative: in units of `score_scale(points)`, the typical gap between the two best
        scores; False: absolute, in the units of the scores, as in the paper. heights: those of
        `solve(..., method="entropic", tau=...)` for exact marginals; default: this map's own, as in the paper.
        """
        from .smooth import SmoothMap, score_scale

        expect(tau > 0, "tau", "a positive temperature", tau)
        absolute = tau * score_scale(self.points) if relative else tau
        return SmoothMap(self.points, self.heights if heights is None else heights, float(absolute))

    def extend(
        self, n: int, generator: torch.Generator, *, angle: float | None = None, jump: float | None = None, neighbours: int = 8
    ):
        """The AE-OT extension of this map, an `ExtendedMap`; see `extension.extend`."""
        from .extension import extend

        return extend(self, n, generator, angle=angle, jump=jump, neighbours=neighbours)

    @property
    def d(self) -> int:
        """Dimension of the space."""
        return self.points.shape[1]

    def to(self, *args, **kwargs) -> "BrenierMap":
        """The same map on another device or in another dtype (arguments of `Tensor.to`)."""
        return BrenierMap(self.points.to(*args, **kwargs), self.heights.to(*args, **kwargs))

    def save(self, path) -> None:
        """Write points and heights to a safetensors file."""
        write({"points": self.points, "heights": self.heights}, path, {KEY: json.dumps("BrenierMap")})

    @classmethod
    def load(cls, path, device: str = "cpu") -> "BrenierMap":
        """Read a map written by `save`; ValueError for another file."""
        tensors, _ = read_own(path, KEY, "BrenierMap.save")
        return cls(**same_fields(tensors, cls, path)).to(device)

    def source(self, z) -> torch.Tensor:
        """z (n, d) checked, in the dtype and on the device of the atoms."""
        return point_cloud(z, "z", self.d).to(self.points)
