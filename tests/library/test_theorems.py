"""The paper's theorems on random examples: both sides against independent routes; assumptions stay with the numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from zoo import bimodal, f64, few, gaussian, random_mixture, rng, seeds, triangle

from otprior_lite import bounds, gap, schedules, theorems
from otprior_lite.score import ExactDenoiser
from otprior_lite.semidiscrete import solve
from otprior_lite.targets import Empirical, GaussianMixture, normal_to

OU = schedules.ou(2.0)


@settings(few, max_examples=6)
@given(st.floats(0.2, 1.3), st.floats(0.25, 1.2), st.floats(0.3, 2.0), st.sampled_from([0.0, 0.1]))
def test_theorem_3_2_two_modes(m, s2, T, eps):
    """Random two-mode laws: least W2_T <= W2_eps <= Gamma W2_T, the middle exact."""
    found = theorems.theorem_3_2(bimodal(m, s2), OU, T, eps)
    assert found.holds and found.assumptions_met and found.slack >= 0
    assert found.left.value == pytest.approx(bounds.carried_w2(bimodal(m, s2), OU, T, t=eps).at_0, rel=1e-12)
    assert found.term("w2_T") == pytest.approx(gap.prior_gap(bimodal(m, s2), OU, T).total.value, rel=1e-9)


def test_theorem_3_2_is_tight_for_a_mean_shift_and_70_times_loose_for_far_modes():
    """N(m, I): lower = left = right (check 22). (m=1.5, s2=.25, T=2): the bound is about 70 times the error."""
    tight = theorems.theorem_3_2(gaussian((1.0, 1.0), (1.0, -2.0)), OU, 1.0)
    assert tight.lower == pytest.approx(tight.left.value, rel=1e-9) == pytest.approx(tight.right, rel=1e-9)
    assert tight.left.value == pytest.approx(math.exp(-1) * math.sqrt(5), rel=1e-9) and tight.holds
    loose = theorems.theorem_3_2(bimodal(1.5, 0.25), OU, 2.0)
    assert 65 < loose.right / loose.left.value < 75 and loose.holds


@few
@given(seeds, st.integers(1, 4), st.floats(0.2, 2.0))
def test_theorem_3_2_gaussians_agree_with_the_exact_error(seed, d, T):
    """Single Gaussians, any dimension: the middle is `gaussian_error`'s W2 at 0."""
    target = random_mixture(d, 1, seed)
    found, exact = theorems.theorem_3_2(target, OU, T), bounds.gaussian_error("ode", target, OU, T)
    assert found.left.value == pytest.approx(exact.w2_0, rel=1e-8) and found.term("w2_T") == pytest.approx(exact.w2_T, rel=1e-8)
    assert found.holds


def test_theorem_3_2_without_a_proved_constant_says_so():
    """Unlike widths: Gamma is a lower estimate, so assumptions_met is False though the example passes."""
    found = theorems.theorem_3_2(GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [0.2, 0.6]), OU, 1.0)
    assert not found.assumptions_met and found.holds


@settings(few, max_examples=8)
@given(seeds, st.integers(1, 4), st.integers(2, 9), st.floats(1e-4, 1.0))
def test_theorem_3_4_map_term(seed, d, k, size):
    """Random points, random heights: RMS map difference <= C sup^{1/2}; shifting all heights or all points changes nothing."""
    r = np.random.default_rng(seed)
    y, h = r.normal(size=(k, d)), r.normal(size=k)
    other = h + size * r.normal(size=k)
    found = theorems.theorem_3_4(y, h, other, n=4000)
    assert found.holds and found.assumptions_met
    moved = theorems.theorem_3_4(y + 5.0, h + 1.0, other - 2.0, n=4000)
    assert moved.right == pytest.approx(found.right, rel=1e-9)
    assert theorems.theorem_3_4(y, h, h + 3.0, n=100).left.value == 0


