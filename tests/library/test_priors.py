"""Priors: their moments and laws against theory with Monte-Carlo error bars, their shapes and their costs."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits
from zoo import DTYPES, bimodal, f64, few, rng, scipy_cdf, scipy_moments, seeds, triangle

from otprior_lite import priors, schedules
from otprior_lite.score import EmpiricalDenoiser
from otprior_lite.semidiscrete import BrenierMap
from otprior_lite.targets import Empirical

OU = schedules.ou(3.0)
FITTED = (
    priors.Standard, priors.Offset, priors.MomentMatched, priors.SemiDiscrete, priors.Smoothed, priors.Extended,
    priors.FreshNoise, priors.Patched, priors.DataInitialised, priors.Mixture, priors.Learned, priors.Langevin,
)  # fmt: skip


def chi2_of_moments(x, mean, covariance) -> float:
    """p-value of the sample mean under N(mean, covariance / n)."""
    difference = np.asarray(x).mean(0) - mean
    return stats.chi2.sf(len(x) * difference @ np.linalg.solve(covariance, difference), len(mean))


def covariance_within_errors(x, covariance, errors: float = 5.0):
    products = (np.asarray(x) - np.mean(np.asarray(x), 0))[:, :, None] * (np.asarray(x) - np.mean(np.asarray(x), 0))[:, None, :]
    spread = products.std(0) / math.sqrt(len(x))
    assert np.all(np.abs(products.mean(0) - covariance) < errors * spread + 1e-12)


# ---- one interface


def fitted(kind, points, t=1.0, schedule=OU, /, **changes):
    """A prior of this kind from few points, quickly: loose tolerances, small networks."""
    d = points[0].numel()
    transported = {"tolerance": 0.2}
    options = {
        priors.MomentMatched: {"form": "full" if d < 1000 else "low-rank"},
        priors.SemiDiscrete: transported,
        priors.Smoothed: transported,
        priors.Extended: transported | {"draws": 200},
        priors.FreshNoise: transported,
        priors.Patched: transported,
        priors.Mixture: {"components": 2, "form": "full" if d <= 8 else "isotropic"},
        priors.Learned: {"steps": 2, "batch": 16, "transforms": 2 if d < 1000 else 1, "hidden": (8,), "strict": False},
        priors.Langevin: {"denoiser": EmpiricalDenoiser(points, schedule), "start": priors.Standard},
    }.get(kind, {})
    return kind.fit(points, schedule, t, generator=rng(2), **(options | changes))


SHAPES = [(1,), (2,), (8,), (64,), (3, 4, 4)]
CASES = [(kind, shape, dtype) for kind in FITTED for shape in SHAPES for dtype in DTYPES]
CASES += [(kind, (3, 32, 32), dtype) for kind in FITTED for dtype in DTYPES]  # 3,072 numbers
CASES = [case for case in CASES if case[0] not in (priors.Offset, priors.Patched) or len(case[1]) > 1]


@pytest.mark.parametrize("kind, shape, dtype", CASES, ids=lambda v: getattr(v, "name", str(v).removeprefix("torch.")))
def test_every_prior_keeps_the_contract(kind, shape, dtype, tmp_path):
    """Shape, dtype, determined by the generator, moved and saved and read back bit for bit, with a cost."""
    points = torch.randn(6, *shape, generator=rng(1), dtype=dtype)
    prior = fitted(kind, points)
    x = prior.sample(7, rng(3))
    assert x.shape == (7, *shape) and x.dtype == dtype and bool(x.isfinite().all()) and not x.requires_grad
    assert torch.equal(x, prior.sample(7, rng(3))) and not torch.equal(x, prior.sample(7, rng(4)))
    assert prior.sample(1, rng()).shape == (1, *shape)
    again = fitted(kind, points)
    assert torch.equal(again.sample(7, rng(3)), x)  # the fit, too, is determined by its generator
    cost = prior.cost
    assert cost.solve_seconds >= 0 and cost.sample_flops > 0 and cost.memory_bytes >= 0
    assert cost.network_calls == (10 if kind is priors.Langevin else 0)
    file = tmp_path / "prior.safetensors"
    prior.save(file)
    back = priors.load(file, denoiser=EmpiricalDenoiser(points, OU) if kind is priors.Langevin else None)
    assert type(back) is kind and torch.equal(back.sample(7, rng(3)), x) and back.cost == cost
    assert torch.equal(prior.to("cpu").sample(7, rng(3)), x)


@pytest.mark.parametrize("kind", FITTED, ids=lambda kind: kind.name)
def test_no_prior_touches_the_global_generator(kind):
    before = torch.random.get_rng_state()
    fitted(kind, torch.randn(6, 1, 2, generator=rng(1))).sample(3, rng(2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_names_differ_and_costs_count_what_is_kept():
    points = torch.randn(6, 1, 2, generator=rng(1), dtype=f64)
    by_name = {kind.name: fitted(kind, points) for kind in FITTED}
    by_name["oracle"] = priors.Oracle(triangle(), OU, 1.0)
    assert len(by_name) == len(FITTED) + 1 and all(isinstance(prior, priors.Prior) for prior in by_name.values())
    kept = {name: prior.cost.memory_bytes for name, prior in by_name.items()}
    assert kept["standard"] == kept["offset"] == 0
    assert kept["moment-matched"] == 8 * (4 + 2)  # the root and the mean
    assert kept["data-initialised"] == 8 * 12
    assert kept["semi-discrete"] == kept["smoothed"] == kept["fresh-noise"] == 8 * (12 + 6)  # atoms and heights
    assert kept["patched"] == 8 * (12 + 2 * 6)  # a height for each patch of an atom
    assert kept["extended"] == 8 * (12 + 6 + 12)  # and centres
    assert kept["mixture"] == 8 * (2 + 4 + 8)  # weights, means, covariances
    assert kept["langevin"] == 0  # its start is the standard prior


# ---- files


def test_oracle_and_every_schedule_survive_a_file(tmp_path):
    """Saved priors keep alpha and sigma of their own time, to the last bit, whatever the schedule."""
    laws = triangle(), Empirical(torch.randn(4, 2, generator=rng(), dtype=f64))
    for schedule in (schedules.ou(1.7), schedules.edm(), schedules.cosine(50), schedules.zero_terminal_snr(schedules.vp())):
        t = schedule.T / 3
        for prior in (*(priors.Oracle(law, schedule, t) for law in laws), priors.Standard(schedule, 2, f64)):
            assert torch.equal(_kept(prior, tmp_path).sample(5, rng(1)), prior.sample(5, rng(1)))
        back = _kept(priors.DataInitialised(laws[1].points, schedule, t), tmp_path)
        assert float(back.schedule.alpha(t)) == float(schedule.alpha(t)) and back.schedule.prior_std == schedule.prior_std
        with pytest.raises(ValueError, match="^t: expected the time"):
            back.schedule.sigma(t / 2)


def _kept(prior, folder):
    prior.save(folder / "kept")
    return priors.load(folder / "kept")


def test_a_nested_prior_is_kept_whole(tmp_path):
    """Langevin steps that start from a semi-discrete prior: both are in the file, the denoiser is asked for."""
    points = torch.randn(6, 1, 2, generator=rng(1), dtype=f64)
    denoiser = EmpiricalDenoiser(points, OU)
    prior = fitted(priors.Langevin, points, start=priors.SemiDiscrete, steps=2, step=0.3)
    prior.save(tmp_path / "p")
    back = priors.load(tmp_path / "p", denoiser=denoiser)
    assert isinstance(back.start, priors.SemiDiscrete) and torch.equal(back.sample(4, rng()), prior.sample(4, rng()))
    with pytest.raises(ValueError, match="^denoiser: expected .+got None"):
        priors.load(tmp_path / "p")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("not a prior")
    BrenierMap(torch.zeros(2, 2), torch.zeros(2)).save(tmp_path / "map")
    for name in ("text", "map", "missing"):
        with pytest.raises(ValueError, match="^path: expected a file written by Prior.save"):
            priors.load(tmp_path / name)


# ---- Standard


@pytest.mark.parametrize("schedule", [schedules.vp(), schedules.ve(0.01, 50.0), schedules.edm(80.0)], ids=lambda s: s.name)
def test_standard_is_a_centred_normal_of_the_prior_std(schedule):
    x = priors.Standard(schedule, (3,), f64).sample(6000, rng(1)).numpy() / schedule.prior_std
    assert stats.kstest(x.ravel(), "norm").pvalue > 1e-3
    covariance_within_errors(x, np.eye(3))


def test_standard_takes_one_number_for_a_vector():
    assert priors.Standard(OU, 4).sample(2, rng()).shape == (2, 4)


# ---- MomentMatched


@few
@given(st.integers(1, 4), st.integers(1, 20), seeds, st.floats(0.1, 2.9))
def test_moment_matched_has_the_moments_of_p_t(d, n, seed, t):
    """mean alpha m and covariance alpha^2 S + sigma^2 I, with numpy's m and S of the points."""
    points = np.random.default_rng(seed).normal(size=(n, d))
    prior = priors.MomentMatched.fit(points, OU, t)
    alpha2 = math.exp(-2 * t)
    np.testing.assert_allclose(prior.mean, math.exp(-t) * points.mean(0), atol=1e-12)
    expected = alpha2 * np.cov(points.T, ddof=0).reshape(d, d) + (1 - alpha2) * np.eye(d)
    np.testing.assert_allclose(prior.covariance, expected, atol=1e-12)


