"""Late times: cumulants, the slopes -1 to -4 of the gap, and what one dimension knows exactly; scipy is the judge."""

import itertools
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
    few,
    gaussian,
    mixtures,
    parts,
    random_mixture,
    random_rotation,
    scipy_quantile,
    seeds,
    triangle,
)

from otprior_lite import gap, schedules
from otprior_lite.targets import Empirical, GaussianMixture

OU = schedules.ou(4.0)
SKEWED = GaussianMixture([0.4, 0.6], [[1.2], [-0.8]], [0.04, 0.04])  # mean 0, variance 1


def slope(value, low: float, high: float) -> float:
    """Slope of log value(T) between two OU times."""
    return (math.log(value(high)) - math.log(value(low))) / (high - low)


def exact(target):
    return lambda T: gap.prior_gap(target, OU, T).total.value


# ---- cumulants


def moment_cumulants(target):
    """kappa_3 and kappa_4 from the fourth moments of each component by Isserlis, in plain loops."""
    w, mu, S = parts(target)
    mu = mu - w @ mu
    d = mu.shape[1]
    k3, k4 = np.zeros((d,) * 3), np.zeros((d,) * 4)
    cov = np.einsum("k,kij->ij", w, S + mu[:, :, None] * mu[:, None, :])
    for i, j, l in itertools.product(range(d), repeat=3):
        k3[i, j, l] = sum(
            a * (m[i] * m[j] * m[l] + m[i] * C[j, l] + m[j] * C[i, l] + m[l] * C[i, j]) for a, m, C in zip(w, mu, S)
        )
    for i, j, l, n in itertools.product(range(d), repeat=4):
        pairs = [(i, j, l, n), (i, l, j, n), (i, n, j, l)]
        total = 0.0
        for a, m, C in zip(w, mu, S):
            mixed = sum(m[p] * m[q] * C[r, s] + m[r] * m[s] * C[p, q] + C[p, q] * C[r, s] for p, q, r, s in pairs)
            total += a * (m[i] * m[j] * m[l] * m[n] + mixed)
        k4[i, j, l, n] = total - sum(cov[p, q] * cov[r, s] for p, q, r, s in pairs)
    return k3, k4


@few
@given(mixtures(d=st.integers(1, 3)))
def test_cumulants_by_isserlis(target):
    """Orders 3 and 4 against loops over indices with Isserlis' formula for each component."""
    for order, expected in zip((3, 4), moment_cumulants(target)):
        np.testing.assert_allclose(gap.cumulant(target, order).numpy(), expected, rtol=1e-9, atol=1e-10)


@few
@given(mixtures(d=st.integers(1, 3)), seeds)
def test_cumulants_are_derivatives_of_the_log_moment_generating_function(target, seed):
    """Along a direction u, kappa_k : u^k is the k-th derivative of log E exp(s u.x) at 0, by autograd."""
    w, mu, S = (torch.as_tensor(v) for v in parts(target))
    u = torch.as_tensor(np.random.default_rng(seed).normal(size=target.d))
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    value = torch.logsumexp(w.log() + s * (mu @ u) + 0.5 * s**2 * torch.einsum("i,kij,j->k", u, S, u), 0)
    for order in (1, 2, 3, 4):
        (value,) = torch.autograd.grad(value, s, create_graph=True)
        tensor = gap.cumulant(target, order)
        for _ in range(order):
            tensor = tensor @ u
        assert float(tensor) == pytest.approx(float(value.detach()), rel=1e-8, abs=1e-9)


@few
@given(seeds, st.integers(1, 3), st.integers(2, 7))
def test_cumulants_of_points_are_scipy_k_statistics_of_the_population(seed, d, n):
    """Points: in each coordinate kappa_3 is the third central moment, kappa_4 the fourth minus 3 variance^2 (scipy)."""
    x = np.random.default_rng(seed).normal(size=(n, d)) ** 2
    third, fourth = (gap.cumulant(Empirical(x), k).numpy() for k in (3, 4))
    for i in range(d):
        assert third[i, i, i] == pytest.approx(stats.moment(x[:, i], 3), rel=1e-9, abs=1e-12)
        assert fourth[i, i, i, i] == pytest.approx(stats.moment(x[:, i], 4) - 3 * np.var(x[:, i]) ** 2, rel=1e-9, abs=1e-11)


