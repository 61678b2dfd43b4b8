"""Samplers against closed forms, quantile maps, scipy's integrator and known orders of convergence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import solve_ivp
from zoo import (
    DTYPES,
    SCHEDULES,
    ZERO_SNR,
    bimodal,
    f64,
    few,
    gaussian,
    mixtures,
    rng,
    scipy_cdf,
    scipy_quantile,
    triangle,
)  # fmt: skip

from otprior_lite import samplers, schedules
from otprior_lite.forward import marginal, velocity
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser
from otprior_lite.targets import cdf, normal_to

OU = schedules.ou(3.0)
DETERMINISTIC = ("ddim", "euler", "heun", "dpmpp2m")
SPECTRUM = np.array([4.0, 1.0, 0.25, 0.01])


def channel(schedule, t):
    return float(schedule.alpha(t)), float(schedule.sigma(t))


# ---- exact answers


@pytest.mark.parametrize("name", ["ou", "vp", "ve", "edm", "flow_matching", "zero_scaled_linear"])
def test_check_9_ddim_of_a_gaussian(name):
    """Check 9: K DDIM steps multiply the std by prod <v_s, v_t>/|v_t|^2; from exact p_T: sqrt(lam_0) prod cos dphi (1e-10)."""
    schedule = SCHEDULES[name]()
    t_end = 0.02 * schedule.T
    grid = samplers.time_grid(schedule, 7, t_end=t_end)
    alpha, sigma = schedule.alpha(grid)[:, None].numpy(), schedule.sigma(grid)[:, None].numpy()
    a = alpha * np.sqrt(SPECTRUM)  # v_t = (alpha sqrt(lam), sigma), length sqrt(lam_t), angle phi
    length, phi = np.hypot(a, sigma), np.arctan2(sigma, a)
    expected = length[-1] * np.prod(np.cos(np.diff(phi, axis=0)), axis=0)
    start = torch.diag(torch.as_tensor(length[0]))  # one standard deviation along each axis
    x = samplers.sample(ExactDenoiser(gaussian(SPECTRUM), schedule), schedule, start, steps=7, t_end=t_end)
    np.testing.assert_allclose(x.diagonal(), expected, rtol=1e-10)


@pytest.mark.parametrize("method", ["heun", "dpmpp2m", "ddim"])
def test_check_9_flow_of_a_gaussian(method):
    """Check 9: the flow from T to s multiplies each axis by sqrt(lam_s / lam_T)."""
    s = 0.05
    a, b = channel(OU, 3.0), channel(OU, s)
    factor = np.sqrt((b[0] ** 2 * SPECTRUM + b[1] ** 2) / (a[0] ** 2 * SPECTRUM + a[1] ** 2))
    x = samplers.sample(ExactDenoiser(gaussian(SPECTRUM), OU), OU, torch.eye(4, dtype=f64), steps=600, t_end=s, method=method)
    np.testing.assert_allclose(x, np.diag(factor), rtol=5e-3 if method == "ddim" else 1e-4, atol=1e-12)


@pytest.mark.parametrize("name", ["ou", "vp", "flow_matching"])
def test_check_8_one_dimension_is_the_quantile_map(name):
    """Check 8: x at s from x at t is F_s^{-1}(F_t(x)) (1e-6), in order; scipy's integrator on v agrees."""
    schedule, target = SCHEDULES[name](), bimodal(1.0, 0.09, (0.7, 0.3))
    t, s = 0.6 * schedule.T, 0.1 * schedule.T
    x = torch.linspace(-2.0, 2.0, 9, dtype=f64)[:, None]
    quantile = [scipy_quantile(target, scipy_cdf(target, float(v), *channel(schedule, t)), *channel(schedule, s)) for v in x]
    options = {"t_start": t, "t_end": s, "method": "heun", "spacing": "time"}
    coarse, fine = (samplers.sample(ExactDenoiser(target, schedule), schedule, x, steps=n, **options)[:, 0] for n in (250, 500))
    np.testing.assert_allclose((4 * fine - coarse) / 3, quantile, atol=1e-6)  # Richardson: heun's h^2 removed
    assert bool((fine.diff() > 0).all())
    speed = lambda u, y: velocity(target, schedule, torch.as_tensor(y)[:, None], u)[:, 0].numpy()
    integrated = solve_ivp(speed, (t, s), x[:, 0].numpy(), rtol=1e-8, atol=1e-9, method="DOP853").y[:, -1]
    np.testing.assert_allclose(integrated, quantile, atol=1e-6)


