"""The sampled engine: honest flags, convergence, resume, many processes (checks 29-34 and the issue's list)."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otprior_lite.semidiscrete import BrenierMap, State, solve, solve_steps
from otprior_lite.semidiscrete.evaluate import mass_error


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def fresh_error(fit, n, seed=12345):
    """L1 of the masses on n fresh plain draws, noise removed in quadrature, and its standard error."""
    masses = fit.map.masses(n, generator(seed)).double()
    raw = float((masses - fit.weights).abs().sum())
    floor = float((2 * fit.weights * (1 - fit.weights) / (math.pi * n)).sqrt().sum())
    return math.sqrt(max(0.0, raw**2 - floor**2)), raw / math.sqrt(n)


def agrees(fit):
    """A fresh sample of ten times the size confirms the fit's tolerance, within its own three standard errors."""
    n = 10 * max(fit.error.n, 1000)
    value_squared, sd = fresh_error(fit, n)[0] ** 2, 2 * fresh_error(fit, n)[1]
    return value_squared <= fit.tolerance**2 + 3 * sd


def test_sign_cube_in_four_dimensions():
    corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)))
    fit = solve(corners, tolerance=0.02, generator=generator())
    assert fit.converged and agrees(fit)
    assert abs(fit.w2_squared.value - 4 * (2 - 2 * math.sqrt(2 / math.pi))) < 4 * fit.w2_squared.error


@settings(max_examples=12, deadline=None)
@given(
    n=st.integers(4, 150), d=st.integers(3, 12), seed=st.integers(0, 10**6), spread=st.floats(0, 1),
    tolerance=st.sampled_from([0.05, 0.1, 0.3]), budget=st.sampled_from([2000, 20_000, 100_000]),
)  # fmt: skip
def test_converged_means_converged(n, d, seed, spread, tolerance, budget):
    """Random sizes, weights and budgets: a true flag survives a ten times larger fresh sample."""
    points = gaussian(n, d, seed=seed) * (spread * gaussian(n, 1, seed=seed + 1)).exp()
    weights = (0.5 * gaussian(n, seed=seed + 2, dtype=torch.float64)).softmax(0)
    fit = solve(points, weights, tolerance=tolerance, generator=generator(seed), max_samples=budget)
    assert fit.converged == (fit.error.interval[1] <= tolerance)
    if fit.converged:
        assert agrees(fit), (fit.reason, fresh_error(fit, 10 * fit.error.n))
    else:
        assert fit.samples >= budget and f"max_samples = {budget}" in fit.reason, fit.reason


def test_an_early_success_is_a_success():
    """Heights that are already right pass the first check."""
    points = gaussian(60, 6)
    good = solve(points, tolerance=0.02, generator=generator())
    again = solve(points, tolerance=0.1, generator=generator(1), warm_start=good.heights)
    assert good.converged and again.converged and len(again.history) == 1


def cluster():
    far = torch.zeros(16)
    far[0] = 25
    return torch.cat([gaussian(100, 16) + far, gaussian(100, 16, seed=1) - far])


@pytest.mark.parametrize(
    "points",
    [cluster(), torch.cat([gaussian(100, 16), torch.full((1, 16), 1e6)]), torch.cat([gaussian(80, 8)] * 2), gaussian(100, 3)],
    ids=["clusters", "outlier", "duplicates", "three dimensions"],
)
def test_hard_inputs_converge(points):
    fit = solve(points, tolerance=0.1, generator=generator())
    assert fit.converged and agrees(fit), fit.reason


@pytest.mark.parametrize("kind", ["zero", "voronoi", "random"])
def test_any_start_converges(kind):
    points = gaussian(150, 20, seed=2)
    start = {"zero": torch.zeros(150), "voronoi": -points.square().sum(1) / 2, "random": 100 * gaussian(150, seed=3)}[kind]
    fit = solve(points, tolerance=0.1, generator=generator(), warm_start=start)
    assert fit.converged and agrees(fit), fit.reason


