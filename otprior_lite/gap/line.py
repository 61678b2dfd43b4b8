"""One dimension: W2 to a Gaussian, exactly, by the increasing map.

The optimal map from p to N(0, s^2) is x -> s z(x) with z = Phi^{-1}(F(x)), so

    W2^2 = int (x - s z(x))^2 p(x) dx.

Both tails of F are kept as logarithms, and the integral runs over x, where a gap between two modes costs
nothing; panels of one standard deviation of every component make Gauss's rule accurate to rounding.
Chapters 3 and 5 teach this module.
"""

import math

import numpy as np
import torch

from ..errors import expect
from ..estimate import Estimate
from ..forward import marginal
from ..schedules import Schedule
from ..targets import Empirical, GaussianMixture
from .moments import moments

_RANGE = 12  # standard deviations of a component that are integrated over


def line_parts(p: GaussianMixture):
    """weights, means and standard deviations of a one-dimensional mixture as float64 arrays, components of weight 0 left out."""
    w, mu, variance = (v.detach().double().cpu().numpy() for v in (p.weights, p.means[:, 0], p.covariances.reshape(-1)))
    return w[w > 0], mu[w > 0], np.sqrt(variance[w > 0])


def nodes(w, mu, std, order: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on panels cut at mu_k + j std_k, j = -12..12: int f(x) dx = weights . f(nodes)."""
    cuts = np.sort((mu[:, None] + std[:, None] * np.arange(-_RANGE, _RANGE + 1)).ravel())
    close = np.flatnonzero(np.diff(np.floor((cuts - cuts[0]) / (0.5 * std.min()))) > 0) + 1
    cuts = np.concatenate([cuts[:1], cuts[close], cuts[-1:]])
    half, middle = np.diff(cuts) / 2, (cuts[1:] + cuts[:-1]) / 2
    u, weight = np.polynomial.legendre.leggauss(order)
    return (middle[:, None] + half[:, None] * u).ravel(), (half[:, None] * weight).ravel()


def standardised(w, mu, std, x) -> tuple[np.ndarray, np.ndarray]:
    """z(x) = Phi^{-1}(F(x)) and log p(x) of a one-dimensional mixture; z is accurate in both tails."""
    from scipy.special import log_ndtr, logsumexp, ndtri_exp

    z, log_p = np.empty_like(x), np.empty_like(x)
    for block in np.array_split(np.arange(len(x)), max(1, len(x) * len(w) // 2**22)):
        u = (x[block][:, None] - mu) / std
        lower, upper = (logsumexp(log_ndtr(sign * u), axis=1, b=w) for sign in (1, -1))
        nearer = lower < upper
        z[block] = np.where(nearer, 1, -1) * ndtri_exp(np.minimum(0.0, np.where(nearer, lower, upper)))
        log_p[block] = logsumexp(-(u**2) / 2, axis=1, b=w / std / math.sqrt(2 * math.pi))
    return z, log_p


def w2_one_dimensional(p, s: float, mean: float = 0.0) -> float:
    """W2(p, N(mean, s^2)) for a one-dimensional mixture or point set; s may be 0."""
    if isinstance(p, Empirical):
        return _w2_to_points(p.to(torch.float64), s, mean)
    parts = line_parts(p)
    x, weight = nodes(*parts)
    z, log_p = standardised(*parts, x)
    return math.sqrt(float(weight @ ((x - mean - s * z) ** 2 * np.exp(log_p))))


def _w2_to_points(p: Empirical, s: float, mean: float) -> float:
    """T is constant between the normal quantiles q_i of the running weights: E[z T(z)] = sum x_i (phi(q_{i-1}) - phi(q_i))."""
    x, order = (p.points[:, 0] - mean).sort()
    q = torch.special.ndtri(p.weights[order].cumsum(0)[:-1].clamp(0, 1))
    density = torch.nn.functional.pad((-q.square() / 2).exp() / math.sqrt(2 * math.pi), (1, 1))
    correlation = (x * (density[:-1] - density[1:])).sum()
    return math.sqrt(max(0.0, float(s**2 + p.weights[order] @ x.square() - 2 * s * correlation)))


def moment_matched_gap(target, schedule: Schedule, t=None) -> Estimate:
    """W2(p_t, N(m_t, Sigma_t)): what is left when the prior has p_t's mean and variance. One dimension, exact.

    More dimensions raise ValueError; there `prior_gap(...).shape` and `hermite_asymptotics(..., prior="moment_matched")`
    say what can be said. t defaults to T.
    """
    expect(target.d == 1, "target", "a target in dimension 1", f"dimension {target.d}")
    t = schedule.T if t is None else t
    _, _, _, mean, spectrum = moments(target, schedule, t)
    value = w2_one_dimensional(marginal(target, schedule, t), math.sqrt(float(spectrum[0])), float(mean[0]))
    return Estimate(value, 0.0, 0, 0.0)