@pytest.mark.parametrize("method", DETERMINISTIC)
def test_check_10_empirical_flow_ends_on_the_training_points(method):
    """Check 10: with the empirical score the flow lands on training points, distance < 1e-3."""
    points = triangle().sample(25, rng(1))
    start = torch.randn(40, 2, generator=rng(2), dtype=f64)
    x = samplers.sample(EmpiricalDenoiser(points, OU), OU, start, steps=260, method=method)
    nearest = torch.cdist(x, points).min(1)
    assert float(nearest.values.max()) < 1e-3
    assert len(set(nearest.indices.tolist())) > 5


def test_exact_score_does_not_memorise():
    """The counterpart of check 10: with the population score the same starts end away from those points."""
    points = triangle().sample(25, rng(1))
    x = samplers.sample(ExactDenoiser(triangle(), OU), OU, torch.randn(40, 2, generator=rng(2), dtype=f64), steps=100)
    assert float(torch.cdist(x, points).min(1).values.median()) > 0.02


# ---- orders of convergence


@pytest.mark.parametrize("method, order", [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp2m", 2)])
@pytest.mark.parametrize("spacing", ["log_snr", "time"])
def test_order_of_convergence(method, order, spacing):
    """The error against scipy's quantile map falls like steps^-order on a mixture."""
    target = bimodal(1.0, 0.3, (0.7, 0.3))
    schedule = schedules.vp()
    x = torch.tensor([[-1.3], [-0.2], [0.4], [1.1]], dtype=f64)
    exact = [scipy_quantile(target, scipy_cdf(target, float(v), *channel(schedule, 0.7)), *channel(schedule, 0.1)) for v in x]
    errors = []
    for steps in (80, 160, 320):
        found = samplers.sample(
            ExactDenoiser(target, schedule), schedule, x, steps=steps, t_start=0.7, t_end=0.1, method=method, spacing=spacing
        )
        errors.append(float(np.linalg.norm(found[:, 0].numpy() - exact)))
    slopes = np.diff(np.log2(errors))
    np.testing.assert_allclose(slopes, -order, atol=0.25)


def em_law(schedule, grid, lam):
    """Variance of Euler-Maruyama on one Gaussian axis, step by step: x <- (1 + h(-f - g^2/lam_t)) x + sqrt(h) g xi."""
    variance = 1.0
    for t, s in zip(grid[:-1].tolist(), grid[1:].tolist()):
        a, b = channel(schedule, t)
        f, g2 = float(schedule.drift(t)), float(schedule.diffusion_squared(t))
        variance = (1 - (t - s) * (f + g2 / (a**2 * lam + b**2))) ** 2 * variance + (t - s) * g2
    return variance


def test_em_has_its_own_exact_law():
    """200,000 runs of few steps from N(0, I): every axis has the variance of the linear recursion, and is normal."""
    t_end = 0.1
    grid = samplers.time_grid(OU, 12, 1.0, t_end)
    expected = np.array([em_law(OU, grid, lam) for lam in (4.0, 0.25)])
    start = torch.randn(200_000, 2, generator=rng(3), dtype=f64)
    denoiser = ExactDenoiser(gaussian((4.0, 0.25)), OU)
    x = samplers.sample(denoiser, OU, start, steps=12, t_start=1.0, t_end=t_end, method="em", generator=rng(4)).numpy()
    np.testing.assert_allclose(x.var(0), expected, rtol=5 * math.sqrt(2 / 200_000))
    for axis, std in zip(x.T, np.sqrt(expected)):
        assert stats.kstest(axis / std, "norm").pvalue > 1e-3


def test_em_tends_to_the_reverse_sde():
    """Fine steps: given x_T, x_0 is N(a x_T, lam - a^2 lam_T) with a = alpha lam / lam_T (Pierret-Galerne), mean and variance."""
    lam, T = 2.0, 0.8
    schedule = schedules.ou(T)
    alpha, sigma = channel(schedule, T)
    lam_T = alpha**2 * lam + sigma**2
    start = torch.full((4000, 1), 1.5, dtype=f64)
    options = {"steps": 300, "method": "em", "generator": rng(5), "spacing": "time", "t_end": 1e-5}
    x = samplers.sample(ExactDenoiser(gaussian((lam,)), schedule), schedule, start, **options).numpy()
    a = alpha * lam / lam_T
    variance = lam - a**2 * lam_T
    assert x.mean() == pytest.approx(a * 1.5, abs=5 * math.sqrt(variance / 4000))
    assert x.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / 4000) + 0.02)


def test_em_is_decided_by_its_generator():
    call = lambda seed: samplers.sample(
        ExactDenoiser(triangle(), OU), OU, torch.ones(4, 2, dtype=f64), steps=5, method="em", generator=rng(seed)
    )
    assert torch.equal(call(1), call(1)) and not torch.equal(call(1), call(2))


