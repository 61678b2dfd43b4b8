"""The error budget: every term against a closed form, and the total above the error that is measured."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from zoo import bimodal, f64, few, gaussian, normal_kl, rng, seeds, triangle

from otprior_lite import bounds, gap, schedules
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser
from otprior_lite.targets import Empirical, GaussianMixture, normal_to

OU = schedules.ou(2.0)


def shifted(target, schedule, c):
    """A denoiser whose score is off by the constant vector c at every time: D + (sigma^2 / alpha) c."""
    exact = ExactDenoiser(target, schedule)
    c = torch.as_tensor(c, dtype=f64)
    return lambda x, t: exact(x, t) + float(schedule.sigma(t)) ** 2 / float(schedule.alpha(t)) * c


def test_girsanov_score_term_is_exact_for_a_constant_error():
    """score off by c: 1/2 int g^2 |c|^2 dt = |c|^2 (T - t_end) on OU, whatever the target; no sampling error at all."""
    found = bounds.girsanov_budget(shifted(triangle(), OU, [0.3, -0.1]), triangle(), OU, 1.5, t_end=0.1, n=50)
    assert found.score.value == pytest.approx(0.1 * 1.4, rel=1e-9) and found.discretisation.value == 0
    assert found.total == pytest.approx(found.prior + found.score.value, rel=1e-9) and found.assumptions_met
    assert found.prior == pytest.approx(gap.kl(triangle(), OU, 1.5).value, rel=1e-9)


@settings(few, max_examples=5)
@given(seeds, st.floats(0.3, 2.0))
def test_girsanov_bounds_the_kl_of_a_gaussian(seed, c):
    """Gaussian data, score off by c (1 dimension): the SDE's output is a Gaussian by moment equations; its KL is below the total."""
    variance = float(np.random.default_rng(seed).uniform(0.2, 2.0))
    target, T, end = gaussian((variance,)), 1.0, 0.05
    lam = lambda t: 1 + (variance - 1) * math.exp(-2 * t)

    def backwards(u, state):  # dy = y + 2 (score + c), noise 2
        A = 1 - 2 / lam(T - u)
        return [A * state[0] + 2 * c, 2 * A * state[1] + 2]

    mean, var = integrate.solve_ivp(backwards, (0, T - end), [0.0, 1.0], rtol=1e-10, atol=1e-12).y[:, -1]
    measured = normal_kl(np.zeros(1), np.array([[lam(end)]]), np.array([mean]), np.array([[var]]))
    found = bounds.girsanov_budget(shifted(target, OU, [c]), target, OU, T, t_end=end, n=50)
    assert measured <= found.total + 1e-9 and found.total < 20 * measured
    assert found.score.value == pytest.approx(c**2 * (T - end), rel=1e-9)


def test_girsanov_discretisation_of_a_gaussian():
    """N(0, v): E|score_t(x_t) - score_k(x_k)|^2 = 1/lam_t + 1/lam_k - 2 e^{-(t_k - t)} / lam_k, in closed form; halving steps shrinks it."""
    target, times = gaussian((0.3,)), torch.tensor([1.0, 0.7, 0.4, 0.2], dtype=f64)
    lam = lambda t: 1 - 0.7 * math.exp(-2 * t)
    expected = sum(
        integrate.quad(lambda t: 1 / lam(t) + 1 / lam(k) - 2 * math.exp(t - k) / lam(k), low, k)[0]
        for k, low in zip(times[:-1].tolist(), times[1:].tolist())
    )
    found = bounds.girsanov_budget(ExactDenoiser(target, OU), target, OU, 1.0, times=times, n=20_000, generator=rng(1))
    assert (
        abs(found.discretisation.value - expected) < 5 * found.discretisation.error
        and found.discretisation.error < 0.02 * expected
    )
    assert found.score.value < 1e-20 and found.total == pytest.approx(found.prior + found.discretisation.value)
    coarse, fine = (
        bounds.girsanov_budget(ExactDenoiser(target, OU), target, OU, 1.0, t_end=0.1, steps=k, n=500).discretisation.value
        for k in (5, 20)
    )
    assert fine < 0.4 * coarse


