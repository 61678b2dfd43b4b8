"""The rivals of the map: a fitted mixture, a learned flow, a Langevin corrector (THEORY check 41)."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture as Fitted
from zoo import bimodal, f64, gaussian, rng, scipy_density, triangle

from otprior_lite import priors, schedules
from otprior_lite.forward import marginal
from otprior_lite.priors.flow import Flow
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import GaussianMixture

OU = schedules.ou(3.0)


# ---- Mixture


def test_one_component_is_the_moment_matched_gaussian():
    points = torch.randn(80, 3, generator=rng(1), dtype=f64) @ torch.randn(3, 3, generator=rng(2), dtype=f64) + 1
    law = priors.Mixture.fit(points, OU, 0.4, generator=rng(3), components=1).law
    exact = priors.MomentMatched.fit(points, OU, 0.4)
    torch.testing.assert_close(law.mean, exact.mean)
    torch.testing.assert_close(law.covariance, exact.covariance, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["full", "isotropic"])
def test_a_mixture_of_the_right_size_finds_the_mixture(form):
    """From 4,000 points of three distant components: the diffused components within five standard errors."""
    means = torch.tensor([[4.0, 0.0], [-4.0, 1.0], [0.0, -5.0]], dtype=f64)
    target = GaussianMixture([0.5, 0.3, 0.2], means, torch.tensor([0.3, 0.2, 0.1], dtype=f64))
    prior = priors.Mixture.fit(target.sample(4000, rng(1)), OU, 0.3, generator=rng(2), components=3, form=form)
    exact, found = marginal(target, OU, 0.3), prior.law
    order = torch.cdist(exact.means, found.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    counts = 4000 * exact.weights
    spread = math.exp(-0.3) * target.covariances.sqrt()
    assert bool(((found.means[order] - exact.means).abs() < 5 * (spread / counts.sqrt())[:, None]).all())
    assert bool(((found.weights[order] - exact.weights).abs() < 5 * (exact.weights / 4000).sqrt()).all())
    full = exact.covariances[:, None, None] * torch.eye(2, dtype=f64) if form == "full" else exact.covariances
    torch.testing.assert_close(found.covariances[order], full, rtol=0, atol=0.03)


def test_fitting_the_data_and_diffusing_beats_fitting_noised_data():
    """The reason given in the module: on held-out samples of p_t the diffused fit has the higher likelihood (paired, 4 seeds)."""
    angle = torch.arange(8, dtype=f64) * math.pi / 4
    ring = 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
    target = GaussianMixture(torch.full((8,), 1 / 8, dtype=f64), ring, torch.full((8,), 0.02, dtype=f64))
    alpha, sigma = math.exp(-0.3), math.sqrt(1 - math.exp(-0.6))
    gains = []
    for seed in range(4):
        points = target.sample(300, rng(seed))
        test = marginal(target, OU, 0.3).sample(10_000, rng(seed + 50))
        diffused = priors.Mixture.fit(points, OU, 0.3, generator=rng(seed)).law.log_prob(test).mean()
        fresh = np.repeat(alpha * points.numpy(), 15, 0)
        fresh = fresh + sigma * np.random.default_rng(seed).normal(size=fresh.shape)
        gains.append(float(diffused) - Fitted(8, random_state=seed, max_iter=500).fit(fresh).score(test.numpy()))
    gains = np.array(gains)
    assert gains.mean() > 2 * gains.std(ddof=1) / 2 and gains.min() > 0


def test_a_mixture_of_singular_single_precision_data():
    """Digits have pixels that never change: the clean fit is singular in float32, the diffused one is a prior."""
    points = torch.as_tensor(load_digits().images[:500], dtype=torch.float32)[:, None] / 8 - 1
    prior = priors.Mixture.fit(points, OU, 0.1, generator=rng(1), components=3)
    x = prior.sample(500, rng(2))
    assert x.dtype == torch.float32 and x.shape == (500, 1, 8, 8)
    variance = float((x - math.exp(-0.1) * points.mean(0)).square().mean())
    exact = math.exp(-0.2) * float(points.var(0, correction=0).mean()) + 1 - math.exp(-0.2)
    assert variance == pytest.approx(exact, rel=0.03)


def test_a_mixture_that_did_not_converge_is_loud_unless_accepted():
    points = torch.randn(300, 2, generator=rng(1))
    with pytest.raises(RuntimeError, match="did not converge in 1 iterations"):
        priors.Mixture.fit(points, OU, 0.3, generator=rng(2), max_iter=1)
    assert priors.Mixture.fit(points, OU, 0.3, generator=rng(2), max_iter=1, strict=False).sample(2, rng()).shape == (2, 2)


# ---- Learned


@pytest.fixture(scope="module")
def skewed():
    target = bimodal(1.2, 0.05, (0.8, 0.2))
    points = target.sample(4000, rng(1)).float()
    return target, points, priors.Learned.fit(points, OU, 0.3, generator=rng(2), steps=120, batch=256)


def test_a_flow_learns_what_the_gaussian_leaves_out(skewed):
    """Its gain in log-likelihood nears the most there is, KL(p_t || N(m, S)) by quadrature; never more than noise allows."""
    target, points, prior = skewed
    alpha, sigma = math.exp(-0.3), math.sqrt(1 - math.exp(-0.6))
    mean, variance = float(prior.mean), float(prior.root) ** 2
    density = lambda x: scipy_density(target, [[x]], alpha, sigma)[0]
    normal = stats.norm(mean, math.sqrt(variance))
    most = integrate.quad(lambda x: density(x) * (math.log(density(x)) - normal.logpdf(x)), -4, 4, epsabs=1e-8)[0]
    x = marginal(target, OU, 0.3).sample(20_000, rng(3)).float()
    with torch.no_grad():
        gain = prior.gains(x).numpy()
        u = (x - mean) / math.sqrt(variance)
        assert np.allclose(gain, prior.flow.log_prob(u).numpy() - stats.norm.logpdf(u[:, 0].numpy()), atol=1e-4)
    error = gain.std() / math.sqrt(len(gain))
    assert 0.8 * most < gain.mean() + 3 * error and gain.mean() - 3 * error < most
    assert most > 20 * error  # there was something to learn


def test_learned_samples_follow_the_learned_density(skewed):
    """Sampling inverts the density: the histogram of samples against quadrature of exp(log_prob) (chi-square)."""
    _, _, prior = skewed
    u = ((prior.sample(5000, rng(4)) - prior.mean) / prior.root)[:, 0].numpy()
    grid = torch.linspace(-6, 6, 4001)[:, None]
    with torch.no_grad():
        q = prior.flow.log_prob(grid).exp().numpy()
    cdf = integrate.cumulative_trapezoid(q, grid[:, 0].numpy(), initial=0)
    assert cdf[-1] == pytest.approx(1, abs=1e-3)
    assert stats.kstest(u, lambda v: np.interp(v, grid[:, 0].numpy(), cdf / cdf[-1])).pvalue > 1e-3


@pytest.mark.parametrize("d, kind", [(1, "spline"), (2, "spline"), (2, "affine"), (5, "spline"), (9, "affine")])
def test_a_flow_starts_as_the_identity_and_inverts_itself(d, kind):
    """Untrained: N(0, I) exactly. With random weights: f^{-1} inverts f, and its log-determinant is autograd's."""
    flow = Flow(d, kind, 3, (16,), generator=rng(1)).double()
    x = torch.randn(20, d, generator=rng(2), dtype=f64)
    torch.testing.assert_close(flow(x), x, rtol=0, atol=1e-5)
    expected = torch.as_tensor(stats.norm.logpdf(x.numpy()).sum(1))
    torch.testing.assert_close(flow.log_prob(x), expected, rtol=0, atol=1e-5)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=rng(3), dtype=f64))
    y = flow(x)
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda v: flow(v[None])[0], row) for row in x])
    log_det = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(flow.log_prob(y), expected - log_det, rtol=1e-3, atol=2e-3)
    assert float((y - x).detach().abs().max()) > 0.05


