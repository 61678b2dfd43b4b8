"""What the fitted priors draw, in law: the map's starts (THEORY checks 35-37, 39) and the large Gaussians."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from zoo import f64, few, rng, scipy_cdf, seeds

from otprior_lite import priors, schedules
from otprior_lite.priors.smoothed import clear_winner, share_error
from otprior_lite.semidiscrete import BrenierMap
from otprior_lite.semidiscrete.smooth import score_scale
from otprior_lite.targets import Empirical

OU = schedules.ou(3.0)


def moments_within_errors(x, mean, covariance, errors: float = 5.0):
    """Sample mean and covariance of x (n, d) against exact ones, each entry within `errors` of its own standard error."""
    x, mean, covariance = (np.asarray(v, dtype=float) for v in (x, mean, covariance))
    assert np.all(np.abs(x.mean(0) - mean) < errors * x.std(0) / math.sqrt(len(x)) + 1e-12)
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert np.all(np.abs(products.mean(0) - covariance) < errors * products.std(0) / math.sqrt(len(x)) + 1e-12)


def energy_p_value(x, y, permutations: int = 199, seed: int = 0) -> float:
    """Permutation test of equal laws by the energy distance, in numpy alone."""
    pooled, n = np.concatenate([x, y]), len(x)
    distance = np.sqrt(np.maximum(0, ((pooled[:, None] - pooled[None]) ** 2).sum(-1)))
    labels, r = np.repeat([1.0 / n, -1.0 / len(y)], [n, len(y)]), np.random.default_rng(seed)
    statistics = [-(s @ distance @ s) for s in [labels, *(r.permutation(labels) for _ in range(permutations))]]
    return float(np.mean(np.array(statistics) >= statistics[0] - 1e-12))


# ---- semi-discrete: check 37


@pytest.fixture(scope="module")
def semi():
    points = torch.randn(40, 8, generator=rng(1), dtype=f64) * torch.linspace(0.3, 2, 8, dtype=f64) + 1
    return priors.SemiDiscrete.fit(points, OU, 0.3, generator=rng(2), tolerance=0.02)


def test_the_map_is_in_law_a_draw_of_the_noised_training_set(semi):
    """Check 37: an energy test cannot tell the map's images from uniform draws of its atoms, only the codes know."""
    atoms, n = semi.map.points.numpy(), 500
    z, x = semi.codes(n, rng(3)).numpy(), semi.sample(n, rng(3)).numpy()
    drawn = atoms[np.random.default_rng(4).integers(40, size=n)]
    assert energy_p_value(x, drawn) > 0.01
    standard = priors.Standard(OU, 8, f64).sample(n, rng(5)).numpy()
    assert energy_p_value(x, standard) < 0.01  # the test can tell laws apart
    coupled, random = (z * x).sum(1), (z * drawn).sum(1)
    spread = math.sqrt(coupled.var() / n + random.var() / n)
    assert coupled.mean() - random.mean() > 10 * spread and abs(random.mean()) < 5 * random.std() / math.sqrt(n)


def test_any_labels_of_the_cells_give_the_same_law_but_less_correlation(semi):
    """Permuted labels keep every cell's mass, so the law; they lose most of E<z, T(z)>, which only the optimum has."""
    z = semi.codes(4000, rng(6))
    cells, atoms = semi.map.cell(z), semi.map.points
    best = float((z * atoms[cells]).sum(1).mean())
    for seed in range(5):
        shuffled = atoms[torch.randperm(40, generator=rng(seed))]
        assert float((z * shuffled[cells]).sum(1).mean()) < 0.5 * best


def test_copies_store_more_noises_of_each_point():
    points = 10 * torch.cartesian_prod(*[torch.arange(4, dtype=f64)] * 2)
    prior = priors.SemiDiscrete.fit(points, OU, 0.2, generator=rng(2), copies=3, tolerance=0.1)
    nearest = torch.cdist(prior.map.points, math.exp(-0.2) * points).argmin(1)
    assert len(prior.map.points) == 48 and torch.equal(nearest.bincount(), torch.full((16,), 3))
    assert len(prior.map.points.unique(dim=0)) == 48


