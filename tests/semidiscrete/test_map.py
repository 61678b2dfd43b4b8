"""The map and its relatives: potential, smoothing, extension, drawing, files (THEORY checks 30, 34-36)."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from otprior_lite.semidiscrete import BrenierMap, solve
from otprior_lite.semidiscrete.plane import plane_hessian
from otprior_lite.semidiscrete.power import laguerre
from otprior_lite.semidiscrete.smooth import score_scale

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


@pytest.fixture(scope="module")
def fit():
    return solve(gaussian(60, 2, seed=1), generator=generator())


def test_argmax_and_potential():
    m, z = BrenierMap(gaussian(30, 5), gaussian(30, seed=1)), gaussian(1000, 5, seed=2)
    scores = z @ m.points.T + m.heights
    assert torch.equal(m.cell(z), scores.argmax(1)) and torch.equal(m(z), m.points[scores.argmax(1)])
    torch.testing.assert_close(m.potential(z), scores.max(1).values)


def test_convexity_gradient_hessian():
    """Check 30: F convex, F(h + c) = F(h), dF = w - b, D^2 F = Laplacian of the conductances."""
    from otprior_lite.semidiscrete.masses import exact_masses

    y, b = gaussian(12, 2, seed=3), torch.full((12,), 1 / 12, dtype=F64)
    F = lambda h: exact_masses(y, h)[1] - float(b @ h)
    w = lambda h: torch.from_numpy(exact_masses(y, h)[0])
    h, k, e = 0.3 * gaussian(12, seed=4), 0.3 * gaussian(12, seed=5), 1e-5
    assert F((h + k) / 2) <= (F(h) + F(k)) / 2
    assert F(h + 2.5) == pytest.approx(F(h), abs=1e-12)
    steps = torch.eye(12, dtype=F64) * e
    slope = torch.tensor([(F(h + s) - F(h - s)) / (2 * e) for s in steps], dtype=F64)
    torch.testing.assert_close(slope, w(h) - b, atol=1e-8, rtol=0)
    numeric = torch.stack([(w(h + s) - w(h - s)) / (2 * e) for s in steps])
    sides = laguerre(y.numpy(), h.numpy())
    hessian = torch.zeros(12, 12, dtype=F64)
    for i, j, c in zip(sides.left, sides.right, plane_hessian(sides), strict=True):
        hessian[i, j] -= c
        hessian[j, i] -= c
    hessian -= torch.diag(hessian.sum(1))
    torch.testing.assert_close(numeric, hessian, atol=1e-8, rtol=0)
    assert float(torch.linalg.eigvalsh(hessian)[0]) > -1e-12


def test_assignment_is_optimal(fit):
    """Check 34: no permutation of the labels among the draws costs less."""
    z = gaussian(200, 2, seed=6)
    cost = torch.cdist(z, fit.map(z)).square().numpy()
    rows, columns = linear_sum_assignment(cost)
    assert cost[rows, columns].sum() == pytest.approx(cost.trace(), rel=1e-12)


def test_smoothing_bounds_and_limits(fit):
    """Check 35, first part."""
    z, N = gaussian(300, 2, seed=7), len(fit.map.points)
    for tau in (0.02, 0.3):
        smooth = fit.map.smooth(tau, relative=False)
        below = fit.map.potential(z) - smooth.potential(z)
        assert float(below.min()) >= -1e-12 and float(below.max()) <= tau * math.log(N) + 1e-12
        shares = smooth.shares(z)
        assert float(shares.min()) >= 0 and float((shares.sum(1) - 1).abs().max()) < 1e-12
        jacobian = torch.func.vmap(
            torch.func.jacrev(lambda x: torch.softmax((fit.map.points @ x + fit.heights) / tau, 0) @ fit.map.points)
        )(z)
        torch.testing.assert_close(smooth.jacobian(z), jacobian, atol=1e-8, rtol=1e-8)
        assert float(torch.linalg.eigvalsh(jacobian).min()) > -1e-9
    torch.testing.assert_close(fit.map.smooth(1e-7)(z), fit.map(z), atol=1e-6, rtol=0)
    spread = [float(fit.map.smooth(tau)(z).var(0).sum()) for tau in (0.01, 0.1, 1.0, 10.0)]
    assert spread == sorted(spread, reverse=True)


def test_resolved_heights_keep_the_mean_and_split_the_covariance():
    """Check 35, second part: with h_tau, E T_tau = mean and Cov T_tau + E Cov(y | z) = Cov target."""
    points = gaussian(25, 4, seed=8) + 1
    fit = solve(points, method="entropic", tau=1.0, tolerance=0.02, generator=generator())
    smooth, z = fit.map.smooth(1.0), gaussian(100_000, 4, seed=9)
    shares = smooth.shares(z)
    images = shares @ points
    assert float((shares.mean(0) - 1 / 25).abs().sum()) < 0.02
    assert float((images.mean(0) - points.mean(0)).abs().max()) < 0.02
    inner = float((shares @ points.square().sum(1) - images.square().sum(1)).mean())
    assert float(images.var(0, correction=0).sum()) + inner == pytest.approx(float(points.var(0, correction=0).sum()), rel=0.02)
    assert inner > 0.1


def test_tau_scales_with_the_scores(fit):
    """Check 36, and the relative unit makes it automatic."""
    z, s = gaussian(100, 2, seed=10), 7.0
    scaled = BrenierMap(s * fit.map.points, s * fit.heights)
    torch.testing.assert_close(scaled.smooth(s * 0.1, relative=False)(z), s * fit.map.smooth(0.1, relative=False)(z))
    torch.testing.assert_close(scaled.smooth(0.1)(z), s * fit.map.smooth(0.1)(z))
    assert score_scale(scaled.points) == pytest.approx(s * score_scale(fit.map.points))


def test_extension_interpolates_and_respects_thresholds(fit):
    z = gaussian(2000, 2, seed=11)
    free = fit.map.extend(100_000, generator(1), neighbours=3)
    assert torch.allclose(free(free.centres), fit.map.points, atol=1e-5)
    for none in (fit.map.extend(50_000, generator(1), angle=0.0), fit.map.extend(50_000, generator(1), jump=0.0)):
        index, weights = none.parts(z)
        assert torch.equal(weights[:, 0], torch.ones(2000, dtype=F64)) and torch.equal(none(z), fit.map.points[index[:, 0]])
    jump = fit.map.extend(50_000, generator(1), jump=1.5)
    index, weights = jump.parts(z)
    y = fit.map.points[index]
    used = (y - y[:, :1]).norm(dim=2)[weights > 0]
    assert float(used.max()) <= 1.5 * jump.spacing and float((weights > 0).double().mean()) > 0.2


def test_scale_free_threshold_ignores_units(fit):
    s, z = 100.0, gaussian(500, 2, seed=12)
    scaled = BrenierMap(s * fit.map.points, s * fit.heights)
    options = {"n": 50_000, "neighbours": 5}
    a = fit.map.extend(generator=generator(1), jump=1.5, **options)(z)
    torch.testing.assert_close(scaled.extend(generator=generator(1), jump=1.5, **options)(z), s * a)
    b = fit.map.extend(generator=generator(1), angle=0.4, **options)(z)
    assert not torch.allclose(scaled.extend(generator=generator(1), angle=0.4, **options)(z), s * b)


def area(polygon):
    x, y = polygon.T
    return 0.5 * float((x * y.roll(-1) - y * x.roll(-1)).sum())


def test_polygons_tile_the_box_and_hold_their_points(fit):
    polygons = fit.map.polygons(3.0)
    assert sum(map(area, polygons)) == pytest.approx(36, rel=1e-12)
    assert all(area(p) > 0 for p in polygons if len(p))
    centres = torch.stack([p.mean(0) for p in polygons if len(p)])
    assert fit.map.cell(centres).tolist() == [i for i, p in enumerate(polygons) if len(p)]


def test_polygons_of_a_line_and_of_one_atom():
    line = BrenierMap(torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), torch.tensor([0.0, 0.5, 0.0]))
    assert [area(p) for p in line.polygons(2.0)] == pytest.approx([6, 4, 6])
    assert area(BrenierMap(torch.zeros(1, 2), torch.zeros(1)).polygons(1.0)[0]) == pytest.approx(4)


def test_files_and_moves(fit, tmp_path):
    fit.map.save(tmp_path / "map.safetensors")
    loaded = BrenierMap.load(tmp_path / "map.safetensors")
    assert torch.equal(loaded.points, fit.map.points) and torch.equal(loaded.heights, fit.heights)
    assert loaded.to(torch.float32).points.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(torch.zeros(3, 5)), "z: expected shape"),
        (lambda m: m.smooth(0.0), "tau: expected"),
        (lambda m: m.polygons(-1.0), "box: expected"),
        (lambda m: m.extend(100, generator(), jump=-1.0), "jump: expected"),
        (lambda m: m.masses(0, generator()), "n: expected"),
        (lambda m: BrenierMap(m.points, m.heights[:-1]), "heights: expected shape"),
        (lambda m: BrenierMap(torch.zeros(2, 3), torch.zeros(2)).polygons(), "points: expected dimension 2"),
    ],
)
def test_bad_input(fit, call, message):
    with pytest.raises(ValueError, match=message):
        call(fit.map)