# ---- end to end


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("method", ["heun", "dpmpp2m"])
def test_every_schedule_recovers_a_gaussian_from_its_exact_p_T(name, method):
    """Start one standard deviation out in p_T: the flow must end one standard deviation out in the data."""
    schedule, lam = SCHEDULES[name](), np.array([2.0, 0.3])
    m = torch.tensor([0.5, -1.0], dtype=f64)
    target = gaussian(lam, m)
    alpha, sigma = channel(schedule, schedule.T)
    signs = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [2.0, -0.5]], dtype=f64)
    start = alpha * m + signs * torch.as_tensor(np.sqrt(alpha**2 * lam + sigma**2))
    x = samplers.sample(ExactDenoiser(target, schedule), schedule, start, steps=260, method=method)
    a, s = channel(schedule, 0.0)
    expected = m + signs * torch.as_tensor(np.sqrt(a**2 * lam + s**2))
    torch.testing.assert_close(x, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ZERO_SNR)
@pytest.mark.parametrize("method", DETERMINISTIC)
def test_zero_terminal_snr_can_start_at_T(name, method):
    """At SNR = 0 log-SNR is infinite and no number may become NaN: N(0, I) flows to the mixture's quantiles."""
    schedule, target = SCHEDULES[name](), bimodal(1.0, 0.25, (0.7, 0.3))
    z = torch.linspace(-2, 2, 7, dtype=f64)[:, None]
    x = samplers.sample(ExactDenoiser(target, schedule), schedule, z, steps=300, method=method)
    expected = [scipy_quantile(target, stats.norm.cdf(float(v))) for v in z]
    np.testing.assert_allclose(x[:, 0], expected, atol={"euler": 0.06, "ddim": 0.06}.get(method, 0.01))


@pytest.mark.parametrize("t_start", [0.4, 1.0, 2.0])
def test_an_exact_start_anywhere_gives_the_data(t_start):
    """Started at t_start < T from the quantiles of p_t, the flow reaches the quantiles of p_0."""
    target = bimodal(1.0, 0.25, (0.7, 0.3))
    z = torch.linspace(-2, 2, 7, dtype=f64)
    start = normal_to(marginal(target, OU, t_start), z)[:, None]
    x = samplers.sample(ExactDenoiser(target, OU), OU, start, steps=200, t_start=t_start, method="dpmpp2m")
    expected = [scipy_quantile(target, stats.norm.cdf(float(v))) for v in z]
    np.testing.assert_allclose(x[:, 0], expected, atol=5e-3)


def test_a_wrong_start_is_kept_by_the_flow_and_forgotten_by_the_sde():
    """Data N(1, 1), OU with T = 1/2 from N(0, 1): the flow's mean is 1 - e^{-T}, the SDE's 1 - e^{-2T}."""
    schedule, target = schedules.ou(0.5), gaussian((1.0,), (1.0,))
    start = torch.randn(5000, 1, generator=rng(7), dtype=f64)
    flow = samplers.sample(ExactDenoiser(target, schedule), schedule, start, steps=200, t_end=1e-4)
    options = {"steps": 300, "method": "em", "generator": rng(8), "spacing": "time", "t_end": 1e-4}
    sde = samplers.sample(ExactDenoiser(target, schedule), schedule, start, **options)
    assert float(flow.mean() - start.mean()) == pytest.approx(1 - math.exp(-0.5), abs=5e-3)
    assert float(sde.mean()) == pytest.approx(1 - math.exp(-1.0), abs=5 / math.sqrt(5000) + 0.01)


# ---- the grid and the trajectory


@few
@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 60), st.sampled_from(["log_snr", "time"]), st.floats(0.1, 1))
def test_grid_falls_from_start_to_end(name, steps, spacing, share):
    schedule = SCHEDULES[name]()
    grid = samplers.time_grid(schedule, steps, share * schedule.T, 0.0, spacing)
    assert len(grid) == steps + 1 and float(grid[0]) == share * schedule.T and float(grid[-1]) == 0
    assert bool((grid.diff() < 0).all())


def test_grid_is_even_in_log_snr():
    grid = samplers.time_grid(schedules.vp(), 10, 0.9, 0.1)
    steps = schedules.vp().log_snr(grid).diff()
    np.testing.assert_allclose(steps, float(steps.mean()), rtol=1e-7)


