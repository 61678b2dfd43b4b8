"""One dimension: the optimal map is the increasing one, and everything is a quantile.

Sort the atoms; cell i is the interval between the Gaussian quantiles of the cumulated weights. Two neighbouring
planes meet at the quantile q_i that separates them, which fixes the difference of their heights.

    q_i = Phi^{-1}(b_1 + ... + b_i),   h_{i+1} = h_i - q_i (y_{i+1} - y_i),   E[z T(z)] = sum_i y_i (phi(q_{i-1}) - phi(q_i)).

Chapter 7 teaches this module.
"""

import numpy as np
from scipy.special import ndtr, ndtri


def line_heights(y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Heights (N,) of distinct atoms y (N,), any order, weights (N,); mean zero. Exact to rounding."""
    order = np.argsort(y)
    b = weights[order]
    below, above = np.cumsum(b)[:-1], np.cumsum(b[::-1])[::-1][1:]
    cuts = np.where(below < above, ndtri(below), -ndtri(above))  # the smaller tail keeps its digits
    heights = np.empty_like(y)
    heights[order] = np.concatenate([[0.0], -np.cumsum(cuts * np.diff(y[order]))])
    return heights - heights.mean()


def line_masses(y: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, float]:
    """Cell masses (N,) of any heights, and E max_j (z y_j + h_j). Source: upper envelope of lines."""
    kept, cuts = _envelope(y, heights)
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    # a difference of tails on the side where both are small
    mass = np.where(edges[:-1] > 0, ndtr(-edges[:-1]) - ndtr(-edges[1:]), ndtr(edges[1:]) - ndtr(edges[:-1]))
    density = np.exp(-np.square(edges) / 2) / np.sqrt(2 * np.pi)
    masses = np.zeros(len(y))
    masses[kept] = mass
    return masses, float(np.sum(y[kept] * (density[:-1] - density[1:]) + heights[kept] * mass))


def _envelope(y, heights):
    """Indices of the lines on the upper envelope, by increasing slope, and the places where they meet."""
    kept, cuts = [], []
    for i in np.lexsort((heights, y)).tolist():
        if kept and y[i] == y[kept[-1]]:  # parallel: the higher one came last
            kept.pop()
            if cuts:
                cuts.pop()
        while kept:
            cut = (heights[kept[-1]] - heights[i]) / (y[i] - y[kept[-1]])
            if not cuts or cut > cuts[-1]:
                cuts.append(cut)
                break
            kept.pop()
            cuts.pop()
        kept.append(i)
    return np.array(kept), np.array(cuts)
