"""The probability flow as a map: quantiles, autograd, the samplers and closed forms judge the integrator."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import (
    SCHEDULES,
    ZERO_SNR,
    bimodal,
    f64,
    few,
    gaussian,
    mixtures,
    points_near,
    random_mixture,
    random_rotation,
    scipy_cdf,
    scipy_quantile,
    seeds,
    triangle,
)

from otprior_lite import flow, gap, samplers, schedules
from otprior_lite.forward import marginal, velocity
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import Empirical, GaussianMixture
from otprior_lite.transport import gaussian_map

OU = schedules.ou(20.0)
END = 20.0
ATOMS = Empirical([[2.0, 0.0], [-1.0, 1.5], [-0.5, -1.0]], [0.5, 0.3, 0.2])
SYMMETRIC = Empirical([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
Z = torch.as_tensor(np.random.default_rng(0).normal(size=(12, 2)))


def measured(target, T, x):
    """Antisymmetric part of the flow's Jacobian from T to (almost) infinity, at points x around the mean of p_T."""
    return flow.antisymmetry(target, OU, x + math.exp(-T) * target.mean, T, END, tolerance=1e-12)


def predicted(target, T, x):
    return flow.rate_law(target, T, x + math.exp(-T) * target.mean)


# ---- the map


@settings(few, max_examples=6)
@given(
    mixtures(d=st.just(1)), st.sampled_from(sorted(set(SCHEDULES) - set(ZERO_SNR))), st.floats(0.3, 0.9), st.floats(0.05, 0.25)
)
def test_one_dimension_is_the_quantile_map(target, name, late, early):
    """Check 8's law for the integrator: x_s = F_s^{-1}(F_t(x)) under every schedule, by scipy, to 1e-7."""
    schedule = SCHEDULES[name]()
    t, s = late * schedule.T, early * schedule.T
    x = points_near(marginal(target, schedule, t), 5)
    here, there = ((float(schedule.alpha(v)), float(schedule.sigma(v))) for v in (t, s))
    z = [scipy_quantile(target, u, *there) for u in (scipy_cdf(target, float(v), *here) for v in x[:, 0]) if 1e-6 < u < 1 - 1e-6]
    keep = [1e-6 < scipy_cdf(target, float(v), *here) < 1 - 1e-6 for v in x[:, 0]]
    found = flow.flow_map(target, schedule, x, t, s)[keep, 0]
    np.testing.assert_allclose(found, z, rtol=1e-7, atol=1e-7 * max(1.0, there[1]))


@settings(few, max_examples=5)
@given(mixtures(d=st.integers(1, 3)), seeds)
def test_jacobian_by_finite_differences_and_going_back(target, seed):
    """The variational equation against central differences of the map; forth and back is the identity; determinants multiply."""
    x = points_near(target, 3, seed)
    step = flow.flow_jacobian(target, OU, x, 0.3, 1.5, tolerance=1e-12)
    h = 1e-4
    for j in range(target.d):
        e = torch.zeros(target.d, dtype=f64)
        e[j] = h
        slope = (
            flow.flow_map(target, OU, x + e, 0.3, 1.5, tolerance=1e-12)
            - flow.flow_map(target, OU, x - e, 0.3, 1.5, tolerance=1e-12)
        ) / (2 * h)
        np.testing.assert_allclose(step.jacobian[:, :, j], slope, rtol=1e-5, atol=1e-5)
    back = flow.flow_jacobian(target, OU, step.x, 1.5, 0.3, tolerance=1e-12)
    np.testing.assert_allclose(back.x, x, atol=1e-8)
    np.testing.assert_allclose(back.jacobian @ step.jacobian, torch.eye(target.d, dtype=f64).expand(3, -1, -1), atol=1e-7)


@pytest.mark.parametrize("name", ["vp", "edm", "sub_vp", "trigonometric", "ddpm_linear"])
def test_the_field_is_the_library_velocity(name):
    """A small step of the map moves x by velocity * dt; the velocity of `forward` is written in another form."""
    schedule, t = SCHEDULES[name](), 0.4505 * SCHEDULES[name]().T  # between two steps of a discrete schedule
    x, dt = points_near(marginal(triangle(), schedule, t), 4), 1e-5 * schedule.T
    slope = (
        flow.flow_map(triangle(), schedule, x, t, t + dt, tolerance=1e-13)
        - flow.flow_map(triangle(), schedule, x, t, t - dt, tolerance=1e-13)
    ) / (2 * dt)
    v = velocity(triangle(), schedule, x, t)
    np.testing.assert_allclose(slope, v, rtol=1e-5, atol=1e-5 * float(v.abs().max()))


