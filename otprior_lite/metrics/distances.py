"""Distances in the units of the data: W2, sliced W2 and the Frechet distance of Gaussians.

All three are biased upward by sampling: W2 the most, and more in high dimension, where n samples of one law lie
about sqrt(2 d) apart whatever the law's parameters. That is why each comes with its floor.
"""

import math

import numpy as np
import torch

from ..discrete import assignment_cost
from ..errors import count
from ..estimate import Estimate
from ..randomness import normal, seeded
from .samples import pair, with_floor


def w2(x, y, *, repeats: int = 1, generator: torch.Generator | None = None) -> Estimate:
    """Exact W2 between two samples (n, ...) and (m, ...). Seconds at n = 2000; biased upward by its floor."""
    x, y = pair(x, y)
    return with_floor(lambda a, b: math.sqrt(max(0.0, assignment_cost(a, b))), x, y, repeats, generator or seeded())


def sliced_w2(x, y, *, projections: int = 200, repeats: int = 5, generator: torch.Generator | None = None) -> Estimate:
    """Root mean square of the one-dimensional W2 over random directions. Source: Rabin et al. 2012.

    The directions are the same for the value and the floor. Sizes may differ.
    """
    x, y = pair(x, y)
    generator = generator or seeded()
    directions = normal((x.shape[1], count(projections, "projections")), generator, dtype=x.dtype, device=x.device)
    directions = directions / directions.norm(dim=0)

    def statistic(a, b):
        return float(_w2_of_rows(directions.T @ a.T, directions.T @ b.T).mean().sqrt())

    return with_floor(statistic, x, y, repeats, generator)


def _w2_of_rows(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """W2^2 between the rows of a (p, n) and b (p, m): both quantile functions on their common breaks."""
    a, b = _sorted(a), _sorted(b)
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return (a - b).square().mean(1)
    breaks = torch.cat([torch.arange(1, n + 1, dtype=torch.float64) / n, torch.arange(1, m + 1, dtype=torch.float64) / m])
    breaks = breaks.sort().values
    mass = breaks.diff(prepend=torch.zeros(1, dtype=torch.float64))
    middle = breaks - mass / 2
    i, j = (middle * n).long().clamp(max=n - 1).to(a.device), (middle * m).long().clamp(max=m - 1).to(a.device)
    return (a[:, i] - b[:, j]).square() @ mass.to(a)


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    """Each row sorted; numpy's vectorised sort is several times faster than torch's on a CPU."""
    if rows.device.type != "cpu":
        return rows.sort(1).values
    return torch.from_numpy(np.sort(rows.detach().numpy(), axis=1))


def frechet(x, y, *, features=None, repeats: int = 5, generator: torch.Generator | None = None) -> Estimate:
    """W2 between the Gaussians with the samples' means and covariances, in a feature space.

    sqrt(|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x^{1/2} S_y S_x^{1/2})^{1/2})), a lower bound of W2 there (Gelbrich).
    features: callable (n, ...) -> (n, k); default the samples themselves, flattened. Image papers report the square,
    in the features of one fixed network; values of different features or sizes do not compare.
    Source: Dowson and Landau 1982; Heusel et al. 2017.
    """
    x, y = (v.double() for v in pair(x, y, features=features))

    def statistic(a, b):
        # S = R'R with a factor R of min(n, k) rows; the cross term is the sum of the singular values of R_a R_b'.
        A, B = (torch.linalg.qr((v - v.mean(0)) / math.sqrt(len(v) - 1), mode="r").R for v in (a, b))
        squared = (a.mean(0) - b.mean(0)).square().sum() + A.square().sum() + B.square().sum()
        return math.sqrt(max(0.0, float(squared - 2 * torch.linalg.svdvals(A @ B.T).sum())))

    return with_floor(statistic, x, y, repeats, generator or seeded())