def test_moment_matched_samples_are_that_gaussian():
    mean, covariance = np.array([1.0, -2.0, 0.0]), np.array([[2.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]])
    x = priors.MomentMatched(mean, covariance).sample(20_000, rng(1)).numpy()
    assert chi2_of_moments(x, mean, covariance) > 1e-3
    covariance_within_errors(x, covariance)
    squared = np.einsum("ni,ij,nj->n", x - mean, np.linalg.inv(covariance), x - mean)
    assert stats.kstest(squared, stats.chi2(3).cdf).pvalue > 1e-3


def test_moment_matched_of_a_large_singular_single_precision_set():
    """The 1,797 digits have pixels that never change: in float32 at t = 0 the covariance is singular, and still a prior."""
    points = torch.as_tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
    prior = priors.MomentMatched.fit(points, schedules.vp(), 0.0)
    x = prior.sample(2000, rng(1))
    constant = points.flatten(1).std(0) == 0
    assert bool(constant.any())
    torch.testing.assert_close(x.flatten(1)[:, constant], points.flatten(1)[0, constant].expand(2000, -1), rtol=0, atol=2e-2)
    error = (x - points.mean(0)).mean(0).flatten() / (points.std(0).flatten() / math.sqrt(2000) + 1e-3)
    assert float(error.abs().max()) < 5


