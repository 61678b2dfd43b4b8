"""Cumulants of a Gaussian mixture or a point set: mean, covariance, and the tensors of order three and four.

Write a component's mean as m + v and its covariance as S. With C = v v' + S, averages over components give

    kappa_3 = sym_3 E[v C] - 2 E[v v v],    kappa_4 = sym_3 E[C C] - 2 E[v v v v] - sym_3 [Sigma Sigma],

where sym_3 sums the three ways to place the indices. Cumulants of order k scale like alpha^k under diffusion and
noise adds only to the second: that is why late times see them one after the other. Chapters 3 and 9 teach this.
"""

import torch

from ..errors import expect

_LARGEST = 32  # d^4 = 10^6 numbers at order four


def cumulant(target, order: int) -> torch.Tensor:
    """The cumulant tensor of `order` 1 to 4, shape (d,) * order, in float64.

    Orders 3 and 4 are refused above dimension 32, where they would not fit in memory.
    """
    expect(order in (1, 2, 3, 4), "order", "1, 2, 3 or 4", order)
    fits = order < 3 or target.d <= _LARGEST
    expect(fits, "target", f"dimension at most {_LARGEST} for cumulants of order {order}", f"dimension {target.d}")
    law = target.to(torch.float64)
    if order < 3:
        return law.mean if order == 1 else law.covariance
    v = law.means - law.mean
    second = torch.einsum("ki,kj->kij", v, v)
    both = second + _component_covariances(law)
    if order == 3:
        mixed = torch.einsum("k,ki,kjl->ijl", law.weights, v, both)
        pure = torch.einsum("k,ki,kjl->ijl", law.weights, v, second)
        return mixed + mixed.permute(1, 0, 2) + mixed.permute(1, 2, 0) - 2 * pure
    gaussian = torch.einsum("ij,kl->ijkl", law.covariance, law.covariance)
    return _three_pairings(_weighted(law, both, both) - gaussian) - 2 * _weighted(law, second, second)


def _component_covariances(law) -> torch.Tensor:
    """(K, d, d); zeros for points."""
    covariances = getattr(law, "covariances", None)
    eye = torch.eye(law.d, dtype=torch.float64, device=law.means.device)
    if covariances is None:
        return torch.zeros_like(eye).expand(len(law.weights), -1, -1)
    return covariances[:, None, None] * eye if covariances.ndim == 1 else covariances


def _weighted(law, a, b) -> torch.Tensor:
    return torch.einsum("kij,klm->ijlm", law.weights[:, None, None] * a, b)


def _three_pairings(q: torch.Tensor) -> torch.Tensor:
    """q_ijkl + q_ikjl + q_iljk."""
    return q + q.permute(0, 2, 1, 3) + q.permute(0, 2, 3, 1)
