"""Optimal transport between two finite samples, exact and entropic: the one place that calls POT's solvers."""

import math

import numpy as np
import torch

from .linalg import squared_distances


def exact_plan(x: torch.Tensor, y: torch.Tensor, a=None, b=None) -> tuple[np.ndarray, float, tuple[np.ndarray, np.ndarray]]:
    """The optimal coupling (n, m) of weighted points for the cost |x - y|^2, its cost, and the dual potentials.

    The potentials f (n,), g (m,) satisfy f_i + g_j <= |x_i - y_j|^2 for every pair, with equality where the plan
    has mass, and <a, f> = <b, g>.
    """
    import ot

    cost = squared_distances(x.detach().double(), y.detach().double()).cpu().numpy()
    n, m = cost.shape
    a = np.full(n, 1 / n) if a is None else a.detach().double().cpu().numpy()
    b = np.full(m, 1 / m) if b is None else b.detach().double().cpu().numpy()
    a, b = a / a.sum(), b / b.sum()
    matrix, log = ot.emd(a, b, cost, numItermax=10_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"POT did not solve this transport problem: {log['warning']}")
    # POT only estimates potentials where a weight is zero. Two c-transforms make every constraint hold, at no loss.
    g = (cost - log["u"][:, None])[a > 0].min(0)
    f = (cost - g).min(1)
    shift = (a @ f - b @ g) / 2
    return matrix, float((matrix * cost).sum()), (f - shift, g + shift)


def assignment_cost(x: torch.Tensor, y: torch.Tensor) -> float:
    """W2^2 between the uniform laws on two samples."""
    return exact_plan(x, y)[1]


def best_permutation(cost: torch.Tensor) -> torch.Tensor:
    """The permutation s that minimises sum_i cost[i, s(i)], shape (n,): scipy's assignment solver."""
    from scipy.optimize import linear_sum_assignment

    return torch.from_numpy(linear_sum_assignment(cost.detach().double().cpu().numpy())[1]).to(cost.device)


def entropic_plan(cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor, epsilon: float, max_iterations: int, tolerance: float):
    """Sinkhorn's algorithm on logarithms: the coupling (n, m), log u (n,), log v (m,) and the iterations it took.

    coupling = u_i exp(-cost_ij / epsilon) v_j. At most half of the iterations go into a warm start: a geometric
    descent from epsilon = max(cost). The tolerance is on the L1 error of the columns; rows are exact.
    """
    from ot.bregman import sinkhorn_log

    level, steps, start, threshold = float(cost.max()), 0, None, tolerance / math.sqrt(len(b))  # POT's error is L2
    while level > 4 * epsilon and steps + 50 <= max_iterations // 2:
        _, log = sinkhorn_log(a, b, cost, level, numItermax=50, stopThr=1e-3, log=True, warn=False, warmstart=start)
        steps, ratio = steps + int(log["niter"]) + 1, level / max(level / 4, epsilon)
        start, level = (log["log_u"] * ratio, log["log_v"] * ratio), level / ratio
    if start is not None:  # the potentials epsilon log u are what carries over
        start = tuple(v * (level / epsilon) for v in start)
    left = max_iterations - steps
    matrix, log = sinkhorn_log(a, b, cost, epsilon, numItermax=left, stopThr=threshold, log=True, warn=False, warmstart=start)
    return matrix, log["log_u"], log["log_v"], steps + int(log["niter"]) + 1
