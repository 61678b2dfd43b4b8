"""Exact optimal transport between two finite samples: the one place that calls POT's network simplex."""

import numpy as np
import torch

from .linalg import squared_distances


def exact_plan(x: torch.Tensor, y: torch.Tensor, a=None, b=None) -> tuple[np.ndarray, float]:
    """The optimal coupling (n, m) of weighted points for the cost |x - y|^2, and its cost."""
    import ot

    cost = squared_distances(x.detach().double(), y.detach().double()).cpu().numpy()
    n, m = cost.shape
    a = np.full(n, 1 / n) if a is None else a.detach().double().cpu().numpy()
    b = np.full(m, 1 / m) if b is None else b.detach().double().cpu().numpy()
    matrix, log = ot.emd(a / a.sum(), b / b.sum(), cost, numItermax=10_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"POT did not solve this transport problem: {log['warning']}")
    return matrix, float((matrix * cost).sum())


def assignment_cost(x: torch.Tensor, y: torch.Tensor) -> float:
    """W2^2 between the uniform laws on two samples."""
    return exact_plan(x, y)[1]
