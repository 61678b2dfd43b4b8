"""Chapter 7: what the page claims, its checks with their slips, and the live figure against the library."""

import math

import pytest
import torch

from otprior_lite import check
from otprior_lite.experiments import counting, laguerre
from otprior_lite.randomness import seeded
from otprior_lite.semidiscrete import BrenierMap, solve
from otprior_lite.semidiscrete.plane import plane_hessian
from otprior_lite.semidiscrete.power import laguerre as sides_of


@pytest.fixture(scope="module")
def points():
    return laguerre.scattered(40)


@pytest.fixture(scope="module")
def solved(points):
    return solve(points, tolerance=1e-8, generator=seeded())


# ---- the plane


def test_newton_walks_from_voronoi_to_equal_masses(points):
    steps = laguerre.newton(points, draws=1000)
    assert torch.equal(steps[0].map.heights, laguerre.voronoi(points))
    assert steps[0].l1 > 0.9 and steps[-1].l1 < 1e-10
    errors = [step.l1 for step in steps]
    assert errors == sorted(errors, reverse=True)
    assert errors[-2] < 100 * errors[-3] ** 2  # quadratic at the end
    assert min(float(step.masses.min()) for step in steps) > 0


def test_voronoi_cells_hold_their_atoms_and_solved_cells_need_not(points, solved):
    own = torch.arange(40)
    assert torch.equal(BrenierMap(points, laguerre.voronoi(points)).cell(points), own)
    assert int((solved.map.cell(points) != own).sum()) > 20


def test_at_zero_heights_only_corners_of_the_hull_have_a_cell(points):
    from scipy.spatial import ConvexHull

    alive = BrenierMap(points, torch.zeros(40, dtype=torch.float64)).exact_masses() > 0
    assert set(alive.nonzero()[:, 0].tolist()) == set(ConvexHull(points.numpy()).vertices.tolist())


