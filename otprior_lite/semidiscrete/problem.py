"""A problem in the form that solvers like: distinct, centred atoms with positive weights.

Three facts of the theory make any input harmless. Moving all atoms by one vector leaves the heights unchanged,
so atoms are centred. Equal atoms share a cell, so they are merged and their weights added. Atoms only see the
projection of z on the space that they span, which is again N(0, I): on a line or in a plane they become a 1-D or 2-D
problem, and N atoms in d >> N dimensions, 351 pictures of 3,072 numbers say, one in N - 1 dimensions with the same heights.

    u(z) = max_j <z, y_j + b> + h_j = <z, b> + max_j <z, y_j> + h_j,    <z, Q r_j> = <Q^T z, r_j>,   Q^T z ~ N(0, I).

Chapter 7 teaches this module.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import expect, point_cloud, probability_vector

FEW = 64


@dataclass(frozen=True, eq=False)
class Problem:
    """Atoms to reach and what came in.

    points (N, d): distinct atoms as given, in order of first appearance; weights (N,): float64, positive, sum 1.
    atom (n,): for each given point its row in `points`. centre (d,): subtracted by `centred`.
    frame (d, r) or None: an orthonormal basis of the atoms' plane where its dimension r is at most 2.
    """

    points: torch.Tensor
    weights: torch.Tensor
    atom: torch.Tensor
    centre: torch.Tensor
    frame: torch.Tensor | None

    def centred(self, dtype: torch.dtype, device) -> torch.Tensor:
        """points - centre in the solver's dtype, subtracted in float64, `in_span`."""
        return in_span(self.points.double() - self.centre).to(dtype=dtype, device=device)

    @property
    def rank(self) -> int:
        """Dimension of the atoms' affine hull, where it is at most 2; else d."""
        return self.points.shape[1] if self.frame is None else self.frame.shape[1]


def pose(points, weights=None) -> Problem:
    """Check points (n, d) and weights (n,), merge equal points. ValueError for anything not finite, or weights
    that are not positive or do not sum to 1."""
    points = point_cloud(points)
    weights = probability_vector(weights, len(points), points).double()
    zero = int((weights == 0).sum())
    expect(zero == 0, "weights", "positive entries (a cell of mass 0 has no height)", f"{zero} zero of {len(weights)}")
    first, atom = _merge(points)
    merged = torch.zeros(len(first), dtype=torch.float64, device=points.device).index_add_(0, atom, weights)
    distinct = points if len(first) == len(points) else points[first]
    centre = robust_centre(distinct.double())
    return Problem(distinct, merged / merged.sum(), atom, centre, planar_frame(distinct))


def in_span(centred: torch.Tensor) -> torch.Tensor:
    """Centred points (N, d), where d >= 2 N in coordinates (N, k <= N) of their span: the same scalar products, and so the same
    cells and heights, for less work on each sample (351 pictures of 3,072 numbers: a quarter of the time)."""
    N, d = centred.shape
    if d < 2 * N or N == 1:
        return centred
    inside = torch.linalg.qr(centred.T, mode="r").R.T
    used = inside.abs() > 1e-12 * inside.norm(dim=1, keepdim=True)  # N centred points span N - 1 dimensions, or fewer
    return inside[:, used.any(0)].contiguous()


def _merge(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of first appearance, ascending, and for each row its rank among them; compares bytes."""
    rows = np.ascontiguousarray((points.detach().cpu() + 0.0).numpy())
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(first[order]).to(points.device), torch.from_numpy(rank[inverse.ravel()]).to(points.device)


def robust_centre(points: torch.Tensor) -> torch.Tensor:
    """The mean of the atoms that are not far outliers: far atoms would cost the others their digits."""
    centre = points.mean(0)
    for _ in range(5):
        radius = (points - centre).norm(dim=1)
        near = radius <= 8 * radius.median()
        if bool(near.all()):
            break
        centre = points[near].mean(0)
    return centre


def planar_frame(points: torch.Tensor) -> torch.Tensor | None:
    """An orthonormal basis (d, r) of the atoms' plane if r <= 2 and r < d, else None."""
    return _frame_of(points, min(2, points.shape[1] - 1))


def _frame_of(points: torch.Tensor, most: int) -> torch.Tensor | None:
    """Greedy Gram-Schmidt of the differences; None if more than `most` directions remain."""
    if len(points) > FEW and _frame_of(points[:FEW], most) is None:
        return None  # a few of them are enough to fill a space
    anchor = points[(points.double() - robust_centre(points.double())).norm(dim=1).argmin()].double()
    rest = points.double() - anchor
    small = 50 * torch.finfo(points.dtype).eps * (points.double().abs().amax(1) + anchor.abs().max())
    basis = []
    while bool((rest.norm(dim=1) > small).any()):
        if len(basis) == most:
            return None
        axis = rest[rest.norm(dim=1).argmax()]
        axis = axis / axis.norm()
        basis.append(axis)
        rest = rest - (rest @ axis)[:, None] * axis
    return torch.stack(basis, 1) if basis else points.new_zeros((points.shape[1], 0), dtype=torch.float64)
