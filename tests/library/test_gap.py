"""The prior gap: bounds, exact values and the split, against scipy and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from zoo import (
    SCHEDULES,
    bimodal,
    f64,
    few,
    gaussian,
    mixtures,
    normal_kl,
    normal_w2,
    parts,
    random_mixture,
    random_rotation,
    rng,
    scipy_density,
    scipy_moments,
    seeds,
    triangle,
)  # fmt: skip

from otprior_lite import gap, schedules
from otprior_lite.targets import Empirical, GaussianMixture

OU = schedules.ou(3.0)


def exact_w2(target, schedule, t) -> float:
    """W2(p_t, N(0, s^2)) in one dimension: int (x - s Phi^{-1}(F(x)))^2 p(x) dx with scipy's tails, on a fine grid."""
    alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    w, mu, S = parts(target)
    mean, std = alpha * mu, np.sqrt(alpha**2 * S[:, 0] + sigma**2)
    x = np.linspace((mean - 11 * std).min(), (mean + 11 * std).max(), 60_001)
    z = (x - mean) / std
    lower, upper = (special.logsumexp(f(z), axis=0, b=w[:, None]) for f in (stats.norm.logcdf, stats.norm.logsf))
    standard = np.where(lower < upper, special.ndtri_exp(lower), -special.ndtri_exp(upper))
    p = (w[:, None] * stats.norm.pdf(z) / std).sum(0)
    return math.sqrt(np.trapezoid((x - s * standard) ** 2 * p, x))


def exact_kl(target, schedule, t) -> float:
    """KL(p_t || N(0, s^2)) in one dimension by scipy's quadrature of scipy's density."""
    channel = float(schedule.alpha(t)), float(schedule.sigma(t))
    s = float(schedule.reference_std(t))

    def integrand(x):
        p = scipy_density(target, [[x]], *channel)[0]
        return p * (math.log(p) - stats.norm.logpdf(x, scale=s)) if p > 0 else 0.0

    reach = 9 * s + 9
    return integrate.quad(integrand, -reach, reach, points=[-1, 0, 1], epsabs=1e-13, epsrel=1e-10, limit=500)[0]


def test_check_11_kl_and_its_bound():
    """Check 11: bimodal(+-1, var .09), T = 1: KL = 6.5010e-5, bound 7.8797e-2; scipy's quadrature agrees."""
    target = bimodal(1.0, 0.09)
    assert gap.kl(target, OU, 1.0).value == pytest.approx(6.5010e-5, rel=1e-4)
    assert gap.kl(target, OU, 1.0).value == pytest.approx(exact_kl(target, OU, 1.0), rel=1e-7)
    assert gap.kl_bound(target, OU, 1.0) == pytest.approx(7.8797e-2, rel=1e-4)


@few
@given(st.integers(1, 5), seeds, st.sampled_from(sorted(SCHEDULES)))
def test_check_11_equality_for_a_point(d, seed, name):
    """Check 11: the bound is KL(N(alpha y, sigma^2 I) || N(0, s^2 I)) exactly when the data are one point y."""
    schedule = SCHEDULES[name]()
    y = np.random.default_rng(seed).normal(size=d)
    t = 0.6 * schedule.T
    alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    expected = normal_kl(alpha * y, sigma**2 * np.eye(d), np.zeros(d), s**2 * np.eye(d))
    assert gap.kl_bound(Empirical(y[None]), schedule, t) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@settings(few, max_examples=6)
@given(mixtures(d=st.just(1)), st.floats(0.2, 2.5))
def test_check_11_and_12_hold_on_random_mixtures(target, t):
    """Checks 11 and 12: KL <= bound; Gelbrich <= W2 <= min(synchronous, Talagrand, e^{-t} W2_0), W2 from scipy."""
    kl = exact_kl(target, OU, t)
    assert gap.kl(target, OU, t).value == pytest.approx(kl, rel=1e-6, abs=1e-11)
    assert kl <= gap.kl_bound(target, OU, t) * (1 + 1e-9)
    w2 = gap.prior_gap(target, OU, t).total.value
    contraction = math.exp(-t) * exact_w2(target, OU, 0.0)
    assert w2 == pytest.approx(exact_w2(target, OU, t), rel=1e-5, abs=1e-8)
    assert gap.gelbrich(target, OU, t) <= w2 * (1 + 1e-7) + 1e-9
    for upper in (gap.synchronous_bound(target, OU, t), gap.talagrand(target, OU, t), contraction):
        assert w2 <= upper * (1 + 1e-6) + 1e-7