def test_equal_cells_do_not_see_mean_and_scale(points, solved):
    moved = solve(3 * points + torch.tensor([5.0, -2.0], dtype=torch.float64), tolerance=1e-8, generator=seeded())
    z = torch.randn(5000, 2, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(moved.map.cell(z), solved.map.cell(z))


def test_gradient_of_the_dual_is_the_mass_error(points):
    z = torch.randn(20_000, 2, generator=seeded(), dtype=torch.float64)
    h, bump = laguerre.voronoi(points), torch.zeros(40, dtype=torch.float64)
    bump[30] = 1e-4
    F = lambda h: float(BrenierMap(points, h).potential(z).mean() - h.mean())
    share = float((BrenierMap(points, h).cell(z) == 30).double().mean())
    assert (F(h + bump) - F(h - bump)) / 2e-4 == pytest.approx(share - 1 / 40, abs=2e-4)


def test_hessian_is_the_laplacian_of_the_sides(points, solved):
    mass = lambda h: BrenierMap(points, h).exact_masses()
    eye = 1e-5 * torch.eye(40, dtype=torch.float64)
    H = torch.stack([(mass(solved.heights + e) - mass(solved.heights - e)) / 2e-5 for e in eye], 1)
    sides, L = sides_of(points.numpy(), solved.heights.numpy()), torch.zeros(40, 40, dtype=torch.float64)
    for i, j, c in zip(sides.left, sides.right, plane_hessian(sides)):
        L[i, j], L[j, i] = -float(c), -float(c)
    L -= torch.diag(L.sum(1))
    assert pytest.approx(L, abs=1e-5) == H
    assert int((torch.linalg.eigvalsh(L) < 1e-10).sum()) == 1


def test_minimum_bound_of_the_proof(points):
    z = torch.randn(20_000, 2, generator=seeded(), dtype=torch.float64)
    z = torch.cat([z, -z])  # centred
    for scale in (0.1, 1.0, 30.0):
        h = scale * torch.randn(40, generator=seeded(2), dtype=torch.float64)
        F = float(BrenierMap(points, h).potential(z).mean() - h.mean())
        assert F >= float(h.max() - h.min()) / 40


def test_closed_forms_are_met():
    for row in laguerre.closed_forms(d=3):
        assert row.engine == pytest.approx(row.known, abs=1.5 * row.error + 1e-9), row


# ---- beyond the plane


def test_counting_noise_has_its_formula(solved):
    M, N = 1000, 40
    error = torch.stack([solved.map.masses(M, g) for g in [seeded(3)] for _ in range(300)]) - 1 / N
    assert float(error.square().sum(1).mean()) == pytest.approx((1 - 1 / N) / M, rel=0.1)
    assert float(error.abs().sum(1).mean()) == pytest.approx(math.sqrt(2 * N / (math.pi * M)), rel=0.05)


def test_the_training_sample_lies():
    run = counting.training()
    assert run.seen[-1] < run.floor / 3
    assert run.fresh[-1] == pytest.approx(run.floor, rel=0.15)
    assert run.fresh[-1] > 3 * run.seen[-1]


def test_recycled_rows_are_unbiased_and_worth_more_than_antithetic_ones():
    run = counting.recycling(shifts=(0, 1, 4, 16), n=150, blocks=200)
    assert run.variance[0] == pytest.approx(1, abs=0.05)
    assert run.antithetic == pytest.approx(0.5, abs=0.05)
    assert list(run.variance) == sorted(run.variance, reverse=True)
    assert run.variance[2] < 0.35
    assert all(v > 1 / (1 + 2 * K) - 0.05 for K, v in zip(run.shifts, run.variance))


def test_closed_form_start_is_good_on_noised_points_only():
    l1 = {(row.name, row.alpha): row.l1 for row in counting.starts(n=300, draws=10_000)}
    assert l1["closed form", 0.5] < 0.1 < 0.3 < l1["closed form", 1.0]
    assert all(l1["closed form", a] < l1[name, a] for a in (1.0, 0.5) for name in ("zero", "Voronoi"))


def test_engine_ends_below_the_floor_and_below_its_ancestors():
    tracks = {
        t.method: t for t in counting.race(problems=(("noised", 0.5),), methods=("newton", "paper", "dpm-ot", "pyomt"), looks=2)
    }
    engine = tracks["newton"]
    floor = math.sqrt(2 * 100 / (math.pi * engine.samples[-1]))
    assert engine.l1[-1] < floor
    assert all(engine.l1[-1] < 0.6 * tracks[name].l1[-1] for name in ("paper", "dpm-ot", "pyomt"))


# ---- what the map is


def test_any_equal_cells_resample_the_atoms_and_only_the_cost_differs():
    rows = {row.name: row for row in laguerre.controls()}
    best, *others = list(rows.values())
    for row in list(rows.values())[:4]:
        assert abs(row.chi2 - 1) < 4 * row.spread, row
    assert all(best.cost < row.cost / 2 for row in others[:3])
    assert rows["Voronoi cells"].chi2 > 100 and rows["Voronoi cells"].cost < best.cost


def test_smoothing_loses_variance():
    kept = [row.kept for row in laguerre.smoothing()]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 0.9 and kept[1] < 0.9 and kept[2] < 0.6


def test_long_jumps_survive_only_between_separate_bumps():
    rows = {(row.law, row.N): row for row in laguerre.jumps(sizes=(50, 200))}
    for law in ("one bump", "two bumps"):
        assert rows[law, 200].mean == pytest.approx(rows[law, 50].mean / 2, rel=0.15)
    assert rows["one bump", 200].long < 0.6 * rows["one bump", 50].long
    assert rows["two bumps", 200].long == pytest.approx(1 / math.sqrt(2 * math.pi), rel=0.03)


# ---- the checks accept what is right and name the slip in what is not

Q = 0.8416212335729143


def gradient(h, y, z):
    return torch.bincount((z @ y.T + h).argmax(1), minlength=len(y)) / len(z) - 1 / len(y)


def line(y, weights):
    order = y.argsort()
    heights = torch.zeros_like(y)
    heights[order[1:]] = -(torch.special.ndtri(weights[order].cumsum(0)[:-1]) * y[order].diff()).cumsum(0)
    return heights


def flag(errors, tolerance):
    written = [error for error in errors if error == error]
    return bool(written) and written[-1] <= tolerance


def test_right_answers_pass():
    assert check.two_atoms(7 * Q)
    assert check.mass_gradient(gradient)
    assert check.line_heights(line) and check.line_heights(lambda y, b: line(y, b) + 3)
    assert check.draws_needed(7.96e7)
    assert check.converged_flag(flag)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Q, "quantile alone"), (-7 * Q, "sign"), (49 * Q, "squared distance"), (Q / 7, "divided"), (7 * 0.2799619, "density"),
        (24.5, "Voronoi"), (0, "ignored the weights"), (100.0, "too large"), ("seven", "one number"),
    ],
)  # fmt: skip
def test_two_atoms_names_the_slip(answer, word):
    verdict = check.two_atoms(answer)
    assert not verdict and word in verdict.message, verdict


