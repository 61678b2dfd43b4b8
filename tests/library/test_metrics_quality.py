"""Frechet, precision and recall, mode mixtures and duplicates: closed forms, scikit-learn, and what each must see."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from zoo import bimodal, f64, few, mixtures, normal_w2, parts, points_near, random_rotation, random_spd, rng, seeds, triangle

from otprior_lite import metrics
from otprior_lite.randomness import permutation


def clouds(n, m, d, seed, shift=0.7):
    r = np.random.default_rng(seed)
    return r.normal(size=(n, d)), r.normal(size=(m, d)) + shift


# ---- Frechet


@few
@given(st.integers(1, 6), seeds)
def test_frechet_is_the_bures_formula_of_the_moments(d, seed):
    """numpy's means and covariances in scipy's Bures formula."""
    x, y = clouds(30, 25, d, seed)
    y = y @ random_spd(d, seed)
    cov = lambda v: np.cov(v.T).reshape(d, d)
    expected = normal_w2(x.mean(0), cov(x), y.mean(0), cov(y))
    assert metrics.frechet(x, y).value == pytest.approx(expected, rel=1e-6)


def test_frechet_of_gaussians():
    """20,000 points of two correlated Gaussians: the distance of the laws, far above the floor."""
    S1, S2, m = random_spd(4, 1), random_spd(4, 2), np.array([1.0, 0.0, -0.5, 0.2])
    r = np.random.default_rng(3)
    x, y = r.multivariate_normal(np.zeros(4), S1, 20_000), r.multivariate_normal(m, S2, 20_000)
    found = metrics.frechet(x, y)
    assert found.value == pytest.approx(normal_w2(np.zeros(4), S1, m, S2), rel=0.02)
    assert found.floor < 0.1 * found.value and found.n == 20_000


@few
@given(st.integers(1, 4), seeds)
def test_frechet_is_below_w2_and_equal_for_affine_images(d, seed):
    """Gelbrich: no coupling costs less; y = A x with A symmetric positive is optimal. n/(n-1) in the covariance."""
    x, y = clouds(20, 20, d, seed)
    x, y = x - x.mean(0), y - y.mean(0)
    unbiased = math.sqrt(20 / 19)
    assert metrics.frechet(x, y).value <= unbiased * metrics.w2(x, y).value + 1e-9
    image = x @ random_spd(d, seed)
    assert metrics.frechet(x, image).value == pytest.approx(unbiased * metrics.w2(x, image).value, rel=1e-6)


def test_frechet_features_and_floor():
    """features are applied first; only equal shapes of features are needed; n < d is no error; the floor is the null's mean."""
    x, y = clouds(40, 50, 12, 5)
    fold = lambda v: v[:, :3] ** 2
    assert metrics.frechet(x, y, features=fold) == metrics.frechet(x[:, :3] ** 2, y[:, :3] ** 2)
    few_points = metrics.frechet(x[:5], y[:5])
    assert 0 < few_points.value < math.inf and metrics.frechet(x[:5], x[:5]).value < 1e-6
    R = random_rotation(12, 1)
    assert metrics.frechet(3 * x @ R.T, 3 * y @ R.T).value == pytest.approx(3 * metrics.frechet(x, y).value, rel=1e-6)
    r = np.random.default_rng(6)
    runs = [metrics.frechet(r.normal(size=(40, 3)), r.normal(size=(40, 3)), repeats=1, generator=rng(k)) for k in range(60)]
    gap = np.array([run.value - run.floor for run in runs])
    assert abs(gap.mean()) < 5 * gap.std(ddof=1) / math.sqrt(60)


# ---- precision and recall


@few
@given(st.integers(1, 3), st.sampled_from([1, 2, 10]), seeds)
def test_precision_recall_is_scikit_learns_neighbours(k, d, seed):
    """One split, drawn again from the generator; balls and membership by NearestNeighbors."""
    x, reference = clouds(14, 22, d, seed, shift=0.3)
    g = rng(seed)
    order = permutation(22, g).numpy()
    perfect, half = reference[order[:11]], reference[order[11:]]
    some = x[permutation(14, g).numpy()[:11]]

    def covered(a, b):
        radius = NearestNeighbors(n_neighbors=k + 1).fit(b).kneighbors(b)[0][:, k]
        distance, index = NearestNeighbors(n_neighbors=len(b)).fit(b).kneighbors(a)
        return (distance <= radius[index]).any(1).mean()

    found = metrics.precision_recall(x, reference, k=k, repeats=1, generator=rng(seed))
    assert (found.precision.value, found.recall.value) == (covered(some, half), covered(half, some))
    assert (found.precision.floor, found.recall.floor) == (covered(perfect, half), covered(half, perfect))
    assert found.precision.n == found.recall.n == 11


