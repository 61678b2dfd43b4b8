"""Distributions whose diffusion is exact: Gaussian mixtures and finite point sets.

The forward channel x_t = alpha x_0 + sigma eps maps a component N(mu, S) to N(alpha mu, C) with
C = alpha^2 S + sigma^2 I. So the density, the score and the posterior of x_0 are closed forms at every t:

    r_k(x) = softmax_k(log w_k + log N(x; alpha mu_k, C_k))
    score(x) = sum_k r_k C_k^{-1} (alpha mu_k - x)
    E[x_0 | x] = sum_k r_k (mu_k + alpha S_k C_k^{-1} (x - alpha mu_k))

A point set is the case S = 0. Everything is evaluated in the eigenbasis of S_k, in blocks of bounded
memory, through log-sum-exp. Taught in chapters 1 and 2.
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property

import torch

from ..errors import count, expect, point_cloud, probability_vector, real_tensor
from ..linalg import check_spd, squared_distances
from ..randomness import categorical, normal

_BLOCK = 2**24  # numbers held at once by one block of an evaluation


def _channel(alpha, sigma) -> tuple[float, float]:
    alpha, sigma = float(alpha), float(sigma)
    expect(0 <= alpha < math.inf and 0 <= sigma < math.inf, "alpha, sigma", "finite non-negative numbers", (alpha, sigma))
    return alpha, sigma


def _shares(log_joint: torch.Tensor) -> torch.Tensor:
    """P(component k | x), shape (n, K), from log_joint (n, K). Shares below the root of the smallest normal number are 0:
    they change no digit of a sum, and a CPU multiplies the subnormal numbers they lead to many times slower."""
    shares = log_joint.softmax(-1)
    return torch.nn.functional.threshold(shares, torch.finfo(shares.dtype).tiny ** 0.5, 0.0)


class _Mixture:
    """Shared formulas. A subclass gives weights (K,), means (K, d) and the spectra of its covariances."""

    @property
    def d(self) -> int:
        """Dimension."""
        return self.means.shape[1]

    @cached_property
    def mean(self) -> torch.Tensor:
        """E[x], shape (d,)."""
        return self.weights @ self.means

    @cached_property
    def covariance(self) -> torch.Tensor:
        """Cov[x], shape (d, d)."""
        centred = self.means - self.mean
        between = (centred * self.weights[:, None]).T @ centred
        if self._axes is None:
            return between + (self.weights @ self._spectrum) * torch.eye(self.d, dtype=between.dtype, device=between.device)
        return between + torch.einsum("k,kij,kj,klj->il", self.weights, self._axes, self._spectrum, self._axes)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, d)."""
        k = categorical(self.weights, count(n), generator)
        z = normal((n, self.d), generator, dtype=self.means.dtype, device=self.means.device)
        z = z * self._spectrum[k].sqrt()
        return self.means[k] + (z if self._axes is None else torch.einsum("nij,nj->ni", self._axes[k], z))

    def posterior_mean(self, x, alpha, sigma) -> torch.Tensor:
        """E[x_0 | alpha x_0 + sigma eps = x] for rows of x (n, d)."""
        return self._in_blocks(self._posterior_mean, x, alpha, sigma)

    def posterior_covariance(self, x, alpha, sigma) -> torch.Tensor:
        """Cov[x_0 | alpha x_0 + sigma eps = x], shape (n, d, d)."""
        return self._in_blocks(self._posterior_covariance, x, alpha, sigma, extra=self.d)

    def to(self, *args, **kwargs):
        """The same law in another dtype or on another device (arguments of `torch.Tensor.to`)."""
        return type(self)(*(getattr(self, field.name).to(*args, **kwargs) for field in fields(self)))

    # ---- evaluation at (alpha, sigma): x (n, d) against K components

    def _in_blocks(self, function, x, alpha, sigma, extra: int = 1):
        x = point_cloud(x, "x", self.d).to(self.means)
        alpha, sigma = _channel(alpha, sigma)
        variance = alpha**2 * self._spectrum + sigma**2
        why = f"smallest variance {float(variance.min()):.3g} (points have no density: diffuse them first)"
        expect(bool((variance > 0).all()), "sigma", "a law with positive variance at (alpha, sigma)", why)
        width = len(self.weights) * (1 if self._axes is None else self.d) * extra
        rows = max(1, _BLOCK // width)
        return torch.cat([function(block, alpha, sigma, variance) for block in x.split(rows)])

    def _rotated(self, x, alpha):
        """x - alpha mu_k in the eigenbasis of S_k, shape (n, K, d)."""
        centred = x[:, None, :] - alpha * self.means
        return centred if self._axes is None else torch.einsum("nkd,kde->nke", centred, self._axes)

    def _summed(self, parts):
        """sum_k of vectors (n, K, d) given in the eigenbases of S_k, shape (n, d); `_rotated` lies in memory as (K, n, d)."""
        return (parts.transpose(0, 1) @ self._axes.mT).sum(0)

    def _log_joint(self, x, alpha, variance, rotated=None):
        """log w_k + log N(x; alpha mu_k, C_k), shape (n, K); rotated: `_rotated(x, alpha)`, where it is known."""
        log_det = variance.log().expand(-1, self.d).sum(-1)
        constant = self.weights.log() - 0.5 * (log_det + self.d * math.log(2 * math.pi))
        if self._axes is None:
            return constant + squared_distances(x, alpha * self.means) * (-0.5 / variance[:, 0])
        rotated = self._rotated(x, alpha) if rotated is None else rotated
        return constant - 0.5 * (rotated.square() / variance).sum(-1)

    def _log_prob(self, x, alpha, sigma, variance):
        return self._log_joint(x, alpha, variance).logsumexp(-1)

    def _score(self, x, alpha, sigma, variance):
        rotated = None if self._axes is None else self._rotated(x, alpha)
        r = _shares(self._log_joint(x, alpha, variance, rotated))
        if rotated is None:
            return r @ (alpha * self.means / variance) - (r @ (1 / variance)) * x
        return -self._summed(r[:, :, None] * (rotated / variance))

    def _posterior_mean(self, x, alpha, sigma, variance):
        rotated = None if self._axes is None else self._rotated(x, alpha)
        r = _shares(self._log_joint(x, alpha, variance, rotated))
        gain = alpha * self._spectrum / variance
        if rotated is None:
            return r @ ((1 - alpha * gain) * self.means) + (r @ gain) * x
        return r @ self.means + self._summed(r[:, :, None] * (rotated * gain))

    def _component_means(self, x, alpha, variance):
        """E[x_0 | x, component k], shape (n, K, d)."""
        step = (alpha * self._spectrum / variance) * self._rotated(x, alpha)
        return self.means + (step if self._axes is None else torch.einsum("kde,nke->nkd", self._axes, step))

    def _posterior_covariance(self, x, alpha, sigma, variance):
        r = _shares(self._log_joint(x, alpha, variance))
        means = self._component_means(x, alpha, variance)
        centred = means - torch.einsum("nk,nkd->nd", r, means)[:, None]
        between = torch.einsum("nk,nki,nkj->nij", r, centred, centred)
        left = self._spectrum * sigma**2 / variance
        if self._axes is None:
            eye = torch.eye(self.d, dtype=x.dtype, device=x.device)
            return between + (r @ left)[:, :, None] * eye
        within = torch.einsum("kij,kj,klj->kil", self._axes, left, self._axes)
        return between + torch.einsum("nk,kil->nil", r, within)


@dataclass(frozen=True, eq=False)
class GaussianMixture(_Mixture):
    """sum_k w_k N(mu_k, S_k).

    weights: (K,), non-negative, summing to 1. means: (K, d). covariances: (K, d, d) symmetric positive
    definite, or (K,) variances of isotropic components. Python numbers become float64; tensors keep
    their dtype and device. Raises ValueError on any other input.
    """

    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def __post_init__(self):
        means = point_cloud(self.means, "means")
        k, d = means.shape
        weights = probability_vector(self.weights, k, means)
        covariances = real_tensor(self.covariances, "covariances").to(means)
        isotropic = covariances.ndim == 1
        fits = covariances.shape == ((k,) if isotropic else (k, d, d))
        expect(fits, "covariances", f"shape ({k}, {d}, {d}) or ({k},)", f"shape {tuple(covariances.shape)}")
        if isotropic:
            expect(bool((covariances > 0).all()), "covariances", "positive variances", float(covariances.min()))
        else:
            check_spd(covariances, "covariances")
        for name, value in (("weights", weights), ("means", means), ("covariances", covariances)):
            object.__setattr__(self, name, value)

    @cached_property
    def _eigen(self):
        return torch.linalg.eigh(self.covariances)

    @property
    def _spectrum(self):
        return self.covariances[:, None] if self.covariances.ndim == 1 else self._eigen[0]

    @property
    def _axes(self):
        return None if self.covariances.ndim == 1 else self._eigen[1]

    def log_prob(self, x) -> torch.Tensor:
        """log p(x) for rows of x (n, d), shape (n,)."""
        return self._in_blocks(self._log_prob, x, 1.0, 0.0)

    def score(self, x) -> torch.Tensor:
        """grad log p(x), shape (n, d)."""
        return self._in_blocks(self._score, x, 1.0, 0.0)

    def responsibilities(self, x) -> torch.Tensor:
        """P(component k | x) for rows of x (n, d), shape (n, K)."""
        return self._in_blocks(lambda x, alpha, _, variance: self._log_joint(x, alpha, variance).softmax(-1), x, 1.0, 0.0)

    def diffuse(self, alpha, sigma) -> "GaussianMixture":
        """The law of alpha x + sigma eps."""
        alpha, sigma = _channel(alpha, sigma)
        scaled = alpha**2 * self.covariances
        noise = sigma**2 if scaled.ndim == 1 else sigma**2 * torch.eye(self.d, dtype=scaled.dtype, device=scaled.device)
        return GaussianMixture(self.weights, alpha * self.means, scaled + noise)


@dataclass(frozen=True, eq=False)
class Empirical(_Mixture):
    """The uniform (or weighted) law on finitely many points: sum_i w_i delta(x - x_i).

    points: (N, d). weights: (N,) or None for uniform. It has no density until it is diffused.
    """

    points: torch.Tensor
    weights: torch.Tensor = None

    def __post_init__(self):
        points = point_cloud(self.points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "weights", probability_vector(self.weights, len(points), points))

    _axes = None

    @property
    def means(self):
        """The points: each is a component without spread."""
        return self.points

    @cached_property
    def _spectrum(self):
        return torch.zeros(len(self.points), 1, dtype=self.points.dtype, device=self.points.device)

    def log_prob(self, x):
        """Not defined: a finite point set has no density. Raises ValueError."""
        raise ValueError("log_prob: expected a law with a density, got points; use diffuse(alpha, sigma) first")

    def score(self, x):
        """Not defined: a finite point set has no density. Raises ValueError."""
        raise ValueError("score: expected a law with a density, got points; use diffuse(alpha, sigma) first")

    def diffuse(self, alpha, sigma) -> "GaussianMixture | Empirical":
        """The law of alpha x + sigma eps: isotropic Gaussians at alpha x_i, or points when sigma = 0."""
        alpha, sigma = _channel(alpha, sigma)
        if sigma == 0:
            return Empirical(alpha * self.points, self.weights)
        return GaussianMixture(self.weights, alpha * self.points, torch.full_like(self.weights, sigma**2))
