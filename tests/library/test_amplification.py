"""Amplification of the prior error: closed forms against quadrature over t, autograd Hessians and exact one-dimensional flows."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.optimize import brentq, minimize_scalar
from zoo import (
    SCHEDULES,
    ZERO_SNR,
    bimodal,
    f64,
    few,
    gaussian,
    normal_w2,
    parts,
    points_near,
    random_mixture,
    random_rotation,
    random_spd,
    scipy_quantile,
    seeds,
    triangle,
)  # fmt: skip

from otprior_lite import bounds, gap, samplers, schedules
from otprior_lite.forward import marginal
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import Empirical, GaussianMixture

OU = schedules.ou(6.0)
SIX = ((0.5, 1.0, 1.0), (0.5, 0.5, 1.0), (1.0, 0.5, 1.0), (1.0, 0.25, 1.0), (1.0, 0.25, 2.0), (1.5, 0.25, 2.0))  # m, s^2, T
MEASURED = (1.079, 0.829, 0.898, 0.676, 0.650, 0.646)
BOUND = (1.114, 0.923, 1.851, 3.615, 3.686, 44.38)


def hessian(target, x):
    """Hess log p at rows of x by autograd of the library's log density."""
    return torch.stack([torch.autograd.functional.hessian(lambda v: target.log_prob(v[None])[0], row) for row in x])


def common(seed: int, d: int, k: int, isotropic: bool) -> GaussianMixture:
    """k components of one covariance."""
    r = np.random.default_rng(seed)
    S = r.uniform(0.1, 0.6) * np.eye(d) if isotropic else random_spd(d, seed, 0.1)
    return GaussianMixture(r.dirichlet(np.full(k, 3.0)), r.normal(size=(k, d)), np.stack([S] * k))


def over_time(kind, curvature, schedule, T, t=0.0):
    """exp int (-f + c g^2 lambda_max(t)) dt by scipy over the schedule's own time, c = 1/2 (ode) or 1 (sde)."""
    half = 0.5 if kind == "ode" else 1.0
    rate = lambda u: float(-schedule.drift(u) + half * schedule.diffusion_squared(u) * curvature(u))
    return math.exp(integrate.quad(rate, t, T, epsabs=1e-12, epsrel=1e-11, limit=400)[0])


def top_curvature(target, schedule):
    """t -> max over x of (log p_t)'' in one dimension: numpy's density formula and scipy's scalar search."""
    w, mu, S = parts(target)

    def at(t):
        a, s = float(schedule.alpha(t)), float(schedule.sigma(t))
        mean, var = a * mu[:, 0], a**2 * S[:, 0, 0] + s**2

        def second(x):
            g = (mean - np.asarray(x)[..., None]) / var
            r = w / np.sqrt(var) * np.exp(-(g**2) * var / 2) + 1e-300
            r = r / r.sum(-1, keepdims=True)
            return (r * (g**2 - 1 / var)).sum(-1) - (r * g).sum(-1) ** 2

        grid = np.linspace(mean.min() - 1, mean.max() + 1, 201)
        best = grid[np.argmax(second(grid))]
        return -minimize_scalar(
            lambda x: -float(second(x)), bounds=(best - 0.05, best + 0.05), method="bounded", options={"xatol": 1e-9}
        ).fun

    return at


# ---- checks 19 to 21


def test_check_19_values():
    """Check 19: (m=1, s2=.25, T=2): ODE 3.68578, SDE 1.83853; (1.5, .25, 2): 44.3839, 266.601."""
    for m, ode, sde in ((1.0, 3.68578, 1.83853), (1.5, 44.3839, 266.601)):
        for kind, value in (("ode", ode), ("sde", sde)):
            found = bounds.amplification(kind, bimodal(m, 0.25), OU, 2.0)
            assert found.value == pytest.approx(value, rel=2e-6)
            assert found.certified and found.assumptions_met and found.method == "closed form"


@pytest.mark.parametrize("kind", ["ode", "sde"])
@pytest.mark.parametrize("m, s2, T", SIX)
def test_check_19_by_quadrature(kind, m, s2, T):
    """Check 19: against scipy's quadrature over t of the largest curvature found by scipy, rtol 1e-6."""
    target = bimodal(m, s2)
    expected = over_time(kind, top_curvature(target, OU), OU, T)
    assert bounds.amplification(kind, target, OU, T).value == pytest.approx(expected, rel=1e-6)