def test_theorem_3_4_against_quadrature():
    """Two points -1, 1, thresholds 0 and -c/2: the maps differ by 2 on an interval of known Gaussian mass."""
    c = 0.4
    found = theorems.theorem_3_4([[-1.0], [1.0]], [0.0, 0.0], [0.0, c], n=200_000)
    mass = integrate.quad(lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -c / 2, 0)[0]
    assert abs(found.left.value - 2 * math.sqrt(mass)) < 4 * found.left.error
    assert found.term("sup") == pytest.approx(c / 2) and found.term("constant") == pytest.approx(2.0)


@settings(few, max_examples=6)
@given(seeds, st.integers(1, 2), st.integers(2, 8))
def test_lemma_3_5(seed, d, k):
    """Solved heights: both sides 0. Perturbed heights: 0 < W2 <= D sqrt(TV), and the lemma's assumption is reported as failing."""
    r = np.random.default_rng(seed)
    points = torch.as_tensor(r.normal(size=(k, d)))
    fit = solve(points, tolerance=1e-9, generator=rng(seed))
    found = theorems.lemma_3_5(points, fit.heights)
    assert found.left.value < 1e-4 and found.term("total_variation") < 1e-9 and found.holds and found.assumptions_met
    off = theorems.lemma_3_5(points, fit.heights + torch.as_tensor(0.3 * r.normal(size=k)))
    assert off.left.value > 1e-3 and off.holds and not off.assumptions_met


def test_lemma_3_5_is_not_about_the_population():
    """20 noised training points: zero against themselves, not against p_T; W2 to p_T by scipy's quantile integral."""
    target, schedule = bimodal(1.0, 0.25), OU
    p_T = target.diffuse(float(schedule.alpha(1.0)), float(schedule.sigma(1.0)))
    points = p_T.sample(20, rng(4))
    found = theorems.lemma_3_5(points, solve(points, tolerance=1e-9, generator=rng(0)).heights, law=p_T)
    u = (np.arange(40_000) + 0.5) / 40_000
    x = normal_to(p_T, torch.special.ndtri(torch.as_tensor(u))).numpy()
    sorted_points = np.sort(points.numpy()[:, 0])[np.minimum((u * 20).astype(int), 19)]
    assert found.term("population") == pytest.approx(math.sqrt(np.mean((x - sorted_points) ** 2)), rel=2e-3)
    assert found.left.value < 1e-4 < gap.prior_gap(target, schedule, 1.0).total.value < found.term("population")


