"""The exact law of the reverse SDE in one dimension: closed forms, scipy quadrature, the semigroup, and a simulated SDE."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from zoo import bimodal, few, random_mixture, rng, seeds

from otprior_lite import bounds, schedules
from otprior_lite.forward import marginal
from otprior_lite.samplers import sample
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import GaussianMixture

OU = schedules.ou(6.0)
START = GaussianMixture([0.3, 0.7], [[-0.5], [0.6]], [0.5, 0.4])


@pytest.mark.parametrize("kind", ["ode", "sde"])
@pytest.mark.parametrize(("m", "v", "T"), [(1.3, 4.0, 0.5), (-0.4, 0.01, 1.0), (0.0, 1.0, 2.0)])
def test_one_gaussian_is_the_closed_form(kind, m, v, T):
    """W2 and KL of `gaussian_error`, which knows nothing of quantiles or quadrature."""
    target = GaussianMixture([1.0], [[m]], [v])
    closed = bounds.gaussian_error(kind, target, OU, T)
    w2, kl = bounds.carried_w2(target, OU, T, kind=kind), bounds.carried_kl(target, OU, T, kind=kind)
    assert (w2.at_T, w2.at_0) == pytest.approx((closed.w2_T, closed.w2_0), rel=1e-9, abs=1e-12)
    assert (kl.at_T, kl.at_0) == pytest.approx((closed.kl_T, closed.kl_0), rel=1e-8, abs=1e-12)


@settings(few, max_examples=6)
@given(seeds, st.floats(0.2, 1.5))
def test_density_by_scipy(seed, T):
    """q_0(y) = int p_0(y) N(x; e^{-T} y, 1 - e^{-2T}) q_T(x) / p_T(x) dx, Bayes' rule without posteriors of components."""
    target = random_mixture(1, 3, seed)
    q, p_T = bounds.reverse_sde_law(target, OU, T, start=START), marginal(target, OU, T)
    a, s = math.exp(-T), math.sqrt(-math.expm1(-2 * T))
    for y in (-0.8, 0.1, 1.3):

        def integrand(x, y=y):
            ratio = (START.log_prob([[x]]) - p_T.log_prob([[x]])).exp()
            return float(ratio) * stats.norm.pdf(x, a * y, s)

        integral = integrate.quad(integrand, a * y - 10 * s, a * y + 10 * s, epsabs=1e-11, epsrel=1e-10, limit=200)[0]
        assert float(q.log_prob([[y]]).exp()) == pytest.approx(integral * float(target.log_prob([[y]]).exp()), rel=1e-7)


@settings(few, max_examples=5)
@given(seeds, st.sampled_from(["ou", "vp", "edm"]))
def test_the_right_start_is_carried_to_the_data(seed, name):
    schedule = {"ou": schedules.ou(2.0), "vp": schedules.vp(), "edm": schedules.edm(5.0)}[name]
    T, target = 0.6 * schedule.T, random_mixture(1, 3, seed)
    q = bounds.reverse_sde_law(target, schedule, T, start=marginal(target, schedule, T))
    y = target.means + 0.3
    assert torch.allclose(q.log_prob(y), target.log_prob(y), atol=1e-9)


def test_two_legs_are_one():
    """T -> t -> 0 is T -> 0."""
    target = bimodal(1.0, 0.25)
    halfway = bounds.reverse_sde_law(target, OU, 1.0, t=0.4, start=START)
    y = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    two = bounds.reverse_sde_law(target, OU, 0.4, start=halfway).log_prob(y)
    assert torch.allclose(two, bounds.reverse_sde_law(target, OU, 1.0, start=START).log_prob(y), atol=1e-8)


def test_simulated_sde_has_this_law():
    """Euler-Maruyama, 400 steps, 40 000 paths: Kolmogorov's statistic within its 1 % value plus the bias of the steps."""
    target, n = bimodal(1.0, 0.25), 40_000
    generator = rng(3)
    ends = sample(
        ExactDenoiser(target, OU), OU, START.sample(n, generator), steps=400, t_start=0.7, method="em", generator=generator
    )
    law = bounds.reverse_sde_law(target, OU, 0.7, start=START)
    w, mu, std = law.weights.numpy(), law.means[:, 0].numpy(), law.covariances.sqrt().numpy()
    grid = np.linspace(-2.5, 2.5, 101)
    exact = stats.norm.cdf((grid[:, None] - mu) / std) @ w
    counted = np.searchsorted(np.sort(ends[:, 0].numpy()), grid) / n
    assert np.abs(exact - counted).max() < 1.63 / math.sqrt(n) + 0.004
    unlike = stats.norm.cdf((grid[:, None] - target.means[:, 0].numpy()) / 0.5) @ target.weights.numpy()
    assert np.abs(unlike - counted).max() > 0.03  # the start is not forgotten: the statistic would see p_0 itself


@settings(few, max_examples=5)
@given(seeds, st.floats(0.3, 1.5))
def test_bounds_hold_for_any_start(seed, T):
    """Gamma bounds the ratio for both kinds, least for the flow, from a start that is not N(0, 1); KL is kept or falls."""
    r = np.random.default_rng(seed)
    target = bimodal(float(r.uniform(0.2, 1.2)), float(r.uniform(0.15, 1.5)))
    for kind in ("ode", "sde"):
        ratio, gamma = bounds.carried_w2(target, OU, T, kind=kind, start=START).ratio, bounds.amplification(kind, target, OU, T)
        assert gamma.least * (1 - 1e-9) <= ratio <= gamma.value * (1 + 1e-9)
    kept, fallen = (bounds.carried_kl(target, OU, T, kind=kind, start=START) for kind in ("ode", "sde"))
    assert kept.at_0 == pytest.approx(kept.at_T, rel=1e-6) and fallen.at_0 < fallen.at_T


def test_bad_input_is_refused():
    plane = GaussianMixture([1.0], [[0.0, 0.0]], [1.0])
    with pytest.raises(ValueError, match="start: expected a GaussianMixture in dimension 1"):
        bounds.reverse_sde_law(bimodal(), OU, 1.0, start=plane)
    with pytest.raises(ValueError, match="kind: expected one of ode, sde"):
        bounds.carried_w2(bimodal(), OU, 1.0, kind="odd")
    with pytest.raises(ValueError, match="SNR > 0"):
        bounds.reverse_sde_law(bimodal(), schedules.flow_matching(), 1.0)
