"""What the gap becomes at time 0: Gaussian closed forms against matrices, ODE integration and quadrature."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from zoo import (
    bimodal,
    f64,
    few,
    gaussian,
    normal_kl,
    normal_w2,
    parts,
    random_mixture,
    random_rotation,
    rng,
    scipy_density,
    seeds,
)

from otprior_lite import bounds, gap, samplers, schedules
from otprior_lite.score import ExactDenoiser

OU = schedules.ou(4.0)


def test_check_16_gaussian_kl_is_carried_unchanged():
    """Check 16: spectrum (4, 1, .25, .01), T = .5: KL = .247785 at T and, by the flow, at 0."""
    error = bounds.gaussian_error("ode", gaussian(), OU, 0.5)
    assert error.kl_T == pytest.approx(0.247785, abs=5e-7)
    assert error.kl_0 == pytest.approx(0.247785, abs=5e-7)


def test_check_16_mixture_by_quadrature():
    """Check 16: bimodal(+-1, var .25), T = 1: KL(p_0||q_0) = KL(p_T||q_T) = 3.057577e-4, rtol 1e-4.

    q_0 is the law of the sampler's output from N(0, 1); its density follows from the derivative of the flow map.
    """
    target = bimodal(1.0, 0.25)
    z = torch.linspace(-7, 7, 401, dtype=f64)[:, None].requires_grad_()
    options = {"steps": 1000, "t_start": 1.0, "t_end": 1e-6, "spacing": "time", "method": "heun"}
    x = samplers.sample(ExactDenoiser(target, OU), OU, z, **options)
    (slope,) = torch.autograd.grad(x.sum(), z)
    at, slope, z = (v.detach().numpy()[:, 0] for v in (x, slope, z))
    q0 = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / slope
    p0 = scipy_density(target, at[:, None])
    kl_0 = np.trapezoid(p0 * np.log(p0 / q0) * slope, z)
    assert gap.kl(target, OU, 1.0).value == pytest.approx(3.057577e-4, rel=1e-6)
    assert kl_0 == pytest.approx(3.057577e-4, rel=1e-4)


def test_check_17_the_sde_forgets():
    """Check 17: KL at 0 by the reverse SDE: .061793 (T = .5), .003618 (T = 1)."""
    for T, value in ((0.5, 0.061793), (1.0, 0.003618)):
        error = bounds.gaussian_error("sde", gaussian(), OU, T)
        assert error.kl_0 == pytest.approx(value, abs=6e-7)
        assert error.kl_0 < error.kl_T


def test_check_18_gaussian_w2():
    """Check 18: W2 at T, by the ODE, by the SDE: .515880/.627723/.408932 (T=.5), .029414/.052903/.003620 (T=2)."""
    for T, at_T, ode, sde in ((0.5, 0.515880, 0.627723, 0.408932), (2.0, 0.029414, 0.052903, 0.003620)):
        for kind, value in (("ode", ode), ("sde", sde)):
            error = bounds.gaussian_error(kind, gaussian(), OU, T)
            assert error.w2_T == pytest.approx(at_T, abs=6e-7)
            assert error.w2_0 == pytest.approx(value, abs=6e-7)


@few
@given(st.lists(st.floats(0.01, 9), min_size=1, max_size=6), st.floats(0.1, 3.5))
def test_check_17_and_18_hold_for_random_spectra(spectrum, T):
    """Checks 16 to 18: centred data: KL equal (ODE), smaller (SDE); W2 by the SDE never above the ODE's."""
    ode, sde = (bounds.gaussian_error(kind, gaussian(spectrum), OU, T) for kind in ("ode", "sde"))
    assert ode.kl_0 == pytest.approx(ode.kl_T, rel=1e-7, abs=1e-12)
    assert sde.kl_0 <= sde.kl_T + 1e-12 and sde.w2_0 <= ode.w2_0 + 1e-12


@few
@given(seeds, st.integers(1, 4), st.floats(0.1, 3.5))
def test_check_22_mean_shift(seed, d, T):
    """Check 22: N(m, I): q_0 = N((1 - e^{-T}) m, I), so W2 is e^{-T}|m| at both ends."""
    m = np.random.default_rng(seed).normal(size=d)
    error = bounds.gaussian_error("ode", gaussian([1.0] * d, m), OU, T)
    assert error.w2_T == pytest.approx(math.exp(-T) * np.linalg.norm(m), rel=1e-9)
    assert error.w2_0 == pytest.approx(error.w2_T, rel=1e-9)