def test_check_19_theory_closed_form():
    """THEORY 3d's own form of Gamma on OU, s^2 = 1 included, and its limit s exp(m^2 / 2 s^2) at T -> infinity."""
    for m, s2, T in SIX:
        s2_T = 1 - (1 - s2) * math.exp(-2 * T)
        exponent = m**2 * (1 - math.exp(-2 * T)) if s2 == 1 else m**2 * (1 / s2 - 1 / s2_T) / (1 - s2)
        ode, sde = math.sqrt(s2 / s2_T) * math.exp(exponent / 2), math.exp(-T) * s2 / s2_T * math.exp(exponent)
        assert bounds.amplification("ode", bimodal(m, s2), OU, T).value == pytest.approx(ode, rel=1e-12)
        assert bounds.amplification("sde", bimodal(m, s2), OU, T).value == pytest.approx(sde, rel=1e-12)
    limit = bounds.amplification("ode", bimodal(1.0, 0.25), schedules.flow_matching()).value
    assert limit == pytest.approx(0.5 * math.exp(1 / 0.5), rel=1e-12)


@pytest.mark.parametrize("case, ratio, gamma", list(zip(SIX, MEASURED, BOUND)))
def test_check_20_measured_and_bounded(case, ratio, gamma):
    """Check 20: W2 at 0 over W2 at T, exact in one dimension: least <= ratio <= Gamma, with THEORY's values."""
    m, s2, T = case
    found, bound = bounds.carried_w2(bimodal(m, s2), OU, T), bounds.amplification("ode", bimodal(m, s2), OU, T)
    assert found.ratio == pytest.approx(ratio, abs=6e-4) and bound.value == pytest.approx(gamma, rel=6e-4)
    assert bound.least <= found.ratio <= bound.value
    assert found.at_T == pytest.approx(gap.prior_gap(bimodal(m, s2), OU, T).total.value, rel=1e-12)


def test_check_20_lower_bound():
    """Check 20: exp int l_t = s / s_T: .73232 at s2 = .5, .52749 at .25, T = 1."""
    for s2, value in ((0.5, 0.73232), (0.25, 0.52749)):
        assert bounds.amplification("ode", bimodal(1.0, s2), OU, 1.0).least == pytest.approx(value, abs=5e-6)
    assert bounds.amplification("sde", bimodal(1.0, 0.5), OU, 1.0).least == 0


def test_check_20_kl_identity():
    """Check 20: (m=1, s2=.25, T=1): KL_0 = KL_T = 3.057577e-4, the former through the integrated flow's Jacobian."""
    found = bounds.carried_kl(bimodal(1.0, 0.25), OU, 1.0)
    assert found.at_T == pytest.approx(3.057577e-4, rel=1e-6)
    assert found.at_0 == pytest.approx(found.at_T, rel=1e-6)


@settings(few, max_examples=5)
@given(seeds, st.sampled_from(sorted(set(SCHEDULES) - set(ZERO_SNR) - {"ve", "edm"})), st.floats(0.4, 0.9))
def test_kl_is_carried_under_every_schedule(seed, name, share):
    """Random one-dimensional mixtures: the flow keeps KL(p || q), rtol 1e-5."""
    schedule = SCHEDULES[name]()
    found = bounds.carried_kl(random_mixture(1, 2, seed), schedule, share * schedule.T, t=0.01 * schedule.T)
    assert found.at_0 == pytest.approx(found.at_T, rel=1e-5, abs=1e-10)