def test_lost_modes_and_strangers():
    """Half of the modes: full precision, half recall. Three strangers in ten: precision .7 of the floor, full recall."""
    r = np.random.default_rng(1)
    centres = np.array([[-10.0, 0.0], [10.0, 0.0]])
    data = centres[r.integers(2, size=1200)] + r.normal(size=(1200, 2))
    half = metrics.precision_recall(centres[0] + r.normal(size=(600, 2)), data)
    assert abs(half.precision.value - half.precision.floor) < 0.03
    assert half.recall.value == pytest.approx(0.5 * half.recall.floor, abs=0.03)
    mixed = centres[r.integers(2, size=600)] + r.normal(size=(600, 2))
    mixed[:180] = 100 + 10 * r.normal(size=(180, 2))
    found = metrics.precision_recall(mixed, data)
    assert found.precision.value == pytest.approx(0.7 * found.precision.floor, abs=0.03)
    assert found.recall.value > 0.95 * found.recall.floor


@pytest.mark.parametrize("d", [2, 20])
def test_the_floor_is_what_fresh_data_reach(d):
    """Fresh samples of the same law: value = floor within errors, although in 20 dimensions both are far below 1."""
    r = np.random.default_rng(d)
    run = lambda k: metrics.precision_recall(r.normal(size=(200, d)), r.normal(size=(400, d)), repeats=2, generator=rng(k))
    runs = [run(k) for k in range(30)]
    for name in ("precision", "recall"):
        gap = np.array([getattr(run, name).value - getattr(run, name).floor for run in runs])
        assert abs(gap.mean()) < 5 * gap.std(ddof=1) / math.sqrt(30)
    floor = np.mean([run.precision.floor for run in runs])
    assert floor > 0.9 if d == 2 else 0.5 < floor < 0.9


def test_precision_recall_in_features():
    x, y = clouds(30, 40, 5, 2)
    assert metrics.precision_recall(x, y, features=lambda v: v[:, :2]) == metrics.precision_recall(x[:, :2], y[:, :2])


# ---- mode mixtures


@few
@given(mixtures())
def test_responsibilities_are_bayes(target):
    """w_k N(x; mu_k, S_k) over their sum, by scipy."""
    x = points_near(target, 20)
    joint = np.stack([a * np.atleast_1d(stats.multivariate_normal(m, S).pdf(x.numpy())) for a, m, S in zip(*parts(target))], 1)
    np.testing.assert_allclose(target.responsibilities(x), joint / joint.sum(1, keepdims=True), rtol=1e-6, atol=1e-12)


def test_mode_mixture_of_two_gaussians():
    """N(m, v) and N(-m, v) mix where |x| <= v log(4) / (2 m): a difference of normal distribution functions."""
    m, v = 1.0, 0.5
    target, edge = bimodal(m, v), v * math.log(4) / (2 * m)
    exact = stats.norm.cdf((edge - m) / math.sqrt(v)) - stats.norm.cdf((-edge - m) / math.sqrt(v))
    fresh, more = target.sample(20_000, rng(1)), target.sample(20_000, rng(2))
    found = metrics.mode_mixture(fresh, more, target.responsibilities)
    assert found.value == pytest.approx(exact, abs=5 * found.error) and found.floor == pytest.approx(exact, abs=5 * found.error)
    assert found.error == pytest.approx(math.sqrt(exact * (1 - exact) / 20_000), rel=0.1) and found.n == 20_000
    blurred = metrics.mode_mixture(0.5 * fresh, more, target.responsibilities)
    assert blurred.value > blurred.floor + 10 * blurred.error


