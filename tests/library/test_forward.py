"""The exact law at time t, noised samples, and the probability-flow velocity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy import stats
from zoo import (
    DTYPES,
    SCHEDULES,
    ZERO_SNR,
    bimodal,
    f64,
    few,
    gaussian,
    inner_times,
    mixtures,
    parts,
    points_near,
    random_rotation,
    rng,
    scipy_cdf,
    scipy_density,
    seeds,
    triangle,
)  # fmt: skip

from otprior_lite import schedules
from otprior_lite.forward import denoiser_velocity, marginal, noise, velocity
from otprior_lite.targets import Empirical, GaussianMixture

every = pytest.mark.parametrize("name", SCHEDULES)


@every
def test_marginal_density_is_scipys(name):
    """p_t = sum w_k N(alpha mu_k, alpha^2 S_k + sigma^2 I), with scipy's densities."""
    schedule, x = SCHEDULES[name](), points_near(triangle(), 5)
    for t in inner_times(schedule, 3):
        expected = scipy_density(triangle(), x, float(schedule.alpha(t)), float(schedule.sigma(t)))
        np.testing.assert_allclose(marginal(triangle(), schedule, t).log_prob(x).exp(), expected, rtol=1e-9)


def test_noised_samples_follow_the_marginal():
    """Kolmogorov-Smirnov of alpha x_0 + sigma eps against scipy's distribution function; fresh noise each time."""
    schedule, target = schedules.ou(), bimodal()
    x0 = target.sample(4000, rng(1))
    x = noise(x0, schedule, 0.3, rng(2))
    channel = float(schedule.alpha(0.3)), float(schedule.sigma(0.3))
    assert stats.kstest(x[:, 0].numpy(), lambda v: np.array([scipy_cdf(target, u, *channel) for u in v])).pvalue > 1e-3
    residual = ((x - channel[0] * x0) / channel[1])[:, 0].numpy()
    assert stats.kstest(residual, "norm").pvalue > 1e-3 and abs(np.corrcoef(residual, x0[:, 0])[0, 1]) < 5 / 4000**0.5


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_keeps_shape_and_dtype(dtype):
    images = torch.zeros(3, 1, 8, 8, dtype=dtype)
    x = noise(images, schedules.flow_matching(), 1.0, rng())
    assert x.shape == images.shape and x.dtype == dtype and float(x.std()) == pytest.approx(1, abs=0.25)
    assert torch.equal(x, noise(images, schedules.flow_matching(), 1.0, rng()))
    assert torch.equal(noise(images + 2, schedules.edm(), 0.0, rng()), images + 2)


@every
def test_check_6_velocity_forms_agree(name):
    """Check 6: f x - (g^2/2) grad log p_t = alpha' E[x0|x] + sigma' E[eps|x], the gradient by autograd."""
    schedule = SCHEDULES[name]()
    target = triangle()
    for t in inner_times(schedule, 5):
        x = points_near(marginal(target, schedule, t), 4).requires_grad_()
        (score,) = torch.autograd.grad(marginal(target, schedule, t).log_prob(x).sum(), x)
        x = x.detach()
        expected = schedule.drift(t) * x - schedule.diffusion_squared(t) / 2 * score
        torch.testing.assert_close(velocity(target, schedule, x, t), expected, rtol=1e-7, atol=1e-9)


@settings(few, max_examples=5)
@given(mixtures())
def test_check_7_continuity_equation(target):
    """Check 7: d/dt log p_t + div v + v . grad log p_t = 0 at random points, rtol 1e-5 of its largest term."""
    for name in ("ou", "sub_vp", "ve", "flow_matching", "cosine"):
        schedule = SCHEDULES[name]()
        (t,) = inner_times(schedule, 1, low=0.4)
        p = marginal(target, schedule, t)
        h = 1e-4 * schedule.T if schedule.betas is None else 0.02
        for point in points_near(p, 2):
            log_p = lambda s, point=point: marginal(target, schedule, s).log_prob(point[None])[0]
            d = lambda k, log_p=log_p: log_p(t + k * h) - log_p(t - k * h)
            ddt = (8 * d(1) - d(2)) / (12 * h)
            v = lambda u, t=t: velocity(target, schedule, u[None], t)[0]
            divergence = torch.autograd.functional.jacobian(v, point).trace()
            along = v(point) @ torch.autograd.functional.jacobian(lambda u, p=p: p.log_prob(u[None])[0], point)
            size = max(abs(float(term)) for term in (ddt, divergence, along))
            assert abs(float(ddt + divergence + along)) < 1e-5 * size