@settings(few, max_examples=5)
@given(seeds, st.floats(0.3, 2.0))
def test_carried_w2_by_scipy_quantiles_and_for_gaussians(seed, T):
    """The rank coupling with scipy's root finder on a coarse grid; one Gaussian: `gaussian_error`'s closed form."""
    law = random_mixture(1, 1, seed)
    exact = bounds.gaussian_error("ode", law, OU, T)
    found = bounds.carried_w2(law, OU, T)
    assert found.at_0 == pytest.approx(exact.w2_0, rel=1e-6, abs=1e-9) and found.at_T == pytest.approx(
        exact.w2_T, rel=1e-6, abs=1e-9
    )
    target = random_mixture(1, 2, seed)
    w, mu, S = parts(target)
    a, s = math.exp(-T), math.sqrt(-math.expm1(-2 * T))
    z = np.linspace(-6, 6, 301)
    ranks = (w * stats.norm.cdf((z[:, None] - a * mu[:, 0]) / np.sqrt(a**2 * S[:, 0, 0] + s**2))).sum(1)
    carried = np.array([scipy_quantile(target, min(max(u, 1e-15), 1 - 1e-15)) for u in ranks])
    true = np.array([scipy_quantile(target, stats.norm.cdf(v)) for v in z])
    expected = math.sqrt(np.trapezoid((true - carried) ** 2 * stats.norm.pdf(z), z))
    assert bounds.carried_w2(target, OU, T).at_0 == pytest.approx(expected, rel=0.02, abs=1e-6)


def test_check_21_log_concavity_time():
    """Check 21: t* = .2798079 (m=1, s2=.25), .5493061 (m=1.5): the curvature at 0 changes sign there, by autograd."""
    zero = torch.zeros(1, 1, dtype=f64)
    for m, expected in ((1.0, 0.2798079), (1.5, 0.5493061)):
        target = bimodal(m, 0.25)
        found = bounds.log_concavity_time(target, OU)
        assert found.value == pytest.approx(expected, abs=5e-8) and found.certified
        curvature = lambda t: float(hessian(marginal(target, OU, t), zero)[0, 0, 0])  # noqa: B023, E731
        assert brentq(curvature, 0.01, 2.0, xtol=1e-12) == pytest.approx(found.value, abs=1e-9)


@settings(few, max_examples=8)
@given(seeds, st.integers(1, 3), st.integers(1, 4), st.booleans(), st.floats(0.0, 2.0))
def test_check_21_weak_log_concavity_everywhere(seed, d, k, isotropic, t):
    """Check 21: -Hess log p_t >= (a_t - M_t) I at points between and around the modes, by autograd."""
    target = common(seed, d, k, isotropic)
    a_t, M_t = bounds.weak_log_concavity(target).at(OU, t)
    p = marginal(target, OU, t)
    means = p.means
    x = torch.cat([points_near(p, 10, seed), means, (means[:, None] + means[None]).reshape(-1, d) / 2])
    assert float(torch.linalg.eigvalsh(-hessian(p, x)).min()) >= a_t - M_t - 1e-8


def test_check_21_equality_at_the_middle():
    """Check 21: two isotropic components: equality at 0; constants a_t, M_t of THEORY 3d; (a, M) can be given instead of a law."""
    target = GaussianMixture([0.5, 0.5], [[0.6, 0.8], [-0.6, -0.8]], [0.25, 0.25])
    law = bounds.weak_log_concavity(target)
    assert (law.a, law.M) == pytest.approx((4.0, 16.0))
    for t in (0.0, 0.3, 1.0):
        a_t, M_t = law.at(OU, t)
        e = math.exp(-2 * t)
        assert (a_t, M_t) == pytest.approx((4 / (4 - 3 * e), 16 * e / (4 - 3 * e) ** 2), rel=1e-12)
        middle = torch.linalg.eigvalsh(-hessian(marginal(target, OU, t), torch.zeros(1, 2, dtype=f64)))
        assert float(middle.min()) == pytest.approx(a_t - M_t, rel=1e-9)
    assert bounds.log_concavity_time(law, OU).value == pytest.approx(0.5 * math.log(1 + (16 - 4) / 16), rel=1e-9)
    for kind in ("ode", "sde"):
        assert bounds.amplification(kind, law, OU, 1.0).value == pytest.approx(
            bounds.amplification(kind, target, OU, 1.0).value, rel=1e-12
        )


# ---- any schedule, any mixture