# ---- SemiDiscrete


def test_semi_discrete_draws_its_atoms_uniformly():
    """Every sample is an atom, each equally often (chi-square), and z and atom are positively coupled."""
    points = triangle().sample(12, rng(1))
    prior = priors.SemiDiscrete.fit(points, OU, 0.5, generator=rng(2), tolerance=0.02)
    x = prior.sample(6000, rng(3))
    distance, index = torch.cdist(x, prior.map.points).min(1)
    assert float(distance.max()) == 0
    assert stats.chisquare(np.bincount(index.numpy(), minlength=12)).pvalue > 1e-3


def test_semi_discrete_atoms_are_noised_training_points():
    """Each atom is alpha x_i + sigma eps_i for its own i: the residuals are standard normal draws, fixed at fit."""
    points = 10 * torch.cartesian_prod(*[torch.arange(12, dtype=f64)] * 2)  # ten units apart: no two can be mistaken
    schedule, t = schedules.ou(), 0.2
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    prior = priors.SemiDiscrete.fit(points, schedule, t, generator=rng(2), tolerance=0.1)
    nearest = torch.cdist(prior.map.points, alpha * points).argmin(1)
    assert len(set(nearest.tolist())) == 144
    residual = ((prior.map.points - alpha * points[nearest]) / sigma).flatten().numpy()
    assert stats.kstest(residual, "norm").pvalue > 1e-3


def test_semi_discrete_in_more_dimensions_has_equal_cells():
    """Where cells are sampled, not exact, the frequencies stay within the tolerance that was asked for."""
    points = torch.randn(10, 5, generator=rng(4))
    prior = priors.SemiDiscrete.fit(points, OU, 0.3, generator=rng(5), tolerance=0.05)
    index = torch.cdist(prior.sample(20_000, rng(6)), prior.map.points).argmin(1)
    share = np.bincount(index.numpy(), minlength=10) / 20_000
    noise = 10 * math.sqrt(2 / math.pi * 0.1 * 0.9 / 20_000)  # mean L1 error of 20,000 draws
    assert np.abs(share - 0.1).sum() < 0.05 + 1.5 * noise


