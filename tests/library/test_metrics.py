"""Metrics against POT and scipy, on samples whose distance is known, and their floors against repeated nulls."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from zoo import DTYPES, f64, few, random_rotation, rng, seeds

from otprior_lite import metrics

DISTANCES = (metrics.w2, metrics.sliced_w2, metrics.energy)


def clouds(n, m, d, seed, shift=0.7):
    r = np.random.default_rng(seed)
    return r.normal(size=(n, d)), r.normal(size=(m, d)) + shift


# ---- rivals


@few
@given(st.integers(2, 15), st.integers(2, 15), st.integers(1, 12), seeds)
def test_w2_is_pots(n, m, d, seed):
    """The square root of POT's emd2 on scipy's cost; for equal sizes also scipy's assignment."""
    x, y = clouds(n, m, d, seed)
    cost = cdist(x, y, "sqeuclidean")
    assert metrics.w2(x, y).value == pytest.approx(math.sqrt(ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), cost)), rel=1e-8)
    if n == m:
        assert metrics.w2(x, y).value == pytest.approx(math.sqrt(cost[linear_sum_assignment(cost)].mean()), rel=1e-8)


@few
@given(st.integers(2, 30), st.integers(2, 30), seeds)
def test_sliced_w2_on_a_line_is_w2(n, m, seed):
    """In one dimension every direction is the line: POT's emd2_1d, for equal and unequal sizes."""
    x, y = clouds(n, m, 1, seed)
    expected = math.sqrt(ot.emd2_1d(x[:, 0], y[:, 0], metric="sqeuclidean"))
    assert metrics.sliced_w2(x, y, projections=3).value == pytest.approx(expected, rel=1e-8)


def test_sliced_w2_is_pots_on_average():
    """With 4,000 directions each, the library's and POT's Monte-Carlo averages of the same integral agree."""
    x, y = clouds(60, 45, 3, 1)
    pot = ot.sliced_wasserstein_distance(x, y, n_projections=4000, seed=1)
    assert metrics.sliced_w2(x, y, projections=4000, repeats=1).value == pytest.approx(pot, rel=0.03)


@few
@given(st.integers(2, 15), st.integers(2, 15), st.integers(1, 12), seeds)
def test_energy_is_the_unbiased_formula(n, m, d, seed):
    """2 mean |x - y| - mean over pairs i != j within each sample, with scipy's distances."""
    x, y = clouds(n, m, d, seed)
    expected = 2 * cdist(x, y).mean() - cdist(x, x).sum() / (n * (n - 1)) - cdist(y, y).sum() / (m * (m - 1))
    assert metrics.energy(x, y).value == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_energy_of_two_normals():
    """N(0,1) and N(m,1): 2 E|X-Y| - 2 E|X-X'| from folded normals, within five errors of the estimate's spread."""
    x, y = clouds(1500, 1500, 1, 2, shift=1.0)
    folded = lambda m: stats.foldnorm.mean(m / math.sqrt(2), scale=math.sqrt(2))
    exact = 2 * folded(1.0) - 2 * folded(0.0)
    assert metrics.energy(x, y).value == pytest.approx(exact, rel=0.15)


# ---- known distances and equivariances


@few
@given(st.integers(2, 20), st.integers(1, 6), seeds)
def test_translates_are_at_the_shift(n, d, seed):
    """W2(x, x + b) = |b| exactly, whatever the order."""
    x, _ = clouds(n, 2, d, seed)
    b = np.linspace(-1, 2, d)
    order = np.random.default_rng(seed).permutation(n)
    assert metrics.w2(x, (x + b)[order]).value == pytest.approx(np.linalg.norm(b), rel=1e-7)
    assert metrics.w2(x, x[order]).value == pytest.approx(0, abs=1e-7)


def test_sliced_translates():
    """Sliced W2(x, x + b)^2 is the average of <b, u>^2 over directions u, |b|^2 / d."""
    x, _ = clouds(50, 2, 4, 3)
    value = metrics.sliced_w2(x, x + np.array([2.0, 0, 0, 0]), projections=5000, repeats=1).value
    assert value == pytest.approx(2 / math.sqrt(4), rel=0.03)


@few
@given(st.sampled_from(DISTANCES), seeds)
def test_scale_rotation_shift_and_order(distance, seed):
    """Scaling multiplies (energy and W2 alike); a common shift, order and (not sliced) rotation change nothing."""
    x, y = clouds(12, 9, 3, seed)
    value = distance(x, y).value
    assert distance(2.5 * x, 2.5 * y).value == pytest.approx(2.5 * value, rel=1e-6, abs=1e-8)
    assert distance(x + 4, y + 4).value == pytest.approx(value, rel=1e-6, abs=1e-8)
    assert distance(x[::-1].copy(), y).value == pytest.approx(value, rel=1e-6, abs=1e-8)
    if distance is not metrics.sliced_w2:
        R = random_rotation(3, seed)
        assert distance(x @ R.T, y @ R.T).value == pytest.approx(value, rel=1e-6, abs=1e-8)
    else:
        assert value <= metrics.w2(x, y).value / math.sqrt(3) * 1.25  # each direction sees at most its share


