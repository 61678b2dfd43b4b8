"""MMD and the energy distance as two-sample tests: exact formulas, exact p-values, calibration and power."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist, pdist
from zoo import f64, few, random_rotation, rng, seeds

from otprior_lite import metrics
from otprior_lite.metrics import testing
from otprior_lite.randomness import permutation

TESTS = (metrics.energy, metrics.mmd)


def clouds(n, m, d, seed, shift=0.7):
    r = np.random.default_rng(seed)
    return r.normal(size=(n, d)), r.normal(size=(m, d)) + shift


def double_loop(x, y, h):
    """E h(x, x') + E h(y, y') - 2 E h(x, y) over pairs of different points, from the definition."""
    off = lambda a: np.mean([h(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j])
    return off(x) + off(y) - 2 * np.mean([h(a, b) for a in x for b in y])


def kernel(width):
    return lambda a, b: math.exp(-((a - b) ** 2).sum() / (2 * width**2))


# ---- the statistic


@few
@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 12), seeds)
def test_mmd_is_the_double_loop(n, m, d, seed):
    """The Gaussian kernel with scipy's median of the pooled distances, pair by pair."""
    x, y = clouds(n, m, d, seed)
    distances = np.sort(pdist(np.concatenate([x, y])))
    width = distances[(len(distances) - 1) // 2]  # torch's median: the lower of the two middle ones
    assert metrics.mmd(x, y, repeats=1).value == pytest.approx(double_loop(x, y, kernel(width)), rel=1e-7, abs=1e-9)
    assert metrics.mmd(x, y, bandwidth=0.9, repeats=1).value == pytest.approx(double_loop(x, y, kernel(0.9)), rel=1e-7, abs=1e-9)


def test_mmd_of_gaussians_on_average():
    """N(0, s^2 I) against N(m, I): kernel means are Gaussian integrals; 100 unbiased estimates average to the exact MMD^2."""
    d, w, s, m = 3, 1.3, 0.6, np.array([0.8, 0.0, -0.3])
    mean = lambda v, shift: (w**2 / (w**2 + v)) ** (d / 2) * math.exp(-shift / (2 * (w**2 + v)))
    exact = mean(2 * s**2, 0.0) + mean(2.0, 0.0) - 2 * mean(1 + s**2, float(m @ m))
    r = np.random.default_rng(1)
    found = [
        metrics.mmd(s * r.normal(size=(30, d)), m + r.normal(size=(40, d)), bandwidth=w, repeats=1).value for _ in range(100)
    ]
    assert np.mean(found) == pytest.approx(exact, abs=5 * np.std(found) / 10)


@pytest.mark.parametrize("block", [1, 37, 10**6])
def test_blocks_change_nothing(monkeypatch, block):
    """The pool's matrix is built a few rows at a time; the statistic and every split are the same."""
    x, y = clouds(23, 14, 2, 3)
    whole = [test(x, y, repeats=7, generator=rng(1)) for test in TESTS]
    monkeypatch.setattr(testing, "_BLOCK", block)
    numbers = lambda found: (found.value, found.floor, found.error, found.p_value)
    for test, expected in zip(TESTS, whole):
        assert numbers(test(x, y, repeats=7, generator=rng(1))) == pytest.approx(numbers(expected), rel=1e-9)


def test_splits_are_those_of_the_generator():
    """floor, error and p_value from the same permutations, each split's energy computed by scipy from its two halves."""
    x, y = clouds(12, 8, 2, 4, shift=0.4)
    pool, g = np.concatenate([x, y]), rng(9)

    def direct(a, b):
        return 2 * cdist(a, b).mean() - cdist(a, a).sum() / (len(a) * (len(a) - 1)) - cdist(b, b).sum() / (len(b) * (len(b) - 1))

    null = []
    for _ in range(30):
        order = permutation(20, g).numpy()
        null.append(direct(pool[order[:12]], pool[order[12:]]))
    found = metrics.energy(x, y, repeats=30, generator=rng(9))
    assert found.floor == pytest.approx(np.mean(null), rel=1e-9) and found.error == pytest.approx(np.std(null, ddof=1), rel=1e-9)
    assert found.p_value == (1 + sum(v >= direct(x, y) for v in null)) / 31


@few
@given(st.sampled_from(TESTS), seeds)
def test_motions_and_labels(test, seed):
    """A common rotation, shift or order changes nothing, nor does swapping the samples; MMD forgets the scale as well."""
    x, y = clouds(9, 7, 3, seed)
    R, value = random_rotation(3, seed), test(x, y, repeats=1).value
    assert test(x @ R.T + 3, y @ R.T + 3, repeats=1).value == pytest.approx(value, rel=1e-6, abs=1e-8)
    assert test(y, x[::-1].copy(), repeats=1).value == pytest.approx(value, rel=1e-6, abs=1e-8)
    if test is metrics.mmd:
        assert test(5 * x, 5 * y, repeats=1).value == pytest.approx(value, rel=1e-6, abs=1e-8)


# ---- p-values


@pytest.mark.parametrize("test", TESTS)
def test_p_value_tends_to_the_exact_one(test):
    """4 against 5 points: all 126 splits give the exact p-value; 4,000 random ones agree within their error."""
    x, y = clouds(4, 5, 2, 6, shift=1.5)
    pool = np.concatenate([x, y])
    one = lambda a, b: test(a, b, repeats=1, **({"bandwidth": 1.0} if test is metrics.mmd else {})).value
    splits = [(pool[list(c)], np.delete(pool, c, axis=0)) for c in combinations(range(9), 4)]
    exact = np.mean([one(a, b) >= one(x, y) - 1e-12 for a, b in splits])
    found = test(x, y, repeats=4000, **({"bandwidth": 1.0} if test is metrics.mmd else {})).p_value
    assert 0.01 < exact < 0.9 and found == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 4000))