@pytest.mark.parametrize("method", samplers.METHODS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_trajectory_yields_every_state(method, dtype):
    """steps + 1 states, the start first, times falling to t_end; shape, dtype and the last state as `sample` says."""
    target = triangle().to(dtype)
    x = torch.randn(6, 2, generator=rng(), dtype=dtype)
    options = {"steps": 9, "t_start": 2.0, "t_end": 0.05, "method": method}
    states = list(samplers.trajectory(ExactDenoiser(target, OU), OU, x, generator=rng(1), **options))
    assert [s.step for s in states] == list(range(10)) and all(s.steps == 9 for s in states)
    assert torch.equal(states[0].x, x) and (states[0].t, states[-1].t) == (2.0, 0.05)
    assert all(a.t > b.t for a, b in zip(states, states[1:]))
    assert all(s.x.shape == x.shape and s.x.dtype == dtype for s in states)
    assert torch.equal(states[-1].x, samplers.sample(ExactDenoiser(target, OU), OU, x, generator=rng(1), **options))


@pytest.mark.parametrize("method", samplers.METHODS)
def test_the_last_step_returns_the_denoised_point(method):
    """Ending at t = 0, the result is E[x_0 | x] of the state before; one step from T is E[x_0 | x_T]."""
    exact = ExactDenoiser(triangle(), OU)
    *_, before, last = samplers.trajectory(exact, OU, torch.ones(3, 2, dtype=f64), steps=5, method=method, generator=rng())
    torch.testing.assert_close(last.x, exact(before.x, before.t))
    if method == "adaptive":
        return  # it makes its own steps, however coarse the grid
    one = samplers.sample(exact, OU, torch.ones(3, 2, dtype=f64), steps=1, method=method, generator=rng())
    torch.testing.assert_close(one, exact(torch.ones(3, 2, dtype=f64), 3.0))


@few
@given(mixtures(d=st.just(2)), st.sampled_from(DETERMINISTIC))
def test_samplers_commute_with_rotation(target, method):
    """A quarter turn of data and start turns the result."""
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=f64)
    S = target.covariances
    turned = type(target)(target.weights, target.means @ quarter.T, S if S.ndim == 1 else quarter @ S @ quarter.T)
    x = torch.randn(4, 2, generator=rng(), dtype=f64)
    there, here = (
        samplers.sample(ExactDenoiser(law, OU), OU, start, steps=12, method=method)
        for law, start in ((turned, x @ quarter.T), (target, x))
    )
    torch.testing.assert_close(there, here @ quarter.T, rtol=1e-8, atol=1e-8)


def test_images_keep_their_shape():
    points = torch.randn(5, 1, 8, 8, generator=rng())
    x = samplers.sample(EmpiricalDenoiser(points, OU), OU, torch.randn(3, 1, 8, 8, generator=rng(1)), steps=20)
    assert x.shape == (3, 1, 8, 8) and x.dtype == torch.float32


def test_cdf_of_the_samples_is_the_data():
    """2,000 DPM-Solver runs from exact p_T: their ranks F_0(x) are uniform."""
    target = bimodal(1.0, 0.25, (0.7, 0.3))
    start = marginal(target, OU, 3.0).sample(2000, rng(9))
    x = samplers.sample(ExactDenoiser(target, OU), OU, start, steps=30, method="dpmpp2m")
    assert stats.kstest(cdf(target, x[:, 0]).numpy(), "uniform").pvalue > 1e-3


# ---- refusals


def refusals():
    exact, x = ExactDenoiser(triangle(), OU), torch.zeros(2, 2, dtype=f64)
    run = lambda **options: samplers.sample(exact, OU, options.pop("x", x), **options)
    yield "method", lambda: run(method="hein")
    yield "spacing", lambda: run(spacing="logsnr")
    yield "steps", lambda: run(steps=0)
    yield "steps", lambda: run(steps=2.0)
    yield "t_start, t_end", lambda: run(t_start=0.1, t_end=0.2)
    yield "t_start, t_end", lambda: run(t_start=5.0)
    yield "t_start, t_end", lambda: run(t_end=-1.0)
    yield "t_start, t_end", lambda: run(t_start=float("nan"))
    yield "generator", lambda: run(method="em")
    yield "x", lambda: run(x=[[0.0, 0.0]])
    yield "x", lambda: run(x=torch.zeros(2, 2, dtype=torch.int64))
    yield "x", lambda: run(x=torch.zeros(2, 3))
    yield "x", lambda: run(x=x * float("nan"))
    fm = schedules.flow_matching()
    yield "t_start", lambda: samplers.sample(ExactDenoiser(triangle(), fm), fm, x, method="em", generator=rng())


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_samplers_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_unknown_method_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'heun'"):
        samplers.sample(ExactDenoiser(triangle(), OU), OU, torch.zeros(2, 2), method="hein")