# ---- floors


@pytest.mark.parametrize("distance, options", [
    (metrics.w2, {}), (metrics.sliced_w2, {"projections": 30, "repeats": 1}), (metrics.energy, {"repeats": 1}),
])  # fmt: skip
def test_floors_are_the_values_under_equality(distance, options):
    """60 pairs of samples of one law: mean value and mean floor agree within five standard errors."""
    g, r = rng(5), np.random.default_rng(5)
    runs = [distance(r.normal(size=(40, 2)), r.normal(size=(40, 2)), generator=g, **options) for _ in range(60)]
    gap = np.array([run.value - run.floor for run in runs])
    assert abs(gap.mean()) < 5 * gap.std(ddof=1) / math.sqrt(60)
    values = np.array([run.value for run in runs])
    if distance is metrics.energy:  # unbiased: zero on average
        assert abs(values.mean()) < 5 * values.std(ddof=1) / math.sqrt(60)
    else:  # biased upward: the floor is what makes that visible
        assert values.min() > 0.05


def test_w2_of_equal_laws_falls_with_n_but_not_with_distance():
    """The floor of W2 in dimension 20 dwarfs a real shift of .6, and says so; the energy distance sees the shift."""
    r = np.random.default_rng(7)
    x, y = r.normal(size=(300, 20)), r.normal(size=(300, 20))
    y[:, 0] += 0.6
    w2, energy = metrics.w2(x, y), metrics.energy(x, y, repeats=20)
    assert w2.floor > 0.95 * w2.value > 3
    assert energy.value > energy.floor + 5 * energy.error


def test_error_is_the_spread_of_the_null():
    """energy.error is the standard deviation of the statistic over equal laws, found again over fresh pairs."""
    r = np.random.default_rng(8)
    null = [metrics.energy(r.normal(size=(60, 2)), r.normal(size=(60, 2)), repeats=1).value for _ in range(80)]
    reported = metrics.energy(r.normal(size=(60, 2)), r.normal(size=(60, 2)), repeats=80).error
    assert 0.6 < reported / np.std(null, ddof=1) < 1.6
    assert math.isnan(metrics.energy(r.normal(size=(9, 2)), r.normal(size=(9, 2)), repeats=1).error)


@pytest.mark.parametrize("distance", DISTANCES)
def test_estimates_are_reproducible_and_carry_n(distance):
    x, y = clouds(20, 13, 2, 9)
    assert distance(x, y).value == distance(x, y).value and distance(x, y).floor == distance(x, y).floor
    assert distance(x, y).n == 13
    assert distance(x, y, generator=rng(1)).floor != distance(x, y, generator=rng(2)).floor


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_images_and_precisions(distance, dtype):
    """(n, 1, 8, 8) counts as (n, 64); float32 gives float64's value to its own accuracy."""
    x, y = (torch.randn(10, 1, 8, 8, generator=rng(k), dtype=f64) for k in (1, 2))
    exact = distance(x.flatten(1), y.flatten(1), generator=rng()).value
    redrawn = distance is metrics.sliced_w2 and dtype == torch.float32  # float32 draws other directions
    relative = 0.1 if redrawn else {torch.float32: 1e-4, f64: 1e-12}[dtype]
    assert distance(x.to(dtype), y.to(dtype), generator=rng()).value == pytest.approx(exact, rel=relative)


# ---- tails


def test_tail_coverage_on_constructed_samples():
    """The reference itself covers both tails; cutting the top empties one; keeping every second of it halves it."""
    reference = np.stack([np.zeros(2000), np.random.default_rng(1).permutation(2000)], 1)
    whole = metrics.tail_coverage(reference, reference, q=0.1)
    assert (whole.lower, whole.upper) == (0.1, 0.1) and whole.value == pytest.approx(1) and whole.n == 2000
    cut = metrics.tail_coverage(reference[reference[:, 1] < 1700], reference, q=0.1)
    assert cut.upper == 0 and cut.value == 0 and cut.lower == pytest.approx(200 / 1700)
    kept = reference[(reference[:, 1] < 1800) | (reference[:, 1] % 2 == 0)]
    half = metrics.tail_coverage(kept, reference, q=0.1)
    assert half.upper == pytest.approx(100 / 1900) and half.value == pytest.approx(10 * 100 / 1900)


def test_tail_coverage_looks_along_its_direction():
    x, y = np.random.default_rng(2).normal(size=(2, 1000, 2))
    x[:, 0] *= 0.2  # too narrow along the first axis only
    assert metrics.tail_coverage(x, y).value > 0.5  # the default is the last axis
    assert metrics.tail_coverage(x, y, direction=[1.0, 0.0]).value < 0.05
    scaled = metrics.tail_coverage(x, y, direction=[7.0, 0.0])
    assert scaled == metrics.tail_coverage(x, y, direction=[1.0, 0.0])