@settings(few, max_examples=6)
@given(seeds, st.sampled_from(["vp", "sub_vp", "edm", "ve", "ou"]), st.sampled_from(["ode", "sde"]), st.floats(0.2, 0.9))
def test_every_schedule_by_quadrature_over_its_own_time(seed, name, kind, share):
    """One formula in sigma/alpha covers VP, sub-VP and VE: scipy integrates -f + c g^2 lambda_max over t."""
    r, schedule = np.random.default_rng(seed), SCHEDULES[name]()
    m, s2, t = r.uniform(0.2, 1.2), r.uniform(0.3, 1.5), 0.02 * schedule.T
    T = max(share * schedule.T, 2 * t) if name != "edm" else share * 5

    def curvature(u):
        a, s = float(schedule.alpha(u)), float(schedule.sigma(u))
        n = a**2 * s2 + s**2
        return -1 / n + a**2 * m**2 / n**2

    expected = over_time(kind, curvature, schedule, T, t)
    assert bounds.amplification(kind, bimodal(m, s2), schedule, T, t=t).value == pytest.approx(expected, rel=1e-6)


@few
@given(seeds, st.integers(1, 4), st.floats(0.2, 3.0))
def test_gaussians_in_closed_form(seed, d, T):
    """One Gaussian: Gamma_ode = sqrt(lam / lam_T) and Gamma_sde = e^{-T} lam / lam_T at the largest eigenvalue; exact errors stay below."""
    target = random_mixture(d, 1, seed)
    lam = np.linalg.eigvalsh(parts(target)[2][0])
    lam_T = 1 + (lam - 1) * math.exp(-2 * T)
    ode, sde = (bounds.amplification(kind, target, OU, T) for kind in ("ode", "sde"))
    assert ode.value == pytest.approx(np.sqrt(lam / lam_T).max(), rel=1e-9) and ode.least == pytest.approx(
        np.sqrt(lam / lam_T).min(), rel=1e-9
    )
    assert sde.value == pytest.approx(math.exp(-T) * (lam / lam_T).max(), rel=1e-9)
    for found in (ode, sde):
        error = bounds.gaussian_error(found.kind, target, OU, T)
        assert found.least * error.w2_T <= error.w2_0 * (1 + 1e-9) <= found.value * error.w2_T * (1 + 2e-9)


@settings(few, max_examples=4)
@given(seeds, st.integers(1, 3), st.integers(2, 4), st.booleans())
def test_the_search_stays_below_the_proof(seed, d, k, isotropic):
    """Components of one covariance: lower estimate <= certified bound; they meet for two isotropic components; rotation changes neither."""
    target = common(seed, d, k, isotropic)
    found = bounds.amplification("ode", target, OU, 1.0, estimate=True)
    assert found.lower <= found.value * (1 + 1e-6) and found.certified and found.assumptions_met
    assert (found.method == "closed form") == (k == 2 and (isotropic or d == 1))
    w, mu, S = parts(target)
    R = random_rotation(d, seed)
    assert bounds.amplification("ode", GaussianMixture(w, mu @ R.T, R @ S @ R.T), OU, 1.0).value == pytest.approx(
        found.value, rel=1e-7
    )


@pytest.mark.parametrize("kind", ["ode", "sde"])
def test_the_search_against_scipy(kind):
    """Two components of unlike width in one dimension: no proof, so a labelled lower estimate; scipy's quadrature agrees to 1e-4."""
    target = GaussianMixture([0.4, 0.6], [[1.0], [-0.7]], [0.15, 0.4])
    found = bounds.amplification(kind, target, OU, 1.5)
    assert (found.certified, found.assumptions_met, found.method, found.upper) == (False, False, "lower estimate", math.inf)
    assert found.value == pytest.approx(over_time(kind, top_curvature(target, OU), OU, 1.5), rel=1e-4)
    ratio = bounds.carried_w2(target, OU, 1.5).ratio
    assert found.least <= ratio and (kind == "sde" or ratio <= found.value)


@few
@given(seeds, st.integers(1, 3), st.floats(0.1, 3.0))
def test_curvature_is_the_hessian(seed, d, tau):
    """The search's best value is the top eigenvalue of an autograd Hessian at its point, and no random point beats it."""
    target = random_mixture(d, 2, seed, isotropic=True)
    found, p = bounds.largest_curvature(target, tau), target.diffuse(1.0, tau)
    at = torch.linalg.eigvalsh(hessian(p, torch.as_tensor(found.x)[None]))[0, -1]
    assert found.value == pytest.approx(float(at), rel=1e-7, abs=1e-9)
    others = torch.linalg.eigvalsh(hessian(p, points_near(p, 20, seed)))[:, -1]
    assert found.value >= float(others.max()) - 1e-6


