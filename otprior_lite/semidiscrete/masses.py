"""Exact cell masses of any heights, for atoms on a line or in a plane.

The cells of such atoms are cylinders over intervals or polygons, and the Gaussian weighs only the projection. So
masses are differences of Phi on a line and edge integrals (Owen's T) in a plane; no sample is drawn.

    w_j = P(<z, y_j> + h_j is the largest score).

Chapter 7 teaches this module.
"""

import numpy as np
import torch

from .line import line_masses
from .plane import plane_masses, plane_potential
from .power import laguerre
from .problem import planar_frame


def coordinates(points: torch.Tensor, centre: torch.Tensor, frame: torch.Tensor | None) -> np.ndarray:
    """Centred atoms in their line or plane, (N, r) float64, r = 0, 1 or 2."""
    centred = points.detach().double() - centre.double()
    return (centred if frame is None else centred @ frame).cpu().numpy()


def exact_masses(points: torch.Tensor, heights: torch.Tensor) -> tuple[np.ndarray, float]:
    """Cell masses (N,) float64 and E max_j (<z, y_j> + h_j), for any heights of distinct atoms on a line or plane."""
    y = coordinates(points, points.double().mean(0), planar_frame(points))
    h = heights.detach().double().cpu().numpy()
    if y.shape[1] == 0 or len(y) == 1:
        return (h == h.max()) / (h == h.max()).sum(), float(h.max())
    if y.shape[1] == 1:
        return line_masses(y[:, 0], h)
    sides = laguerre(y, h)
    masses = plane_masses(sides)
    return masses, plane_potential(h, sides, masses)
