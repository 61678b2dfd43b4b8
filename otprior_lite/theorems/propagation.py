"""Theorems 3.2 and 3.6: what the prior error and the score error become along the probability flow.

    3.2:  (least) W2(p_T, q_T) <= W2(p_eps, q_eps) <= (Gamma) W2(p_T, q_T)               exact score
    3.6:  |M - M_theta|_{L2(p_T)} <= int (g^2/2) Gamma^(eps, t) RMS(score error) dt        exact start, q_T = p_T

Both are Gronwall's inequality. The statements are known from one secondary report, the paper's constants and proofs were
not seen; the constants here are reconstructed, for the flow only: for the reverse SDE no lower bound of 3.2 is known to
us. Chapters 4 and 10 teach this module.
"""

import math

import numpy as np
import torch

from ..bounds import amplification, carried_w2
from ..errors import count, expect
from ..estimate import Estimate
from ..flow import flow_map
from ..forward import denoiser_velocity, marginal
from ..randomness import seeded
from ..schedules import Schedule
from ..score import ExactDenoiser, score
from ..targets import GaussianMixture
from .inequality import Inequality


def theorem_3_2(target, schedule: Schedule, T=None, eps: float = 0.0) -> Inequality:
    """Irreducibility: least * W2(p_T, N(0, s^2 I)) <= W2(p_eps, q_eps) <= Gamma * W2(p_T, N(0, s^2 I)), for the flow, exact score.

    target: a one-dimensional mixture or a single Gaussian, where both distances are exact. Gamma and least are
    `amplification`'s. Reconstruction: the paper's integrating factors were not seen.
    """
    T = schedule.T if T is None else float(T)
    factor = amplification("ode", target, schedule, T, t=eps)
    gaussian = isinstance(target, GaussianMixture) and len(target.weights) == 1
    known = "a one-dimensional mixture or a single Gaussian"
    expect(gaussian or target.d == 1, "target", known, f"{type(target).__name__} in dimension {target.d}")
    if gaussian:
        at_T, at_eps = _gaussian_ends(target, schedule, T, eps)
    else:
        carried = carried_w2(target, schedule, T, t=eps)
        at_T, at_eps = carried.at_T, carried.at_0
    assumptions = (
        "probability flow, not the SDE: by construction",
        *factor.assumptions,
        "the paper's I(t): unknown, replaced by Gamma",
    )
    terms = (("gamma", factor.value), ("least", factor.least), ("w2_T", at_T))
    right = factor.value * at_T if at_T > 0 else 0.0
    return Inequality(
        "Theorem 3.2", Estimate(at_eps, 0.0, 0, 0.0), right, assumptions, factor.assumptions_met, terms, factor.least * at_T
    )


def _gaussian_ends(target, schedule: Schedule, T, eps) -> tuple[float, float]:
    """W2 at T and at eps for one Gaussian: per eigendirection the flow scales by sqrt(lam_eps / lam_T)."""
    (a, r), (b, q) = ((float(schedule.alpha(t)), float(schedule.sigma(t))) for t in (T, eps))
    s = float(schedule.reference_std(T))
    spectrum, axes = torch.linalg.eigh(target.covariance.double())
    mean = a * (axes.T @ target.mean.double())
    lam_T, lam = a**2 * spectrum + r**2, b**2 * spectrum + q**2
    distance = lambda gain: float((gain * (mean.square() + (lam_T.sqrt() - s).square()).sqrt()).norm())
    return distance(torch.ones_like(lam)), distance((lam / lam_T).sqrt())


def theorem_3_6(
    denoiser, target, schedule: Schedule, T=None, *, eps: float, excess: float | None = None, n: int = 200, generator=None
) -> Inequality:
    """Flow with the exact score against flow with `denoiser(x, t) -> E[x_0 | x_t = x]`, from the same draws of p_T.

    left: root mean square distance of the two end points at eps > 0 (Runge-Kutta for the learned flow). excess: a bound on the
    one-sided Lipschitz constant of (learned score - exact score); without it 0 is used and assumptions_met is False. The
    paper's form with J_SM^{1/2} follows by Cauchy and Schwarz and is the term "cauchy_schwarz"; its constant was not seen.
    """
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    expect(0 < float(eps) < T, "eps", f"a time in (0, {T:g})", eps)
    expect(float(schedule.alpha(T)) > 0, "T", "a time with SNR > 0", T)
    expect(excess is None or math.isfinite(excess), "excess", "a finite one-sided Lipschitz constant", excess)
    law, generator = target.to(torch.float64), generator or seeded()
    x = marginal(law, schedule, T).sample(count(n, at_least=2), generator)
    square = (flow_map(law, schedule, x, T, eps) - _learned_flow(denoiser, schedule, x, T, eps)).square().sum(1)
    rms = float(square.mean().sqrt())
    left = Estimate(rms, 0.0, n, float(square.std()) / math.sqrt(n) / (2 * rms) if rms > 0 else 0.0)

    exact, grid = ExactDenoiser(law, schedule), eps + (T - eps) * np.linspace(0, 1, 17) ** 2
    knots, mass = np.polynomial.legendre.leggauss(3)
    right = stretch = loss = spent = 0.0
    proved = amplification("ode", law, schedule, T, t=eps)
    for low, high in zip(grid[:-1], grid[1:]):
        before = spent
        for t, w in zip((high - low) / 2 * knots + (high + low) / 2, (high - low) / 2 * mass):
            half_g2 = 0.5 * float(schedule.diffusion_squared(t))
            factor = amplification("ode", law, schedule, t, t=eps).value * math.exp(
                (excess or 0.0) * (before + half_g2 * (t - low))
            )
            y = marginal(law, schedule, t).sample(n, generator)
            error = (score(exact, schedule, y, t) - score(denoiser, schedule, y, t)).square().sum(1).mean()
            right += w * half_g2 * factor * math.sqrt(float(error)) if error > 0 else 0.0
            spent += w * half_g2
            stretch, loss = stretch + w * half_g2 * factor**2, loss + w * half_g2 * float(error)
    known_excess = "one-sided Lipschitz constant of the score error: " + (
        "unknown, taken as 0" if excess is None else f"given, {excess:g}"
    )
    assumptions = (*proved.assumptions[1:], "q_T = p_T: by construction", known_excess, f"right side over p_t: sampled, n = {n}")
    terms = (("cauchy_schwarz", math.sqrt(stretch * loss)), ("j_sm", loss))
    return Inequality("Theorem 3.6", left, right, assumptions, proved.assumptions_met and excess is not None, terms)


def _learned_flow(denoiser, schedule: Schedule, x, T, eps) -> torch.Tensor:
    from scipy.integrate import solve_ivp

    def rate(t, state):
        y = torch.from_numpy(state.reshape(x.shape))
        return denoiser_velocity(denoiser(y, t).to(y), schedule, y, t).detach().numpy().ravel()

    done = solve_ivp(rate, (T, eps), x.numpy().ravel(), method="DOP853", rtol=1e-8, atol=1e-10, t_eval=[eps])
    if not done.success:
        raise RuntimeError(f"the learned flow from {T} to {eps} was not integrated: {done.message}")
    return torch.from_numpy(done.y[:, -1].reshape(x.shape))
