"""Denoisers: exact against Bayes and autograd, empirical against a softmax written out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from zoo import DTYPES, SCHEDULES, ZERO_SNR, f64, few, inner_times, mixtures, points_near, rng, triangle

from otprior_lite import schedules
from otprior_lite.forward import marginal
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser, score
from otprior_lite.targets import Empirical


@few
@given(mixtures())
def test_score_of_the_exact_denoiser_is_the_gradient(target):
    """(alpha E[x0|x] - x)/sigma^2 equals autograd's gradient of log p_t."""
    for name in ("vp", "ve", "flow_matching", "scaled_linear"):
        schedule = SCHEDULES[name]()
        for t in inner_times(schedule, 3):
            x = points_near(marginal(target, schedule, t), 3).requires_grad_()
            (gradient,) = torch.autograd.grad(marginal(target, schedule, t).log_prob(x).sum(), x)
            found = score(ExactDenoiser(target, schedule), schedule, x.detach(), t)
            torch.testing.assert_close(found, gradient, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ZERO_SNR)
def test_nothing_is_known_at_zero_snr(name):
    """At alpha = 0 the best guess is the mean of the data, whatever x is; the score is that of N(0, sigma^2 I)."""
    schedule = SCHEDULES[name]()
    x = 3 * torch.randn(5, 2, generator=rng(), dtype=f64)
    exact = ExactDenoiser(triangle(), schedule)
    torch.testing.assert_close(exact(x, schedule.T), triangle().mean.expand(5, 2))
    torch.testing.assert_close(score(exact, schedule, x, schedule.T), -x / schedule.sigma(schedule.T) ** 2)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (12,)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_empirical_denoiser_is_a_softmax_average(shape, dtype):
    """sum_k softmax_k(-|x - alpha x_k|^2 / 2 sigma^2) x_k, in numpy, for points of any shape; dtype follows x."""
    points, x = torch.randn(9, *shape, generator=rng(1)), torch.randn(4, *shape, generator=rng(2), dtype=dtype)
    schedule, t = schedules.vp(), 0.35
    a, s = float(schedule.alpha(t)), float(schedule.sigma(t))
    P, X = points.double().flatten(1).numpy(), x.double().flatten(1).numpy()
    logits = -((X[:, None] - a * P) ** 2).sum(-1) / (2 * s**2)
    share = np.exp(logits - logits.max(1, keepdims=True))
    expected = (share / share.sum(1, keepdims=True)) @ P
    found = EmpiricalDenoiser(points, schedule)(x, t)
    assert found.shape == x.shape and found.dtype == dtype
    np.testing.assert_allclose(found.flatten(1).double(), expected, atol=2e-4)


def test_empirical_denoiser_at_its_limits():
    """No signal: the average of the points. No noise: the nearest point, even where every weight underflows."""
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], dtype=f64)
    denoiser = EmpiricalDenoiser(points, schedules.flow_matching())
    x = torch.tensor([[3.0, 0.5], [-900.0, 1000.0]], dtype=f64)
    torch.testing.assert_close(denoiser(x, 1.0), points.mean(0).expand(2, 2))
    torch.testing.assert_close(denoiser(x, 1e-3), points[[1, 2]])


def refusals():
    vp, x = schedules.vp(), torch.zeros(2, 2, dtype=f64)
    exact, empirical = ExactDenoiser(triangle(), vp), EmpiricalDenoiser(torch.zeros(3, 1, 8, 8), vp)
    yield "t", lambda: exact(x, 1.5)
    yield "t", lambda: exact(x, float("nan"))
    yield "x", lambda: exact(torch.zeros(2, 3), 0.5)
    yield "x", lambda: exact(x * float("nan"), 0.5)
    yield "x", lambda: empirical(torch.zeros(2, 8, 8), 0.5)
    yield "points", lambda: EmpiricalDenoiser(torch.zeros(3), vp)
    yield "points", lambda: EmpiricalDenoiser(torch.full((3, 2), float("nan")), vp)
    yield "sigma", lambda: ExactDenoiser(Empirical([[0.0, 0.0]]), vp)(x, 0.0)
    yield "sigma_t", lambda: score(exact, vp, x, 0.0)


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_score_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