@few
@given(mixtures(d=st.integers(1, 3)), seeds, st.floats(0.1, 1.0))
def test_cumulants_turn_and_scale(target, seed, alpha):
    """A rotation turns the tensor; the channel multiplies order k by alpha^k and noise touches order 2 only; Gaussians have none."""
    R = random_rotation(target.d, seed)
    w, mu, S = parts(target)
    turned = GaussianMixture(w, mu @ R.T + 3.0, R @ S @ R.T)
    k3, k4 = (gap.cumulant(target, k).numpy() for k in (3, 4))
    np.testing.assert_allclose(gap.cumulant(turned, 3), np.einsum("ai,bj,ck,ijk->abc", R, R, R, k3), atol=1e-8)
    np.testing.assert_allclose(gap.cumulant(turned, 4), np.einsum("ai,bj,ck,dl,ijkl->abcd", R, R, R, R, k4), atol=1e-8)
    diffused = target.diffuse(alpha, 0.7)
    for k, before in ((3, k3), (4, k4)):
        np.testing.assert_allclose(gap.cumulant(diffused, k), alpha**k * before, atol=1e-9)
        assert float(gap.cumulant(random_mixture(2, 1, seed), k).abs().max()) < 1e-12


# ---- slopes and values


def test_check_13_slopes():
    """Check 13: slopes of log W2 on [2.5, 3]: -1.00+-.01 (mean), -2.00+-.01 (centred), -3.02+-.03 (whitened skew)."""
    assert slope(exact(GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25])), 2.5, 3) == pytest.approx(-1.0, abs=0.01)
    assert slope(exact(bimodal(1.0, 0.09)), 2.5, 3) == pytest.approx(-2.0, abs=0.01)
    assert slope(exact(SKEWED), 2.5, 3) == pytest.approx(-3.02, abs=0.03)


def test_check_13_value():
    """Check 13: whitened skew at T = 3: W2 = 1.1220e-5, predicted |kappa_3| e^{-9} / sqrt 18 = 1.117e-5."""
    predicted = gap.hermite_asymptotics(SKEWED, OU, 3.0)
    assert exact(SKEWED)(3.0) == pytest.approx(1.1220e-5, rel=1e-4)
    assert predicted.value == pytest.approx(1.117e-5, rel=5e-4)
    assert (predicted.order, predicted.slope, predicted.dominant) == (3, -3, 3)
    assert exact(SKEWED)(3.0) == pytest.approx(predicted.value, rel=5e-3)


def test_check_15_moment_matched_prior():
    """Check 15: slopes -4.00+-.01 on [2, 3] (bimodal) and -2.99+-.02 (skewed), with the values at T = 3."""
    even, skew = bimodal(1.0, 0.09), GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25])
    for target, expected, tolerance, value, standard in (
        (even, -4.0, 0.01, 1.2538e-6, 1.1154e-4),
        (skew, -2.99, 0.02, 6.5846e-5, 5.4784e-2),
    ):
        matched = lambda T: gap.moment_matched_gap(target, OU, T).value  # noqa: B023, E731
        assert slope(matched, 2, 3) == pytest.approx(expected, abs=tolerance)
        assert matched(3.0) == pytest.approx(value, rel=1e-4)
        assert exact(target)(3.0) == pytest.approx(standard, rel=1e-4)
        predicted = gap.hermite_asymptotics(target, OU, 3.0, prior="moment_matched")
        assert predicted.order == round(-expected)
        assert matched(3.0) == pytest.approx(predicted.value, rel=0.02)