SCHEDULES = [schedules.ou(2.0), schedules.vp(), schedules.sub_vp(), schedules.ve(0.001, 3.0), schedules.scaled_linear(10)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("kind", ["ode", "sde"])
def test_moments_integrated_by_scipy(schedule, kind):
    """q_0 by integrating the reverse mean and covariance equations of a correlated Gaussian down to t ~ 0.

    Reverse drift f x - k g^2 score with k = 1/2 (ode) or 1 (sde), and noise g^2 for the SDE.
    """
    target = random_mixture(3, 1, 21)
    _, (m,), (S,) = parts(target)
    T = 0.8 * schedule.T if schedule.betas is None else 8.0
    half = 0.5 if kind == "ode" else 1.0

    def backwards(u, state):
        t = T - u
        a, s2, f, g2 = (float(c(t)) for c in (schedule.alpha, schedule.sigma, schedule.drift, schedule.diffusion_squared))
        inverse = np.linalg.inv(a**2 * S + s2**2 * np.eye(3))
        mean, cov = state[:3], state[3:].reshape(3, 3)
        A = -f * np.eye(3) - half * g2 * inverse  # drift of x when time runs down
        dm = A @ mean + half * g2 * inverse @ (a * m)
        dS = A @ cov + cov @ A.T + (0 if kind == "ode" else g2) * np.eye(3)
        return np.concatenate([dm, dS.ravel()])

    s = float(schedule.reference_std(T))
    start = np.concatenate([np.zeros(3), (s**2 * np.eye(3)).ravel()])
    # A discrete schedule has a kink at every step: integrate it step by step.
    knots = [0.0, T - 1e-6 * schedule.T] if schedule.betas is None else [*range(int(T)), T - 1e-6]
    for low, high in zip(knots[:-1], knots[1:]):
        start = solve_ivp(backwards, (low, high), start, rtol=1e-7, atol=1e-9, method="DOP853").y[:, -1]
    error = bounds.gaussian_error(kind, target, schedule, T)
    tolerance = 3e-3 if schedule.name.startswith("ve") else 2e-4  # ve keeps sigma_min = .001 at t = 0
    assert error.w2_0 == pytest.approx(normal_w2(m, S, start[:3], start[3:].reshape(3, 3)), rel=tolerance, abs=1e-4)
    a, s2 = float(schedule.alpha(T)), float(schedule.sigma(T))
    at_T = a * m, a**2 * S + s2**2 * np.eye(3), np.zeros(3), s**2 * np.eye(3)
    assert error.w2_T == pytest.approx(normal_w2(*at_T), rel=1e-7)
    assert error.kl_T == pytest.approx(normal_kl(*at_T), rel=1e-7)
    assert error.kl_0 == pytest.approx(normal_kl(m, S, start[:3], start[3:].reshape(3, 3)), rel=0.02, abs=1e-4)


@few
@given(seeds, st.sampled_from(["ode", "sde"]), st.floats(0.2, 3.0))
def test_a_rotation_changes_nothing(seed, kind, T):
    target = random_mixture(3, 2, seed)
    _, mu, S = parts(target)
    R = random_rotation(3, seed)
    turned = type(target)(target.weights, mu @ R.T, R @ S @ R.T)
    a, b = (bounds.gaussian_error(kind, law, OU, T) for law in (target, turned))
    np.testing.assert_allclose((a.w2_T, a.w2_0, a.kl_T, a.kl_0), (b.w2_T, b.w2_0, b.kl_T, b.kl_0), rtol=1e-7)


def test_samplers_reach_the_predicted_error():
    """4,000 reverse SDE runs from N(0, I) have the mean and variance that the formula's W2 is made of."""
    spectrum = (4.0, 0.25)
    schedule = schedules.ou(0.5)
    target = gaussian(spectrum, (1.0, -1.0))
    x = torch.randn(4000, 2, generator=rng(1), dtype=f64)
    x = samplers.sample(
        ExactDenoiser(target, schedule), schedule, x, steps=400, method="em", generator=rng(2), spacing="time", t_end=1e-4
    ).numpy()
    q = x.mean(0), np.cov(x.T)
    found = normal_w2(np.array([1.0, -1.0]), np.diag(spectrum), *q)
    assert found == pytest.approx(bounds.gaussian_error("sde", target, schedule).w2_0, abs=0.06)


def test_degenerate_data_has_infinite_kl_and_finite_w2():
    """One point y: p_0 is a Dirac, KL infinite; the flow sends N(0, I) to y too, W2 = 0."""
    from otprior_lite.targets import Empirical

    error = bounds.gaussian_error("ode", Empirical([[1.0, 2.0]]), OU, 1.0)
    assert error.kl_0 == math.inf and error.w2_0 == pytest.approx(0, abs=1e-12) and error.w2_T > 0.5


@pytest.mark.parametrize("argument, call", [
    ("kind", lambda: bounds.gaussian_error("pde", gaussian(), OU, 1.0)),
    ("T", lambda: bounds.gaussian_error("ode", gaussian(), OU, 0.0)),
    ("T", lambda: bounds.gaussian_error("ode", gaussian(), OU, 9.0)),
    ("T", lambda: bounds.gaussian_error("sde", gaussian(), OU, float("nan"))),
])  # fmt: skip
def test_bounds_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