def test_girsanov_with_a_frozen_denoised_point():
    """N(0, v): D = gain_t x; 1/2 int g^2 (alpha/sigma^2)^2 E|D_t(x_t) - D_k(x_k)|^2 in closed form, and a constant error of D adds its own."""
    v, times, c = 0.3, torch.tensor([1.0, 0.7, 0.4, 0.2], dtype=f64), 0.05
    target, lam = gaussian((v,)), lambda t: 1 - 0.7 * math.exp(-2 * t)
    gain = lambda t: math.exp(-t) * v / lam(t)
    weight = lambda t: (math.exp(-t) / (1 - math.exp(-2 * t))) ** 2
    moved = lambda t, k: gain(t) ** 2 * lam(t) + gain(k) ** 2 * lam(k) - 2 * gain(t) * gain(k) * math.exp(t - k) * lam(t)
    pairs = list(zip(times[:-1].tolist(), times[1:].tolist()))
    step = sum(integrate.quad(lambda t: weight(t) * moved(t, k), low, k)[0] for k, low in pairs)
    score = c**2 * integrate.quad(weight, 0.2, 1.0)[0]
    exact = ExactDenoiser(target, OU)
    found = bounds.girsanov_budget(
        lambda x, t: exact(x, t) + c, target, OU, 1.0, times=times, freeze="denoiser", n=20_000, generator=rng(1)
    )
    assert abs(found.discretisation.value - step) < 5 * found.discretisation.error < 0.1 * step
    assert found.score.value == pytest.approx(score, rel=1e-3)  # three Gauss points a step


@pytest.mark.parametrize("steps", [3, 30])
@pytest.mark.parametrize("error", [0.0, 0.2])
def test_gronwall_bounds_the_w2_of_ddim(steps, error):
    """Bimodal data in one dimension: W2 of 4000 DDIM outputs, by sorted quantiles, stays below prior + score + discretisation."""
    target = bimodal(1.0, 0.25)
    denoiser = shifted(target, OU, [error])
    found = bounds.gronwall_budget(denoiser, target, OU, 2.0, steps=steps, n=2000)
    times = OU.T * np.linspace(1, 0, steps + 1) ** 2
    z = torch.linspace(0.5 / 4000, 1 - 0.5 / 4000, 4000, dtype=f64)
    x = torch.special.ndtri(z)[:, None]
    for high, low in zip(times[:-1], times[1:]):
        (a, s), (b, r) = ((float(OU.alpha(t)), float(OU.sigma(t))) for t in (high, low))
        x0 = denoiser(x, high)
        x = b * x0 + r / s * (x - a * x0)
    measured = float((x[:, 0].sort().values - normal_to(target, torch.special.ndtri(z))).square().mean().sqrt())
    assert measured <= found.total and found.assumptions_met
    assert found.prior == pytest.approx(
        bounds.amplification("ode", target, OU).value * gap.prior_gap(target, OU).total.value, rel=1e-9
    )
    assert (found.score.value == 0) == (error == 0)


@settings(few, max_examples=5)
@given(seeds, st.integers(1, 6))
def test_gronwall_is_exact_for_one_step_on_a_gaussian(seed, d):
    """One DDIM step from exact draws of p_T: the discretisation is the closed form of `gaussian_error("ddim")`, sampled."""
    spectrum = np.random.default_rng(seed).uniform(0.1, 3.0, d)
    target = gaussian(spectrum)
    x = target.diffuse(math.exp(-2), math.sqrt(-math.expm1(-4))).sample(4000, rng(seed))
    found = bounds.gronwall_budget(ExactDenoiser(target, OU), target, OU, 2.0, steps=1, start=x, prior_w2=0.0)
    lam_T = 1 + (spectrum - 1) * math.exp(-4)
    gain_ddim, gain_flow = math.exp(-2) * spectrum / lam_T, np.sqrt(spectrum / lam_T)
    exact = math.sqrt(np.sum((gain_ddim - gain_flow) ** 2 * lam_T))
    assert abs(found.discretisation.value - exact) < 5 * found.discretisation.error + 1e-9
    assert found.prior == 0 and found.score.value < 1e-12


