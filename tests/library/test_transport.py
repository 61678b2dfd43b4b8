"""Gaussian maps against matrix identities, finite plans against scipy's linear programs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist
from zoo import DTYPES, f64, few, normal_w2, random_rotation, random_spd, rng, seeds

from otprior_lite.transport import AffineMap, gaussian_map, plan


def two_gaussians(d, seed):
    r = np.random.default_rng(seed)
    return r.normal(size=d), random_spd(d, seed), r.normal(size=d), random_spd(d, seed + 1)


@few
@given(st.integers(1, 5), seeds)
def test_check_27_gaussian_map(d, seed):
    """Check 27: A is symmetric positive definite, A S1 A = S2, the mean lands on m2: Brenier's map, so the optimal one."""
    m1, S1, m2, S2 = two_gaussians(d, seed)
    T = gaussian_map(m1, S1, m2, S2)
    A = T.matrix.numpy()
    np.testing.assert_allclose(A, A.T, atol=1e-12)
    assert np.linalg.eigvalsh(A).min() > 0
    np.testing.assert_allclose(A @ S1 @ A, S2, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(T(m1[None])[0], m2, atol=1e-10)


@few
@given(st.integers(1, 4), seeds)
def test_gaussian_map_pays_the_bures_distance(d, seed):
    """E|T(x) - x|^2 = |m1 - m2|^2 + tr (A - I) S1 (A - I) is W2^2 by the Bures formula with scipy's root."""
    m1, S1, m2, S2 = two_gaussians(d, seed)
    move = gaussian_map(m1, S1, m2, S2).matrix.numpy() - np.eye(d)
    cost = np.sum((m1 - m2) ** 2) + np.trace(move @ S1 @ move)
    assert cost == pytest.approx(normal_w2(m1, S1, m2, S2) ** 2, rel=1e-7)


@few
@given(st.integers(1, 4), seeds, st.floats(0.2, 5))
def test_gaussian_map_turns_and_scales(d, seed, c):
    """Rotating both laws conjugates the map; scaling both leaves A; translating one moves the shift."""
    m1, S1, m2, S2 = two_gaussians(d, seed)
    R, A = random_rotation(d, seed), gaussian_map(m1, S1, m2, S2).matrix.numpy()
    turned = gaussian_map(R @ m1, R @ S1 @ R.T, R @ m2, R @ S2 @ R.T)
    np.testing.assert_allclose(turned.matrix, R @ A @ R.T, atol=1e-8)
    np.testing.assert_allclose(gaussian_map(c * m1, c**2 * S1, c * m2, c**2 * S2).matrix, A, atol=1e-8)
    b = np.arange(1.0, d + 1)
    np.testing.assert_allclose(gaussian_map(m1, S1, m2 + b, S2)(m1[None])[0], m2 + b, atol=1e-9)


def test_gaussian_map_onto_a_line():
    """A singular target: the map is positive semi-definite and its image is the line."""
    S2 = np.outer([1.0, 2.0], [1.0, 2.0])
    A = gaussian_map([0.0, 0.0], np.eye(2), [0.0, 0.0], S2).matrix.numpy()
    np.testing.assert_allclose(A, S2 / np.sqrt(5), atol=1e-9)


@few
@given(st.integers(2, 9), st.integers(1, 10), seeds)
def test_plan_is_scipys_assignment(n, d, seed):
    """Equal sizes, uniform weights: the cost and the pairing of scipy's Hungarian algorithm."""
    r = np.random.default_rng(seed)
    x, y = r.normal(size=(n, d)), r.normal(size=(n, d)) + 0.5
    rows, columns = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
    found = plan(x, y)
    assert found.cost == pytest.approx(cdist(x, y, "sqeuclidean")[rows, columns].mean(), rel=1e-9)
    np.testing.assert_array_equal(found.assignment, columns)
    np.testing.assert_allclose(found.matrix.sum(0), 1 / n, atol=1e-12)


@few
@given(st.integers(1, 5), st.integers(1, 6), seeds)
def test_plan_is_the_linear_program(n, m, seed):
    """Weighted and unequal sizes: both marginals hold, and the cost is the optimum of scipy's linprog."""
    r = np.random.default_rng(seed)
    x, y, a, b = r.normal(size=(n, 3)), r.normal(size=(m, 3)), r.dirichlet(np.ones(n)), r.dirichlet(np.ones(m))
    cost = cdist(x, y, "sqeuclidean")
    rows = [np.kron(np.eye(n)[i], np.ones(m)) for i in range(n)] + [np.kron(np.ones(n), np.eye(m)[j]) for j in range(m)]
    best = linprog(cost.ravel(), A_eq=np.array(rows), b_eq=np.concatenate([a, b]), method="highs")
    found = plan(x, y, a, b)
    assert found.cost == pytest.approx(best.fun, rel=1e-7, abs=1e-10)
    np.testing.assert_allclose(found.matrix.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(found.matrix.sum(0), b, atol=1e-12)
    assert bool((found.matrix >= 0).all())


def test_plan_in_one_dimension_sorts():
    x, y = torch.randn(40, 1, generator=rng(1), dtype=f64), torch.randn(40, 1, generator=rng(2), dtype=f64)
    found = plan(x, y)
    assert found.cost == pytest.approx(float((x.sort(0).values - y.sort(0).values).square().mean()), rel=1e-10)
    matched = y[found.assignment][x[:, 0].argsort()]
    assert bool((matched.diff(dim=0) > 0).all())


def test_plan_is_cyclically_monotone():
    """No exchange of three partners lowers the cost: sum <x_i, y_i> is maximal over permutations."""
    x, y = (torch.randn(12, 3, generator=rng(k), dtype=f64) for k in (3, 4))
    y = y[plan(x, y).assignment]
    for triple in itertools.combinations(range(12), 3):
        kept = sum(float(x[i] @ y[i]) for i in triple)
        for order in itertools.permutations(triple):
            assert sum(float(x[i] @ y[j]) for i, j in zip(triple, order)) <= kept + 1e-10


def test_plan_of_a_translate_costs_the_shift():
    """y = x + b in any order: the cost is |b|^2 and every point goes to its own translate."""
    x, b = torch.randn(30, 20, generator=rng(5), dtype=f64), torch.linspace(0.1, 1, 20, dtype=f64)
    order = torch.randperm(30, generator=rng(6))
    found = plan(x, (x + b)[order])
    assert found.cost == pytest.approx(float(b @ b), rel=1e-10)
    assert torch.equal(order[found.assignment], torch.arange(30))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_follows(dtype):
    x = torch.randn(5, 2, generator=rng(), dtype=dtype)
    assert plan(x, x + 1).matrix.dtype == dtype
    eye = torch.eye(2, dtype=dtype)
    T = gaussian_map(torch.zeros(2), eye, torch.ones(2), 4 * eye)
    assert T.matrix.dtype == dtype and T(x).dtype == dtype
    torch.testing.assert_close(T(x), 2 * x + 1, rtol=1e-5, atol=1e-5)


EYE, ZERO = np.eye(2), np.zeros(2)
BAD = [
    ("S1", lambda: gaussian_map(ZERO, np.zeros((2, 3)), ZERO, EYE)),
    ("S1", lambda: gaussian_map(ZERO, -EYE, ZERO, EYE)),
    ("S1", lambda: gaussian_map(ZERO, np.diag([1.0, 0.0]), ZERO, EYE)),
    ("S1", lambda: gaussian_map(ZERO, [[1.0, 0.5], [0.0, 1.0]], ZERO, EYE)),
    ("S2", lambda: gaussian_map(ZERO, EYE, ZERO, np.diag([1.0, -1.0]))),
    ("S2", lambda: gaussian_map(ZERO, EYE, ZERO, np.eye(3))),
    ("m1", lambda: gaussian_map(np.zeros(3), EYE, ZERO, EYE)),
    ("m2", lambda: gaussian_map(ZERO, EYE, [0.0, np.nan], EYE)),
    ("matrix", lambda: AffineMap(np.zeros((2, 3)), ZERO)),
    ("shift", lambda: AffineMap(EYE, np.zeros(3))),
    ("x", lambda: AffineMap(EYE, ZERO)(torch.zeros(4, 3))),
    ("x", lambda: plan(np.zeros(3), np.zeros((3, 1)))),
    ("x", lambda: plan(np.zeros((0, 2)), np.zeros((3, 2)))),
    ("y", lambda: plan(np.zeros((3, 2)), np.zeros((3, 1)))),
    ("y", lambda: plan(np.zeros((3, 2)), np.full((3, 2), np.inf))),
    ("weights_x", lambda: plan(np.zeros((2, 1)), np.zeros((2, 1)), [0.5, 0.6])),
    ("weights_y", lambda: plan(np.zeros((2, 1)), np.zeros((2, 1)), None, [1.5, -0.5])),
    ("weights_y", lambda: plan(np.zeros((2, 1)), np.zeros((2, 1)), None, [1.0])),
]


@pytest.mark.parametrize("argument, call", BAD)
def test_transport_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