@pytest.mark.parametrize("test", TESTS)
def test_p_values_are_uniform_under_equality(test):
    """400 nulls of unequal sizes: the p-values, multiples of 1/100, fill ten bins evenly."""
    g, r = rng(3), np.random.default_rng(3)
    p = [test(r.gamma(1.0, size=(25, 2)), r.gamma(1.0, size=(18, 2)), repeats=99, generator=g).p_value for _ in range(400)]
    counts = np.histogram(np.array(p) - 0.005, bins=10, range=(0, 1))[0]
    assert stats.chisquare(counts).pvalue > 1e-3
    assert min(p) >= 0.01 and max(p) <= 1
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 400))


@pytest.mark.parametrize("test", TESTS)
def test_power(test):
    """A shift of 0.4 in 10 dimensions, and equal moments of different shape, are seen with 250 points."""
    r = np.random.default_rng(5)
    x, y = r.normal(size=(250, 10)), r.normal(size=(250, 10))
    assert test(x, y).p_value > 0.05
    assert test(x, y + 0.4 * np.eye(10)[0]).p_value < 0.02
    signs = r.choice([-1.0, 1.0], size=(250, 1))  # mean 0, variance 1, two spikes
    assert test(x[:, :1], signs).p_value == 1 / 201


def test_ties_count_against_the_claim():
    """All points equal: every split has the statistic 0 and the p-value is 1, whatever the rounding. Swapped labels tie too."""
    assert metrics.energy(torch.ones(6, 3), torch.ones(5, 3)).p_value == 1
    x = np.array([[0.1], [0.2], [0.3]])
    assert metrics.energy(x, x).p_value == 1  # no split lies closer than two copies


def test_an_estimate_with_a_p_value():
    x, y = clouds(20, 20, 2, 1, shift=2.0)
    found = metrics.mmd(x, y)
    assert isinstance(found, metrics.TwoSampleTest) and float(found) == found.value and found.n == 20
    assert found.value > found.floor + 5 * found.error and f"p = {1 / 201:.2g})" in str(found)


@pytest.mark.parametrize("test", TESTS)
def test_single_precision_and_images(test):
    """Computed in float64 whatever comes in; (n, 1, 4, 4) counts as (n, 16)."""
    x, y = (torch.randn(10, 1, 4, 4, generator=rng(k)) for k in (1, 2))
    flat = test(x.flatten(1).double(), y.flatten(1).double(), repeats=5)
    assert test(x, y, repeats=5) == flat


def refusals():
    x = torch.randn(5, 2, generator=rng(), dtype=f64)
    for test in TESTS:
        yield "repeats", lambda f=test: f(x, x, repeats=0)
        yield "generator", lambda f=test: f(x, x, generator=3)
        yield "y", lambda f=test: f(x, x[:1])
        yield "x", lambda f=test: f(x * float("inf"), x)
    yield "bandwidth", lambda: metrics.mmd(x, x, bandwidth=0.0)
    yield "bandwidth", lambda: metrics.mmd(x, x, bandwidth=float("nan"))
    yield "bandwidth", lambda: metrics.mmd(torch.ones(4, 1), torch.ones(4, 1))  # the median distance is zero


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