def test_unequal_weights():
    weights = torch.full((120,), 0.5 / 119, dtype=torch.float64)
    weights[7] = 0.5
    fit = solve(gaussian(120, 10), weights, tolerance=0.1, generator=generator())
    assert fit.converged and agrees(fit)


def test_out_of_samples_says_so():
    fit = solve(gaussian(200, 10), tolerance=0.01, generator=generator(), max_samples=1000)
    assert not fit.converged and "max_samples = 1000" in fit.reason and fit.error.interval[1] > 0.01
    with pytest.raises(RuntimeError, match="max_samples"):
        solve(gaussian(200, 10), tolerance=0.01, generator=generator(), max_samples=1000, strict=True)


def test_dual_cost_matches_pot_on_a_discretised_source():
    """The map of n draws is the optimal assignment of those draws to atoms with the same counts (POT's exact plan)."""
    from otprior_lite.discrete import exact_plan

    fit = solve(gaussian(20, 5, dtype=torch.float64), tolerance=0.05, generator=generator())
    z = gaussian(600, 5, seed=4, dtype=torch.float64)
    cells = fit.map.cell(z)
    counts = torch.bincount(cells, minlength=20).double()
    cost = float((z - fit.map(z)).square().sum(1).mean())
    assert exact_plan(z, fit.map.points, None, counts / counts.sum())[1] == pytest.approx(cost, rel=1e-9)


def test_dual_value_equals_primal_cost():
    fit = solve(gaussian(100, 6), tolerance=0.03, generator=generator())
    z = gaussian(200_000, 6, seed=9)
    cost = (z - fit.map(z)).square().sum(1)
    error = math.hypot(float(cost.std()) / math.sqrt(len(z)), fit.w2_squared.error)
    bias = float((2 * fit.heights * (fit.map.masses(400_000, generator(5)) - fit.weights)).sum())
    assert abs(float(cost.mean()) - fit.w2_squared.value + bias) < 4 * error + 0.01