@settings(few, max_examples=6)
@given(seeds, st.sampled_from(["standard", "centred", "white"]))
def test_the_leading_term_is_the_limit(seed, kind):
    """Random one-dimensional laws, generic, centred or whitened: W2 / prediction -> 1 between OU times 4 and 6, linearly in alpha."""
    w, mu, S = parts(random_mixture(1, 3, seed))
    if kind != "standard":
        mu = mu - w @ mu
    if kind == "white":
        variance = float(w @ (mu[:, 0] ** 2 + S[:, 0, 0]))
        mu, S = mu / math.sqrt(variance), S / variance
    target, schedule = GaussianMixture(w, mu, S), schedules.ou(6.0)
    predicted = gap.hermite_asymptotics(target, schedule, 6.0)
    assert predicted.order == {"standard": 1, "centred": 2, "white": 3}[kind]
    w2 = gap.prior_gap(target, schedule, 6.0).total.value
    size = max(1.0, float(np.abs(mu).max())) ** 4
    second = max(predicted.terms[predicted.order :])
    assert abs(w2 - predicted.value) <= 10 * second + 0.1 * math.exp(-6) * size * predicted.value + 1e-15


def test_any_variance_preserving_schedule_is_ou_in_another_time():
    """vp, ddpm_linear and trigonometric give OU's number at the OU time -log alpha."""
    for schedule in (schedules.vp(), schedules.ddpm_linear(), schedules.trigonometric()):
        t = 0.6 * schedule.T
        alpha = float(schedule.alpha(t))
        here, there = gap.hermite_asymptotics(triangle(), schedule, t), gap.hermite_asymptotics(triangle(), OU, -math.log(alpha))
        np.testing.assert_allclose(here.terms, there.terms, rtol=1e-9)
        assert here.ou_time == pytest.approx(there.ou_time)


def test_many_dimensions_add_over_product_laws():
    """A product of two laws: squared leading terms add, at orders 1, 2, 3, 4 alike (no mixed cumulants)."""
    a, b = GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25]), bimodal(0.6, 0.2)
    weights = [0.35, 0.35, 0.15, 0.15]
    plane = GaussianMixture(weights, [[2, 0.6], [2, -0.6], [-1, 0.6], [-1, -0.6]], np.stack([np.diag([0.25, 0.2])] * 4))
    for k in range(4):
        each = [gap.hermite_asymptotics(law, OU, 1.0).terms[k] for law in (a, b)]
        assert gap.hermite_asymptotics(plane, OU, 1.0).terms[k] == pytest.approx(math.hypot(*each), rel=1e-9)


def test_nothing_left_for_standard_data():
    """N(0, I): every term vanishes, so there is no order; at alpha = 0 all values are 0."""
    result = gap.hermite_asymptotics(gaussian((1.0, 1.0)), OU, 1.0)
    assert (result.order, result.slope, result.dominant, result.value) == (None, None, None, 0.0)
    end = gap.hermite_asymptotics(triangle(), schedules.trigonometric(), 1.0)
    assert end.value == 0.0 and end.ou_time == math.inf


def test_dominant_is_not_always_leading():
    """A mean of 1e-3 leads in the end, but at T = .5 the covariance term is a hundred times larger."""
    result = gap.hermite_asymptotics(GaussianMixture([1.0], [[1e-3]], [0.25]), OU, 0.5)
    assert result.order == 1 and result.dominant == 2


# ---- exact in one dimension


def quantile_w2(target, alpha, sigma, s) -> float:
    """The other integral: int_0^1 (F^{-1}(u) - s Phi^{-1}(u))^2 du, quantiles by scipy's root finder."""
    u, weight = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for low, high in itertools.pairwise([1e-12, 1e-7, 1e-4, 1e-2, 0.1, 0.3, 0.45, 0.499, 0.4999999, 0.5]):
        for v, a in zip((high - low) / 2 * u + (high + low) / 2, weight * (high - low) / 2):
            for tail in (v, 1 - v):
                total += a * (scipy_quantile(target, tail, alpha, sigma) - s * special.ndtri(tail)) ** 2
    return math.sqrt(total)


