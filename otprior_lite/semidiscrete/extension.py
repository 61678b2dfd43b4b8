"""The AE-OT extension: between the atoms, but not across a jump of the map.

Send each cell's mass centre c_i to its atom and interpolate: an image of z is an average of the atoms whose cells'
centres are near z, closer centres weighing more. Averages across a discontinuity would mix modes, so neighbours
whose planes meet at a large angle are dropped. That angle depends on the units of the data; the jump |y_i - y_k|
relative to the typical distance between neighbours does not.

    T(z) = sum_k lambda_k y_k,   lambda_k ~ 1/|z - c_k|,   angle(i, k) = angle between (y_i, -1) and (y_k, -1).

Source: An et al. 2020 (AE-OT), formula as recalled there. Chapter 7 teaches this module.
"""

from dataclasses import dataclass

import torch

from ..errors import count, expect
from ..randomness import normal
from .scores import block_rows


@dataclass(frozen=True, eq=False)
class ExtendedMap:
    """A piecewise interpolation of a BrenierMap. centres (N, d): mass centres; empty cells have NaN and never take part.

    angle: largest dihedral angle in radians, or None; jump: largest |y_i - y_k| in units of `spacing`, or None.
    spacing: median distance between the atoms of the two cells nearest to a draw. neighbours: centres considered.
    """

    map: "BrenierMap"  # noqa: F821 - brenier imports this module
    centres: torch.Tensor
    angle: float | None
    jump: float | None
    spacing: float
    neighbours: int

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """The images (n, d) of z (n, d)."""
        index, weights = self.parts(z)
        return torch.einsum("nk,nkd->nd", weights, self.map.points[index])

    def parts(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Atoms (n, k) that take part, the first is the one of the nearest centre, and their weights (n, k)."""
        z = self.map.source(z)
        distance, index = _nearest(z, self.centres, self.neighbours)
        y = self.map.points[index]
        keep = torch.ones_like(distance, dtype=torch.bool)
        if self.angle is not None:
            keep &= _angles(y) <= self.angle
        if self.jump is not None:
            keep &= (y - y[:, :1]).norm(dim=2) <= self.jump * self.spacing
        keep[:, 0] = True
        tiny = torch.finfo(z.dtype).tiny ** 0.5
        weights = keep / distance.clamp_min(tiny)
        return index, weights / weights.sum(1, keepdim=True)


def extend(map, n: int, generator, *, angle=None, jump=None, neighbours: int = 8) -> ExtendedMap:
    """Mass centres from n draws of N(0, I), and the thresholds: `angle` (radians, unit-dependent) and `jump` (scale-free)."""
    expect(angle is None or angle >= 0, "angle", "None or radians >= 0", angle)
    expect(jump is None or jump >= 0, "jump", "None or a ratio >= 0", jump)
    centres = mass_centres(map, n, generator)
    neighbours = min(count(neighbours, "neighbours"), int(torch.isfinite(centres[:, 0]).sum()))
    spacing = 0.0
    if neighbours > 1:
        z = normal((min(n, 2000), map.d), generator, dtype=map.points.dtype, device=map.points.device)
        pair = map.points[_nearest(z, centres, 2)[1]]
        spacing = float((pair[:, 1] - pair[:, 0]).norm(dim=1).median())
    return ExtendedMap(map, centres, angle, jump, spacing, neighbours)


def mass_centres(map, n: int, generator) -> torch.Tensor:
    """E[z | z in cell j] (N, d) from n draws; NaN for a cell that no draw hit."""
    sums, hits = (
        torch.zeros_like(map.points, dtype=torch.float64),
        torch.zeros(len(map.points), dtype=torch.float64, device=map.points.device),
    )
    left = count(n)
    while left:
        rows = min(left, max(1, 2**22 // map.d))
        z = normal((rows, map.d), generator, dtype=map.points.dtype, device=map.points.device)
        cells = map.cell(z)
        sums.index_add_(0, cells, z.double())
        hits += torch.bincount(cells, minlength=len(hits))
        left -= rows
    return (sums / hits[:, None]).to(map.points)


def _nearest(z, centres, k: int):
    """Distances (n, k) to the nearest centres, ascending, and their indices."""
    far = torch.where(torch.isfinite(centres), centres, torch.full_like(centres, 1e6))
    blocks = [
        torch.cdist(z[i : i + block_rows(len(centres), z.device)], far).topk(k, dim=1, largest=False)
        for i in range(0, len(z), block_rows(len(centres), z.device))
    ]
    return torch.cat([b.values for b in blocks]), torch.cat([b.indices for b in blocks])


def _angles(y: torch.Tensor) -> torch.Tensor:
    """Dihedral angles (n, k) between the planes of atoms y[:, 0] and y[:, k]; stable for small angles."""
    normals = torch.cat([y, -torch.ones_like(y[..., :1])], 2)
    normals = normals / normals.norm(dim=2, keepdim=True)
    first = normals[:, :1]
    return 2 * torch.atan2((normals - first).norm(dim=2), (normals + first).norm(dim=2))
