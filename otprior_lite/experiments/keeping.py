"""What is kept on the way back: KL to the right law, at T and at 0, for the probability flow and for the reverse SDE.

The flow is invertible and keeps KL exactly; the SDE can only lose it. On a line both ends are exact up to quadrature. In the
plane each end is an average over its own draws, so that equality is something the numbers could refuse. Chapter 4 shows it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .. import bounds
from ..estimate import Estimate
from ..flow import flow_jacobian
from ..forward import marginal
from ..targets import GaussianMixture
from .back import CLOCK, KINDS

_TIMES = (0.12, 0.9)  # the shortest and the longest T


@dataclass(frozen=True)
class KlPair:
    """KL(p_T || N(0, I)) and KL(p_0 || q_0), with standard errors (0: exact up to quadrature)."""

    d: int
    kind: str
    T: float
    at_T: Estimate
    at_0: Estimate


def kl_pairs(seed: int = 0, n: int = 1500, lines: int = 7, planes: int = 6) -> list[KlPair]:
    """Random mixtures of three components: on a line by quadrature, in the plane by n draws, fresh ones at each end."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for T in np.geomspace(*_TIMES, lines):
        target = _random(1, generator)
        for kind in KINDS:
            found = bounds.carried_kl(target, CLOCK, float(T), kind=kind)
            pairs.append(KlPair(1, kind, float(T), *(Estimate(v, 0.0, 0, 0.0) for v in (found.at_T, found.at_0))))
    for T in np.geomspace(*_TIMES, planes):
        pairs += _plane(_random(2, generator), float(T), n, generator)
    return pairs


def _random(d: int, generator) -> GaussianMixture:
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)
    variances = 0.08 + 0.5 * torch.rand(3, generator=generator, dtype=torch.float64)
    return GaussianMixture(torch.softmax(0.5 * draw(3), 0), 1.1 * draw(3, d), variances)


def _plane(target, T: float, n: int, generator) -> list[KlPair]:
    """At 0 over fresh y: log p_0 - log q_0 through the flow's Jacobian, or -log E[(gamma/p_T)(x_T) | x_0 = y] for the SDE."""
    alpha, sigma = float(CLOCK.alpha(T)), float(CLOCK.sigma(T))
    p_T, log_gamma = marginal(target, CLOCK, T), lambda x: -x.square().sum(-1) / 2 - math.log(2 * math.pi)
    x, y = p_T.sample(n, generator), target.sample(n, generator)
    forward = flow_jacobian(target, CLOCK, y, 0.0, T, tolerance=1e-7)
    ode = target.log_prob(y) - log_gamma(forward.x) - torch.linalg.slogdet(forward.jacobian).logabsdet
    knots, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(24))
    xi, mass = torch.cartesian_prod(knots, knots), (weights[:, None] * weights).flatten() / (2 * math.pi)
    noised = (alpha * y[:, None] + sigma * xi).reshape(-1, 2)
    ratio = (log_gamma(noised) - p_T.log_prob(noised)).exp().reshape(n, -1)
    sde = -(ratio @ mass).log()
    at_T = _mean(p_T.log_prob(x) - log_gamma(x))
    return [KlPair(2, kind, T, at_T, _mean(v)) for kind, v in (("ode", ode), ("sde", sde))]


def _mean(values: torch.Tensor) -> Estimate:
    return Estimate(float(values.mean()), 0.0, len(values), float(values.std()) / math.sqrt(len(values)))