@pytest.mark.parametrize("kind", [priors.SemiDiscrete, priors.Smoothed, priors.Extended, priors.FreshNoise], ids=lambda k: k.name)
def test_a_solve_that_failed_is_loud_unless_accepted(kind):
    points, starved = torch.randn(40, 5, generator=rng(1)), {"tolerance": 0.03, "max_samples": 64}
    with pytest.raises(RuntimeError, match="did not converge: .*max_samples.*strict=False"):
        kind.fit(points, OU, 0.3, generator=rng(2), **starved)
    accepted = kind.fit(points, OU, 0.3, generator=rng(2), strict=False, **starved)
    assert accepted.sample(3, rng()).shape == (3, 5)


@pytest.mark.parametrize(
    "kind", [priors.SemiDiscrete, priors.Extended, priors.FreshNoise, priors.MomentMatched], ids=lambda k: k.name
)
@pytest.mark.parametrize("copies", [1, 5])
def test_one_training_point_is_enough(kind, copies):
    """One point, or the same point five times, at t = 0: every sample is that point."""
    points = torch.full((copies, 3), 2.0, dtype=f64)
    x = kind.fit(points, OU, 0.0, generator=rng(1)).sample(4, rng(2))
    torch.testing.assert_close(x, torch.full((4, 3), 2.0, dtype=f64))
    with pytest.raises(ValueError, match="^points: expected at least two different atoms"):
        priors.Smoothed.fit(points, OU, 0.0, generator=rng(1))


# ---- fresh noise: check 39


def test_fresh_noise_is_p_t_of_the_training_set():
    """Check 39: covariance and fourth moments of (1/N) sum N(alpha x_i, sigma^2 I), within five standard errors."""
    points = (0.5 * torch.randn(10, 3, generator=rng(1), dtype=f64)).exp()  # skewed
    t, n = 0.4, 40_000
    alpha, variance = math.exp(-t), 1 - math.exp(-2 * t)
    prior = priors.FreshNoise.fit(points, OU, t, generator=rng(2), tolerance=0.01)
    x = prior.sample(n, rng(3)).numpy()
    means = alpha * points.numpy()
    moments_within_errors(x, means.mean(0), np.cov(means.T, ddof=0) + variance * np.eye(3))
    c = means - means.mean(0)
    fourth = (c**4 + 6 * c**2 * variance + 3 * variance**2).mean(0)  # E (c + s eps)^4
    powers = (x - means.mean(0)) ** 4
    assert np.all(np.abs(powers.mean(0) - fourth) < 5 * powers.std(0) / math.sqrt(n))
    control = priors.DataInitialised(points, OU, t).sample(600, rng(4)).numpy()
    assert energy_p_value(x[:600], control) > 0.01
    assert len(np.unique(x[:, 0])) == n  # no sample comes twice


def test_fresh_noise_on_a_line_has_the_distribution_function_of_the_mixture():
    points = np.array([[-1.0], [0.4], [2.0]])
    x = priors.FreshNoise.fit(points, OU, 0.3, generator=rng(2)).sample(6000, rng(1))[:, 0].numpy()
    law = Empirical(points).diffuse(OU.alpha(0.3), OU.sigma(0.3))
    assert stats.kstest(x, lambda v: np.array([scipy_cdf(law, u) for u in v])).pvalue > 1e-3


def test_starts_at_zero_snr_forget_the_data():
    """Where alpha = 0 all clean atoms fall into one, and fresh noise is N(0, I); so is the data-initialised control."""
    FM = schedules.flow_matching()
    points = 3 + torch.randn(12, 2, generator=rng(1), dtype=f64)
    for kind in (priors.FreshNoise, priors.DataInitialised, priors.MomentMatched, priors.Mixture):
        options = {"components": 2} if kind is priors.Mixture else {}
        x = kind.fit(points, FM, 1.0, generator=rng(2), **options).sample(8000, rng(3)).numpy()
        moments_within_errors(x, np.zeros(2), np.eye(2))


