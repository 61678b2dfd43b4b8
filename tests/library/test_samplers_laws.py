"""The stochastic and the adaptive samplers against exact laws: orders of convergence, bridges, tolerances."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import brentq
from zoo import SCHEDULES, ZERO_SNR, bimodal, f64, gaussian, rng, scipy_cdf, scipy_quantile, triangle

from otprior_lite import samplers, schedules
from otprior_lite.samplers import steps
from otprior_lite.score import ExactDenoiser

OU = schedules.ou(3.0)
LAM, T, S = 2.5, 0.9, 0.1  # data N(0, LAM), run from T to S


def channel(schedule, t):
    return float(schedule.alpha(t)), float(schedule.sigma(t))


def variance_at(schedule, t, lam=LAM):
    alpha, sigma = channel(schedule, t)
    return alpha**2 * lam + sigma**2


def regression(schedule, t, s, lam=LAM) -> float:
    """E[x_s | x_t] = this times x_t for Gaussian data: Cov(x_s, x_t) / Var(x_t) = (alpha_t / alpha_s) lam_s / lam_t."""
    return channel(schedule, t)[0] / channel(schedule, s)[0] * variance_at(schedule, s, lam) / variance_at(schedule, t, lam)


def linear_law(monkeypatch, schedule, n_steps, method, **options):
    """What a sampler does on Gaussian data is x_S = a x_T + sum_k c_k xi_k. Read a and c off the sampler itself.

    Row k of the run sees unit noise at its step k and no other; the last row starts from 1 and sees none.
    """
    seen = iter(range(n_steps))

    def one_hot(shape, generator, *, dtype, device):
        out = torch.zeros(shape, dtype=dtype, device=device)
        out[next(seen)] = 1
        return out

    monkeypatch.setattr(steps, "normal", one_hot)
    start = torch.zeros(n_steps + 1, 1, dtype=f64)
    start[-1] = 1
    exact = ExactDenoiser(gaussian((LAM,)), schedule)
    x = samplers.sample(
        exact, schedule, start, steps=n_steps, t_start=T, t_end=S, method=method, generator=rng(), spacing="time", **options
    )
    return float(x[-1]), x[:-1, 0].numpy()


@pytest.mark.parametrize("name", ["ou", "vp", "sub_vp"])
@pytest.mark.parametrize("method", ["em", "ddpm"])
def test_weak_order_one(monkeypatch, method, name):
    """Mean factor and variance of x_S given x_T against the exact reverse bridge: errors halve with the step.

    An ancestral step has the exact mean at any size, E[x_s | x_t] being linear in D; it only lacks variance.
    """
    schedule = SCHEDULES[name]()
    a = regression(schedule, T, S)
    variance = variance_at(schedule, S) - a**2 * variance_at(schedule, T)
    laws = [linear_law(monkeypatch, schedule, n, method) for n in (40, 80, 160)]
    spread = np.array([(noise**2).sum() - variance for _, noise in laws])
    np.testing.assert_allclose(np.diff(np.log2(np.abs(spread))), -1, atol=0.2)
    if method == "ddpm":
        np.testing.assert_allclose([factor for factor, _ in laws], a, rtol=1e-12)
        assert (spread < 0).all()
    else:
        np.testing.assert_allclose(np.diff(np.log2([abs(factor - a) for factor, _ in laws])), -1, atol=0.2)


def test_euler_maruyama_has_strong_order_one(monkeypatch):
    """The noise is additive, so EM follows its own Brownian path with error O(h), not O(sqrt h).

    x_S = a x_T + int G(u) g(u) dB_u exactly, with G(u) the regression from u to S. EM puts the constant c_k / sqrt(h) in
    place of G g on step k. By Ito's isometry the mean square error is (a - a_EM)^2 lam_T + int (G g - c_k/sqrt(h))^2 du.
    """
    errors = []
    for n in (40, 80, 160):
        factor, noise = linear_law(monkeypatch, OU, n, "em")
        h = (T - S) / n
        nodes, weights = np.polynomial.legendre.leggauss(5)
        square = (factor - regression(OU, T, S)) ** 2 * variance_at(OU, T)
        for k, c in enumerate(noise):
            u = T - h * (k + (nodes + 1) / 2)
            exact = [regression(OU, v, S) * math.sqrt(float(OU.diffusion_squared(v))) for v in u]
            square += h / 2 * (weights * (np.array(exact) - c / math.sqrt(h)) ** 2).sum()
        errors.append(math.sqrt(square))
    np.testing.assert_allclose(np.diff(np.log2(errors)), -1, atol=0.1)


# ---- DDIM with eta


def test_eta_one_is_ddpm():
    """Two names of one step in the literature: the same generator gives the same samples."""
    run = lambda **options: samplers.sample(
        ExactDenoiser(triangle(), OU), OU, torch.ones(5, 2, dtype=f64), steps=7, generator=rng(1), **options
    )
    assert torch.equal(run(method="ddim", eta=1.0), run(method="ddpm"))
    assert not torch.equal(run(method="ddim", eta=0.5), run(method="ddpm"))
    assert torch.equal(run(method="ddim", eta=0.0), run(method="ddim"))


def test_ddpm_step_is_the_posterior_and_the_exponential_integrator():
    """From x_t with D frozen: mean and variance of q(x_s | x_t, x_0) by Gaussian conditioning, and the solution of
    dx = (f x - g^2 score) dt + g dB for that D, its moments integrated by scipy."""
    from scipy.integrate import solve_ivp

    x, D, t, s = 1.3, -0.4, 0.8, 0.3
    for name in ("ou", "vp", "ve", "sub_vp"):
        schedule = SCHEDULES[name]()
        (a_t, b_t), (a_s, b_s) = channel(schedule, t), channel(schedule, s)
        # x_t = (a_t/a_s) x_s + noise, x_s = a_s D + b_s noise: condition the Gaussian pair (x_s, x_t).
        covariance = a_t / a_s * b_s**2
        mean, variance = a_s * D + covariance / b_t**2 * (x - a_t * D), b_s**2 - covariance**2 / b_t**2

        def moments(u, m):
            a, b = channel(schedule, u)
            f, g2 = float(schedule.drift(u)), float(schedule.diffusion_squared(u))
            return [f * m[0] - g2 * (a * D - m[0]) / b**2, 2 * (f + g2 / b**2) * m[1] - g2]

        integrated = solve_ivp(moments, (t, s), [x, 0.0], rtol=1e-10, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(integrated, [mean, variance], rtol=1e-7)
        many = torch.full((200_000, 1), x, dtype=f64)
        drawn = steps.ddim(schedule, many, torch.full_like(many, D), t, s, 1.0, rng(2))
        assert float(drawn.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / len(many)))
        assert float(drawn.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / len(many)))


@pytest.mark.parametrize("name", ZERO_SNR)
def test_ddpm_can_start_at_zero_snr(name):
    """Where Euler-Maruyama has no finite g, the ancestral step is well defined: it forgets the start at once."""
    schedule, target = SCHEDULES[name](), bimodal(1.0, 0.25, (0.7, 0.3))
    start = torch.randn(3000, 1, generator=rng(5), dtype=f64)
    exact = ExactDenoiser(target, schedule)
    x = samplers.sample(exact, schedule, start, steps=150, method="ddpm", generator=rng(6))
    assert bool(torch.isfinite(x).all()) and float(x.mean()) == pytest.approx(0.4, abs=0.1)
    assert float((x > 0).double().mean()) == pytest.approx(float(1 - scipy_cdf(target, 0.0)), abs=0.04)


@pytest.mark.parametrize("method", samplers.METHODS)
def test_one_and_a_thousand_steps(method):
    """Both ends of the range give finite samples of the Gaussian's scale, from t' = 0.8 < T."""
    start = torch.linspace(-2, 2, 5, dtype=f64)[:, None]
    for n in (1, 1000):
        exact = ExactDenoiser(gaussian((1.0,)), OU)
        x = samplers.sample(exact, OU, start, steps=n, t_start=0.8, method=method, generator=rng(7))
        assert bool(torch.isfinite(x).all()) and float(x.abs().max()) < 4
        if n == 1000 and method not in ("em", "ddpm"):  # N(0, 1) is stationary: the flow stands still
            torch.testing.assert_close(x, start, rtol=0, atol=4e-3)


# ---- adaptive


@pytest.mark.parametrize("name", SCHEDULES)
def test_adaptive_is_the_quantile_map_of_every_schedule(name):
    """From quantiles of p_T to quantiles of the data in one dimension, zero terminal SNR and 1,000 kinks included."""
    schedule, target = SCHEDULES[name](), bimodal(1.0, 0.25, (0.7, 0.3))
    u = stats.norm.cdf(np.linspace(-2, 2, 7))
    end = channel(schedule, schedule.T)
    start = torch.tensor([[brentq(lambda x: scipy_cdf(target, x, *end) - v, -400, 400, xtol=1e-13)] for v in u], dtype=f64)
    states = list(samplers.trajectory(
        ExactDenoiser(target, schedule), schedule, start, steps=4, method="adaptive", tolerance=1e-8
    ))  # fmt: skip
    expected = [scipy_quantile(target, v, *channel(schedule, 0.0)) for v in u]
    np.testing.assert_allclose(states[-1].x[:, 0], expected, atol=2e-5)  # what is left is the last step from sigma = 0.002
    assert 100 < states[-1].calls < 1500


def test_adaptive_error_follows_its_tolerance():
    """Stopped at t_end > 0 nothing but the solver errs: the error is near the tolerance, the calls grow slowly."""
    target = bimodal(1.0, 0.3, (0.7, 0.3))
    x = torch.tensor([[-1.3], [-0.2], [0.4], [1.1]], dtype=f64)
    exact = [scipy_quantile(target, scipy_cdf(target, float(v), *channel(OU, 1.5)), *channel(OU, 0.05)) for v in x]
    errors, calls = [], []
    for tolerance in (1e-3, 1e-5, 1e-7, 1e-9):
        *_, last = samplers.trajectory(
            ExactDenoiser(target, OU), OU, x, t_start=1.5, t_end=0.05, method="adaptive", tolerance=tolerance
        )
        errors.append(np.abs(last.x[:, 0].numpy() - exact).max())
        calls.append(last.calls)
        assert errors[-1] < 10 * tolerance
    assert calls == sorted(set(calls))
    assert 1.8 < calls[-1] / calls[-2] < 3.2  # a pair of order 5: 100^(1/5) = 2.5 times the calls for two more digits


@pytest.mark.parametrize("method", samplers.METHODS)
@pytest.mark.parametrize("t_end", [0.0, 0.1])
def test_calls_are_counted(method, t_end):
    """State.calls is the number of times the denoiser has run."""
    exact, log = ExactDenoiser(triangle(), OU), []

    def counting(x, t):
        log.append(t)
        return exact(x, t)

    options = {"steps": 6, "t_end": t_end, "method": method, "generator": rng(1)}
    for state in samplers.trajectory(counting, OU, torch.ones(3, 2, dtype=f64), **options):
        assert state.calls == len(log)
    expected = {"heun": 12 - (t_end == 0)}.get(method, 6)
    assert state.calls == expected if method != "adaptive" else state.calls > 6


def test_the_grid_of_an_adaptive_run_is_only_where_it_reports():
    """Three or thirty reports: the same end; a report in between is the run that ends there, to the tolerance."""
    exact, x = ExactDenoiser(triangle(), OU), torch.randn(4, 2, generator=rng(), dtype=f64)
    run = lambda **options: list(samplers.trajectory(exact, OU, x, method="adaptive", tolerance=1e-7, **options))
    few, many = run(steps=3), run(steps=30, spacing="time")
    assert torch.equal(few[-1].x, many[-1].x) and few[-1].calls == many[-1].calls
    stopped = run(steps=1, t_end=many[10].t)
    torch.testing.assert_close(many[10].x, stopped[-1].x, rtol=0, atol=1e-5)


def test_adaptive_keeps_images_and_precision():
    exact = ExactDenoiser(gaussian((2.0,) * 4), OU)
    images = lambda x, t: exact(x.flatten(1), t).reshape(x.shape)
    x = torch.randn(3, 1, 2, 2, generator=rng())
    out = samplers.sample(images, OU, x, method="adaptive")
    assert out.shape == x.shape and out.dtype == torch.float32
    torch.testing.assert_close(out, x * math.sqrt(2.0 / variance_at(OU, 3.0, 2.0)), rtol=1e-3, atol=1e-5)


def test_adaptive_started_beyond_the_clean_time():
    """From sigma/alpha < 0.002 nothing is left to solve: the result is the denoised point, after one call."""
    exact, x = ExactDenoiser(triangle(), OU), torch.ones(2, 2, dtype=f64)
    start, last = samplers.trajectory(exact, OU, x, steps=1, t_start=1e-6, method="adaptive")
    torch.testing.assert_close(last.x, exact(x, 1e-6))
    assert last.calls == start.calls + 1


# ---- refusals


def refusals():
    exact, x = ExactDenoiser(triangle(), OU), torch.zeros(2, 2, dtype=f64)
    run = lambda schedule=OU, **options: samplers.sample(exact, schedule, x, **options)
    discrete = schedules.ddpm_linear(100)
    yield "eta", lambda: run(eta=1.5, generator=rng())
    yield "eta", lambda: run(eta=-0.1)
    yield "eta", lambda: run(eta=float("nan"))
    yield "eta", lambda: run(method="heun", eta=0.5)
    yield "eta", lambda: run(method="ddpm", eta=0.5, generator=rng())
    yield "tolerance", lambda: run(method="adaptive", tolerance=0.0)
    yield "tolerance", lambda: run(method="adaptive", tolerance=-1e-3)
    yield "generator", lambda: run(method="ddpm")
    yield "generator", lambda: run(eta=0.5)
    yield "spacing", lambda: run(spacing="trailing")
    yield "steps", lambda: run(discrete, spacing="trailing", steps=101)
    yield "steps", lambda: run(discrete, spacing="leading", steps=30, t_start=20.0)
    yield "t_start", lambda: run(discrete, spacing="leading", t_start=99.5)
    yield "t_end", lambda: run(discrete, spacing="leading", t_end=1.0)


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_a_solver_that_gives_up_says_where():
    wall = lambda x, t: torch.full_like(x, 0.0) if t > 1 else torch.full_like(x, float("nan"))
    with pytest.raises(RuntimeError, match="RK45 gave up at t = "):
        samplers.sample(wall, OU, torch.ones(2, 1, dtype=f64), method="adaptive")
