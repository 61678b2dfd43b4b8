"""Where one dimension or the variational equation knows the answer: the prior error that arrives at time 0.

In one dimension the flow from T to 0 is G = F_0^{-1} o F_T, and q_0 = G # N(0, s^2) is coupled to p_0 by ranks:

    W2(p_0, q_0)^2 = int (F_0^{-1}(u) - G(s Phi^{-1}(u)))^2 du.

KL is carried without loss, because a smooth change of variables leaves the ratio of two densities alone; `carried_kl`
checks it with the Jacobian of the integrated flow, which knows nothing of F. The reverse SDE forgets part of both: its
q_0 comes from `forgetting.reverse_sde_law`. Chapter 4 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import expect, known
from ..flow import flow_jacobian
from ..forward import marginal
from ..gap.line import line_parts, nodes, standardised, w2_one_dimensional
from ..schedules import Schedule
from ..targets import GaussianMixture, normal_to
from .forgetting import normal_start, reverse_sde_law


@dataclass(frozen=True)
class CarriedError:
    """An error at T and what the exact reverse process makes of it at time t; in W2 or in KL (nats)."""

    at_T: float
    at_0: float

    @property
    def ratio(self) -> float:
        """at_0 / at_T; NaN when there is no error at T."""
        return self.at_0 / self.at_T if self.at_T > 0 else math.nan


def _ends(target, schedule: Schedule, T, t, start):
    """T, the laws p_t and p_T, and the start, all in float64."""
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    expect(0 <= float(t) < T, "t", f"a time in [0, {T:g})", t)
    for name, law in (("target", target), ("start", start)):
        fits = law is None or isinstance(law, GaussianMixture) and law.d == 1
        expect(fits, name, "a GaussianMixture in dimension 1", f"{type(law).__name__} in dimension {getattr(law, 'd', '?')}")
    law = target.to(torch.float64)
    start = None if start is None else start.to(torch.float64)
    return T, marginal(law, schedule, t), marginal(law, schedule, T), start


def carried_w2(
    target, schedule: Schedule, T=None, *, t: float = 0.0, kind: str = "ode", start: GaussianMixture | None = None
) -> CarriedError:
    """W2(p_T, q_T) and W2(p_t, q_t) after the exact reverse "ode" or "sde", in one dimension: exact, by quantiles.

    start: q_T, a mixture in one dimension; default N(0, s^2), which may be a point (s = 0) for the ode.
    """
    T, p, p_T, start = _ends(target, schedule, T, t, start)
    s = float(schedule.reference_std(T))
    at_T = w2_one_dimensional(p_T, s) if start is None else _w2_line(p_T, start)
    if known(kind, ("ode", "sde"), "kind") == "sde":
        return CarriedError(at_T, _w2_line(p, reverse_sde_law(target, schedule, T, t=t, start=start)))
    if start is None:
        begin, code, moves = lambda z: s * z, lambda x: x / s, s > 0
    else:
        begin, code = lambda z: _quantiles(start, z), lambda x: standardised(*line_parts(start), x)[0]
        moves = bool((line_parts(start)[2] > 0).all())
    # G = F_0^{-1} o F_T is steep where its image crosses a gap of p: the nodes follow the image back as well.
    back = lambda y: _quantiles(p, code(_quantiles(p_T, standardised(*line_parts(p), y)[0])))
    y, mass, z = _fine_nodes(p, back if moves else None)
    carried = _quantiles(p, standardised(*line_parts(p_T), begin(z))[0])
    return CarriedError(at_T, math.sqrt(float(mass @ (y - carried) ** 2)))


def _quantiles(p: GaussianMixture, z: np.ndarray) -> np.ndarray:
    return normal_to(p, torch.from_numpy(z)).cpu().numpy()


def _fine_nodes(p: GaussianMixture, back=None):
    """Points y, their masses under p, and z = Phi^{-1}(F(y)): Gauss-Legendre on a fine grid and on what `back` makes of it."""
    parts = line_parts(p)
    cuts = np.concatenate([parts[1] + k * parts[2] for k in np.linspace(-12, 12, 97)] + [nodes(*parts)[0]])
    if back is not None:
        cuts = np.concatenate([cuts, back(cuts[standardised(*parts, cuts)[1] > -75])])
    fine = np.unique(cuts)
    u, w = np.polynomial.legendre.leggauss(4)
    half, middle = np.diff(fine) / 2, (fine[1:] + fine[:-1]) / 2
    y, weight = (middle[:, None] + half[:, None] * u).ravel(), (half[:, None] * w).ravel()
    z, log_p = standardised(*parts, y)
    keep = log_p + np.log(np.maximum(weight, 1e-300)) > -75
    return y[keep], (weight * np.exp(log_p))[keep], z[keep]


def _w2_line(p: GaussianMixture, q: GaussianMixture) -> float:
    """W2 of two mixtures in one dimension; the one with fewer components is inverted, over nodes of the other."""
    few, many = (p, q) if len(p.weights) < len(q.weights) else (q, p)
    x, weight = nodes(*line_parts(many), order=16)
    z, log_density = standardised(*line_parts(many), x)
    keep = log_density > -60
    sent = normal_to(few, torch.from_numpy(z[keep])).cpu().numpy()
    return math.sqrt(float((weight * np.exp(log_density))[keep] @ (x[keep] - sent) ** 2))


def carried_kl(
    target, schedule: Schedule, T=None, *, t: float = 0.0, kind: str = "ode", start: GaussianMixture | None = None
) -> CarriedError:
    """KL(p_T || q_T) and KL(p_t || q_t) in one dimension. q_t's density: from the flow's Jacobian (ode), which keeps KL, or a mixture (sde)."""
    known(kind, ("ode", "sde"), "kind")
    T, p, p_T, start = _ends(target, schedule, T, t, start)
    start = normal_start(schedule, T) if start is None else start
    x, weight = nodes(*line_parts(p_T))
    log_T = standardised(*line_parts(p_T), x)[1]
    keep = log_T > -60
    x, weight, log_T = x[keep], weight[keep], log_T[keep]
    log_start = standardised(*line_parts(start), x)[1]
    at_T = float(weight @ (np.exp(log_T) * (log_T - log_start)))
    if kind == "sde":
        q = reverse_sde_law(target, schedule, T, t=t, start=start)
        y, weight = nodes(*line_parts(p))
        log_p, log_q = (standardised(*line_parts(law), y)[1] for law in (p, q))
        return CarriedError(at_T, float(weight @ (np.exp(log_p) * (log_p - log_q))))
    step = flow_jacobian(target.to(torch.float64), schedule, x[:, None], T, t)
    y, slope = step.x.numpy()[:, 0], step.jacobian.numpy()[:, 0, 0]
    log_p = standardised(*line_parts(p), y)[1]
    log_q = log_start - np.log(slope)
    return CarriedError(at_T, float(weight @ (slope * np.exp(log_p) * (log_p - log_q))))