@pytest.mark.parametrize("method", ["newton", "pyomt", "dpm-ot", "paper", "asgd", "entropic"])
def test_resume_is_exact(method, tmp_path):
    points = gaussian(60, 8)
    options = {"tolerance": 0.1, "method": method, "max_samples": 60_000}
    states = list(solve_steps(points, generator=generator(), **options))
    whole = states[-1].fit
    for k in (0, len(states) // 2):
        states[k].save(tmp_path / "state.safetensors")
        resumed = solve(points, generator=generator(99), resume=State.load(tmp_path / "state.safetensors"), **options)
        assert torch.equal(resumed.heights, whole.heights)
        assert resumed.error == whole.error and resumed.samples == whole.samples and resumed.history == whole.history
    assert whole.converged == (whole.error.interval[1] <= 0.1)


def test_same_seed_same_fit_and_no_global_state():
    before = torch.get_rng_state()
    fits = [solve(gaussian(50, 5), tolerance=0.1, generator=generator(3)) for _ in range(2)]
    assert torch.equal(fits[0].heights, fits[1].heights) and torch.equal(torch.get_rng_state(), before)


def test_dtypes_follow_the_input():
    for dtype in (torch.float32, torch.float64):
        fit = solve(gaussian(40, 5, dtype=dtype), tolerance=0.2, generator=generator(), dtype=dtype)
        assert fit.map.points.dtype == fit.heights.dtype == fit.map(gaussian(3, 5)).dtype == dtype


def test_mass_error_is_unbiased_and_covers():
    """Groups drawn from known masses: chi2 unbiased, and the interval's upper end covers the true L1."""
    rng, N = np.random.default_rng(0), 200
    b = torch.full((N,), 1 / N, dtype=torch.float64)
    w = b * (1 + 0.1 * torch.from_numpy(rng.normal(size=N)))
    w /= w.sum()
    true_chi2, true_l1 = float(((w - b) ** 2 / b).sum()), float((w - b).abs().sum())
    errors = []
    for _ in range(200):
        shares = torch.from_numpy(rng.multinomial(200, w.numpy(), size=64) / 200)
        errors.append(mass_error(shares, b, 200))
    chi2 = np.array([e.chi2.value for e in errors])
    assert abs(chi2.mean() - true_chi2) < 4 * chi2.std() / math.sqrt(len(chi2))
    assert chi2.std() == pytest.approx(np.mean([e.chi2.error for e in errors]), rel=0.25)
    assert np.mean([e.interval[1] >= true_l1 for e in errors]) >= 0.95
    assert errors[0].chi2.floor == pytest.approx((N - 1) / (64 * 200), rel=0.1)


def test_monte_carlo_noise():
    """Check 33: E|w_hat - b|^2 = (1 - 1/N)/M."""
    points = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    exact = BrenierMap(points, torch.zeros(4))
    noise = [float((exact.masses(1000, generator(s)) - 0.25).square().sum()) for s in range(400)]
    assert np.mean(noise) == pytest.approx(0.75e-3, rel=0.15)


def test_rotation_recycling_has_no_bias():
    """Recycled rows count the same masses as plain draws, with less variance for the same matrix products."""
    from otprior_lite.semidiscrete.evaluate import evaluate
    from otprior_lite.semidiscrete.sampling import Sampler

    points = gaussian(64, 24)
    heights, weights = -points.square().sum(1) / 8, torch.full((64,), 1 / 64, dtype=torch.float64)
    plain = evaluate(Sampler(points, 0), heights, weights, 4000, generator(1))
    recycled = evaluate(Sampler(points, 4), heights, weights, 1000, generator(2))
    shares = [e.counts / e.counts.sum() for e in (plain, recycled)]
    z = (shares[0] - shares[1]) / (shares[0] * (1 / plain.error.n + 4 / recycled.error.n)).sqrt()
    assert float(z.abs().max()) < 4.5
    assert recycled.error.chi2.floor * recycled.samples < 0.6 * plain.error.chi2.floor * plain.samples


def test_few_atoms_in_many_dimensions_are_solved_in_their_span():
    """30 atoms in 400 dimensions: the same scalar products in 29, so the same cells; the solve keeps its promise in all 400."""
    from otprior_lite.semidiscrete.problem import in_span, pose

    points = gaussian(30, 400, dtype=torch.float64)
    centred, few = points - points.mean(0), pose(points).centred(torch.float64, "cpu")
    assert few.shape == (30, 29)
    torch.testing.assert_close(few @ few.T, centred @ centred.T, atol=1e-10, rtol=0)
    frame = torch.linalg.lstsq(few, centred).solution  # (29, 400), orthonormal rows: z -> its coordinates in the span
    torch.testing.assert_close(frame @ frame.T, torch.eye(29, dtype=torch.float64), atol=1e-10, rtol=0)
    heights, z = gaussian(30, dtype=torch.float64), gaussian(5000, 400, seed=3, dtype=torch.float64)
    assert torch.equal(BrenierMap(few, heights).cell(z @ frame.T), BrenierMap(centred, heights).cell(z))
    fit = solve(points.float(), tolerance=0.05, generator=generator())
    error, sd = fresh_error(fit, 100_000)  # on draws of 400 numbers, with the atoms as given
    assert fit.converged and error**2 <= 0.05**2 + 6 * sd
    assert in_span(gaussian(30, 59)).shape == (30, 59) and in_span(gaussian(1, 5)).shape == (1, 5)


@pytest.mark.parametrize("who, far", [(0, 1e4), (9, 1e4), (9, 1e15), (4, 1e-15)])
def test_the_span_holds_outliers_wherever_they_stand(who, far):
    """The centre of atoms with an outlier is no mean, so the last of them need not lie in the span of the others."""
    from otprior_lite.semidiscrete.problem import in_span, robust_centre

    points = gaussian(10, 100, dtype=torch.float64)
    points[who] *= far
    centred = points - robust_centre(points)
    few, norms = in_span(centred), centred.norm(dim=1)
    assert few.shape[1] in (9, 10)
    assert ((few @ few.T - centred @ centred.T).abs() / (norms[:, None] * norms)).max() < 1e-9


def test_the_span_and_the_whole_space_give_the_same_heights(monkeypatch):
    """Solved far below the tolerance of anything else here, with and without the shorter coordinates."""
    from otprior_lite.semidiscrete import problem

    points = gaussian(12, 40, seed=5)
    short = solve(points, tolerance=0.01, generator=generator(1))
    monkeypatch.setattr(problem, "in_span", lambda centred: centred)
    whole = solve(points, tolerance=0.01, generator=generator(2))
    assert short.converged and whole.converged
    # Newton's diagonal turns an error of the masses into one of the heights: dh = |y| / phi(q) dw
    slope = float(points.norm(dim=1).mean()) / (math.exp(-(1.38**2) / 2) / math.sqrt(2 * math.pi))
    assert float((short.heights - whole.heights).abs().sum()) < 2 * 0.02 * slope
    assert float(whole.heights.abs().sum()) > 10 * 0.02 * slope


def _worker(rank, world, path, points):
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}/rendezvous", rank=rank, world_size=world)
    fit = solve(points, tolerance=0.2, generator=generator())
    np.savez(f"{path}/{rank}.npz", heights=fit.heights.numpy(), samples=fit.samples, l1=fit.error.l1.value)
    dist.destroy_process_group()