# ---- smoothed: checks 35 and 36 as starts


@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_resolved_smoothing_keeps_the_mean_and_splits_the_covariance(tau):
    """Mean of the push-forward = mean of the atoms; Cov(T) + E Cov(y|z) = Cov(atoms), entry by entry."""
    points = torch.randn(30, 3, generator=rng(1), dtype=f64) * torch.tensor([2.0, 1.0, 0.5], dtype=f64) + 1
    prior = priors.Smoothed.fit(points, OU, 0.2, generator=rng(2), tau=tau, resolve=True, tolerance=0.02)
    atoms, n = prior.map.points, 40_000
    z = prior.codes(n, rng(3))
    images, shares = prior.sample(n, rng(3)), prior.map.shares(z)
    torch.testing.assert_close(images, shares @ atoms)
    error = images.std(0) / math.sqrt(n) + 0.02 * atoms.abs().max()  # sampling, and the tolerance of the solve
    assert bool(((images.mean(0) - atoms.mean(0)).abs() < 4 * error).all())
    second = torch.einsum("nj,ja,jb->ab", shares, atoms, atoms) / n
    inner = second - images.T @ images / n  # E Cov(y | z)
    outer = images.T.cov(correction=0)
    scale = float(atoms.T.cov(correction=0).trace())
    torch.testing.assert_close(outer + inner, atoms.T.cov(correction=0), rtol=0, atol=0.02 * scale)
    assert float(torch.linalg.eigvalsh(inner).min()) > 0.01 * scale  # the average is less spread, in every direction


def test_heights_of_the_hard_map_bend_the_mean_of_the_smooth_one():
    """The paper's smoothing keeps the unsmoothed heights: shares are off by far more than noise; solved ones are not."""
    points = torch.randn(60, 2, generator=rng(1), dtype=f64).exp()
    uniform = torch.full((60,), 1 / 60, dtype=f64)
    fit = lambda resolve: priors.Smoothed.fit(points, OU, 0.2, generator=rng(2), tau=1.0, resolve=resolve, tolerance=0.03)
    paper, solved = (share_error(fit(resolve).map, uniform, 20_000, rng(3)) for resolve in (False, True))
    assert paper.value > 0.1 and solved.value + 2 * solved.error < 0.03


def test_smoothing_shrinks_and_sampling_the_shares_does_not():
    points = torch.randn(60, 4, generator=rng(1), dtype=f64)
    spread, atoms = [], None
    for tau in (0.05, 0.3, 1.0, 3.0):
        prior = priors.Smoothed.fit(points, OU, 0.2, generator=rng(2), tau=tau)
        assert prior.tau == pytest.approx(tau) and prior.map.tau == pytest.approx(tau * score_scale(prior.map.points))
        atoms = prior.map.points
        spread.append(float(prior.sample(4000, rng(3)).var(0).sum() / atoms.var(0, correction=0).sum()))
    assert spread == sorted(spread, reverse=True) and spread[0] > 0.9 and spread[2] < 0.6
    sampled = priors.Smoothed.fit(points, OU, 0.2, generator=rng(2), tau=1.0, resolve=True, sampled=True, tolerance=0.03)
    x = sampled.sample(20_000, rng(4))
    distance, index = torch.cdist(x, sampled.map.points).min(1)
    assert float(distance.max()) < 1e-6
    share = np.bincount(index.numpy(), minlength=60) / 20_000
    noise = 60 * math.sqrt(2 / math.pi * (1 / 60) * (59 / 60) / 20_000)
    assert np.abs(share - 1 / 60).sum() < 0.03 + 1.3 * noise