def test_mass_gradient_names_the_slip():
    share = lambda s: torch.bincount(s.argmax(1), minlength=s.shape[1]).double() / len(s)
    slips = {
        "The sign": lambda h, y, z: -gradient(h, y, z),
        "masses w": lambda h, y, z: gradient(h, y, z) + 1 / 6,
        "You gave counts": lambda h, y, z: torch.bincount((z @ y.T + h).argmax(1), minlength=6),
        "from counts": lambda h, y, z: torch.bincount((z @ y.T + h).argmax(1), minlength=6) - 1 / 6,
        "lack the heights": lambda h, y, z: share(z @ y.T) - 1 / 6,
        "Voronoi": lambda h, y, z: share(-torch.cdist(z, y)) - 1 / 6,
        "counts half": lambda h, y, z: share(h - torch.cdist(z, y).square()) - 1 / 6,
        "softmax": lambda h, y, z: (z @ y.T + h).softmax(1).mean(0) - 1 / 6,
        "lowest plane": lambda h, y, z: share(-(z @ y.T + h)) - 1 / 6,
        "shape (6,)": lambda h, y, z: torch.zeros(2),
        "NaN": lambda h, y, z: h / 0,
        "raised": lambda h, y: h,
        "a function": 3,
        "Not yet": lambda h, y, z: torch.ones(6),
    }  # fmt: skip
    for word, answer in slips.items():
        verdict = check.mass_gradient(answer)
        assert not verdict and word in verdict.message, (word, verdict)


def test_line_heights_names_the_slip():
    def unsorted(y, b):
        return torch.cat([torch.zeros(1).double(), -(torch.special.ndtri(b.cumsum(0)[:-1]) * y.diff()).cumsum(0)])

    def with_cuts(cut):
        def answer(y, b):
            order = y.argsort()
            heights = torch.zeros_like(y)
            heights[order[1:]] = -(cut(b[order]) * y[order].diff()).cumsum(0)
            return heights

        return answer

    ndtri = torch.special.ndtri
    slips = {
        "sorted order": lambda y, b: line(*(lambda o: (y[o], b[o]))(y.argsort())),
        "did not sort": unsorted,
        "The sign": lambda y, b: -line(y, b),
        "single weights": with_cuts(lambda b: ndtri(b[:-1])),
        "equal parts": with_cuts(lambda b: ndtri(torch.tensor([0.25, 0.5, 0.75]).double())),
        "cumulated weights themselves": with_cuts(lambda b: b.cumsum(0)[:-1]),
        "NaN": with_cuts(lambda b: ndtri(b.cumsum(0)[:-1] * 0)),
        "Not yet": lambda y, b: y,
    }
    for word, answer in slips.items():
        verdict = check.line_heights(answer)
        assert not verdict and word in verdict.message, (word, verdict)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (2 * 5e4 / (math.pi * 0.02), "square"), (2 / (math.pi * 4e-4), "left out N"), (5e4 / 4e-4, "2/pi"),
        (math.pi * 5e4 / 8e-4, "upside down"), (math.sqrt(2 / math.pi) * 5e4 / 4e-4, "Squaring"), (2500, "one number"),
        (2 * 5e4 / (math.pi * 4), "2 % as 2"), (1e12, "too large"),
    ],
)  # fmt: skip
def test_draws_needed_names_the_slip(answer, word):
    verdict = check.draws_needed(answer)
    assert not verdict and word in verdict.message, verdict