def test_affine_layers_learn_in_64_dimensions():
    """Four clusters: after 100 steps the flow gains over the moment-matched Gaussian by many standard errors."""
    target = GaussianMixture([0.25] * 4, 2 * torch.randn(4, 64, generator=rng(1), dtype=f64), torch.full((4,), 0.1, dtype=f64))
    points = target.sample(2000, rng(2)).float()
    prior = priors.Learned.fit(points, OU, 0.5, generator=rng(3), steps=100, batch=256)
    assert prior.gain > 5 * prior.gain_error > 0 and prior.flow.design["kind"] == "affine"


def test_learning_can_be_watched_and_its_state_is_the_fit():
    points = triangle().sample(200, rng(1)).float()
    options = {"steps": 4, "batch": 32, "transforms": 2, "hidden": (8,)}
    states = list(priors.learn(points, OU, 0.3, generator=rng(2), **options))
    assert [s.step for s in states] == [1, 2, 3, 4] and all(s.steps == 4 and math.isfinite(s.gain) for s in states)
    assert states[0].gain == pytest.approx(0, abs=1e-4)  # it begins as the moment-matched Gaussian
    fitted = priors.Learned.fit(points, OU, 0.3, generator=rng(2), strict=False, **options)
    assert all(torch.equal(a, b) for a, b in zip(states[-1].prior.flow.parameters(), fitted.flow.parameters()))