def test_sampled_shares_are_the_softmax():
    """Two atoms: P(first | z) is a logistic function of the score difference (chi-square over bins of z)."""
    map = BrenierMap(torch.tensor([[1.0], [-1.0]], dtype=f64), torch.tensor([0.2, 0.0], dtype=f64)).smooth(0.7, relative=False)
    prior = priors.Smoothed(map, (1,), sampled=True)
    z, first = prior.codes(20_000, rng(1))[:, 0].numpy(), prior.sample(20_000, rng(1))[:, 0].numpy() > 0
    p = 1 / (1 + np.exp(-(2 * z + 0.2) / 0.7))
    for low, high in ((-9, -0.5), (-0.5, 0.0), (0.0, 0.5), (0.5, 9)):
        inside = (z >= low) & (z < high)
        assert abs(first[inside].sum() - p[inside].sum()) < 4.5 * math.sqrt((p * (1 - p))[inside].sum())


def test_tau_of_the_paper_is_a_no_op_in_pixels_and_says_so():
    """In 3,072 dimensions tau = 0.02 absolute leaves one atom in > 99 % of the draws; relative tau never warns here."""
    points = torch.randn(60, 3, 32, 32, generator=rng(1))
    with pytest.warns(UserWarning, match="tau = 0.02 smooths nothing"):
        prior = priors.Smoothed.fit(points, OU, 0.1, generator=rng(2), tau=0.02, relative=False, tolerance=0.2)
    assert prior.map.tau == 0.02 and prior.tau < 0.002
    hard = BrenierMap(prior.map.points, prior.map.heights)(prior.codes(5, rng(3)))
    torch.testing.assert_close(prior.sample(5, rng(3)).flatten(1), hard)
    assert clear_winner(prior.map, 500, rng(4)) > 0.99
    small = priors.Smoothed.fit(points[:, :, :2, :2] / 10, OU, 0.001, generator=rng(2), tau=0.02, relative=False, tolerance=0.2)
    assert clear_winner(small.map, 500, rng(4)) < 0.9


# ---- extended


def test_extension_fills_between_the_atoms_of_a_line():
    """On a line, two neighbours, no threshold: linear interpolation of (centre, atom) where z lies between the two (numpy)."""
    points = torch.linspace(-2, 2, 9, dtype=f64)[:, None]
    prior = priors.Extended.fit(points, OU, 0.0, generator=rng(1), jump=None, neighbours=2, draws=200_000)
    x = prior.sample(3000, rng(2))[:, 0]
    assert float(x.min()) >= -2 and float(x.max()) <= 2
    on_atoms = ((x[:, None] - points[:, 0]).abs().min(1).values < 1e-9).double().mean()
    assert float(on_atoms) < 0.01
    z, centres = prior.codes(3000, rng(2))[:, 0].numpy(), np.sort(prior.map.centres[:, 0])
    two = np.sort(np.argsort(np.abs(z[:, None] - centres), axis=1)[:, :2], axis=1)
    around = (centres[two[:, 0]] <= z) & (z <= centres[two[:, 1]])  # the two nearest centres lie on either side
    assert around.mean() > 0.6
    np.testing.assert_allclose(x[around], np.interp(z[around], centres, points[:, 0]), atol=1e-9)


def test_extension_mixes_no_far_modes():
    """Two distant clusters: with the jump threshold no image falls between them, without it some do."""
    clusters = torch.cat([torch.randn(40, 2, generator=rng(k), dtype=f64) * 0.1 + 8 * k - 4 for k in (0, 1)])
    between = {}
    for jump in (2.0, None):
        x = priors.Extended.fit(clusters, OU, 0.0, generator=rng(2), jump=jump).sample(4000, rng(3))
        between[jump] = float((x.mean(1).abs() < 3.0).double().mean())
    assert between[2.0] == 0 and between[None] > 0.01


# ---- Gaussians for many dimensions