def test_tail_floor_is_a_95_percent_band():
    """300 pairs of equal laws: share/q leaves 1 by more than the floor in about 5 % of them."""
    r = np.random.default_rng(3)
    inside = []
    for _ in range(300):
        found = metrics.tail_coverage(r.normal(size=(400, 1)), r.normal(size=(700, 1)))
        inside += [abs(found.lower / found.q - 1) < found.floor, abs(found.upper / found.q - 1) < found.floor]
    assert 0.91 < np.mean(inside) < 0.985


# ---- memorisation


def test_memorisation_of_copies_of_strangers_and_of_fresh_data():
    """Copies of training points: 1. Copies of test points: 0. Fresh data: 1/2 within its binomial error."""
    r = np.random.default_rng(4)
    train, test, fresh = r.normal(size=(3, 800, 3))
    copies = metrics.memorisation(train[:300], train, test)
    assert copies.value == 1 and copies.to_train == 0 and copies.to_test > 0
    assert metrics.memorisation(test[:300], train, test).value == 0
    honest = metrics.memorisation(fresh, train, test)
    assert abs(honest.value - 0.5) < 5 * honest.error and honest.floor == 0.5
    assert honest.error == pytest.approx(0.5 / math.sqrt(800)) and honest.n == 800
    near = cKDTree(train).query(fresh)[0], cKDTree(test).query(fresh)[0], cKDTree(train).query(test)[0]
    found = honest.to_train, honest.to_test, honest.test_to_train
    for value, distances in zip(found, near):  # torch's median is the lower of the two middle ones
        assert value == pytest.approx(np.sort(distances)[399], rel=1e-9)


def test_memorisation_compares_sets_of_one_size():
    """A training set ten times larger must not look nearer: both are cut to the same number."""
    r = np.random.default_rng(5)
    found = metrics.memorisation(r.normal(size=(900, 2)), r.normal(size=(3000, 2)), r.normal(size=(300, 2)))
    # 900 samples share 600 neighbours, so they are not independent: the band is that of the sets.
    assert abs(found.value - 0.5) < 5 * 0.5 / math.sqrt(300)


def test_ties_count_half():
    points = torch.zeros(4, 2)
    assert metrics.memorisation(points, points, points).value == 0.5


@few
@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([1, 3, 20]), seeds)
def test_nearest_distance_is_scipys(n, m, d, seed):
    x, y = (torch.as_tensor(v) for v in clouds(n, m, d, seed))
    np.testing.assert_allclose(metrics.nearest_distance(x, y), cKDTree(y).query(x)[0], rtol=1e-9)


def test_nearest_distance_of_copies_is_exactly_zero_in_single_precision():
    """Recomputed by differences: |a|^2 + |b|^2 - 2ab would leave rounding of size .01 in 64 dimensions."""
    y = 10 * torch.randn(30, 64, generator=rng())
    assert float(metrics.nearest_distance(y[5:9], y).max()) == 0


# ---- refusals


def refusals():
    x = torch.randn(5, 2, generator=rng())
    nan = x * float("nan")
    for distance in DISTANCES:
        yield "x", lambda f=distance: f(nan, x)
        yield "y", lambda f=distance: f(x, nan)
        yield "x", lambda f=distance: f(x[:1], x)
        yield "x", lambda f=distance: f(torch.zeros(4), x)
        yield "y", lambda f=distance: f(x, torch.zeros(5, 3))
        yield "repeats", lambda f=distance: f(x, x, repeats=0)
        yield "generator", lambda f=distance: f(x, x, generator=3)
    yield "projections", lambda: metrics.sliced_w2(x, x, projections=0)
    yield "q", lambda: metrics.tail_coverage(x, x, q=0.0)
    yield "q", lambda: metrics.tail_coverage(x, x, q=0.7)
    yield "reference", lambda: metrics.tail_coverage(x, nan)
    yield "reference", lambda: metrics.tail_coverage(x, torch.zeros(5, 3))
    yield "direction", lambda: metrics.tail_coverage(x, x, direction=[1.0, 0.0, 0.0])
    yield "direction", lambda: metrics.tail_coverage(x, x, direction=[0.0, 0.0])
    yield "x", lambda: metrics.memorisation(nan, x, x)
    yield "train", lambda: metrics.memorisation(x, nan, x)
    yield "train", lambda: metrics.memorisation(x, torch.zeros(5, 3), x)
    yield "test", lambda: metrics.memorisation(x, x, torch.zeros(5, 3))
    yield "test", lambda: metrics.memorisation(x, x, torch.zeros(5))
    yield "test", lambda: metrics.memorisation(x, x, nan)


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_metrics_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
