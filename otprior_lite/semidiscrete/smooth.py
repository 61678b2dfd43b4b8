"""The smoothed map: an average of atoms instead of the best one.

Replacing the maximum of the scores by tau log-sum-exp(score / tau) gives a smooth convex potential whose gradient
is an average of all atoms with softmax weights. Small tau averages ties only; large tau pulls every image to the
mean and shrinks the covariance. With the heights of the hard map the marginal is not the target's; heights solved
for this tau (method "entropic") give the right mean cell weights.

    u_tau(z) = tau log (1/N) sum_j exp((<z, y_j> + h_j)/tau),   u - tau log N <= u_tau <= u,   D^2 u_tau = Cov_softmax(y)/tau.

Source: the paper's Eq. 20-21. Chapter 7 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import expect, point_cloud, real_tensor
from .scores import block_rows


def score_scale(points: torch.Tensor) -> float:
    """The typical gap between the two best scores, R / sqrt(2 log N), with R the root mean square distance of the
    atoms (N, d) to their mean."""
    radius = float((points - points.mean(0)).square().sum(1).mean().sqrt())
    return radius / math.sqrt(2 * math.log(max(len(points), 2)))


@dataclass(frozen=True, eq=False)
class SmoothMap:
    """z -> sum_j softmax_j((<z, y_j> + h_j) / tau) y_j. points (N, d), heights (N,), tau absolute."""

    points: torch.Tensor
    heights: torch.Tensor
    tau: float

    def __post_init__(self):
        points = point_cloud(self.points)
        heights = real_tensor(self.heights, "heights").to(points)
        expect(heights.shape == points.shape[:1], "heights", f"shape ({len(points)},)", f"shape {tuple(heights.shape)}")
        expect(self.tau > 0, "tau", "a positive temperature", self.tau)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "heights", heights)

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """The images (n, d) of z (n, d)."""
        return torch.cat([shares @ self.points for shares in self._blocks(z)])

    def shares(self, z: torch.Tensor) -> torch.Tensor:
        """Softmax weights (n, N): the probability of each atom given z in the entropic coupling."""
        return torch.cat(list(self._blocks(z)))

    def potential(self, z: torch.Tensor) -> torch.Tensor:
        """u_tau(z), shape (n,)."""
        parts = [self.tau * torch.logsumexp(s / self.tau, 1) for s in self._scores(z)]
        return torch.cat(parts) - self.tau * math.log(len(self.points))

    def jacobian(self, z: torch.Tensor) -> torch.Tensor:
        """D^2 u_tau(z) = Cov_softmax(y) / tau, shape (n, d, d): symmetric, positive semi-definite."""
        shares = self.shares(z)
        second = torch.einsum("nj,ja,jb->nab", shares, self.points, self.points)
        mean = shares @ self.points
        return (second - mean[:, :, None] * mean[:, None, :]) / self.tau

    def _scores(self, z):
        z = point_cloud(z, "z", self.points.shape[1]).to(self.points)
        rows = block_rows(len(self.points), self.points.device)
        for start in range(0, len(z), rows):
            yield torch.addmm(self.heights, z[start : start + rows], self.points.T)

    def _blocks(self, z):
        return (torch.softmax(scores / self.tau, 1) for scores in self._scores(z))