@every
def test_check_7_velocity_at_the_mean_of_a_gaussian(name):
    """Check 7: at its mean alpha_t m a single Gaussian moves with alpha' m; elsewhere with half the log-variance's rate."""
    schedule, m = SCHEDULES[name](), torch.tensor([0.7, -1.3], dtype=f64)
    target = gaussian((0.5, 2.0), m)
    for t in inner_times(schedule, 3):
        centre = schedule.alpha(t) * m
        at = lambda x, t=t: velocity(target, schedule, x[None], t)[0]
        torch.testing.assert_close(at(centre), schedule.alpha_dot(t) * m, rtol=1e-8, atol=1e-9)
        lam = torch.tensor([0.5, 2.0], dtype=f64)
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        rate = (schedule.alpha_dot(t) * alpha * lam + schedule.sigma_dot(t) * sigma) / (alpha**2 * lam + sigma**2)
        torch.testing.assert_close(at(centre + 1) - at(centre), rate, rtol=1e-8, atol=1e-9)


@few
@given(mixtures())
def test_check_4_velocity_where_nothing_is_left(target):
    """Check 4: on the straight path at t = 1, E[v | x_1 = z] = z - E x_0: finite, although f and the score form are not."""
    z = points_near(target, 5)
    torch.testing.assert_close(velocity(target, schedules.flow_matching(), z, 1.0), z - target.mean, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ZERO_SNR)
def test_check_4_velocity_is_finite_at_zero_snr(name):
    """Check 4: every zero-SNR schedule has finite velocity alpha'_T E x_0 + sigma'_T z at T."""
    schedule, z = SCHEDULES[name](), torch.tensor([[0.3, -2.0]], dtype=f64)
    v = velocity(triangle(), schedule, z, schedule.T)
    expected = schedule.alpha_dot(schedule.T) * triangle().mean + schedule.sigma_dot(schedule.T) * z
    assert bool(v.isfinite().all())
    torch.testing.assert_close(v, expected, rtol=1e-9, atol=1e-9)


@few
@given(mixtures(), seeds)
def test_velocity_turns_with_the_data(target, seed):
    """Rotating the data and x rotates v; shifting the data by b shifts x by alpha b and v by alpha' b."""
    schedule, t = schedules.vp(), 0.3
    R, b = random_rotation(target.d, seed), np.random.default_rng(seed).normal(size=target.d)
    w, mu, S = parts(target)
    moved = GaussianMixture(w, mu @ R.T + b, R @ S @ R.T)
    x = points_near(target, 4).numpy()
    there = velocity(moved, schedule, torch.as_tensor(x @ R.T + float(schedule.alpha(t)) * b), t)
    expected = velocity(target, schedule, x, t).numpy() @ R.T + float(schedule.alpha_dot(t)) * b
    np.testing.assert_allclose(there, expected, rtol=1e-7, atol=1e-7)


def test_velocity_of_points_pulls_to_the_only_point():
    """One training point y: x_t = alpha y + sigma eps, so v = alpha' y + sigma' (x - alpha y)/sigma exactly."""
    schedule, y = schedules.trigonometric(), torch.tensor([[1.0, 2.0]], dtype=f64)
    x = torch.tensor([[0.3, 0.4]], dtype=f64)
    a, s, da, ds = (float(f(0.6)) for f in (schedule.alpha, schedule.sigma, schedule.alpha_dot, schedule.sigma_dot))
    torch.testing.assert_close(velocity(Empirical(y), schedule, x, 0.6), da * y + ds * (x - a * y) / s)


def refusals():
    x, target, ou = torch.zeros(3, 2, dtype=f64), triangle(), schedules.ou()
    yield "t", lambda: marginal(target, ou, -0.1)
    yield "t", lambda: marginal(target, ou, 3.5)
    yield "t", lambda: noise(x, ou, 4.0, rng())
    yield "x0", lambda: noise(x * float("nan"), ou, 1.0, rng())
    yield "generator", lambda: noise(x, ou, 1.0, None)
    yield "x", lambda: velocity(target, ou, torch.zeros(2), 1.0)
    yield "x", lambda: velocity(target, ou, torch.zeros(3, 3), 1.0)
    yield "x", lambda: velocity(target, ou, x + float("inf"), 1.0)
    yield "t", lambda: velocity(target, ou, x, 0.0)
    yield "t", lambda: denoiser_velocity(x, ou, x, 0.0)


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_forward_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
