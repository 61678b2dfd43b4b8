"""Symmetric matrices: checks and functions of their eigenvalues; squared distances between points."""

from functools import reduce

import torch

from .errors import expect


def check_spd(matrices: torch.Tensor, argument: str, semi: bool = False) -> None:
    """Raise unless `matrices` (..., d, d) are symmetric and positive (semi-)definite."""
    scale = matrices.abs().amax(dim=(-2, -1)).clamp_min(torch.finfo(matrices.dtype).tiny)
    tolerance = 50 * torch.finfo(matrices.dtype).eps * scale
    skew = (matrices - matrices.mT).abs().amax(dim=(-2, -1))
    expect(bool((skew <= tolerance).all()), argument, "symmetric matrices", f"asymmetry up to {float(skew.max()):.3g}")
    lowest = torch.linalg.eigvalsh(matrices).amin(dim=-1)
    good = lowest >= -tolerance * matrices.shape[-1] if semi else lowest > 0
    kind = "positive semi-definite" if semi else "positive definite"
    expect(bool(good.all()), argument, f"{kind} matrices", f"smallest eigenvalue {float(lowest.min()):.3g}")


def power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """Power of a symmetric positive semi-definite matrix, e.g. its root with exponent 1/2."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    return (vectors * eigenvalues.clamp_min(0).pow(exponent).unsqueeze(-2)) @ vectors.mT


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """|x_i - y_j|^2, shape (n, m): by differences in low dimension, by one matrix product otherwise."""
    if x.shape[1] <= 8:  # one axis at a time: ten times faster than a reduction over a short last axis
        return reduce(torch.add, ((a[:, None] - b).square() for a, b in zip(x.T, y.T)))
    centre = y.mean(0)
    x, y = x - centre, y - centre
    return (x.square().sum(-1, keepdim=True) + y.square().sum(-1) - 2 * x @ y.T).clamp_min(0)