def test_exact_w2_just_after_the_start():
    """OU t = 1e-4 from points +-1: two spikes of std .0141. Against the quantile integral, and 2 - 2 sqrt(2/pi) as t -> 0."""
    target, t = bimodal(1.0, 1e-8), 1e-4
    alpha, sigma = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
    found = gap.prior_gap(target, OU, t).total.value
    assert found == pytest.approx(quantile_w2(target, alpha, sigma, 1.0), rel=1e-7)
    assert abs(found**2 - (2 - 2 * math.sqrt(2 / math.pi))) < 2 * sigma


def test_exact_w2_of_points_and_of_narrow_spikes_agree():
    """Points +-1, .3: the closed form for atoms is the limit of spikes of std 1e-6."""
    x, w = [[1.0], [-1.0], [0.3]], [0.5, 0.2, 0.3]
    atoms = gap.prior_gap(Empirical(x, w), OU, 0.0).total.value
    assert gap.prior_gap(GaussianMixture(w, x, [1e-12] * 3), OU, 0.0).total.value == pytest.approx(atoms, rel=1e-5)


def test_exact_w2_far_modes_of_unlike_width():
    """Modes 60 apart with widths 1e-3 and 5: against scipy's adaptive quadrature over x."""
    target = GaussianMixture([0.3, 0.7], [[-30.0], [30.0]], [1e-6, 25.0])
    w, mu, S = parts(target)
    std = np.sqrt(S[:, 0, 0])

    def integrand(x):
        z = (x - mu[:, 0]) / std
        lower, upper = (special.logsumexp(f(z), b=w) for f in (special.log_ndtr, lambda v: special.log_ndtr(-v)))
        standard = special.ndtri_exp(lower) if lower < upper else -special.ndtri_exp(upper)
        return (x - standard) ** 2 * float(w @ (np.exp(-z * z / 2) / std)) / math.sqrt(2 * math.pi)

    cuts = sorted([-30 + 1e-3 * k for k in range(-10, 11)] + [30 + 5 * k for k in range(-10, 11)])
    total = sum(integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in itertools.pairwise(cuts))
    assert gap.prior_gap(target, OU, 0.0).total.value == pytest.approx(math.sqrt(total), rel=1e-9)


@settings(few, max_examples=5)
@given(seeds, st.integers(1, 4), st.floats(0.05, 3.0))
def test_moment_matched_gap_is_the_shape_for_a_gaussian_fit(seed, k, t):
    """Against the quantile integral with the fitted Gaussian; never above the distance to N(0, 1)."""
    target = random_mixture(1, k, seed)
    w, mu, S = parts(target)
    alpha, sigma = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
    centred = GaussianMixture(w, mu - w @ mu, S)
    std = math.sqrt(alpha**2 * float(target.covariance) + sigma**2)
    matched = gap.moment_matched_gap(target, OU, t).value
    assert matched == pytest.approx(quantile_w2(centred, alpha, sigma, std), rel=1e-3, abs=3e-6)
    assert matched <= gap.prior_gap(target, OU, t).total.value + 1e-12


# ---- total variation, contraction, scale


def test_check_14_mean_shift():
    """Check 14: N(1.3, 1) at T = 1: TV = 2 Phi(alpha m / 2) - 1 = .1889887; Pinsker .2391217 is above it."""
    target = gaussian((1.0,), (1.3,))
    assert gap.total_variation(target, OU, 1.0).value == pytest.approx(0.1889887, abs=1e-7)
    assert gap.total_variation(target, OU, 1.0).value == pytest.approx(2 * stats.norm.cdf(math.exp(-1) * 0.65) - 1, rel=1e-9)
    assert gap.pinsker(target, OU, 1.0) == pytest.approx(0.2391217, abs=1e-7)


@settings(few, max_examples=6)
@given(mixtures(d=st.just(1)), st.floats(0.1, 2.5))
def test_total_variation_by_quadrature_and_below_pinsker(target, t):
    """1/2 int |p - q| on a fine grid of scipy's densities; Pinsker's bound holds."""
    alpha, sigma = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
    w, mu, S = parts(target)
    x = np.linspace(-14, 14, 200_001)[:, None]
    p = (w * stats.norm.pdf(x, alpha * mu[:, 0], np.sqrt(alpha**2 * S[:, 0, 0] + sigma**2))).sum(1)
    found = gap.total_variation(target, OU, t).value
    assert found == pytest.approx(0.5 * np.trapezoid(np.abs(p - stats.norm.pdf(x[:, 0])), x[:, 0]), rel=1e-6, abs=1e-9)
    assert found <= gap.pinsker(target, OU, t) + 1e-9


