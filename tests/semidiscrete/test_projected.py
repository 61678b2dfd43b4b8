"""Maps that see a few directions: exact in law, not optimal, by no more than the bound."""

import math

import pytest
import torch

from otprior_lite import priors, schedules
from otprior_lite.semidiscrete import BrenierMap, solve
from otprior_lite.semidiscrete.projected import ProjectedMap, principal, solve_projected


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def decaying(n, d):
    """Points whose principal variances fall like 1 / k^3."""
    return torch.randn(n, d, generator=generator(1)) * torch.arange(1, d + 1) ** -1.5 + 2


def test_the_law_is_exact_and_the_cost_within_the_bound():
    """80 atoms in 40 dimensions seen through 5: equal masses on draws of 40 numbers; alignment lower than the optimum by half the
    excess at most, and by more than nothing."""
    points, n = decaying(80, 40), 40_000
    best = solve(points, tolerance=0.03, generator=generator())
    few, fit = solve_projected(points, 5, tolerance=0.03, generator=generator())
    assert fit.converged and few.frame.shape == (40, 5)
    z = torch.randn(n, 40, generator=generator(7))
    shares = torch.bincount(few.cell(z), minlength=80) / n
    assert float((shares - 1 / 80).abs().sum()) < 0.03 + 1.3 * (2 * 80 / (torch.pi * n)) ** 0.5
    gain = lambda map: (z * (map(z) - points.mean(0))).sum(1)
    lost = gain(best.map) - gain(few)
    error = float(lost.std()) / n**0.5
    # heights within a tolerance of 3 % of the mass move the alignment by at most 3 % of the spread of heights
    slack = 0.03 * float(best.heights.max() - best.heights.min())
    assert 4 * error < float(lost.mean()) < few.excess() / 2 + slack
    assert few.excess() / 2 < 0.5 * float(gain(best.map).mean())  # and says something: half of what there is to gain
    frame = few.frame.double()
    rest = (points.double() - points.double().mean(0)) @ (torch.eye(40) - frame @ frame.T)
    assert few.excess() == pytest.approx(2 * float(torch.linalg.eigvalsh(rest.T @ rest / 80).clamp_min(0).sqrt().sum()), rel=1e-6)


def test_the_bound_of_a_maximum_is_the_smaller_one_for_residuals_in_all_directions():
    """64 residuals at right angles: max |r| sqrt(2 log N) is a third of tr R^{1/2}, and what is lost is still below it."""
    N, length = 64, 0.5
    points = torch.cat([torch.linspace(-3, 3, N)[:, None], length * torch.eye(N)], 1).double()
    fit, best = (solve(y, tolerance=0.03, generator=generator()) for y in (points[:, :1], points))
    few = ProjectedMap(points, torch.eye(N + 1, 1, dtype=torch.float64), fit.map)
    longest = length * math.sqrt(1 - 1 / N)
    assert few.excess() == pytest.approx(2 * longest * math.sqrt(2 * math.log(N)))
    assert few.excess() < 0.4 * 2 * length * (N - 1) / math.sqrt(N)  # 2 tr R^{1/2}: N - 1 singular values
    z = torch.randn(20_000, N + 1, generator=generator(7), dtype=torch.float64)
    lost = (z * (best.map(z) - few(z))).sum(1)
    slack = 0.03 * sum(float(heights.max() - heights.min()) for heights in (best.heights, fit.heights))
    assert 0 < float(lost.mean()) < few.excess() / 2 + slack


def test_all_directions_are_the_whole_map():
    """With k the dimension of the atoms nothing is dropped: excess 0, and the cells of the same heights."""
    plane = torch.randn(30, 3, generator=generator(2), dtype=torch.float64) @ torch.randn(3, 20, generator=generator(3)).double()
    few, fit = solve_projected(plane, 3, tolerance=0.05, generator=generator())
    assert few.excess() < 1e-5
    z = torch.randn(2000, 20, generator=generator(4), dtype=torch.float64)
    same = few.cell(z) == BrenierMap(plane, fit.heights).cell(z)
    assert float(same.double().mean()) > 0.999


def test_principal_directions_are_numpys():
    for n in (10, 60):
        points = decaying(n, 30).double()
        frame, theirs = principal(points, 4), torch.linalg.svd(points - points.mean(0))[2][:4].T
        torch.testing.assert_close((frame.T @ theirs).abs(), torch.eye(4, dtype=torch.float64), atol=1e-6, rtol=0)


def test_fresh_noise_with_components(tmp_path):
    """The same law from fewer directions: each clean picture is one cell; kept and loaded; too few or too many are refused."""
    x, schedule = decaying(20, 48).reshape(20, 3, 4, 4), schedules.ou(3.0)
    prior = priors.FreshNoise.fit(x, schedule, 1e-5, generator=generator(), components=6, tolerance=0.1)
    start = prior.sample(500, generator(1))
    nearest = torch.cdist(start.flatten(1), float(schedule.alpha(1e-5)) * x.flatten(1)).argmin(1)
    assert torch.equal(nearest, prior.map.cell(prior.codes(500, generator(1)))) and len(nearest.unique()) == 20
    prior.save(tmp_path / "p")
    assert torch.equal(priors.load(tmp_path / "p").sample(500, generator(1)), start)
    assert prior.cost.memory_bytes >= x.nbytes
    for wrong, word in ((21, "components: expected at most 20"), (0, "components: expected an integer")):
        with pytest.raises(ValueError, match=word):
            priors.FreshNoise.fit(x, schedule, 0.1, generator=generator(), components=wrong)
    with pytest.raises(ValueError, match="components: expected enough to tell the points apart"):
        solve_projected(torch.tensor([[0.0, 1], [0, -1], [5, 1], [5, -1]]), 1, tolerance=0.1, generator=generator())