def test_the_samplers_converge_to_the_map():
    """400 Heun steps from T of a zero-SNR schedule, and of OU, land where the adaptive integrator does."""
    for schedule, t in ((schedules.ou(3.0), 3.0), (schedules.flow_matching(), 1.0)):
        x = Z[:6]
        run = samplers.sample(ExactDenoiser(triangle(), schedule), schedule, x, steps=400, method="heun", t_start=t)
        np.testing.assert_allclose(run, flow.flow_map(triangle(), schedule, x, t, 0.0), atol=3e-3)


def test_precision_and_identity():
    """float32 in, float32 out; from t to t nothing moves, not even by rounding."""
    x = Z.to(torch.float32)
    assert flow.flow_map(triangle(), OU, x, 1.0, 0.5).dtype == torch.float32
    step = flow.flow_jacobian(triangle(), OU, Z, 1.0, 1.0)
    np.testing.assert_allclose(step.x, Z, rtol=1e-15)
    assert float(flow.antisymmetry(triangle(), OU, Z, 1.0, 1.0).relative.max()) == 0


# ---- flow against optimal transport


def test_check_23_where_the_flow_is_optimal():
    """Check 23: collinear atoms, a line embedded in space, and Gaussians: relative antisymmetry below 1e-9."""
    direction = np.array([2.0, 1.0, -1.0])
    collinear = Empirical(np.array([[1.3], [-0.4], [-1.1]]) * direction, [0.2, 0.5, 0.3])
    line = GaussianMixture([0.4, 0.6], [2 * direction, -direction], np.stack([0.3 * np.eye(3)] * 2))
    x = torch.as_tensor(np.random.default_rng(1).normal(size=(8, 3)))
    for target in (collinear, line, random_mixture(3, 1, 7)):
        assert float(flow.antisymmetry(target, OU, x, 0.5, 2.0).relative.max()) < 1e-9
        assert float(flow.antisymmetry(target, OU, x, 1.0, END).relative.max()) < 1e-9


def test_check_23_where_it_is_not():
    """Check 23: three generic atoms: relative antisymmetry above 1e-4 at T = 1, at every one of 12 points."""
    assert float(measured(ATOMS, 1.0, Z).relative.min()) > 1e-4


def test_check_24_rate_law():
    """Check 24: two terms predict the antisymmetry to 1% (T = 3) and .3% (T = 3.5); the leading term to 10%; slope -5.1+-.1."""
    for T, tolerance in ((3.0, 0.01), (3.5, 0.003)):
        found, law = measured(ATOMS, T, Z).matrices, predicted(ATOMS, T, Z)
        assert float((found - law.total).norm() / law.total.norm()) < tolerance
    three = measured(ATOMS, 3.0, Z)
    assert 1.0 <= float(three.matrices.norm() / predicted(ATOMS, 3.0, Z).leading.norm()) <= 1.1
    assert math.log(three.rms / measured(ATOMS, 2.5, Z).rms) / 0.5 == pytest.approx(-5.1, abs=0.1)
    entry = lambda A: float(A[:, 0, 1].square().mean().sqrt())
    assert entry(three.matrices) == pytest.approx(5.010e-9, rel=1e-3)
    assert entry(measured(ATOMS, 2.0, Z).matrices) == pytest.approx(8.186e-7, rel=1e-3)
    assert entry(measured(ATOMS, 1.0, Z).matrices) == pytest.approx(1.564e-4, rel=1e-3)


def test_check_24_symmetric_atoms():
    """Check 24: four symmetric atoms have no kappa_3: ratio to the law in [.99, 1.02] at T = 3, slope -6.0+-.05."""
    three = measured(SYMMETRIC, 3.0, Z)
    assert float(predicted(SYMMETRIC, 3.0, Z).leading.norm()) < 1e-20
    assert 0.99 <= three.rms / predicted(SYMMETRIC, 3.0, Z).rms <= 1.02
    assert math.log(measured(SYMMETRIC, 3.5, Z).rms / three.rms) / 0.5 == pytest.approx(-6.0, abs=0.05)
    assert float(three.matrices[:, 0, 1].square().mean().sqrt()) == pytest.approx(2.6713e-10, rel=1e-3)