def test_unlike_covariances_have_no_lipschitz_constant():
    """diag(1, .2) and diag(.2, 1) tie on the diagonal: curvature there grows like the square of the distance; Gamma is infinite."""
    target = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [0.0, 0.0]], np.stack([np.diag([1.0, 0.2]), np.diag([0.2, 1.0])]))
    x = torch.tensor([[10.0, 10.0], [20.0, 20.0], [40.0, 40.0]], dtype=f64)
    top = torch.linalg.eigvalsh(hessian(marginal(target, OU, 0.5), x))[:, -1]
    assert float((top[2] - top[1]) / (top[1] - top[0])) == pytest.approx(4, rel=1e-6)  # c R^2 - constant
    for law in (target, triangle()):
        found = bounds.amplification("ode", law, OU, 1.0)
        assert found.value == math.inf and not found.assumptions_met and found.method == "unbounded" and found.lower < math.inf
        assert bounds.log_concavity_time(law, OU).value == math.inf
    nested = GaussianMixture([0.5, 0.5], [[1.0, 0.0], [0.0, 0.0]], np.stack([np.diag([1.0, 1.0]), np.diag([0.2, 0.5])]))
    assert bounds.amplification("ode", nested, OU, 1.0).method == "lower estimate"


def test_points_need_noise():
    """Two points: infinite amplification down to t = 0, finite and exact from sigma > 0 on; a single point has none."""
    two = Empirical([[1.0, 0.0], [-1.0, 0.0]])
    assert (
        bounds.amplification("ode", two, OU, 1.0).value == math.inf
        and not bounds.amplification("ode", two, OU, 1.0).assumptions_met
    )
    noised = bounds.amplification("ode", two, OU, 1.0, t=0.1).value
    start = marginal(two, OU, 0.1)
    assert noised == pytest.approx(bounds.amplification("ode", start, schedules.ou(0.9), 0.9).value, rel=1e-9)
    assert bounds.amplification("ode", Empirical([[1.0, 2.0]]), OU, 1.0).value == 0
    assert bounds.log_concavity_time(two, OU).value == pytest.approx(0.5 * math.log(2), rel=1e-9)


@settings(few, max_examples=4)
@given(seeds, st.integers(1, 3), st.integers(1, 4))
def test_log_concavity_time_is_bracketed(seed, d, k):
    """lower <= upper; just after upper no sampled point is convex; just before lower one is."""
    target = common(seed, d, k, False)
    found = bounds.log_concavity_time(target, OU)
    assert found.lower <= found.upper + 1e-6
    p = marginal(target, OU, min(found.upper + 1e-3, 6.0))
    assert float(torch.linalg.eigvalsh(hessian(p, points_near(p, 20, seed)))[:, -1].max()) <= 1e-9
    if 0.01 < found.lower < math.inf:
        tau = math.sqrt(math.expm1(2 * (found.lower - 1e-3)))
        assert bounds.largest_curvature(target, tau).value > 0


def test_log_concavity_time_in_other_clocks():
    """The same sigma/alpha under VP, discrete and VE schedules; infinite where T comes first, 0 for log-concave data."""
    tau2 = math.expm1(2 * bounds.log_concavity_time(bimodal(1.0, 0.25), OU).value)
    for schedule in (schedules.vp(), schedules.ddpm_linear(), schedules.edm()):
        t = bounds.log_concavity_time(bimodal(1.0, 0.25), schedule).value
        assert 1 / float(schedule.snr(t)) == pytest.approx(tau2, rel=1e-9)
    assert bounds.log_concavity_time(bimodal(1.0, 0.25), schedules.ou(0.1)).value == math.inf
    assert bounds.log_concavity_time(bimodal(0.4, 0.25), OU).value == 0
    assert bounds.log_concavity_time(bimodal(1.0, 0.25), schedules.ve(2.0, 50.0)).value == 0


# ---- DDIM on Gaussian data


