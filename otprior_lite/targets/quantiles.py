"""One dimension: distribution functions, and the increasing map from N(0, 1).

In one dimension the optimal map is the increasing one, T = F^{-1} o Phi. It is solved by bisection on the
logarithm of the nearer tail, so it keeps full accuracy far out. The ground truth of chapters 3, 4 and 9.
"""

import torch

from ..errors import expect, real_tensor
from .mixture import GaussianMixture


def _log_tail(p: GaussianMixture, x: torch.Tensor, sign) -> torch.Tensor:
    """log P(sign X <= sign x): the lower tail for sign = 1, the upper one for sign = -1; sign is a number or one per point."""
    z = (sign * (x - p.means)).T / p._spectrum[:, 0].sqrt()  # (n, K)
    return (p.weights.log() + torch.special.log_ndtr(z)).logsumexp(-1)


def _check_one_dimensional(p) -> None:
    expect(isinstance(p, GaussianMixture) and p.d == 1, "p", "a GaussianMixture in dimension 1", _describe(p))


def _describe(p) -> str:
    return f"{type(p).__name__} in dimension {getattr(p, 'd', '?')}"


def cdf(p: GaussianMixture, x) -> torch.Tensor:
    """F(x) = P(X <= x) of a one-dimensional mixture, same shape as x."""
    _check_one_dimensional(p)
    x = real_tensor(x, "x").to(p.means)
    return _log_tail(p, x.reshape(-1), 1.0).exp().reshape(x.shape)


def normal_to(p: GaussianMixture, z) -> torch.Tensor:
    """The increasing map T = F_p^{-1} o Phi with T # N(0, 1) = p, at points z of any shape."""
    _check_one_dimensional(p)
    z = real_tensor(z, "z").to(p.means)
    return torch.cat([_invert(p, block) for block in z.reshape(-1).split(2**12)]).reshape(z.shape)


def _invert(p: GaussianMixture, z: torch.Tensor) -> torch.Tensor:
    sign = torch.where(z <= 0, 1.0, -1.0)
    goal = torch.special.log_ndtr(-z.abs())
    # T(z) is bracketed by the extreme components' own increasing maps.
    each = p.means[:, 0] + p._spectrum[:, 0].sqrt() * z[:, None]
    low, high = each.amin(-1), each.amax(-1)
    for _ in range(80):
        middle = (low + high) / 2
        if bool(((middle == low) | (middle == high)).all()):  # no number left between them
            break
        beyond = sign * (_log_tail(p, middle, sign) - goal) > 0
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return (low + high) / 2
