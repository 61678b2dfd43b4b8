"""Mixtures and point sets against scipy's densities, autograd and quadrature."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from zoo import (
    DTYPES,
    bimodal,
    channels,
    dimensions,
    f64,
    few,
    mixtures,
    parts,
    points_near,
    random_mixture,
    random_rotation,
    rng,
    scipy_cdf,
    scipy_density,
    scipy_moments,
    scipy_quantile,
    seeds,
    triangle,
)  # fmt: skip

from otprior_lite import targets
from otprior_lite.targets import Empirical, GaussianMixture, cdf, normal_to

close = torch.testing.assert_close


@few
@given(mixtures(), channels())
def test_density_is_scipys(target, channel):
    """log p_t equals the logarithm of scipy's sum of multivariate normal densities."""
    x = points_near(target, 6)
    np.testing.assert_allclose(target.log_prob(x).exp(), scipy_density(target, x), rtol=1e-8)
    np.testing.assert_allclose(target.diffuse(*channel).log_prob(x).exp(), scipy_density(target, x, *channel), rtol=1e-8)


@few
@given(mixtures(), channels())
def test_check_5_score_is_the_gradient(target, channel):
    """Check 5: score = finite difference of log p_t, with scipy's density, and autograd's gradient."""
    p, x = target.diffuse(*channel), points_near(target, 4)
    h = 1e-5
    for i in range(target.d):
        step = torch.zeros(target.d, dtype=f64)
        step[i] = h
        up, down = (np.log(scipy_density(target, x + s * step, *channel)) for s in (1, -1))
        np.testing.assert_allclose(p.score(x)[:, i], (up - down) / (2 * h), rtol=1e-5, atol=1e-5)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(p.log_prob(leaf).sum(), leaf)
    close(p.score(x), gradient, rtol=1e-9, atol=1e-9)