def test_gronwall_scales_the_map_term_and_shrinks_with_steps():
    """map_w2 enters times Gamma; discretisation falls with the number of steps, roughly like 1/K."""
    target = bimodal(1.0, 0.25)
    values = {k: bounds.gronwall_budget(ExactDenoiser(target, OU), target, OU, steps=k, map_w2=0.1, n=200) for k in (10, 40)}
    assert values[10].map == pytest.approx(0.1 * bounds.amplification("ode", target, OU).value)
    assert 0.15 < values[40].discretisation.value / values[10].discretisation.value < 0.4


def test_budgets_without_a_proof_say_so():
    """Unlike widths: Gamma is only estimated, so assumptions_met is False; with a ridge the bound is infinite."""
    unlike = GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [0.1, 0.4])
    found = bounds.gronwall_budget(ExactDenoiser(unlike, OU), unlike, OU, steps=2, n=20)
    assert not found.assumptions_met and any("not so" in a for a in found.assumptions)
    ridge = bounds.gronwall_budget(ExactDenoiser(triangle(), OU), triangle(), OU, steps=2, n=20)
    assert ridge.total == math.inf and not ridge.assumptions_met


POINTS = Empirical([[1.0], [-1.0]])


@pytest.mark.parametrize("argument, call", [
    ("T", lambda: bounds.girsanov_budget(None, bimodal(), OU, 0.0)),
    ("T", lambda: bounds.girsanov_budget(None, bimodal(), schedules.flow_matching())),
    ("t_end", lambda: bounds.girsanov_budget(None, bimodal(), OU, 1.0, t_end=1.0)),
    ("t_end", lambda: bounds.girsanov_budget(None, POINTS, OU, 1.0)),
    ("times", lambda: bounds.girsanov_budget(None, bimodal(), OU, 1.0, times=[0.1, 1.0])),
    ("n", lambda: bounds.girsanov_budget(None, bimodal(), OU, 1.0, n=1)),
    ("freeze", lambda: bounds.girsanov_budget(None, bimodal(), OU, 1.0, steps=2, freeze="time")),
    ("prior_kl", lambda: bounds.girsanov_budget(ExactDenoiser(bimodal(), OU), bimodal(), OU, 1.0, n=2, prior_kl=-1.0)),
    ("steps, times", lambda: bounds.gronwall_budget(None, bimodal(), OU, 1.0)),
    ("steps", lambda: bounds.gronwall_budget(None, bimodal(), OU, 1.0, steps=0)),
    ("t_end", lambda: bounds.gronwall_budget(None, POINTS, OU, 1.0, steps=2)),
    ("prior_w2", lambda: bounds.gronwall_budget(None, bimodal(), OU, 1.0, steps=2, start=torch.zeros(3, 1))),
    ("map_w2", lambda: bounds.gronwall_budget(None, bimodal(), OU, 1.0, steps=2, map_w2=-1.0)),
])  # fmt: skip
def test_budgets_refuse(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_learned_denoisers_go_through():
    """A denoiser of training points, judged against the law they came from: all terms positive, the score's the largest at late steps."""
    target = bimodal(1.0, 0.25)
    learned = EmpiricalDenoiser(target.sample(50, rng(3)), OU)
    w2 = bounds.gronwall_budget(learned, target, OU, t_end=0.05, steps=20, n=200)
    kl = bounds.girsanov_budget(learned, target, OU, t_end=0.05, steps=20, n=200)
    assert w2.score.value > w2.prior > 0 and kl.score.value > kl.prior > 0
