"""Where one dimension or the variational equation knows the answer: the prior error that the flow carries to time 0.

In one dimension the flow from T to 0 is G = F_0^{-1} o F_T, and q_0 = G # N(0, s^2) is coupled to p_0 by ranks:

    W2(p_0, q_0)^2 = int (F_0^{-1}(u) - G(s Phi^{-1}(u)))^2 du.

KL is carried without loss, because a smooth change of variables leaves the ratio of two densities alone; `carried_kl`
checks it with the Jacobian of the integrated flow, which knows nothing of F. Chapter 4 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import expect
from ..flow import flow_jacobian
from ..forward import marginal
from ..gap.line import line_parts, nodes, standardised, w2_one_dimensional
from ..schedules import Schedule
from ..targets import GaussianMixture, normal_to


@dataclass(frozen=True)
class CarriedError:
    """An error at T and what the exact probability flow makes of it at time t; in W2 or in KL (nats)."""

    at_T: float
    at_0: float

    @property
    def ratio(self) -> float:
        """at_0 / at_T; NaN when there is no error at T."""
        return self.at_0 / self.at_T if self.at_T > 0 else math.nan


def _ends(target, schedule: Schedule, T, t):
    fits = isinstance(target, GaussianMixture) and target.d == 1
    expect(fits, "target", "a GaussianMixture in dimension 1", f"{type(target).__name__} in dimension {target.d}")
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    expect(0 <= float(t) < T, "t", f"a time in [0, {T:g})", t)
    law = target.to(torch.float64)
    return T, marginal(law, schedule, t), marginal(law, schedule, T), float(schedule.reference_std(T))


def carried_w2(target, schedule: Schedule, T=None, *, t: float = 0.0) -> CarriedError:
    """W2(p_T, N(0, s^2)) and W2(p_t, q_t) after the exact reverse flow, in one dimension: exact, by quantiles."""
    T, p, p_T, s = _ends(target, schedule, T, t)
    parts = line_parts(p)
    cuts = np.concatenate([parts[1] + k * parts[2] for k in np.linspace(-12, 12, 97)])
    y, weight = nodes(*parts)
    fine = np.unique(np.concatenate([cuts, y]))  # composite rule between all of these: q_t may be steep inside a panel
    u, w = np.polynomial.legendre.leggauss(4)
    half, middle = np.diff(fine) / 2, (fine[1:] + fine[:-1]) / 2
    y, weight = (middle[:, None] + half[:, None] * u).ravel(), (half[:, None] * w).ravel()
    z, log_p = standardised(*parts, y)
    keep = log_p + np.log(np.maximum(weight, 1e-300)) > -75
    y, z, mass = y[keep], z[keep], (weight * np.exp(log_p))[keep]
    carried = normal_to(p, torch.from_numpy(standardised(*line_parts(p_T), s * z)[0])).cpu().numpy()
    return CarriedError(w2_one_dimensional(p_T, s), math.sqrt(float(mass @ (y - carried) ** 2)))


def carried_kl(target, schedule: Schedule, T=None, *, t: float = 0.0) -> CarriedError:
    """KL(p_T || N(0, s^2)) and KL(p_t || q_t) in one dimension; q_t's density from the flow's Jacobian. They are equal."""
    T, p, p_T, s = _ends(target, schedule, T, t)
    expect(s > 0, "T", "a time at which the reference N(0, s^2) has a density", T)
    x, weight = nodes(*line_parts(p_T))
    log_T = standardised(*line_parts(p_T), x)[1]
    keep = log_T > -60
    x, weight, log_T = x[keep], weight[keep], log_T[keep]
    log_prior = -0.5 * (x / s) ** 2 - math.log(s * math.sqrt(2 * math.pi))
    step = flow_jacobian(target.to(torch.float64), schedule, x[:, None], T, t)
    y, slope = step.x.numpy()[:, 0], step.jacobian.numpy()[:, 0, 0]
    log_p = standardised(*line_parts(p), y)[1]
    log_q = log_prior - np.log(slope)
    return CarriedError(
        float(weight @ (np.exp(log_T) * (log_T - log_prior))), float(weight @ (slope * np.exp(log_p) * (log_p - log_q)))
    )