def test_semi_discrete_is_the_optimal_map():
    """Two atoms +-a with equal weight: the map is a sign(<z, a>), so E<z, T(z)> = |a| sqrt(2/pi)."""
    a = torch.tensor([[1.5, 2.0]], dtype=f64)
    prior = priors.SemiDiscrete(BrenierMap(torch.cat([a, -a]), torch.zeros(2, dtype=f64)), (2,))
    z = torch.randn(20_000, 2, generator=rng(7), dtype=f64)
    x = prior.sample(20_000, rng(7))
    assert torch.equal(x, torch.where((z @ a.T > 0), a, -a))
    assert float((z * x).sum(1).mean()) == pytest.approx(2.5 * math.sqrt(2 / math.pi), abs=5 * 2.5 / math.sqrt(20_000))


def test_semi_discrete_says_when_it_did_not_converge():
    with pytest.raises(RuntimeError, match="did not converge: .*max_samples"):
        priors.SemiDiscrete.fit(torch.randn(40, 5, generator=rng(1)), OU, 0.3, generator=rng(2), tolerance=0.03, max_samples=64)


# ---- DataInitialised and Oracle


def test_data_initialised_is_the_diffused_training_set():
    """Its law is (1/N) sum N(alpha x_i, sigma^2): scipy's distribution function, and fresh noise at every draw."""
    points = np.array([[-1.0], [0.4], [2.0]])
    prior = priors.DataInitialised(points, OU, 0.3)
    x = prior.sample(6000, rng(1))[:, 0].numpy()
    target = Empirical(points).diffuse(OU.alpha(0.3), OU.sigma(0.3))
    assert stats.kstest(x, lambda v: np.array([scipy_cdf(target, u) for u in v])).pvalue > 1e-3
    assert len(np.unique(x)) == 6000


def test_data_initialised_without_noise_returns_training_points():
    points = torch.randn(5, 1, 8, 8, generator=rng(1))
    x = priors.DataInitialised(points, schedules.vp(), 0.0).sample(400, rng(2))
    distance, index = torch.cdist(x.flatten(1), points.flatten(1)).min(1)
    assert all(torch.equal(a, points[i]) for a, i in zip(x, index))
    assert stats.chisquare(np.bincount(index.numpy(), minlength=5)).pvalue > 1e-3


def test_oracle_samples_p_t():
    x = priors.Oracle(bimodal(1.0, 0.09), OU, 0.4).sample(5000, rng(1))[:, 0].numpy()
    law = marginal_cdf(bimodal(1.0, 0.09), 0.4)
    assert stats.kstest(x, law).pvalue > 1e-3
    mean, covariance = scipy_moments(triangle())
    plane = priors.Oracle(triangle(), OU, 0.4).sample(20_000, rng(2)).numpy()
    covariance = math.exp(-0.8) * covariance + (1 - math.exp(-0.8)) * np.eye(2)
    assert chi2_of_moments(plane, math.exp(-0.4) * mean, covariance) > 1e-3
    covariance_within_errors(plane, covariance)


def marginal_cdf(target, t):
    channel = math.exp(-t), math.sqrt(1 - math.exp(-2 * t))
    return lambda v: np.array([scipy_cdf(target, u, *channel) for u in v])


def test_only_the_right_priors_match_p_t():
    """At t = .3 on a skewed law Oracle passes a Kolmogorov-Smirnov test of p_t; Standard and MomentMatched fail it."""
    target, law = bimodal(1.2, 0.05, (0.8, 0.2)), marginal_cdf(bimodal(1.2, 0.05, (0.8, 0.2)), 0.3)
    train = target.sample(4000, rng(1))
    draw = lambda prior: stats.kstest(prior.sample(3000, rng(2))[:, 0].numpy(), law).pvalue
    assert draw(priors.Oracle(target, OU, 0.3)) > 1e-3
    assert draw(priors.DataInitialised(train, OU, 0.3)) > 1e-3
    assert draw(priors.Standard.fit(train, OU, 0.3)) < 1e-6
    assert draw(priors.MomentMatched.fit(train, OU, 0.3)) < 1e-6


# ---- refusals


