"""Laguerre cells in the plane, from a convex hull.

Lift atom y_j to the point (y_j, h_j) in space. A plane that touches the upper hull of these points from above
has slope -z exactly where z scores equally on the points it touches, so the upper faces of the hull are the
vertices of the cells, its edges are their sides, and the outline of the hull gives the unbounded sides. A side
between cells i and j lies on a line at distance p from the origin, from t = low to t = high along it:

    z = p n + t n_perp,   n = (y_j - y_i) / |y_j - y_i|,   p = (h_i - h_j) / |y_j - y_i|.

Chapter 7 teaches this module.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sides:
    """The sides of all cells, each once. left, right (E,): the cells i, j; the normal points from i to j.

    gap (E,): |y_j - y_i|; offset (E,): p; low, high (E,): the range of t, possibly infinite. corner (N,): the
    angle at infinity of each unbounded cell, 0 for the others; the angles sum to 2 pi.
    """

    left: np.ndarray
    right: np.ndarray
    gap: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray
    corner: np.ndarray


def laguerre(points: np.ndarray, heights: np.ndarray) -> Sides:
    """Sides of the cells of atoms (N, 2), not all on a line, float64. Atoms below the hull have no cell."""
    from scipy.spatial import ConvexHull

    if not np.isfinite(heights).all():
        return _no_sides(len(points))
    scale = np.ptp(points, axis=0).max()
    lifted = np.column_stack([points / scale, _flattened(points, heights) / scale])
    below = [*lifted[:, :2].mean(0), lifted[:, 2].min() - 1.0]  # gives the hull volume, touches no upper face
    hull = ConvexHull(np.vstack([lifted, below]))
    upper = hull.equations[:, 2] > 1e-13  # flatter ones would put a vertex beyond |z| = 1e13
    if not upper.any():
        return _no_sides(len(points))
    faces, neighbours = hull.simplices[upper], hull.neighbors[upper]
    vertices = _vertices(points, heights, faces)
    number = np.full(len(upper), -1)
    number[upper] = np.arange(len(faces))
    here = np.repeat(np.arange(len(faces)), 3)
    there = number[neighbours.ravel()]
    i, j = np.roll(faces, -1, axis=1).ravel(), np.roll(faces, -2, axis=1).ravel()  # the side opposite vertex k
    once = (there < 0) | (here < there)
    i, j, here, there = i[once], j[once], here[once], there[once]
    opposite = faces.ravel()[once]
    return _sides(points, heights, vertices, i, j, here, there, opposite)


def _flattened(points, heights):
    """Heights less their best affine function of y: the same hull, with fewer digits lost."""
    basis = np.column_stack([points - points.mean(0), np.ones(len(points))])
    return heights - basis @ np.linalg.lstsq(basis, heights, rcond=None)[0]


def _vertices(points, heights, faces):
    """Where three planes meet: z with <z, y_j - y_i> = h_i - h_j and the same for k, for faces (F, 3)."""
    a, b = points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]]
    e, f = heights[faces[:, 0]] - heights[faces[:, 1]], heights[faces[:, 0]] - heights[faces[:, 2]]
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        z = np.column_stack([e * b[:, 1] - f * a[:, 1], f * a[:, 0] - e * b[:, 0]]) / determinant[:, None]
    return z


def _sides(points, heights, vertices, i, j, here, there, opposite) -> Sides:
    step = points[j] - points[i]
    gap = np.hypot(step[:, 0], step[:, 1])
    normal = step / gap[:, None]
    tangent = np.column_stack([-normal[:, 1], normal[:, 0]])
    first = np.einsum("ij,ij->i", vertices[here], tangent)
    second = np.einsum("ij,ij->i", vertices[np.maximum(there, 0)], tangent)
    # An unbounded side leaves its vertex away from the third atom of the face.
    outward = -np.sign(np.einsum("ij,ij->i", points[opposite] - points[i], tangent))
    second = np.where(there < 0, outward * np.inf, second)
    low, high = np.minimum(first, second), np.maximum(first, second)
    corner = np.zeros(len(points))
    rays = there < 0
    forward = outward[rays] > 0
    angle = np.arctan2(*(tangent[rays] * outward[rays, None]).T[::-1])
    after, before = np.where(forward, i[rays], j[rays]), np.where(forward, j[rays], i[rays])  # left, right of a ray
    start, end = np.full(len(points), np.nan), np.full(len(points), np.nan)
    start[after], end[before] = angle, angle
    open_cells = np.unique(np.concatenate([i[rays], j[rays]]))
    turn = end[open_cells] - start[open_cells]
    corner[open_cells] = (turn + np.pi) % (2 * np.pi) - np.pi
    return Sides(i, j, gap, (heights[i] - heights[j]) / gap, low, high, corner)


def _no_sides(atoms: int) -> Sides:
    """What remains when the heights are too far apart for any vertex to be finite: no mass anywhere."""
    nothing = np.zeros(0)
    return Sides(np.zeros(0, int), np.zeros(0, int), nothing, nothing, nothing, nothing, np.zeros(atoms))