@settings(few, max_examples=8)
@given(mixtures(d=st.just(1)), st.sampled_from(sorted(SCHEDULES)), st.floats(0.1, 1.0))
def test_contraction_bounds_the_gap_under_every_schedule(target, name, share):
    """alpha W2(p_0, N(0, c^2)) >= W2(p_t, N(0, s^2)): the prior is a diffused Gaussian."""
    schedule = SCHEDULES[name]()
    t = share * schedule.T
    assert gap.prior_gap(target, schedule, t).total.value <= gap.contraction_bound(target, schedule, t) * (1 + 1e-9) + 1e-9


def test_contraction_of_a_gaussian_and_of_a_given_distance():
    """OU: e^{-T} W2_0. A Gaussian in the plane knows its W2_0; a mixture there must be told; VE reduces to the synchronous bound."""
    target = gaussian((4.0, 0.25), (1.0, 0.5))
    start = math.sqrt(1.25 + (2 - 1) ** 2 + (0.5 - 1) ** 2)
    assert gap.contraction_bound(target, OU, 1.0) == pytest.approx(math.exp(-1) * start, rel=1e-12)
    assert gap.contraction_bound(triangle(), OU, 1.0, w2_0=2.0) == pytest.approx(2 * math.exp(-1), rel=1e-12)
    assert gap.contraction_bound(bimodal(), schedules.edm(), 3.0) == pytest.approx(
        gap.synchronous_bound(bimodal(), schedules.edm(), 3.0), rel=1e-9
    )


@settings(few, max_examples=5)
@given(seeds, st.floats(0.3, 4.0))
def test_relative_gap_has_no_scale(seed, c):
    """Data, sigma_max and time times c: W2/sigma and KL stay; VE equals its variance-preserving twin in KL."""
    w, mu, S = parts(random_mixture(1, 2, seed))
    a = gap.relative_gap(GaussianMixture(w, mu, S), schedules.edm(20.0), 20.0)
    b = gap.relative_gap(GaussianMixture(w, c * mu, c**2 * S), schedules.edm(20.0 * c), 20.0 * c)
    for one, two in ((a.w2.value, b.w2.value), (a.kl.value, b.kl.value), (a.lower, b.lower), (a.upper, b.upper)):
        assert one == pytest.approx(two, rel=1e-6, abs=1e-13)
    assert a.lower <= a.w2.value * (1 + 1e-9) <= a.upper * (1 + 1e-9)


@pytest.mark.parametrize("argument, call", [
    ("schedule", lambda: gap.hermite_asymptotics(bimodal(), schedules.edm(), 3.0)),
    ("schedule", lambda: gap.hermite_asymptotics(bimodal(), schedules.flow_matching(), 0.5)),
    ("prior", lambda: gap.hermite_asymptotics(bimodal(), OU, 1.0, prior="standart")),
    ("t", lambda: gap.hermite_asymptotics(bimodal(), OU, -1.0)),
    ("t", lambda: gap.hermite_asymptotics(bimodal(), OU, float("nan"))),
    ("order", lambda: gap.cumulant(bimodal(), 5)),
    ("target", lambda: gap.cumulant(gaussian([1.0] * 33), 3)),
    ("target", lambda: gap.moment_matched_gap(triangle(), OU, 1.0)),
    ("target", lambda: gap.total_variation(triangle(), OU, 1.0)),
    ("w2_0", lambda: gap.contraction_bound(triangle(), OU, 1.0)),
    ("w2_0", lambda: gap.contraction_bound(triangle(), OU, 1.0, w2_0=-1.0)),
    ("t", lambda: gap.relative_gap(bimodal(), OU, 0.0)),
])  # fmt: skip
def test_asymptotics_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
