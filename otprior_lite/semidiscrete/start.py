"""Heights before any sample is drawn, and the size of a step.

In high dimension the scores <z, y_j> of different atoms are almost independent normal variables of standard
deviation |y_j|. Ask that each exceeds one common level with its own probability b_j, and the heights follow; ask
how that probability changes with the height, and so does the diagonal of Newton's matrix.

    h_j = -|y_j| q_j,   q_j = Phi^{-1}(1 - b_j),   dw_j/dh_j = phi(q_j) / |y_j|.

Chapter 7 teaches this module.
"""

import math

import torch


def mean_field(points: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Heights (N,) and inverse slopes dh_j/dw_j (N,), both float64, for centred points (N, d), weights (N,)."""
    radius = points.double().norm(dim=1)
    level = -torch.special.ndtri(weights.to(radius))
    slope = (-level.square() / 2).exp() / math.sqrt(2 * math.pi)
    heights = -radius * level
    return heights - heights.mean(), radius.clamp_min(0.25 * float(radius.median())) / slope


def gaussian(points: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Heights -(y - m)^T A^{-1} (y - m) / 2, A = Cov^{1/2}: the potential of the map between Gaussians.

    Each cell holds its whitened atom, so in a few dimensions no cell is nearly empty.
    """
    centred = points.double() - weights @ points.double()
    eigenvalues, vectors = torch.linalg.eigh(centred.T @ (weights[:, None] * centred))
    roots = eigenvalues.clamp_min(1e-4 * float(eigenvalues[-1])).sqrt()
    heights = -0.5 * (centred @ vectors).square() @ (1 / roots)
    return heights - heights.mean()