def test_a_flow_that_learned_nothing_is_loud_unless_accepted():
    points = triangle().sample(200, rng(1)).float()
    wild = {"steps": 3, "batch": 16, "learning_rate": 3.0, "transforms": 2, "hidden": (8,)}
    with pytest.raises(RuntimeError, match="did not learn: gain -|not finite"):
        priors.Learned.fit(points, OU, 0.3, generator=rng(2), **wild)
    assert priors.Learned.fit(points, OU, 0.3, generator=rng(2), strict=False, **wild).gain < 0


# ---- Langevin: check 41


def exact_langevin(mean, variance, mean0, variance0, h, n):
    """Mean and variance after n steps for N(mean, variance), by the recursion of an affine map."""
    shrink = 1 - h / variance
    m, v = np.array(mean0, dtype=float), np.array(variance0, dtype=float)
    for _ in range(n):
        m, v = mean + shrink * (m - mean), shrink**2 * v + 2 * h
    return m, v


@pytest.mark.parametrize("steps", [0, 1, 4, 16])
def test_langevin_on_a_gaussian_is_an_affine_recursion(steps):
    """Check 41: from N(0, I) the error of the mean falls as (1 - h/lambda)^n, the variance to lambda/(1 - h/(2 lambda))."""
    target, t, step, n = gaussian((2.0, 0.2), (1.5, -1.0)), 0.4, 0.4, 40_000
    law = marginal(target, OU, t)
    mean, variance = law.mean.numpy(), law.covariance.diagonal().numpy()
    h = step * (1 - math.exp(-2 * t))
    prior = priors.Langevin(priors.Standard(OU, 2, f64), ExactDenoiser(target, OU), OU, t, steps, step)
    x = prior.sample(n, rng(1)).numpy()
    m, v = exact_langevin(mean, variance, np.zeros(2), np.ones(2), h, steps)
    np.testing.assert_allclose(mean - m, (1 - h / variance) ** steps * mean, atol=1e-12)  # geometric
    assert np.all(np.abs(x.mean(0) - m) < 5 * np.sqrt(v / n))
    assert np.all(np.abs(x.var(0) - v) < 5 * v * math.sqrt(2 / n))
    assert prior.cost.network_calls == steps
    if steps == 0:
        assert np.array_equal(x, priors.Standard(OU, 2, f64).sample(n, rng(1)).numpy())


def test_the_bias_of_langevin_is_of_order_h():
    """Long runs end at variance lambda/(1 - h/(2 lambda)): measured for two steps, the bias halves with h."""
    target, t, n = gaussian((0.5,)), 0.5, 60_000
    variance, floor = float(marginal(target, OU, t).covariance), 1 - math.exp(-1.0)
    biases = []
    for step in (0.8, 0.4):
        prior = priors.Langevin(priors.Standard(OU, 1, f64), ExactDenoiser(target, OU), OU, t, 30, step)
        biases.append(float(prior.sample(n, rng(2)).var()) - variance)
        h = step * floor
        assert biases[-1] == pytest.approx(variance / (1 - h / (2 * variance)) - variance, abs=5 * 1.5 * math.sqrt(2 / n))
    assert 1.8 < biases[0] / biases[1] < 3.2  # 2 to first order in h, 2.75 here


def test_langevin_repairs_the_shape_that_a_gaussian_start_lacks():
    """On a skewed law at t = .3 the moment-matched start fails a KS test of p_t; forty small corrections pass it."""
    target = bimodal(1.2, 0.05, (0.8, 0.2))
    train = target.sample(4000, rng(1))
    grid = np.linspace(-6, 6, 4001)
    density = scipy_density(target, grid[:, None], math.exp(-0.3), math.sqrt(1 - math.exp(-0.6)))
    cdf = integrate.cumulative_trapezoid(density, grid, initial=0)
    test = lambda prior: stats.kstest(prior.sample(3000, rng(2))[:, 0].numpy(), lambda v: np.interp(v, grid, cdf)).pvalue
    start = priors.MomentMatched.fit(train, OU, 0.3)
    assert test(start) < 1e-6
    corrected = priors.Langevin.fit(train, OU, 0.3, generator=rng(3), denoiser=ExactDenoiser(target, OU), steps=80, step=0.05)
    assert test(corrected) > 1e-3
