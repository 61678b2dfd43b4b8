"""How far the flow from late times is from optimal transport: the two-term law.

For the OU process and data with mean m, the flow from T to infinity has a Jacobian J whose antisymmetric part is

    (J - J^T)/2 = (e^{-5T}/60) [Sigma - I, kappa_3.x] + (e^{-6T}/48) [Sigma - I, (1/2) kappa_4 : (x x^T - I)] + O(e^{-7T}),

with [A, B] = AB - BA and x measured from e^{-T} m. Flow and optimal map both differ from the identity by O(e^{-2T}), and
from each other by O(e^{-5T}) only. Derived for this book (second-order expansion of the flow) and checked by
integration, not taken from a paper. Chapter 9 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import expect, point_cloud
from ..gap import cumulant


@dataclass(frozen=True, eq=False)
class RateLaw:
    """The predicted antisymmetric part of the Jacobian at each point: leading (e^{-5T}) and second term (e^{-6T}), (n, d, d)."""

    leading: torch.Tensor
    second: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Sum of both terms."""
        return self.leading + self.second

    @property
    def rms(self) -> float:
        """Root mean square over the points of the Frobenius norm of the sum."""
        return float(self.total.flatten(1).square().sum(1).mean().sqrt())


def rate_law(target, T, x) -> RateLaw:
    """The two-term law at points x (n, d) of time T, in OU time; valid as T grows, relative error O(e^{-2T})."""
    T = float(T)
    expect(0 < T < math.inf, "T", "a positive OU time", T)
    x = point_cloud(x, "x", target.d).double()
    law = target.to(torch.float64)
    x = x - math.exp(-T) * law.mean
    eye = torch.eye(target.d, dtype=torch.float64, device=x.device)
    excess = law.covariance - eye
    third = cumulant(law, 3) @ x.T  # (d, d, n)
    fourth = torch.einsum("ijkl,nkl->nij", cumulant(law, 4), x[:, :, None] * x[:, None, :] - eye) / 2
    bracket = lambda b: excess @ b - b @ excess
    return RateLaw(math.exp(-5 * T) / 60 * bracket(third.permute(2, 0, 1)), math.exp(-6 * T) / 48 * bracket(fourth))