@settings(few, max_examples=4)
@given(seeds)
def test_rate_law_on_random_mixtures(seed):
    """Drawn at random, T = 3.5: the law holds to 5% of its size, in three dimensions too, and turns with the data."""
    r = np.random.default_rng(seed)
    mu = r.uniform(-1, 1, (3, 3))
    target = GaussianMixture(r.dirichlet([3, 3, 3]), mu, r.uniform(0.2, 1.0, 3))
    x = torch.as_tensor(r.normal(size=(5, 3)))
    found, law = measured(target, 3.5, x), predicted(target, 3.5, x)
    assert float((found.matrices - law.total).norm()) < 0.05 * float(law.total.norm()) + 1e-14
    R = torch.as_tensor(random_rotation(3, seed))
    turned = GaussianMixture(target.weights, target.means @ R.T, target.covariances)
    np.testing.assert_allclose(
        flow.rate_law(turned, 3.5, x @ R.T).total, R @ flow.rate_law(target, 3.5, x).total @ R.T, atol=1e-16
    )


# ---- energy, Monge-Ampere, straightness


def test_check_25_energy():
    """Check 25: Gaussian variance 4, T = 1.3: energy = KL drop = .7960226; W2^2 = .79957 <= T * energy = 1.03483."""
    target, schedule = gaussian((4.0,)), schedules.ou(1.3)
    energy = flow.benamou_brenier_energy(target, schedule)
    assert energy.energy.value == pytest.approx(0.7960226, abs=5e-8)
    assert energy.kl_drop.value == pytest.approx(0.7960226, abs=5e-8)
    w2 = (2 - math.sqrt(1 + 3 * math.exp(-2.6))) ** 2
    assert w2 == pytest.approx(0.79957, abs=5e-6)
    assert energy.bound**2 == pytest.approx(1.03483, abs=5e-6) and w2 <= energy.bound**2


@settings(few, max_examples=5)
@given(mixtures(d=st.just(1)), st.floats(0.3, 2.0))
def test_energy_is_the_kl_spent(target, T):
    """Random one-dimensional mixtures: int E|v|^2 du = KL_0 - KL_T, two quadratures that share no integrand."""
    energy = flow.benamou_brenier_energy(target, schedules.ou(3.0), T, 0.05)
    drop = gap.kl(target, schedules.ou(3.0), 0.05).value - gap.kl(target, schedules.ou(3.0), T).value
    assert energy.energy.value == pytest.approx(drop, rel=1e-6, abs=1e-10)
    assert energy.duration == pytest.approx(T - 0.05)


def test_energy_in_the_plane_is_within_its_error():
    """A Monte-Carlo energy and a Monte-Carlo KL drop agree within five standard errors; any schedule gives the same."""
    energy = flow.benamou_brenier_energy(triangle(), schedules.ou(2.0), n=4000)
    assert abs(energy.energy.value - energy.kl_drop.value) < 5 * math.hypot(energy.energy.error, energy.kl_drop.error)
    assert energy.energy.error < 0.02 * energy.energy.value
    vp = flow.benamou_brenier_energy(bimodal(), schedules.vp(), 1.0)
    assert vp.energy.value == pytest.approx(vp.kl_drop.value, rel=1e-7) and vp.duration == pytest.approx(10.05 / 2)


def test_check_26_straightness():
    """Check 26: the flow of a Gaussian with two variances leaves the chord; on N(0, I) it stands still; OT's map does not leave it."""
    bent = flow.midpoint_deviation(gaussian((4.0, 0.25)), OU, Z, 2.0, 0.0)
    assert float(bent.deviation.min()) > 1e-3 and float(bent.off_chord.max()) > 1e-2
    assert float(flow.midpoint_deviation(gaussian((1.0, 1.0)), OU, Z, 2.0, 0.0).deviation.max()) < 1e-12
    one = flow.midpoint_deviation(gaussian((4.0,)), OU, Z[:, :1], 2.0, 0.0)
    assert (
        float(one.deviation.min()) > 1e-3 and float(one.off_chord.max()) < 1e-12
    )  # a line is straight, the speed is not constant
    lam = torch.tensor([4.0, 0.25], dtype=f64)
    path = lambda u: Z * ((1 + (lam - 1) * math.exp(-2 * u)) / (1 + (lam - 1) * math.exp(-4))).sqrt()
    np.testing.assert_allclose(bent.deviation, (path(1.0) - (Z + path(0.0)) / 2).norm(dim=1), rtol=1e-7)