def test_mode_mixture_of_any_classifier():
    """Class probabilities from a table: exactly the threshold counts, .19 does not; images go in as they are."""
    table = torch.tensor([[0.8, 0.2, 0.0], [0.81, 0.19, 0.0], [0.4, 0.3, 0.3], [1.0, 0.0, 0.0]], dtype=f64)
    rows = torch.arange(4.0, dtype=f64)[:, None, None].expand(4, 2, 2)
    classify = lambda v: table[v[:, 0, 0].long()]
    found = metrics.mode_mixture(rows, rows[[0, 1]], classify)
    assert (found.value, found.floor, found.n) == (0.5, 0.5, 4)
    assert metrics.mode_mixture(rows, rows[[1, 3]], classify, threshold=0.19).floor == 0.5
    assert metrics.mode_mixture(rows[[1, 3]], rows, classify).error > 0  # none seen is not none


# ---- duplicates


@pytest.mark.parametrize("d", [1, 2, 3])
def test_chance_duplicates_are_a_third_to_the_d(d):
    """In a uniform cloud the ratio of the two nearest distances has distribution r^d: fresh data give 3^-d by chance."""
    r = np.random.default_rng(d)
    x, train, test = r.uniform(size=(3, 2000, d))
    found = metrics.memorisation(x, train, test).duplicates
    # The samples share neighbours: allow twice the binomial error.
    assert (found.value, found.floor) == pytest.approx((3.0**-d, 3.0**-d), abs=10 * found.error)
    half = metrics.memorisation(x, train, test, ratio=0.5).duplicates
    assert half.value == pytest.approx(2.0**-d, abs=10 * half.error)


def test_copies_are_duplicates():
    """Copies, copies with a small jitter, and copies of a point that training holds twice; fresh data are the floor."""
    r = np.random.default_rng(4)
    train, test = r.normal(size=(2, 300, 10))
    for x in (train[:50], train[:50] + 1e-3 * r.normal(size=(50, 10))):
        found = metrics.memorisation(x, train, test)
        assert found.duplicates.value == 1 and found.duplicates.floor < 0.01 and found.duplicates.n == 50
    doubled = np.concatenate([train[:150], train[:150]])
    assert metrics.memorisation(train[:50], doubled, test).duplicates.value == 1
    assert metrics.memorisation(test[:50], train, r.normal(size=(300, 10))).duplicates.value < 0.05


def test_a_small_test_set_hides_no_copies():
    """Copies of all of a training set: each is found, however few held-out points there are."""
    r = np.random.default_rng(6)
    train, test = r.normal(size=(1000, 10)), r.normal(size=(40, 10))
    found = metrics.memorisation(train, train, test)
    assert found.duplicates.value == 1 and found.to_train == 0 and found.duplicates.floor < 0.1


# ---- refusals


def refusals():
    x = torch.randn(9, 2, generator=rng(), dtype=f64)
    flat, bad = lambda v: torch.full((len(v), 2), 0.5), lambda v: torch.full((len(v), 2), 0.4)
    yield "y", lambda: metrics.frechet(x, torch.zeros(5, 3))
    yield "repeats", lambda: metrics.frechet(x, x, repeats=0)
    yield "features", lambda: metrics.frechet(x, x, features=lambda v: v * float("nan"))
    yield "k", lambda: metrics.precision_recall(x, x, k=4)
    yield "k", lambda: metrics.precision_recall(x, x, k=0)
    yield "repeats", lambda: metrics.precision_recall(x, x, repeats=0)
    yield "reference", lambda: metrics.precision_recall(x, torch.zeros(9, 3))
    yield "generator", lambda: metrics.precision_recall(x, x, generator=1)
    yield "threshold", lambda: metrics.mode_mixture(x, x, flat, threshold=0.0)
    yield "threshold", lambda: metrics.mode_mixture(x, x, flat, threshold=0.6)
    yield "classes", lambda: metrics.mode_mixture(x, x, bad)
    yield "classes", lambda: metrics.mode_mixture(x, x, lambda v: flat(v)[:3])
    yield "classes", lambda: metrics.mode_mixture(x, x, lambda v: flat(v)[:, 0])
    yield "reference", lambda: metrics.mode_mixture(x, torch.zeros(4, 5), flat)
    yield "ratio", lambda: metrics.memorisation(x, x, x, ratio=0.0)
    yield "ratio", lambda: metrics.memorisation(x, x, x, ratio=1.5)
    yield "x", lambda: triangle().responsibilities(torch.zeros(3, 5))


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