def test_check_12_values():
    """Check 12: bimodal(+-1, var .09), T = 1: 6.072e-3 <= W2 = 7.129857e-3 <= sqrt(2 KL) = 1.140e-2."""
    target = bimodal(1.0, 0.09)
    assert gap.gelbrich(target, OU, 1.0) == pytest.approx(6.072e-3, rel=1e-4)
    assert gap.prior_gap(target, OU, 1.0).total.value == pytest.approx(7.129857e-3, rel=1e-6)
    assert exact_w2(target, OU, 1.0) == pytest.approx(7.129857e-3, rel=1e-6)
    assert gap.talagrand(target, OU, 1.0) == pytest.approx(1.140e-2, rel=1e-3)
    squares = math.exp(-2) * 1.09 + (1 - math.sqrt(1 - math.exp(-2))) ** 2
    assert gap.synchronous_bound(target, OU, 1.0) == pytest.approx(math.sqrt(squares), rel=1e-12)


@few
@given(st.integers(1, 4), seeds, st.sampled_from(sorted(SCHEDULES)), st.floats(0.1, 1.0))
def test_a_gaussian_has_no_shape(d, seed, name, share):
    """For one Gaussian Gelbrich's bound is the distance itself (Bures formula, scipy's matrix root); KL is closed form."""
    target, schedule = random_mixture(d, 1, seed), SCHEDULES[name]()
    t = share * schedule.T
    alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    _, mu, S = parts(target)
    here = alpha * mu[0], alpha**2 * S[0] + sigma**2 * np.eye(d)
    prior = np.zeros(d), s**2 * np.eye(d)
    exact = normal_w2(*here, *prior)
    assert gap.gelbrich(target, schedule, t) == pytest.approx(exact, rel=1e-6, abs=2e-6 * s)
    assert gap.synchronous_bound(target, schedule, t) >= exact - 2e-6 * s
    kl = gap.kl(target, schedule, t, n=4000, generator=rng(seed))
    assert abs(kl.value - normal_kl(*here, *prior)) <= 5 * kl.error + 1e-9
    assert (kl.error == 0) == (d == 1 or kl.error < 1e-12)


def test_standard_data_has_no_gap():
    """N(0, I) data: p_T = N(0, I) under a variance-preserving schedule, though the SNR is not zero."""
    result = gap.prior_gap(gaussian((1.0,)), OU, 0.5)
    assert result.total.value < 1e-12 and gap.kl(gaussian((1.0,)), OU, 0.5).value == pytest.approx(0, abs=1e-12)
    assert float(OU.snr(0.5)) > 0.5


def test_split_adds_up_in_one_dimension():
    """total^2 = mean^2 + covariance^2 + shape^2, each from its own definition."""
    target, t = GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25]), 0.7
    result = gap.prior_gap(target, OU, t)
    alpha, sigma = math.exp(-t), math.sqrt(1 - math.exp(-2 * t))
    mean, covariance = scipy_moments(target)
    std = math.sqrt(alpha**2 * covariance[0, 0] + sigma**2)
    assert result.mean == pytest.approx(alpha * mean[0], rel=1e-10)
    assert result.covariance == pytest.approx(abs(std - 1), rel=1e-9)
    assert result.lower == pytest.approx(math.hypot(result.mean, result.covariance), rel=1e-10)
    w2 = exact_w2(target, OU, t)
    assert result.shape.value == pytest.approx(math.sqrt(w2**2 - result.lower**2), rel=1e-5)
    assert (result.total.floor, result.shape.floor) == (0, 0)


