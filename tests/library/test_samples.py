"""Samplers, priors and metrics together: checks 38, 40 and 42 of the theory."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from zoo import f64, rng, triangle

from otprior_lite import metrics, priors, samplers, schedules
from otprior_lite.forward import marginal
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser
from otprior_lite.targets import GaussianMixture

OU = schedules.ou(3.0)


def two_sets(seed: int, n: int = 400):
    return triangle().sample(n, rng(seed)), triangle().sample(n, rng(seed + 1))


def distances(x, train, test):
    """Nearest-train distances of the first half of the samples, nearest-test distances of the second: independent lists."""
    half = len(x) // 2
    return metrics.nearest_distance(x[:half], train).numpy(), metrics.nearest_distance(x[half:], test).numpy()


@pytest.mark.parametrize("t", [0.5, 1.5])
def test_check_38_the_detector_sees_memorisation(t):
    """Check 38: the semi-discrete prior and the flow of the empirical score return training points."""
    train, test = two_sets(1, 60)
    prior = priors.SemiDiscrete.fit(train, OU, t, generator=rng(3))
    x = samplers.sample(EmpiricalDenoiser(train, OU), OU, prior.sample(300, rng(4)), t_start=t, steps=200, method="dpmpp2m")
    found = metrics.memorisation(x, train, test)
    assert found.to_train < 1e-3 < 0.05 < found.to_test
    assert found.value > 0.99 and found.duplicates.value > 0.98 and found.duplicates.floor < 0.25
    assert stats.ks_2samp(*distances(x, train, test)).pvalue < 1e-10


def test_check_38_the_detector_clears_an_honest_sampler():
    """Check 38: a Gaussian of two fitted moments and the exact score; nearest-train and nearest-test agree in law."""
    train, test = two_sets(5)
    prior = priors.MomentMatched.fit(train, OU, 1.5)
    x = samplers.sample(ExactDenoiser(triangle(), OU), OU, prior.sample(800, rng(7)), t_start=1.5, steps=60, method="dpmpp2m")
    found = metrics.memorisation(x, train, test)
    assert abs(found.value - 0.5) < 5 * 0.5 / math.sqrt(400)
    assert abs(found.duplicates.value - found.duplicates.floor) < 5 * 0.4 / math.sqrt(400)
    assert stats.ks_2samp(*distances(x, train, test)).pvalue > 1e-3


@pytest.mark.parametrize("method, steps", [("dpmpp2m", 40), ("adaptive", 1), ("ddpm", 150), ("em", 300)])
def test_check_40_the_start_may_be_anywhere_if_its_law_is_exact(method, steps):
    """Check 40: with the exact score and p_t' as start the output is the data's law for every t'; from N(0, I) it is not."""
    target, n = GaussianMixture([0.8, 0.2], [[2.0, 0.0], [-1.0, 1.0]], [0.2, 0.1]), 400
    exact = ExactDenoiser(target, OU)
    fresh = target.sample(n, rng(1))
    run = lambda start, t, seed: samplers.sample(
        exact, OU, start, t_start=t, steps=steps, method=method, generator=rng(seed), tolerance=1e-4
    )
    outputs = [run(marginal(target, OU, t).sample(n, rng(10 + k)), t, 20 + k) for k, t in enumerate((0.2, 0.8, 2.5))]
    for x in outputs:
        assert metrics.mmd(x, fresh).p_value > 0.01
    assert metrics.mmd(outputs[0], outputs[-1]).p_value > 0.01
    wrong = run(torch.randn(n, 2, generator=rng(30), dtype=f64), 0.2, 31)
    assert metrics.mmd(wrong, fresh).p_value == 1 / 201


def test_check_42_the_floor_of_w2_grows_like_root_d():
    """Check 42: for n fixed and d large, two samples of N(0, I) lie about sqrt(2 d) apart, a little less in low dimension."""
    r = np.random.default_rng(1)
    floor = {d: metrics.w2(r.normal(size=(100, d)), r.normal(size=(100, d))).value for d in (256, 1024, 4096)}
    np.testing.assert_allclose(np.diff(np.log(list(floor.values()))) / math.log(4), 0.5, atol=0.04)
    assert floor[4096] == pytest.approx(math.sqrt(2 * 4096), rel=0.05)


def test_check_42_the_floor_does_not_depend_on_T():
    """Check 42: sample W2 between p_T and N(0, I) hardly moves with T while the true distance falls by e^-4."""
    d, n, r = 64, 200, np.random.default_rng(2)
    scales = np.linspace(0.2, 1.5, d)  # a Gaussian of spectrum scales^2
    values, truth = [], []
    for T in (2.0, 3.0, 4.0):
        alpha, sigma = math.exp(-T), math.sqrt(1 - math.exp(-2 * T))
        std = np.sqrt(alpha**2 * scales**2 + sigma**2)
        found = metrics.w2(std * r.normal(size=(n, d)), r.normal(size=(n, d)))
        values.append(found.value)
        truth.append(np.linalg.norm(std - 1))
        assert abs(found.value - found.floor) < 0.03 * found.floor
    assert max(values) / min(values) < 1.03 and truth[0] / truth[-1] > math.exp(3.5)
