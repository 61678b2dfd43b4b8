"""Cells of a planar map as polygons, for drawing.

A cell is the intersection of half-planes, one for each neighbour. Start from the drawing's square and cut it by
each neighbour's line in turn; what is left is the visible part of the cell, with exact corners.

    cell i = { z : <z, y_j - y_i> <= h_i - h_j for all neighbours j }.

Chapter 7 teaches this module.
"""

import numpy as np
import torch

from .power import laguerre
from .problem import planar_frame


def clipped_cells(points: torch.Tensor, heights: torch.Tensor, box: float) -> list[torch.Tensor]:
    """For each atom (N, 2) the corners of its cell within [-box, box]^2."""
    y, h = points.detach().double().cpu().numpy(), heights.detach().double().cpu().numpy()
    neighbours = _neighbours(points, y, h)
    square = np.array([[-box, -box], [box, -box], [box, box], [-box, box]], dtype=float)
    cells = []
    for i, others in enumerate(neighbours):
        polygon = square if others is not None else square[:0]
        for j in others if others is not None else ():
            polygon = _cut(polygon, y[j] - y[i], h[i] - h[j])
            if len(polygon) < 3:
                polygon = square[:0]
                break
        cells.append(torch.from_numpy(np.ascontiguousarray(polygon)))
    return cells


def _neighbours(points, y, h):
    """For each atom the atoms that share a side with its cell, or None if it has no cell."""
    frame = planar_frame(points)
    if len(y) == 1:
        return [[]]
    if frame is not None:  # atoms on a line: every other atom bounds a cell
        return [[j for j in range(len(y)) if j != i] for i in range(len(y))]
    sides = laguerre(y, h)
    lists: list = [None] * len(y)
    for i, j in zip(sides.left.tolist(), sides.right.tolist(), strict=True):
        lists[i] = [*(lists[i] or []), j]
        lists[j] = [*(lists[j] or []), i]
    return lists


def _cut(polygon: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The part of a convex polygon (k, 2) with <z, normal> <= offset."""
    side = polygon @ normal - offset
    corners = []
    for a, b, u, v in zip(polygon, np.roll(polygon, -1, axis=0), side, np.roll(side, -1), strict=True):
        if u <= 0:
            corners.append(a)
        if (u < 0 < v) or (v < 0 < u):
            corners.append(a + u / (u - v) * (b - a))
    return np.array(corners).reshape(-1, 2)