def refusals():
    points, bad = torch.randn(5, 1, 2, generator=rng()), torch.full((5, 1, 2), float("nan"))
    quick = {"tolerance": 0.2}
    for kind in FITTED:
        yield "points", lambda k=kind: k.fit(bad, OU, 1.0, generator=rng(), **needs(k))
        yield "points", lambda k=kind: k.fit(torch.zeros(0, 1, 2), OU, 1.0, generator=rng(), **needs(k))
        yield "points", lambda k=kind: k.fit(torch.zeros(4), OU, 1.0, generator=rng(), **needs(k))
        yield "n", lambda k=kind: fitted(k, points).sample(0, rng())
        yield "generator", lambda k=kind: fitted(k, points).sample(3, None)
        if kind not in (priors.Standard, priors.Offset):  # p_t plays no part in them
            yield "t", lambda k=kind: fitted(k, points, 3.5)
    for kind in (priors.SemiDiscrete, priors.Smoothed, priors.Extended, priors.FreshNoise, priors.Mixture, priors.Learned):
        yield "generator", lambda k=kind: k.fit(points, OU, 1.0, generator=None, **needs(k))
    yield "t", lambda: priors.Oracle(triangle(), OU, -1.0)
    yield "t", lambda: priors.DataInitialised(points, OU, float("nan"))
    yield "n", lambda: priors.Oracle(triangle(), OU, 1.0).sample(-2, rng())
    yield "shape", lambda: priors.Standard(OU, (2, 0))
    yield "shape", lambda: priors.Standard(OU, (2.0,))
    yield "shape", lambda: priors.Offset(OU, 4)
    yield "offset", lambda: priors.Offset(OU, (1, 4), -0.1)
    yield "shape", lambda: priors.SemiDiscrete(BrenierMap(torch.zeros(2, 2), torch.zeros(2)), (3,))
    yield "shape", lambda: priors.Patched.fit(torch.zeros(5, 4), OU, 1.0, generator=rng())
    yield "shape", lambda: priors.Patched.fit(torch.zeros(5, 1, 4, 3), OU, 1.0, generator=rng())
    yield "parts", lambda: priors.Patched.fit(points, OU, 1.0, generator=rng(), parts=0)
    yield "shape", lambda: priors.Mixture(triangle(), (3,))
    yield "sigma", lambda: priors.FreshNoise(BrenierMap(torch.zeros(2, 2), torch.zeros(2)), (2,), -1.0)
    yield "covariance", lambda: priors.MomentMatched([0.0, 0.0], np.eye(3))
    yield "covariance", lambda: priors.MomentMatched([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]])
    yield "covariance", lambda: priors.MomentMatched([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]])
    yield "covariance", lambda: priors.MomentMatched([0.0, 0.0], [1.0, -0.5])
    yield "factor", lambda: priors.MomentMatched([0.0, 0.0], [1.0, 0.5], [[1.0], [2.0], [3.0]])
    yield "factor", lambda: priors.MomentMatched([0.0, 0.0], np.eye(2), [[1.0], [2.0]])
    yield "mean", lambda: priors.MomentMatched([0.0, float("inf")], np.eye(2))
    yield "form", lambda: fitted(priors.MomentMatched, points, form="lowrank")
    yield "rank", lambda: fitted(priors.MomentMatched, points, form="low-rank", rank=0)
    yield "copies", lambda: fitted(priors.SemiDiscrete, points, copies=0)
    yield "tau", lambda: priors.Smoothed.fit(points, OU, 1.0, generator=rng(), tau=0.0, **quick)
    yield "jump", lambda: priors.Extended.fit(points, OU, 1.0, generator=rng(), jump=-1.0, **quick)
    yield "form", lambda: fitted(priors.Mixture, points, form="diag")
    yield "components", lambda: fitted(priors.Mixture, points, components=6)
    yield "kind", lambda: fitted(priors.Learned, points, kind="splines")
    yield "kind", lambda: fitted(priors.Learned, points[:, :, :1], kind="affine")
    yield "t", lambda: fitted(priors.Learned, points, 0.0)
    yield "t", lambda: fitted(priors.Langevin, points, 0.0)
    yield "step", lambda: fitted(priors.Langevin, points, step=2.5)
    yield "steps", lambda: fitted(priors.Langevin, points, steps=-1)
    yield "start", lambda: priors.Langevin(points, lambda x, t: x, OU, 1.0)
    yield "denoiser", lambda: priors.Langevin(priors.Standard(OU, 2), points, OU, 1.0)


def needs(kind) -> dict:
    return {priors.Langevin: {"denoiser": lambda x, t: x}, priors.Mixture: {"components": 1}}.get(kind, {})


@pytest.mark.parametrize("argument, call", list(refusals()))
def test_priors_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