@few
@given(st.integers(2, 12), st.integers(2, 20), st.integers(1, 12), seeds)
def test_low_rank_is_exact_on_the_diagonal_and_best_off_it(d, n, rank, seed):
    """Sigma = alpha^2 (F F^T + D) + sigma^2 with the numpy SVD's leading directions; the diagonal is that of p_t."""
    points = np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(0.2, 3, d)
    alpha, variance = math.exp(-0.5), 1 - math.exp(-1.0)
    prior = priors.MomentMatched.fit(points, OU, 0.5, form="low-rank", rank=rank)
    S = np.cov(points.T, ddof=0)
    found = (prior.factor @ prior.factor.T).numpy() + np.diag(prior.covariance)
    np.testing.assert_allclose(np.diag(found), alpha**2 * np.diag(S) + variance, rtol=1e-9)
    values, axes = np.linalg.eigh(S)
    best = (axes[:, -rank:] * values[-rank:]) @ axes[:, -rank:].T
    np.testing.assert_allclose(found - np.diag(np.diag(found)), alpha**2 * (best - np.diag(np.diag(best))), atol=1e-9)
    assert bool((prior.covariance >= variance - 1e-12).all())


def test_every_form_of_the_gaussian_samples_its_own_covariance():
    points = torch.randn(50, 5, generator=rng(1), dtype=f64) @ torch.randn(5, 5, generator=rng(2), dtype=f64) + 2
    full = priors.MomentMatched.fit(points, OU, 0.5)
    everything = priors.MomentMatched.fit(points, OU, 0.5, form="low-rank", rank=5)
    low = priors.MomentMatched.fit(points, OU, 0.5, form="low-rank", rank=2)
    diagonal = priors.MomentMatched.fit(points, OU, 0.5, form="diagonal")
    whole = everything.factor @ everything.factor.T + everything.covariance.diag()
    np.testing.assert_allclose(whole, full.covariance, atol=1e-10)
    for prior, covariance in (
        (full, full.covariance),
        (everything, full.covariance),
        (low, low.factor @ low.factor.T + low.covariance.diag()),
        (diagonal, full.covariance.diagonal().diag()),
    ):
        moments_within_errors(prior.sample(20_000, rng(3)), math.exp(-0.5) * points.mean(0), covariance)
    assert low.cost.sample_flops == 5 + 5 * 2 and diagonal.cost.sample_flops == 5 and full.cost.sample_flops == 25


def test_large_gaussians_cost_d_r_not_d_squared():
    points = torch.randn(30, 3, 32, 32, generator=rng(1))
    prior = priors.MomentMatched.fit(points, OU, 0.5, form="low-rank", rank=8)
    assert prior.cost.memory_bytes == 4 * 3072 * (1 + 1 + 8)
    x = prior.sample(400, rng(2)).flatten(1)
    ratio = float(x.var(0).mean()) / float((math.exp(-1.0) * points.flatten(1).var(0, correction=0) + 1 - math.exp(-1.0)).mean())
    assert ratio == pytest.approx(1, abs=5 * math.sqrt(2 / (400 * 8)))


@pytest.mark.parametrize("schedule", [schedules.vp(), schedules.edm(80.0)], ids=lambda s: s.name)
def test_offset_noise_has_one_more_number_per_channel(schedule):
    """Covariance prior_std^2 (I + offset^2 1 1^T) within a channel, nothing between channels."""
    prior = priors.Offset(schedule, (2, 3), 0.7, f64)
    x = prior.sample(30_000, rng(1)).flatten(1) / schedule.prior_std
    covariance = np.eye(6) + 0.49 * np.kron(np.eye(2), np.ones((3, 3)))
    moments_within_errors(x, np.zeros(6), covariance)
    plain = priors.Offset(schedule, (2, 3), 0.0, f64).sample(4000, rng(2)).flatten(1) / schedule.prior_std
    moments_within_errors(plain, np.zeros(6), np.eye(6))
