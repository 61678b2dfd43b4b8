"""Named two-dimensional toys. Every toy is a Gaussian mixture, so its diffusion is exact.

Curves and drawings become small equal-weight components strung along strokes. The giraffe is the book's
own drawing: it is taller than wide, so a diffusion that stops early leaves its head outside N(0, I).
"""

import math

import torch

from ..errors import known
from .mixture import GaussianMixture


def toy(name: str, dtype=torch.float64) -> GaussianMixture:
    """The toy called `name` (see `names()`), a 2-D GaussianMixture. Unknown names raise ValueError."""
    return _TOYS[known(name, names(), "name")](dtype)


def names() -> tuple[str, ...]:
    """Names of all toys."""
    return tuple(_TOYS)


def _strung(points, std: float, dtype) -> GaussianMixture:
    """Equal isotropic components of standard deviation `std` at `points`."""
    means = torch.as_tensor(points, dtype=dtype)
    n = len(means)
    return GaussianMixture(torch.full((n,), 1 / n, dtype=dtype), means, torch.full((n,), std**2, dtype=dtype))


def _ring(dtype):
    """Eight modes on a circle, the weights alternate 3:1, the centre is shifted by 0.6."""
    angle = torch.arange(8, dtype=dtype) * math.pi / 4
    means = 1.5 * torch.stack([angle.cos(), angle.sin()], 1) + torch.tensor([0.6, 0.0], dtype=dtype)
    weights = torch.tensor([3.0, 1.0] * 4, dtype=dtype) / 16
    return GaussianMixture(weights, means, torch.full((8,), 0.02, dtype=dtype))


def _moons(dtype):
    """Two interleaved half circles."""
    angle = torch.linspace(0, math.pi, 40, dtype=dtype)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    return _strung(1.5 * (torch.cat([upper, lower]) - torch.tensor([0.5, 0.25], dtype=dtype)), 0.12, dtype)


def _spiral(dtype):
    """One arm of an Archimedean spiral, two and a half turns."""
    turn = 5 * math.pi * torch.linspace(0.15**2, 1, 120, dtype=dtype).sqrt()
    return _strung(turn[:, None] / 7 * torch.stack([turn.cos(), turn.sin()], 1), 0.07, dtype)


def _checkerboard(dtype):
    """The eight dark squares of a 4 x 4 board, each filled by a 6 x 6 grid."""
    inside = (torch.arange(6, dtype=dtype) + 0.5) / 6
    cells = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    grid = torch.cartesian_prod(inside, inside)
    points = torch.cat([grid + torch.tensor([i - 2.0, j - 2.0], dtype=dtype) for i, j in cells])
    return _strung(points, 0.07, dtype)


def _two_modes(dtype):
    """Two separated Gaussians of unequal weight and unequal shape."""
    covariances = torch.tensor([[[0.10, 0.05], [0.05, 0.20]], [[0.30, -0.10], [-0.10, 0.10]]], dtype=dtype)
    means = torch.tensor([[-1.2, -0.6], [1.4, 0.9]], dtype=dtype)
    return GaussianMixture(torch.tensor([0.7, 0.3], dtype=dtype), means, covariances)


# Strokes of the giraffe, one unit = one unit of the plane; it looks to the left.
_GIRAFFE_STROKES = (
    ((-1.05, 0.55), (-1.15, 1.6), (-1.3, 2.8), (-1.45, 3.9)),  # front of the neck
    ((-0.1, 0.5), (-0.45, 1.5), (-0.75, 2.7), (-0.95, 3.9)),  # back of the neck
    ((-0.95, 3.9), (-0.85, 4.25), (-1.05, 4.5), (-1.4, 4.45)),  # crown
    ((-1.4, 4.45), (-1.8, 4.25), (-2.2, 3.95), (-2.4, 3.7)),  # brow to muzzle
    ((-2.4, 3.7), (-2.42, 3.5), (-2.2, 3.42), (-1.9, 3.55), (-1.45, 3.8)),  # jaw
    ((-1.15, 4.5), (-1.2, 4.95)),  # front horn
    ((-0.92, 4.35), (-0.85, 4.85)),  # back horn
    ((-0.86, 4.2), (-0.45, 4.35), (-0.6, 4.05), (-0.88, 4.0)),  # ear
    ((-0.1, 0.5), (0.5, 0.4), (1.15, 0.25), (1.45, -0.15), (1.5, -0.7)),  # back and rump
    ((-1.05, 0.55), (-1.2, 0.0), (-1.15, -0.6), (-0.95, -1.0)),  # chest
    ((-0.55, -1.1), (0.0, -1.2), (0.6, -1.1)),  # belly
    ((-0.95, -1.0), (-1.0, -2.2), (-0.95, -3.2), (-1.0, -4.2)),  # front leg, front
    ((-0.55, -1.1), (-0.68, -2.2), (-0.65, -3.2), (-0.68, -4.2)),  # front leg, back
    ((-1.05, -4.2), (-0.64, -4.2)),  # front hoof
    ((0.6, -1.1), (0.85, -1.9), (0.9, -3.0), (0.92, -4.2)),  # hind leg, front
    ((1.5, -0.7), (1.4, -1.8), (1.22, -3.0), (1.26, -4.2)),  # hind leg, back
    ((0.88, -4.2), (1.3, -4.2)),  # hind hoof
    ((1.48, -0.3), (1.85, -0.7), (1.95, -1.5)),  # tail
)
# Spots: centre and radius. The eye is the small one.
_GIRAFFE_SPOTS = (
    (-0.7, 0.05, 0.2), (-0.1, -0.1, 0.22), (0.5, -0.15, 0.22), (1.05, -0.3, 0.2), (-0.55, -0.6, 0.18),
    (0.15, -0.7, 0.2), (0.8, -0.75, 0.18), (-0.75, 0.85, 0.17), (-0.85, 1.5, 0.16), (-1.0, 2.15, 0.15),
    (-1.08, 2.8, 0.13), (-1.17, 3.4, 0.12), (-1.55, 4.08, 0.05),
)  # fmt: skip


def _giraffe(dtype):
    """Our giraffe: points along the strokes, rings for the spots, shifted to mean zero."""
    spacing = 0.085
    parts = [_along(stroke, spacing, dtype) for stroke in _GIRAFFE_STROKES]
    for x, y, radius in _GIRAFFE_SPOTS:
        angle = torch.linspace(0, 2 * math.pi, max(4, round(2 * math.pi * radius / spacing)) + 1, dtype=dtype)[:-1]
        parts.append(torch.tensor([x, y], dtype=dtype) + radius * torch.stack([angle.cos(), angle.sin()], 1))
    points = torch.cat(parts)
    return _strung(points - points.mean(0), 0.045, dtype)


def _along(stroke, spacing: float, dtype) -> torch.Tensor:
    """Points at equal distances along a polyline."""
    corners = torch.tensor(stroke, dtype=dtype)
    lengths = (corners[1:] - corners[:-1]).norm(dim=1)
    ends = torch.cat([torch.zeros(1, dtype=dtype), lengths.cumsum(0)])
    where = torch.linspace(0, float(ends[-1]), max(2, round(float(ends[-1]) / spacing)), dtype=dtype)
    piece = torch.searchsorted(ends, where, right=True).clamp(1, len(lengths)) - 1
    share = ((where - ends[piece]) / lengths[piece])[:, None]
    return corners[piece] * (1 - share) + corners[piece + 1] * share


_TOYS = {
    "giraffe": _giraffe,
    "ring": _ring,
    "moons": _moons,
    "spiral": _spiral,
    "checkerboard": _checkerboard,
    "two_modes": _two_modes,
}