def test_check_27_monge_ampere_in_one_dimension():
    """Check 27: u' = F_q^{-1}(F_p), u'' = p / q(u') by central differences of scipy's quantiles; u'' q(u') = p to 1e-8."""
    p, q = bimodal(1.0, 0.3), GaussianMixture([0.3, 0.7], [[2.0], [-1.0]], [0.4, 0.8])
    x = torch.linspace(-1.5, 1.5, 7, dtype=f64)[:, None]
    mapped = lambda v: np.array([[scipy_quantile(q, scipy_cdf(p, float(a)))] for a in v])
    h = 2e-3  # eighth-order differences
    c = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    slope = sum(a * (mapped(x + k * h) - mapped(x - k * h)) for k, a in c.items()) / h
    residual = flow.monge_ampere_residual(p, q, x, mapped(x), slope[:, :, None])
    assert float((torch.as_tensor(residual).expm1() * p.log_prob(x).exp()).abs().max()) < 1e-8


@settings(few, max_examples=5)
@given(seeds, st.integers(1, 3))
def test_check_27_gaussians_and_the_flow_map(seed, d):
    """Check 27: the affine map solves Monge-Ampere with a symmetric matrix; so does the flow's own map, symmetric or not."""
    a, b = random_mixture(d, 1, seed), random_mixture(d, 1, seed + 1)
    affine = gaussian_map(a.means[0], a.covariances[0], b.means[0], b.covariances[0])
    A = affine.matrix
    assert float((A - A.mT).abs().max()) < 1e-10
    np.testing.assert_allclose(A @ a.covariances[0] @ A, b.covariances[0], atol=1e-8)
    x = points_near(a, 4, seed)
    assert float(flow.monge_ampere_residual(a, b, x, affine(x), A.expand(4, d, d)).abs().max()) < 1e-8
    target = random_mixture(d, 3, seed)
    step = flow.flow_jacobian(target, OU, x, 0.2, 1.2, tolerance=1e-12)
    ends = (marginal(target, OU, t) for t in (0.2, 1.2))
    assert float(flow.monge_ampere_residual(*ends, x, step.x, step.jacobian).abs().max()) < 1e-8


@pytest.mark.parametrize("argument, call", [
    ("x", lambda: flow.flow_map(triangle(), OU, [[1.0]], 1.0, 0.5)),
    ("t", lambda: flow.flow_map(triangle(), OU, Z, -1.0, 0.5)),
    ("s", lambda: flow.flow_map(triangle(), OU, Z, 1.0, 21.0)),
    ("s", lambda: flow.flow_map(ATOMS, OU, Z, 1.0, 0.0)),
    ("t", lambda: flow.flow_jacobian(triangle(), OU, Z, float("nan"), 1.0)),
    ("tolerance", lambda: flow.flow_map(triangle(), OU, Z, 1.0, 0.5, tolerance=0.0)),
    ("T", lambda: flow.rate_law(triangle(), 0.0, Z)),
    ("T", lambda: flow.rate_law(triangle(), -1.0, Z)),
    ("x", lambda: flow.rate_law(triangle(), 1.0, [[1.0, 2.0, 3.0]])),
    ("t, T", lambda: flow.benamou_brenier_energy(triangle(), OU, 0.0)),
    ("t", lambda: flow.benamou_brenier_energy(ATOMS, OU, 1.0)),
    ("n", lambda: flow.benamou_brenier_energy(triangle(), OU, 1.0, n=1)),
    ("s", lambda: flow.midpoint_deviation(triangle(), OU, Z, 1.0, 1.0)),
    ("y, jacobian", lambda: flow.monge_ampere_residual(triangle(), triangle(), Z, Z, Z)),
])  # fmt: skip
def test_flow_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