@few
@given(seeds, st.integers(1, 3), st.integers(1, 12), st.sampled_from(["vp", "edm", "ddpm_linear", "flow_matching", "ou"]))
def test_ddim_product_is_the_sampler(seed, d, steps, name):
    """Two starts through the sampler's DDIM: mean and gains are those of the product of cosines."""
    schedule, target = SCHEDULES[name](), random_mixture(d, 1, seed)
    T = 0.8 * schedule.T
    times = samplers.time_grid(schedule, steps, T, 0.0, "time")
    x = torch.cat([torch.zeros(1, d, dtype=f64), torch.eye(d, dtype=f64)]) * float(schedule.reference_std(T))
    out = samplers.sample(ExactDenoiser(target, schedule), schedule, x, steps=steps, t_start=T, method="ddim", spacing="time")
    mean, A = out[0].numpy(), (out[1:] - out[0]).numpy()  # A = gain * s, a symmetric matrix
    _, (m,), (S,) = parts(target)
    found = bounds.gaussian_error("ddim", target, schedule, T, times=times)
    assert found.w2_0 == pytest.approx(normal_w2(m, S, mean, A @ A.T + 1e-18 * np.eye(d)), rel=1e-5, abs=1e-6)
    assert found.w2_0 == pytest.approx(bounds.gaussian_error("ddim", target, schedule, T, steps=steps).w2_0, rel=1e-9)


def test_ddim_is_the_product_of_cosines():
    """Standard deviation relative to the flow: prod cos(dphi), phi = atan2(sigma, alpha sqrt(lam)), to 1e-10; fine grids meet the ODE."""
    target, T = gaussian((4.0, 0.25)), 1.5
    times = torch.tensor([1.5, 1.0, 0.4, 0.1, 0.0], dtype=f64)
    expected = 0.0
    for lam in (4.0, 0.25):
        phi = [math.atan2(float(OU.sigma(t)), float(OU.alpha(t)) * math.sqrt(lam)) for t in times]
        lam_T = 1 + (lam - 1) * math.exp(-2 * T)
        std = math.sqrt(lam / lam_T) * math.prod(math.cos(b - a) for a, b in zip(phi, phi[1:]))
        expected += (math.sqrt(lam) - std) ** 2
    assert bounds.gaussian_error("ddim", target, OU, T, times=times).w2_0 == pytest.approx(math.sqrt(expected), rel=1e-10)
    fine, flow = bounds.gaussian_error("ddim", target, OU, T, steps=20_000), bounds.gaussian_error("ode", target, OU, T)
    assert fine.w2_0 == pytest.approx(flow.w2_0, rel=1e-2) and fine.w2_T == flow.w2_T


@pytest.mark.parametrize("argument, call", [
    ("kind", lambda: bounds.amplification("pde", triangle(), OU, 1.0)),
    ("T", lambda: bounds.amplification("ode", triangle(), OU, 0.0)),
    ("T", lambda: bounds.amplification("ode", triangle(), OU, -1.0)),
    ("T", lambda: bounds.amplification("ode", triangle(), OU, float("nan"))),
    ("T", lambda: bounds.amplification("ode", triangle(), OU, 7.0)),
    ("t", lambda: bounds.amplification("ode", triangle(), OU, 1.0, t=1.0)),
    ("target", lambda: bounds.weak_log_concavity(triangle())),
    ("target", lambda: bounds.weak_log_concavity(Empirical([[1.0]]))),
    ("a", lambda: bounds.WeakLogConcavity(0.0, 1.0)),
    ("M", lambda: bounds.WeakLogConcavity(1.0, -1.0)),
    ("a", lambda: bounds.WeakLogConcavity(float("nan"), 1.0)),
    ("target", lambda: bounds.carried_w2(triangle(), OU, 1.0)),
    ("target", lambda: bounds.carried_kl(Empirical([[1.0]]), OU, 1.0)),
    ("T", lambda: bounds.carried_w2(bimodal(), OU, 0.0)),
    ("steps, times", lambda: bounds.gaussian_error("ddim", gaussian(), OU, 1.0)),
    ("steps, times", lambda: bounds.gaussian_error("ode", gaussian(), OU, 1.0, steps=3)),
    ("steps", lambda: bounds.gaussian_error("ddim", gaussian(), OU, 1.0, steps=0)),
    ("times", lambda: bounds.gaussian_error("ddim", gaussian(), OU, 1.0, times=[0.0, 1.0])),
    ("times", lambda: bounds.gaussian_error("ddim", gaussian(), OU, 1.0, times=[0.5, 0.0])),
    ("covariances", lambda: bounds.amplification("ode", GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]]), OU, 1.0)),
])  # fmt: skip
def test_amplification_refuses(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()