def test_split_of_a_product_law_in_the_plane():
    """p = bimodal x N(0, 1): W2^2 is the sum over axes, so the total is known; the estimate finds it within its floor."""
    bumps = bimodal(0.95, 0.0975)  # unit variance: all of the gap is shape
    plane = GaussianMixture([0.5, 0.5], [[0.95, 0.0], [-0.95, 0.0]], np.stack([np.diag([0.0975, 1.0])] * 2))
    t = 0.05
    exact = gap.prior_gap(bumps, OU, t)
    found = gap.prior_gap(plane, OU, t, n=500, generator=rng(1))
    assert found.mean == pytest.approx(0, abs=1e-12)
    assert found.covariance == pytest.approx(exact.covariance, abs=1e-9) == 0
    assert exact.shape.value**2 > 2 * found.shape.floor**2  # the floor is small enough to see it
    assert abs(found.shape.value**2 - exact.shape.value**2) < found.shape.floor**2 + 0.2 * exact.shape.value**2
    assert abs(found.total.value - exact.total.value) < 0.1 * exact.total.value
    assert found.total.n == 500


def test_shape_of_a_gaussian_is_within_the_floor():
    """In the plane a Gaussian's true shape is zero: the estimate must not exceed a few floors."""
    target = random_mixture(2, 1, 5)
    found = [gap.prior_gap(target, OU, 0.2, n=300, generator=rng(k)).shape for k in range(6)]
    assert np.mean([f.value**2 for f in found]) < 3 * np.mean([f.floor**2 for f in found])


def test_kl_in_the_plane_adds_over_independent_axes():
    """KL of a product is the sum: the Monte-Carlo value meets two scipy quadratures within five standard errors."""
    a, b = bimodal(1.0, 0.09), bimodal(0.5, 0.3, (0.8, 0.2))
    weights = [0.4, 0.1, 0.4, 0.1]
    means = [[1, 0.5], [1, -0.5], [-1, 0.5], [-1, -0.5]]
    plane = GaussianMixture(weights, means, np.stack([np.diag([0.09, 0.3])] * 4))
    found = gap.kl(plane, OU, 0.3, n=40_000, generator=rng(2))
    exact = exact_kl(a, OU, 0.3) + exact_kl(b, OU, 0.3)
    assert abs(found.value - exact) < 5 * found.error and found.error < 0.05 * exact


def test_kl_floor_of_an_estimate_is_its_standard_error():
    """Repeated Monte-Carlo estimates scatter by what each of them reports."""
    runs = [gap.kl(triangle(), OU, 0.3, n=500, generator=rng(k)) for k in range(60)]
    scatter = np.std([r.value for r in runs], ddof=1)
    assert 0.7 < scatter / np.mean([r.error for r in runs]) < 1.4


# ---- equivariances


@few
@given(mixtures(), seeds, st.floats(0.2, 2.0))
def test_bounds_turn_scale_and_shift(target, seed, t):
    """Rotation changes nothing; on edm scaling data, sigma_max and t by c scales W2 by c; a shift adds to mean^2 only."""
    w, mu, S = parts(target)
    R, b, c = random_rotation(target.d, seed), np.random.default_rng(seed).normal(size=target.d), 2.5
    turned = GaussianMixture(w, mu @ R.T, R @ S @ R.T)
    scaled = GaussianMixture(w, c * mu, c**2 * S)
    for bound in (gap.gelbrich, gap.synchronous_bound, gap.kl_bound):
        assert bound(turned, OU, t) == pytest.approx(bound(target, OU, t), rel=1e-8)
    for bound in (gap.gelbrich, gap.synchronous_bound):
        assert bound(scaled, schedules.edm(80 * c), c * t) == pytest.approx(c * bound(target, schedules.edm(80), t), rel=1e-8)
    assert gap.kl_bound(scaled, schedules.edm(80 * c), c * t) == pytest.approx(
        gap.kl_bound(target, schedules.edm(80), t), rel=1e-8
    )
    shifted, centred = GaussianMixture(w, mu + b, S), GaussianMixture(w, mu - w @ mu, S)
    shift = np.sum((math.exp(-t) * (w @ mu + b)) ** 2)
    assert gap.gelbrich(shifted, OU, t) ** 2 == pytest.approx(gap.gelbrich(centred, OU, t) ** 2 + shift, rel=1e-8)


