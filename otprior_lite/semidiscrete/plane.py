"""Two dimensions: cells of exact Gaussian mass, and Newton's method on their heights.

The Gaussian mass between the origin and a straight side is an angle less an Owen T function, so a cell's mass is
a sum over its sides. The mass that crosses a side when one height rises is a one-dimensional Gaussian integral,
so the Hessian, a graph Laplacian, is exact too. Newton's method with the damping that keeps every cell alive
converges from any start with no empty cell; the start here is the optimal map between Gaussians.

    w_i = sum_sides g(p, t)|_low^high + corner_i / 2 pi,   g = atan(t/p) / 2 pi - T(p, t/p),
    dw_i/dh_j = -phi(p) (Phi(high) - Phi(low)) / |y_i - y_j|.

Source: Kitagawa, Merigot and Thibert 2019 (the damping); Owen 1956 (T). Chapter 7 teaches this module.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from scipy.special import ndtr, owens_t

from .power import Sides, laguerre

GOAL = 1e-11  # L1 error at which Newton stops
STEPS = 300


def plane_masses(sides: Sides) -> np.ndarray:
    """Gaussian masses (N,) of the cells; absolute accuracy about 1e-15 times the number of sides of a cell."""
    crossing = _wedge(sides.offset, sides.high) - _wedge(sides.offset, sides.low)
    masses = sides.corner / (2 * np.pi)
    masses += np.bincount(sides.left, crossing, len(masses)) - np.bincount(sides.right, crossing, len(masses))
    return masses


def _wedge(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """g(p, t): the mass of the triangle origin, foot of the line, point t on it, up to the common sign."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = t / p
        value = np.arctan(slope) / (2 * np.pi) - owens_t(p, slope)
    return np.where(p == 0, 0.0, value)


def plane_hessian(sides: Sides):
    """Off-diagonal conductances c_ij = -dw_i/dh_j >= 0 of each side, shape (E,)."""
    inside = np.where(sides.low > 0, ndtr(-sides.low) - ndtr(-sides.high), ndtr(sides.high) - ndtr(sides.low))
    return np.exp(-np.square(sides.offset) / 2) / np.sqrt(2 * np.pi) * inside / sides.gap


def plane_potential(heights, sides: Sides, masses) -> float:
    """E max_j (<z, y_j> + h_j) = sum_sides c |y_i - y_j|^2 + sum_j h_j w_j, by Stein's identity E<z, T> = E div T."""
    return float(np.sum(plane_hessian(sides) * np.square(sides.gap)) + heights @ masses)


def plane_start(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The better of two starts without empty cells: largest smallest ratio of mass to weight."""
    starts = (_gaussian_start(points, weights), _radial_start(points, weights))
    return max(starts, key=lambda h: (plane_masses(laguerre(points, h)) / weights).min())


def _gaussian_start(points, weights):
    """Heights -(y - m)^T A^{-1} (y - m) / 2 with A = Cov^{1/2}: each cell holds its whitened atom A^{-1} (y - m)."""
    centred = points - weights @ points
    eigenvalues, vectors = np.linalg.eigh(centred.T @ (weights[:, None] * centred))
    roots = np.sqrt(np.maximum(eigenvalues, 1e-4 * eigenvalues[-1]))
    return -0.5 * np.square(centred @ vectors) @ (1 / roots)


def _radial_start(points, weights):
    """Heights -int_0^r rho, with rho the monotone map of the distances r to those of N(0, I): tames outliers."""
    radius = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    order = np.argsort(radius)
    outside = np.cumsum(weights[order][::-1])[::-1] - weights[order] / 2
    rho = np.sqrt(-2 * np.log(outside))
    heights = np.empty(len(points))
    heights[order] = -np.cumsum(rho * np.diff(radius[order], prepend=0.0))
    return heights


def newton_plane(points: np.ndarray, weights: np.ndarray, heights: np.ndarray, fraction: float = 0.25):
    """Yield (heights, masses, sides, fraction of the step) until sum |w - b| <= 1e-11, or no step helps.

    fraction: that of the step before, where an interrupted solve goes on.
    """
    sides = laguerre(points, heights)
    masses = plane_masses(sides)
    yield heights, masses, sides, 0.0
    for _ in range(STEPS):
        if np.abs(masses - weights).sum() <= GOAL:
            return
        direction = _solve_laplacian(sides, masses - weights)
        for fraction in min(1.0, 4 * fraction) * 0.5 ** np.arange(40):
            trial = heights - fraction * direction
            trial_sides = laguerre(points, trial)
            trial_masses = plane_masses(trial_sides)
            if _acceptable(trial_masses, masses, weights, fraction):
                break
        else:
            return
        heights, masses, sides = trial, trial_masses, trial_sides
        yield heights, masses, sides, float(fraction)


def _acceptable(trial, masses, weights, fraction) -> bool:
    """No cell shrinks below a tenth of the smaller of its mass and its weight, and the error falls."""
    alive = (trial >= 0.1 * np.minimum(masses, weights)).all()
    return alive and np.abs(trial - weights).sum() < (1 - 0.25 * fraction) * np.abs(masses - weights).sum()


def _solve_laplacian(sides: Sides, gap: np.ndarray) -> np.ndarray:
    """The solution x, mean zero, of L x = gap, where L is the Laplacian of the conductances."""
    n, c = len(gap), plane_hessian(sides)
    diagonal = np.bincount(sides.left, c, n) + np.bincount(sides.right, c, n)
    rows = np.concatenate([sides.left, sides.right, np.arange(n)])
    columns = np.concatenate([sides.right, sides.left, np.arange(n)])
    matrix = coo_array((np.concatenate([-c, -c, diagonal]), (rows, columns)), shape=(n, n)).tocsc()
    keep = np.delete(np.arange(n), int(np.argmax(diagonal)))  # ground one atom
    x = np.zeros(n)
    factors = splu(matrix[keep][:, keep], permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    x[keep] = factors.solve(gap[keep])
    return x - x.mean()