def test_converged_flag_names_the_slip():
    def printed(errors, tolerance):  # the function that the page prints
        written = sum(error == error for error in errors)
        return errors[min(written, len(errors) - 1)] <= tolerance

    slips = {
        "early success": printed,
        "stopping early": lambda e, t: any(x != x for x in e) or bool(e) and e[-1] <= t,
        "by luck": lambda e, t: any(x <= t for x in e),
        "raised IndexError": lambda e, t: [x for x in e if x == x][-1] <= t,
        "No check was planned": lambda e, t: not e or flag(e, t),
        "equal to the tolerance": lambda e, t: flag(e, t) and [x for x in e if x == x][-1] < t,
        "although the last check passed": lambda e, t: False,
        "no check passed": lambda e, t: True,
        "None": lambda e, t: None,
        "a function": True,
    }
    for word, answer in slips.items():
        verdict = check.converged_flag(answer)
        assert not verdict and word in verdict.message, (word, verdict)


# ---- the live figure


def clouds():
    generator = seeded(7)
    tight = torch.randn(9, 2, generator=generator, dtype=torch.float64) * 0.3 + torch.tensor([1.4, -1.0], dtype=torch.float64)
    return [
        torch.tensor(laguerre.SITES, dtype=torch.float64),
        torch.randn(12, 2, generator=generator, dtype=torch.float64),
        tight,
    ]


@pytest.mark.browser
@pytest.mark.parametrize("case", range(3))
def test_widget_masses_and_conductances_are_the_library_s(widget_js, case):
    y = clouds()[case]
    for h in (laguerre.voronoi(y), 0.3 * torch.randn(len(y), generator=seeded(case), dtype=torch.float64)):
        right = BrenierMap(y, h).exact_masses()
        assert torch.tensor(widget_js("laguerre", "masses", y.tolist(), h.tolist()), dtype=torch.float64) == pytest.approx(
            right, abs=1e-7
        )
    sides = sides_of(y.numpy(), laguerre.voronoi(y).numpy())
    right = torch.zeros(len(y), len(y), dtype=torch.float64)
    for i, j, c in zip(sides.left, sides.right, plane_hessian(sides)):
        right[i, j] = right[j, i] = float(c)
    came = widget_js("laguerre", "conductances", y.tolist(), laguerre.voronoi(y).tolist())
    assert torch.tensor(came, dtype=torch.float64) == pytest.approx(right, abs=1e-7)


@pytest.mark.browser
@pytest.mark.parametrize("case", range(3))
def test_widget_path_ends_at_the_exact_heights(widget_js, case):
    y = clouds()[case]
    path = torch.tensor(widget_js("laguerre", "path", y.tolist()), dtype=torch.float64)
    assert path[0] == pytest.approx(laguerre.voronoi(y), abs=1e-12)
    right = solve(y, tolerance=1e-9, generator=seeded()).heights
    assert path[-1] - path[-1].mean() == pytest.approx(right, abs=1e-6)
    ends = [torch.tensor(widget_js("laguerre", "between", path.tolist(), s), dtype=torch.float64) for s in (0, 1)]
    assert torch.equal(ends[0], path[0]) and ends[1] == pytest.approx(path[-1], abs=1e-12)
    half = widget_js("laguerre", "between", path.tolist(), 0.37)
    assert float(BrenierMap(y, torch.tensor(half, dtype=torch.float64)).exact_masses().min()) > 0  # no cell dies on the way


@pytest.mark.browser
def test_widget_means_of_cells(widget_js):
    y = clouds()[0]
    h = solve(y, tolerance=1e-9, generator=seeded()).heights
    z = torch.randn(400_000, 2, generator=seeded(1), dtype=torch.float64)
    cell = BrenierMap(y, h).cell(z)
    for i in (0, 6):
        polygon = widget_js("laguerre", "cell", y.tolist(), h.tolist(), i)
        came = [widget_js("laguerre", "gaussianMean", polygon, k) for k in (0, 1)]
        assert came == pytest.approx(((cell == i)[:, None] * z).mean(0).tolist(), abs=2e-3)
