"""A map for every patch: each part of the picture goes to the patch of some training picture, on its own.

Cut a picture into k x k patches. The patches of z ~ N(0, I) are independent, so P = k^2 maps, each onto the N patches that the
noised training pictures have at its place, make a map of the whole picture. It is optimal, too: onto the product law

    (1/N) sum_i delta_{y_i^1}  x  ...  x  (1/N) sum_i delta_{y_i^P},    N^P mosaics instead of N pictures.

The product is p_t where patches are independent. Data are not: what the law loses is all that one patch says of another, so
the mouth of one face meets the eyes of another. Noise hides that near T, and nothing does at a late start. It is also
the one start here that returns no stored point although it is made of nothing else. Chapter 12 measures the loss.
"""

import time
from dataclasses import dataclass

import torch

from ..errors import count, expect, point_cloud, real_tensor
from ..schedules import Schedule
from ..semidiscrete.scores import best_cells
from .prior import Cost, sample_shape, training_points
from .semidiscrete import Pushed, noised_atoms, solved


@dataclass(frozen=True, eq=False)
class PatchedMap:
    """z -> the patches y_{j_p}^p, j_p = argmax_j <z^p, y_j^p> + h_j^p. points (N, d): atoms; heights (P, N), one row a patch.

    shape: of one sample, (channels, *sides); parts: patches along each side, so P = parts^len(sides), in reading order.
    """

    points: torch.Tensor
    heights: torch.Tensor
    shape: tuple[int, ...]
    parts: int

    def __post_init__(self):
        points, heights = point_cloud(self.points), real_tensor(self.heights, "heights")
        wanted = (number(self.shape, self.parts), len(points))
        expect(heights.shape == wanted, "heights", f"shape {wanted}", f"shape {tuple(heights.shape)}")
        for key, value in (("points", points), ("heights", heights.to(points)), ("shape", sample_shape(self.shape))):
            object.__setattr__(self, key, value)

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """The images (n, d) of z (n, d)."""
        return self.mosaic(self.cells(z))

    def cells(self, z: torch.Tensor) -> torch.Tensor:
        """For each z (n, d) and patch the atom whose patch it is sent to, (n, P)."""
        z = point_cloud(z, "z", self.points.shape[1]).to(self.points)
        pieces = zip(cut(z, self.shape, self.parts), cut(self.points, self.shape, self.parts), self.heights)
        return torch.stack([best_cells(part, atoms, heights)[0] for part, atoms, heights in pieces], 1)

    def mosaic(self, cells: torch.Tensor) -> torch.Tensor:
        """The pictures (n, d) whose patch p is that of atom cells[:, p]."""
        pieces = cut(self.points, self.shape, self.parts)
        return paste(torch.stack([atoms[index] for atoms, index in zip(pieces, cells.T)]), self.shape, self.parts)


def number(shape: tuple[int, ...], parts: int) -> int:
    """P, the number of patches of a sample; ValueError where it cannot be cut into `parts` along each side."""
    shape, parts = sample_shape(shape), count(parts, "parts")
    fits = len(shape) >= 2 and all(side % parts == 0 for side in shape[1:])
    expect(fits, "shape", f"(channels, *sides), each side a multiple of {parts} parts", shape)
    return parts ** (len(shape) - 1)


def cut(x: torch.Tensor, shape: tuple[int, ...], parts: int) -> torch.Tensor:
    """Flattened samples (n, d) as their patches (P, n, d / P), in reading order."""
    sides = [size for side in shape[1:] for size in (parts, side // parts)]
    places, within = range(2, 2 + len(sides), 2), range(3, 3 + len(sides), 2)
    x = x.reshape(len(x), shape[0], *sides).permute(*places, 0, 1, *within)
    return x.reshape(number(shape, parts), x.shape[len(shape) - 1], -1)


def paste(pieces: torch.Tensor, shape: tuple[int, ...], parts: int) -> torch.Tensor:
    """The samples (n, d) whose patches (P, n, d / P) these are: the inverse of `cut`."""
    joined = pieces.transpose(0, 1).flatten(1)
    order = cut(torch.arange(joined.shape[1])[None], shape, parts).flatten()
    return joined[:, order.argsort().to(joined.device)]


@dataclass(frozen=True, eq=False)
class Patched(Pushed):
    """The product of one semi-discrete map for each patch. Its law is p_t of the training set with independent patches.

    map: a PatchedMap. shape: the shape of one sample.
    """

    map: PatchedMap
    shape: tuple[int, ...]
    solve_seconds: float = 0.0
    name = "patched"

    @property
    def cost(self) -> Cost:
        return Cost(self.solve_seconds, self.map.points.numel(), self.map.points.nbytes + self.map.heights.nbytes)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, parts: int = 2, tolerance: float = 0.05, **options
    ) -> "Patched":
        """Noise every training picture to time t, then solve for each patch; options, RuntimeError and strict as in
        `SemiDiscrete.fit`. points: (N, channels, *sides), each side a multiple of `parts`. tolerance: for each patch.
        """
        start = time.perf_counter()
        points = training_points(points)
        shape = points.shape[1:]
        number(shape, parts)
        atoms = noised_atoms(points, schedule, t, generator)
        fits = [solved(part, generator=generator, tolerance=tolerance, **options) for part in cut(atoms, shape, parts)]
        heights = torch.stack([fit.heights[fit.atom] for fit in fits])  # equal patches share a cell: the first of them wins it
        return cls(PatchedMap(atoms, heights, shape, parts), shape, time.perf_counter() - start)
