"""Is a pairing optimal? A set of pairs (x_i, y_i) is cyclically monotone when no exchange of partners shortens it,

    sum_i |x_i - y_i|^2 <= sum_i |x_i - y_{s(i)}|^2    for every permutation s,

and a coupling is optimal for the squared distance exactly when its support is. The best permutation is an
assignment problem, so the test is exact: no search over cycles. Chapter 6 teaches it.
"""

from dataclasses import dataclass

import torch

from ..discrete import best_permutation
from ..errors import expect, point_cloud
from ..linalg import squared_distances


@dataclass(frozen=True, eq=False)
class Rearrangement:
    """The best exchange of partners.

    gain: how much it lowers the mean of |x - y|^2; 0 means that the pairing is optimal.
    order: partner s(i) of each x, shape (n,); the identity when the gain is 0.
    """

    gain: float
    order: torch.Tensor


def cyclical_monotonicity(x, y) -> Rearrangement:
    """The largest gain that a permutation of the partners of x (n, d), y (n, d) can make. y may be a map's values at x.

    For a weighted plan pass the pairs that carry mass: cyclical monotonicity does not see weights. A finite sample
    can refute a map, not prove it: a map with a little rotation passes when the points lie far apart.
    Gains below the rounding error of the costs count as 0. Source: Rockafellar 1966; Villani 2009, theorem 5.10.
    """
    x = point_cloud(x, "x")
    y = point_cloud(y, "y", x.shape[1]).to(x)
    expect(len(y) == len(x), "y", f"{len(x)} points, one for each x", len(y))
    cost = squared_distances(x.detach().double(), y.detach().double())
    order = best_permutation(cost)
    kept, least = cost.diagonal(), cost.gather(1, order[:, None])[:, 0]
    gain = float((kept - least).mean())
    rounding = 64 * torch.finfo(torch.float64).eps * float(cost.max())
    if gain <= rounding:
        return Rearrangement(0.0, torch.arange(len(x), device=x.device))
    return Rearrangement(gain, order)