@few
@given(mixtures(), st.sampled_from(sorted(SCHEDULES)), st.floats(0.1, 1.0))
def test_synchronous_bound_is_the_cost_of_its_coupling(target, name, share):
    """E|alpha x_0 + (sigma - s) eps|^2 is the trace of its second moment: alpha^2 (S + m m^T) + (sigma - s)^2 I."""
    schedule = SCHEDULES[name]()
    alpha, sigma, s = (float(f(share * schedule.T)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    mean, covariance = scipy_moments(target)
    second = alpha**2 * (covariance + np.outer(mean, mean)) + (sigma - s) ** 2 * np.eye(target.d)
    assert gap.synchronous_bound(target, schedule, share * schedule.T) == pytest.approx(math.sqrt(np.trace(second)), rel=1e-9)


def test_known_gaps_of_the_literature():
    """THEORY 3a and 3c: EDM at data std .5 costs 1.5625e-3 per dimension; SD latents (d = 16384, unit) 38.3 nats."""
    assert gap.gelbrich(gaussian((0.25,)), schedules.edm(80.0), 80.0) == pytest.approx(1.5625e-3, rel=1e-4)
    assert gap.kl(gaussian((0.25,)), schedules.edm(80.0), 80.0).value == pytest.approx(3.8e-10, rel=0.01)
    latents = Empirical(np.array([[1.0], [-1.0]]))  # E x^2 = 1 per dimension
    assert 16384 * gap.kl_bound(latents, schedules.scaled_linear(), 1000) == pytest.approx(38.3, rel=2e-3)
    pixels = Empirical(np.array([[0.5], [-0.5]]))  # E x^2 = .25 per dimension
    assert 3072 * gap.kl_bound(pixels, schedules.ddpm_linear(), 1000) == pytest.approx(1.55e-2, rel=5e-3)
    assert 3072 * gap.kl_bound(pixels, schedules.cosine(), 1000) == pytest.approx(9.3e-7, rel=1e-2)


def test_points_have_infinite_kl_before_any_noise():
    """A point set has no density at t = 0: its KL to any Gaussian is infinite, in every dimension."""
    for points in ([[1.0], [2.0]], [[1.0, 0.0], [2.0, 1.0]]):
        assert gap.kl(Empirical(points), OU, 0.0).value == math.inf
        assert gap.kl_bound(Empirical(points), OU, 0.0) == math.inf
        assert gap.talagrand(Empirical(points), OU, 0.0) == math.inf


def test_gap_of_points_before_any_noise():
    """One dimension: two points +-1 against N(0, 1) give E(|z| - 1)^2 = 2 - 2 sqrt(2/pi); check 28's four .29066514."""
    result = gap.prior_gap(Empirical([[1.0], [-1.0]]), OU, 0.0)
    assert result.total.value == pytest.approx(math.sqrt(2 - 2 * math.sqrt(2 / math.pi)), rel=1e-10)
    four = Empirical([[0.4], [-1.5], [2.0], [-0.2]])
    assert gap.prior_gap(four, OU, 0.0).total.value ** 2 == pytest.approx(0.29066514, abs=5e-9)


def refusals():
    target = triangle()
    for function in (gap.gelbrich, gap.synchronous_bound, gap.kl_bound, gap.kl, gap.talagrand, gap.prior_gap):
        yield "t", lambda f=function: f(target, OU, -1.0)
        yield "t", lambda f=function: f(target, OU, 3.1)
        yield "t", lambda f=function: f(target, OU, float("nan"))
    for function in (gap.kl, gap.talagrand, gap.prior_gap):
        yield "n", lambda f=function: f(target, OU, 1.0, n=0)
        yield "generator", lambda f=function: f(target, OU, 1.0, n=10, generator="seed")
    for function in (gap.kl_bound, gap.kl, gap.talagrand):
        yield "t", lambda f=function: f(target, schedules.edm(), 0.0)  # the reference is a point: no KL


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_gap_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_precision_follows_the_target():
    """A float32 target gives the float64 answer to float32 accuracy."""
    single = random_mixture(3, 2, 4, dtype=torch.float32)
    double = random_mixture(3, 2, 4, dtype=f64)
    for bound in (gap.gelbrich, gap.synchronous_bound, gap.kl_bound):
        assert bound(single, OU, 0.5) == pytest.approx(bound(double, OU, 0.5), rel=1e-4)
