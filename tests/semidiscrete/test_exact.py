"""Exact solvers against closed forms and independent quadrature (THEORY checks 28, 29, 31, 32)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otprior_lite.semidiscrete import BrenierMap, solve

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def exact(points, weights=None, tolerance=1e-8):
    fit = solve(points, weights, tolerance=tolerance, generator=generator())
    assert fit.converged and fit.method == "exact" and fit.samples == 0, fit.reason
    return fit


def test_line_heights_and_cost():
    fit = exact(torch.tensor([[-1.5], [-0.2], [0.4], [2.0]], dtype=F64))
    expected = torch.tensor([-0.38783161, 0.48900507, 0.48900507, -0.59017853], dtype=F64)
    torch.testing.assert_close(fit.heights, expected, atol=1e-8, rtol=0)
    assert fit.w2_squared.value == pytest.approx(0.29066514, abs=1e-8)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_two_atoms(d):
    points, b = gaussian(2, d, seed=d), 0.3
    fit = exact(points, [b, 1 - b])
    length = float((points[0] - points[1]).norm())
    quantile = float(torch.special.ndtri(torch.tensor(b, dtype=F64)))
    assert float(fit.heights[0] - fit.heights[1]) == pytest.approx(length * quantile, rel=1e-10)
    gain = length * math.exp(-(quantile**2) / 2) / math.sqrt(2 * math.pi)
    mean = b * points[0] + (1 - b) * points[1]  # E<z, T> does not see the mean
    cost = d + b * float(points[0].square().sum()) + (1 - b) * float(points[1].square().sum()) - 2 * gain
    assert fit.w2_squared.value == pytest.approx(cost, rel=1e-10)
    assert mean.shape == (d,)


@pytest.mark.parametrize("d", [1, 2])
def test_sign_cube(d):
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=F64)] * d).reshape(-1, d)
    fit = exact(corners)
    assert float(fit.heights.abs().max()) < 1e-10
    assert fit.w2_squared.value == pytest.approx(d * (2 - 2 * math.sqrt(2 / math.pi)), rel=1e-10)


def test_line_with_tiny_weights_in_both_tails():
    weights = torch.tensor([1e-12, 0.5, 0.5 - 2e-12, 1e-12], dtype=F64)
    fit = exact(torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=F64), weights, tolerance=1e-12)
    torch.testing.assert_close(fit.map.exact_masses(), weights, rtol=1e-3, atol=1e-17)


def quadrature_masses(points, heights):
    """Masses without any geometry: for fixed x the cells on the line {x} x R are intervals of exact mass, smooth in
    x between the places where three planes meet; Gauss-Legendre between those."""
    from itertools import combinations

    from otprior_lite.semidiscrete.line import line_masses

    y, h = points.numpy(), heights.numpy()
    cuts = [-9.0, 9.0]
    for i, j, k in combinations(range(len(y)), 3):
        matrix = np.array([y[j] - y[i], y[k] - y[i]])
        cuts.append(float(np.linalg.solve(matrix, [h[i] - h[j], h[i] - h[k]])[0]))
    cuts = np.unique(np.clip(cuts, -9, 9))
    node, weight = np.polynomial.legendre.leggauss(24)
    total = np.zeros(len(y))
    for a, b in zip(cuts[:-1], cuts[1:], strict=True):
        for x, w in zip((a + b) / 2 + (b - a) / 2 * node, (b - a) / 2 * weight, strict=True):
            total += w * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) * line_masses(y[:, 1], h + x * y[:, 0])[0]
    return total


def test_plane_masses_against_quadrature():
    points, heights = gaussian(9, 2, seed=3), 0.3 * gaussian(9, seed=4)
    masses = BrenierMap(points, heights).exact_masses().numpy()
    np.testing.assert_allclose(masses, quadrature_masses(points, heights), atol=1e-9)
    assert masses.sum() == pytest.approx(1, abs=1e-13)


def test_plane_newton_unequal_weights_against_quadrature():
    points, weights = gaussian(9, 2, seed=5) * 2 + 1, torch.rand(9, generator=generator(6), dtype=F64) + 0.05
    weights /= weights.sum()
    fit = exact(points, weights)
    np.testing.assert_allclose(quadrature_masses(fit.map.points, fit.heights), weights.numpy(), atol=1e-9)


@pytest.mark.parametrize(
    "points",
    [
        torch.cartesian_prod(torch.arange(6.0), torch.arange(5.0)).double(),
        torch.tensor([[math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)] for k in range(8)] + [[0, 0]], dtype=F64),
        torch.cat([gaussian(60, 2), torch.tensor([[1e5, 0.0]], dtype=F64)]),
        torch.cat([gaussian(60, 2) * 0.01 - 20, gaussian(60, 2, seed=1) * 0.01 + 20]),
        gaussian(80, 2) * torch.tensor([1.0, 1e-5], dtype=F64),
        gaussian(3, 2),
    ],
    ids=["grid", "octagon and centre", "outlier", "two clusters", "thin", "triangle"],
)
def test_plane_hard_inputs(points):
    fit = exact(points)
    assert float((fit.map.exact_masses() - 1 / len(points)).abs().sum()) < 1e-8


def test_collinear_and_planar_atoms_are_reduced():
    line = torch.linspace(-1, 1, 7, dtype=F64)[:, None].pow(3) @ gaussian(1, 20, seed=1) + 4
    plane = gaussian(40, 2, seed=2)
    frame = torch.linalg.qr(gaussian(6, 2, seed=3)).Q
    exact(line)
    flat, lifted = exact(plane), exact(plane @ frame.T)
    torch.testing.assert_close(lifted.heights, flat.heights, atol=1e-7, rtol=0)
    assert lifted.w2_squared.value == pytest.approx(flat.w2_squared.value + 4, abs=1e-8)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_one_atom_and_duplicates(d):
    y = gaussian(1, d, seed=1)
    fit = exact(y.expand(5, d).clone())
    assert fit.map.points.shape == (1, d) and fit.atom.tolist() == [0] * 5
    assert fit.w2_squared.value == pytest.approx(d + float(y.square().sum()), rel=1e-12)


def test_duplicates_add_their_weights():
    points = gaussian(20, 2, seed=8)
    doubled, once = exact(torch.cat([points, points[:5]])), exact(points, [2 / 25] * 5 + [1 / 25] * 15)
    torch.testing.assert_close(doubled.heights, once.heights, atol=1e-9, rtol=0)
    assert doubled.atom.tolist() == [*range(20), *range(5)]


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 40), st.integers(1, 2), st.integers(0, 10**6), st.floats(0.1, 10))
def test_equivariances(n, d, seed, scale):
    points = gaussian(n, d, seed=seed)
    weights = torch.rand(n, generator=generator(seed), dtype=F64) + 0.1
    weights /= weights.sum()
    base = exact(points, weights).heights
    rotation = torch.linalg.qr(gaussian(d, d, seed=seed + 1)).Q
    order = torch.randperm(n, generator=generator(seed))
    close = lambda a, b: torch.testing.assert_close(a, b, atol=1e-6 * scale, rtol=1e-6)
    close(exact(points + 3.0, weights).heights, base)
    close(exact(points @ rotation.T, weights).heights, base)
    close(exact(points * scale, weights).heights, scale * base)
    close(exact(points[order], weights[order]).heights, base[order])


def test_dual_value_equals_primal_cost():
    """Check 32: E|z - T(z)|^2 by sampling agrees with the exact dual value."""
    fit = exact(gaussian(50, 2, seed=9) * 1.5)
    z = gaussian(400_000, 2, seed=10)
    cost = (z - fit.map(z)).square().sum(1)
    assert abs(float(cost.mean()) - fit.w2_squared.value) < 4 * float(cost.std()) / math.sqrt(len(z))


def test_warm_start_and_resume_reach_the_same_heights(tmp_path):
    from otprior_lite.semidiscrete import State, solve_steps

    points = gaussian(100, 2, seed=11)
    states = list(solve_steps(points, generator=generator()))
    states[1].save(tmp_path / "state.safetensors")
    resumed = solve(points, generator=generator(), resume=State.load(tmp_path / "state.safetensors"))
    assert torch.equal(resumed.heights, states[-1].fit.heights)
    warm = solve(points, generator=generator(), warm_start=resumed.heights)
    assert warm.steps == 0 and warm.converged


def test_float32_atoms_report_their_own_rounding():
    fit = solve(gaussian(200, 2, dtype=torch.float32), tolerance=1e-9, generator=generator())
    assert not fit.converged and "float32" in fit.reason and fit.error.l1.value < 1e-4