def test_two_processes_give_what_one_gives(tmp_path):
    points = gaussian(40, 6)
    alone = solve(points, tolerance=0.2, generator=generator())
    torch.multiprocessing.spawn(_worker, args=(2, str(tmp_path), points), nprocs=2)
    for rank in (0, 1):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_allclose(found["heights"], alone.heights, atol=1e-5, rtol=0)
        assert found["samples"] == alone.samples and found["l1"] == pytest.approx(alone.error.l1.value, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": [[0.0, math.nan, 0.0]]}, "points: expected finite"),
        ({"points": [0.0, 1.0]}, "points: expected shape"),
        ({"points": torch.zeros(0, 3)}, "points: expected shape"),
        ({"weights": [0.5, 0.6]}, "off by"),
        ({"weights": [1.5, -0.5]}, "no negative"),
        ({"weights": [1.0, 0.0]}, "weights: expected positive"),
        ({"weights": [1.0]}, "weights: expected shape"),
        ({"generator": 0}, "generator: expected a torch.Generator"),
        ({"tolerance": 0.0}, "tolerance: expected"),
        ({"tolerance": math.nan}, "tolerance: expected"),
        ({"method": "newten"}, "did you mean 'newton'"),
        ({"max_samples": 0}, "max_samples: expected"),
        ({"warm_start": [0.0]}, "warm_start: expected shape"),
        ({"dtype": torch.float16}, "dtype: expected"),
        ({"points": gaussian(5, 3), "method": "exact"}, "method: expected"),
    ],
)
def test_bad_input(change, message):
    arguments = {"points": [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "generator": generator(), **change}
    with pytest.raises(ValueError, match=message):
        solve_steps(arguments.pop("points"), arguments.pop("weights", None), **arguments)


def test_a_foreign_state_is_refused(tmp_path):
    state = next(iter(solve_steps(gaussian(10, 4), tolerance=0.5, generator=generator())))
    with pytest.raises(ValueError, match="resume: expected a state of 9 atoms"):
        solve(gaussian(9, 4), tolerance=0.5, generator=generator(), resume=state)
    BrenierMap(gaussian(3, 2), torch.zeros(3)).save(tmp_path / "map.safetensors")
    with pytest.raises(ValueError, match="State.save"):
        State.load(tmp_path / "map.safetensors")