@few
@given(mixtures(), channels())
def test_check_5_hessian_and_tweedie(target, channel):
    """Check 5: Hess log p_t = -I/sigma^2 + alpha^2/sigma^4 Cov[x0|x]; Tweedie = direct posterior mean."""
    alpha, sigma = channel
    p, x = target.diffuse(alpha, sigma), points_near(target, 3)
    eye = torch.eye(target.d, dtype=f64)
    covariance = target.posterior_covariance(x, alpha, sigma)
    for point, cov in zip(x, covariance):
        hessian = torch.autograd.functional.hessian(lambda v: p.log_prob(v[None])[0], point)
        close((hessian + eye / sigma**2) * sigma**4 / alpha**2, cov, rtol=1e-8, atol=1e-8)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(p.log_prob(leaf).sum(), leaf)
    close((x + sigma**2 * gradient) / alpha, target.posterior_mean(x, alpha, sigma), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("x", [-2.0, 0.1, 1.3])
@pytest.mark.parametrize("channel", [(0.8, 0.6), (0.3, 0.9)])
def test_check_5_posterior_by_quadrature(x, channel):
    """Check 5: E and Cov of x_0 given x from Bayes' rule integrated by scipy in one dimension."""
    alpha, sigma = channel
    target = GaussianMixture([0.7, 0.3], [[-1.0], [1.5]], [0.2, 0.5])
    joint = lambda u: scipy_density(target, [[u]])[0] * stats.norm.pdf(x, alpha * u, sigma)
    quad = lambda f: integrate.quad(f, -9, 9, points=[-1, 1.5], epsabs=1e-13, epsrel=1e-12, limit=400)[0]
    mass, first, second = (quad(lambda u, k=k: u**k * joint(u)) for k in range(3))
    here = torch.tensor([[x]], dtype=f64)
    assert float(target.posterior_mean(here, alpha, sigma)) == pytest.approx(first / mass, abs=1e-8)
    expected = second / mass - (first / mass) ** 2
    assert float(target.posterior_covariance(here, alpha, sigma)) == pytest.approx(expected, abs=1e-8)


@few
@given(dimensions, st.integers(1, 6), seeds, channels())
def test_empirical_posterior_is_a_softmax_average(d, n, seed, channel):
    """E[x0|x] of points is their softmax(-|x - alpha x_k|^2 / 2 sigma^2) average, written out in numpy."""
    alpha, sigma = channel
    r = np.random.default_rng(seed)
    points, x, weights = r.normal(size=(n, d)), r.normal(size=(5, d)), r.dirichlet(np.ones(n))
    logits = np.log(weights) - ((x[:, None] - alpha * points) ** 2).sum(-1) / (2 * sigma**2)
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    target = Empirical(points, weights)
    np.testing.assert_allclose(target.posterior_mean(x, alpha, sigma), share @ points, atol=1e-10)
    centred = points - (share @ points)[:, None]
    covariance = np.einsum("nk,nki,nkj->nij", share, centred, centred)
    np.testing.assert_allclose(target.posterior_covariance(x, alpha, sigma), covariance, atol=1e-10)
    np.testing.assert_allclose(target.mean, weights @ points, atol=1e-12)
    np.testing.assert_allclose(target.covariance, np.cov(points.T, aweights=weights, ddof=0).reshape(d, d), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [2, 64])
def test_empirical_posterior_survives_tiny_noise(dtype, d):
    """With sigma = 1e-3 and far points the weights underflow; the nearest point must come out, not NaN."""
    points = 5 * torch.randn(50, d, generator=rng(), dtype=dtype)
    found = Empirical(points).posterior_mean(points + 0.01, 1.0, 1e-3)
    close(found, points, rtol=0, atol=1e-5)


@few
@given(mixtures())
def test_moments(target):
    """mean and covariance from the parts: E[x], E[xx^T] - mean mean^T."""
    mean, covariance = scipy_moments(target)
    np.testing.assert_allclose(target.mean, mean, atol=1e-12)
    np.testing.assert_allclose(target.covariance, covariance, atol=1e-12)


@few
@given(mixtures(), channels(), channels())
def test_diffusing_twice_is_diffusing_once(target, one, two):
    """alpha2 (alpha1 x + sigma1 eps) + sigma2 eps' has coefficients (alpha1 alpha2, sqrt(alpha2^2 sigma1^2 + sigma2^2))."""
    x = points_near(target, 5)
    both = (one[0] * two[0], (two[0] ** 2 * one[1] ** 2 + two[1] ** 2) ** 0.5)
    np.testing.assert_allclose(target.diffuse(*one).diffuse(*two).log_prob(x).exp(), scipy_density(target, x, *both), rtol=1e-8)


def test_empirical_diffuses_to_gaussians_at_its_points():
    points = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
    p, x = Empirical(points).diffuse(0.7, 0.4), np.array([[0.3, 0.2], [1.0, -1.0]])
    expected = sum(stats.multivariate_normal(0.7 * m, 0.16 * np.eye(2)).pdf(x) for m in points) / 3
    np.testing.assert_allclose(p.log_prob(x).exp(), expected, rtol=1e-10)
    still = Empirical(points).diffuse(0.7, 0.0)
    assert isinstance(still, Empirical) and np.allclose(still.points, 0.7 * points)


def test_samples_follow_the_density():
    """Kolmogorov-Smirnov in one dimension; mean and covariance within five standard errors in two."""
    target = GaussianMixture([0.7, 0.3], [[-1.0], [1.5]], [0.2, 0.5])
    draws = target.sample(4000, rng(3))[:, 0].numpy()
    assert stats.kstest(draws, lambda v: np.array([scipy_cdf(target, u) for u in v])).pvalue > 1e-3
    x = triangle().sample(40_000, rng(4)).numpy()
    mean, covariance = scipy_moments(triangle())
    assert np.all(np.abs(x.mean(0) - mean) < 5 * np.sqrt(np.diag(covariance) / len(x)))
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert np.all(np.abs(products.mean(0) - covariance) < 5 * products.std(0) / np.sqrt(len(x)))


def test_empirical_samples_have_the_given_frequencies():
    weights = [0.1, 0.0, 0.6, 0.3]
    draws = Empirical([[0.0], [1.0], [2.0], [3.0]], weights).sample(5000, rng(5))[:, 0]
    counts = np.bincount(draws.long().numpy(), minlength=4)
    assert counts[1] == 0
    keep = [0, 2, 3]
    assert stats.chisquare(counts[keep], 5000 * np.array(weights)[keep]).pvalue > 1e-3


def test_a_generator_decides_the_sample():
    assert torch.equal(triangle().sample(9, rng(1)), triangle().sample(9, rng(1)))
    assert not torch.equal(triangle().sample(9, rng(1)), triangle().sample(9, rng(2)))


# ---- equivariances


@few
@given(mixtures(), channels(), seeds)
def test_rotation_translation_and_scale(target, channel, seed):
    """For y = c R x + b: score(y) = R score(x)/c, E[y0|.] = c R E[x0|.] + b with sigma scaled by c."""
    alpha, sigma = channel
    w, mu, S = parts(target)
    R, b, c = random_rotation(target.d, seed), np.random.default_rng(seed).normal(size=target.d), 1.7
    moved = GaussianMixture(w, c * mu @ R.T + b, c**2 * R @ S @ R.T)
    x = points_near(target, 4).numpy()
    y = c * x @ R.T
    np.testing.assert_allclose(moved.score(y + b), target.score(x).numpy() @ R.T / c, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(moved.log_prob(y + b), target.log_prob(x) - target.d * np.log(c), rtol=1e-8, atol=1e-8)
    expected = c * target.posterior_mean(x, alpha, sigma).numpy() @ R.T + b
    np.testing.assert_allclose(moved.posterior_mean(y + alpha * b, alpha, c * sigma), expected, rtol=1e-7, atol=1e-7)
    spread = c**2 * R @ target.posterior_covariance(x, alpha, sigma).numpy() @ R.T
    np.testing.assert_allclose(moved.posterior_covariance(y + alpha * b, alpha, c * sigma), spread, rtol=1e-7, atol=1e-7)


@few
@given(mixtures(), channels(), seeds)
def test_components_have_no_order_and_no_identity(target, channel, seed):
    """Permuting components, or splitting one into two halves, changes no function of the law."""
    order = np.random.default_rng(seed).permutation(len(target.weights))
    shuffled = GaussianMixture(target.weights[order], target.means[order], target.covariances[order])
    twice = [0, *range(len(target.weights))]
    weights = target.weights[twice].clone()
    weights[:2] /= 2
    split = GaussianMixture(weights, target.means[twice], target.covariances[twice])
    x = points_near(target, 4)
    for other in (shuffled, split):
        close(other.score(x), target.score(x), rtol=1e-9, atol=1e-9)
        close(other.posterior_mean(x, *channel), target.posterior_mean(x, *channel), rtol=1e-9, atol=1e-9)
        close(other.covariance, target.covariance, rtol=1e-9, atol=1e-9)


# ---- dtype, device, memory


@few
@given(seeds, st.booleans(), st.sampled_from(DTYPES))
def test_dtype_follows_the_target(seed, isotropic, dtype):
    target = random_mixture(3, 2, seed, isotropic, dtype)
    exact = random_mixture(3, 2, seed, isotropic)
    x = points_near(exact, 5)
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for name, arguments in (
        ("log_prob", ()),
        ("score", ()),
        ("posterior_mean", (0.6, 0.8)),
        ("posterior_covariance", (0.6, 0.8)),
    ):
        value = getattr(target, name)(x.to(dtype), *arguments)
        assert value.dtype == dtype
        close(value.to(f64), getattr(exact, name)(x, *arguments), **tolerance)
    assert target.sample(4, rng()).dtype == dtype and target.to(f64).means.dtype == f64
    assert target.mean.shape == (3,) and target.covariance.shape == (3, 3)


@pytest.mark.parametrize("isotropic", [False, True])
def test_blocks_of_rows_change_nothing(monkeypatch, isotropic):
    """With blocks of one or two rows the density is still scipy's."""
    from otprior_lite.targets import mixture

    monkeypatch.setattr(mixture, "_BLOCK", 8)
    target = random_mixture(2, 3, 11, isotropic)
    x = points_near(target, 7)
    np.testing.assert_allclose(target.log_prob(x).exp(), scipy_density(target, x), rtol=1e-9)
    assert target.posterior_covariance(x, 0.5, 0.5).shape == (7, 2, 2)


# ---- one dimension


@few
@given(mixtures(d=st.just(1)))
def test_cdf_and_increasing_map(target):
    """F is scipy's; T = F^{-1} o Phi satisfies F(T(z)) = Phi(z) and agrees with scipy's root finder."""
    z = torch.linspace(-4, 4, 9, dtype=f64)
    x = normal_to(target, z)
    np.testing.assert_allclose([scipy_cdf(target, float(v)) for v in x], stats.norm.cdf(z), rtol=1e-10)
    np.testing.assert_allclose(cdf(target, x), stats.norm.cdf(z), rtol=1e-10)
    assert bool((x.diff() > 0).all())
    np.testing.assert_allclose(x[4], scipy_quantile(target, 0.5), atol=1e-9)


def test_increasing_map_far_in_both_tails():
    """At |z| = 12 the upper tail has mass 1.8e-33: the outer component decides, T(z) solves w Q((x-m)/s) = Q(z)."""
    target = bimodal(2.0, 0.25)
    for z in (12.0, -12.0):
        x = abs(float(normal_to(target, torch.tensor([z], dtype=f64))))
        assert stats.norm.logsf((x - 2) / 0.5) + np.log(0.5) == pytest.approx(stats.norm.logsf(12.0), rel=1e-10)


@pytest.mark.parametrize("target", [bimodal(), bimodal(1.5, 0.4, (0.8, 0.2))])
def test_check_27_monge_ampere_in_one_dimension(target):
    """Check 27: u' = F_p^{-1} o Phi solves u''(z) p(u'(z)) = phi(z) to 1e-8 (u'' by differences)."""
    z, h = torch.linspace(-2.5, 2.5, 21, dtype=f64), 2e-5
    at = lambda k: normal_to(target, z + k * h)
    slope = (at(-3) * -1 + at(-2) * 9 + at(-1) * -45 + at(1) * 45 + at(2) * -9 + at(3)) / (60 * h)
    residual = slope.numpy() * scipy_density(target, at(0)[:, None]) - stats.norm.pdf(z)
    assert np.abs(residual).max() < 1e-8


# ---- toys


@pytest.mark.parametrize("name", targets.names())
def test_every_toy_is_a_planar_mixture(name):
    toy = targets.toy(name)
    assert toy.d == 2 and float(toy.weights.sum()) == pytest.approx(1)
    assert 0.3 < float(toy.covariance.diagonal().sqrt().max()) < 4
    assert targets.toy(name, torch.float32).means.dtype == torch.float32


def test_toys_are_what_they_say():
    """Ring: mean (0.6, 0), covariance (1.5^2/2 + 0.02) I. Giraffe: mean zero, taller than wide."""
    ring, giraffe = targets.toy("ring"), targets.toy("giraffe")
    np.testing.assert_allclose(ring.mean, [0.6, 0], atol=1e-12)
    np.testing.assert_allclose(ring.covariance, 1.145 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(giraffe.mean, [0, 0], atol=1e-12)
    low, high = giraffe.means.amin(0), giraffe.means.amax(0)
    assert float((high - low)[1]) > 1.5 * float((high - low)[0])


# ---- refusals

GOOD = ([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
BAD_MIXTURES = [
    ("weights", ([0.5, 0.4], *GOOD[1:]), "sum to 1"),
    ("weights", ([1.5, -0.5], *GOOD[1:]), "no negative"),
    ("weights", ([1.0], *GOOD[1:]), r"shape \(2,\)"),
    ("weights", ([0.5, float("nan")], *GOOD[1:]), "finite"),
    ("means", (GOOD[0], [0.0, 1.0], GOOD[2]), r"shape \(2,\)"),
    ("means", (GOOD[0], [[0.0, 0.0], [1.0, float("inf")]], GOOD[2]), "finite"),
    ("means", (GOOD[0], [["a", "b"]], GOOD[2]), "numbers"),
    ("covariances", (*GOOD[:2], [1.0, 0.0]), "positive"),
    ("covariances", (*GOOD[:2], [1.0, 1.0, 1.0]), r"shape \(3,\)"),
    ("covariances", (*GOOD[:2], [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]), "positive definite"),
    ("covariances", (*GOOD[:2], [[[1.0, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]), "symmetric"),
]


@pytest.mark.parametrize("argument, arguments, what", BAD_MIXTURES)
def test_mixture_refuses(argument, arguments, what):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .*{what}|^{argument}: .*{what}.*got"):
        GaussianMixture(*arguments)


def refusals():
    target, points = triangle(), Empirical([[0.0, 1.0], [1.0, 0.0]])
    x = torch.zeros(3, 2, dtype=f64)
    yield "x", lambda: target.log_prob(torch.zeros(3, 3))
    yield "x", lambda: target.score(x * float("nan"))
    yield "x", lambda: target.posterior_mean(torch.zeros(2), 0.5, 0.5)
    yield "alpha, sigma", lambda: target.posterior_mean(x, -0.5, 0.5)
    yield "alpha, sigma", lambda: target.posterior_covariance(x, 0.5, float("nan"))
    yield "alpha, sigma", lambda: target.posterior_mean(x, float("inf"), 0.5)
    yield "sigma", lambda: points.posterior_mean(x, 0.5, 0.0)
    yield "log_prob", lambda: points.log_prob(x)
    yield "score", lambda: points.score(x)
    yield "points", lambda: Empirical([1.0, 2.0])
    yield "weights", lambda: Empirical([[1.0], [2.0]], [0.5, 0.6])
    yield "n", lambda: target.sample(0, rng())
    yield "n", lambda: target.sample(2.5, rng())
    yield "generator", lambda: target.sample(3, None)
    yield "generator", lambda: points.sample(3, 7)
    yield "p", lambda: cdf(triangle(), 0.0)
    yield "p", lambda: normal_to(Empirical([[0.0]]), 0.0)
    yield "x", lambda: cdf(bimodal(), float("nan"))
    yield "z", lambda: normal_to(bimodal(), [0.0, float("inf")])
    yield "alpha, sigma", lambda: target.diffuse(0.5, -1.0)
    yield "alpha, sigma", lambda: points.diffuse(-0.5, 1.0)


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_targets_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_unknown_toy_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'giraffe'"):
        targets.toy("girafe")