@settings(few, max_examples=4)
@given(st.floats(-0.5, 0.5), st.floats(0.2, 1.0))
def test_theorem_3_6_on_a_gaussian(c, variance):
    """Score off by a constant c: the flows' distance solves a linear ODE (scipy); bound and Cauchy-Schwarz form are above it."""
    target, T, eps = gaussian((variance,)), 1.0, 0.05
    exact = ExactDenoiser(target, OU)
    learned = lambda x, t: exact(x, t) + float(OU.sigma(t)) ** 2 / float(OU.alpha(t)) * c
    lam = lambda t: 1 + (variance - 1) * math.exp(-2 * t)
    gap_ode = integrate.solve_ivp(lambda u, e: (1 - 1 / lam(T - u)) * e + c, (0, T - eps), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    found = theorems.theorem_3_6(learned, target, OU, T, eps=eps, excess=0.0, n=20)
    assert found.left.value == pytest.approx(abs(gap_ode), rel=1e-5, abs=1e-8)
    assert found.holds and found.assumptions_met and found.term("cauchy_schwarz") >= found.right * (1 - 1e-9)
    assert found.right == pytest.approx(
        found.left.value, rel=1e-4, abs=1e-8
    )  # one Gaussian, constant error: Gronwall is an equality


def test_theorem_3_6_with_a_lipschitz_error():
    """Two modes, score error 0.2 sin(x), Lipschitz 0.2: the bound holds with its constant given, and without it says that it is unknown."""
    target, exact = bimodal(1.0, 0.25), ExactDenoiser(bimodal(1.0, 0.25), OU)
    learned = lambda x, t: exact(x, t) + float(OU.sigma(t)) ** 2 / float(OU.alpha(t)) * 0.2 * x.sin()
    given_, unknown = (theorems.theorem_3_6(learned, target, OU, 1.0, eps=0.05, excess=e, n=100) for e in (0.2, None))
    assert given_.holds and given_.assumptions_met and given_.left.value > 0.01
    assert not unknown.assumptions_met and any("unknown" in a for a in unknown.assumptions) and unknown.right < given_.right
    zero = theorems.theorem_3_6(exact, target, OU, 1.0, eps=0.05, excess=0.0, n=20)
    assert zero.left.value < 1e-6 and zero.right < 1e-9 and zero.holds


@settings(few, max_examples=5)
@given(st.floats(0.1, 1.0), st.floats(0.5, 2.0), st.floats(0.5, 3.0))
def test_theorem_3_11_in_one_dimension(m, T, wait):
    """Left is W2(p_s, N(0, 1)); it falls like e^{-2 s}, the right side like e^{-2 s / 15}; K = 1 suffices but stays unproved."""
    found = theorems.theorem_3_11(bimodal(m, 0.2), T, T + wait)
    assert found.left.value == pytest.approx(gap.prior_gap(bimodal(m, 0.2), schedules.ou(20), T + wait).total.value, rel=1e-9)
    assert found.left.value <= found.term("contracted_w2") * (1 + 1e-9) and found.holds and not found.assumptions_met
    later = theorems.theorem_3_11(bimodal(m, 0.2), T, T + wait + 1)
    assert math.log(later.left.value / found.left.value) < -1.5 and math.log(later.right / found.right) == pytest.approx(
        -2 / 15, rel=1e-9
    )


def test_theorem_3_11_in_the_plane_names_its_surrogate():
    """Three atoms: the flow stands for the optimal map, and the assumptions say so."""
    found = theorems.theorem_3_11(Empirical([[2.0, 0.0], [-1.0, 1.5], [-0.5, -1.0]], [0.5, 0.3, 0.2]), 1.0, 2.0, n=50)
    assert found.holds and not found.assumptions_met and found.term("k_needed") < 1
    assert any("stands for" in a for a in found.assumptions) and any("C.13" in a for a in found.assumptions)


X = [[0.0], [1.0]]


@pytest.mark.parametrize("argument, call", [
    ("T", lambda: theorems.theorem_3_2(bimodal(), OU, 0.0)),
    ("t", lambda: theorems.theorem_3_2(bimodal(), OU, 1.0, 1.5)),
    ("target", lambda: theorems.theorem_3_2(random_mixture(2, 2, 1, isotropic=True), OU, 1.0)),
    ("other", lambda: theorems.theorem_3_4(X, [0.0, 0.0], [0.0])),
    ("heights", lambda: theorems.theorem_3_4(X, [0.0], [0.0, 0.0])),
    ("points", lambda: theorems.lemma_3_5([[0.0], [0.0]], [0.0, 0.0])),
    ("points", lambda: theorems.lemma_3_5(torch.eye(3), [0.0, 0.0, 0.0])),
    ("law", lambda: theorems.lemma_3_5(X, [0.0, 0.0], law=triangle())),
    ("eps", lambda: theorems.theorem_3_6(None, bimodal(), OU, 1.0, eps=0.0)),
    ("T", lambda: theorems.theorem_3_6(None, bimodal(), OU, -1.0, eps=0.1)),
    ("excess", lambda: theorems.theorem_3_6(None, bimodal(), OU, 1.0, eps=0.1, excess=math.inf)),
    ("T", lambda: theorems.theorem_3_11(bimodal(), 0.0, 1.0)),
    ("s", lambda: theorems.theorem_3_11(bimodal(), 1.0, 1.0)),
])  # fmt: skip
def test_theorems_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_dtype_is_double_inside():
    """float32 data give the float64 answer."""
    single = GaussianMixture(*(v.float() for v in (bimodal().weights, bimodal().means, bimodal().covariances)))
    assert theorems.theorem_3_2(single, OU, 1.0).left.value == pytest.approx(
        theorems.theorem_3_2(bimodal(), OU, 1.0).left.value, rel=1e-4
    )
    assert bimodal().means.dtype == f64
