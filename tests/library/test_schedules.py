"""Schedules against their published closed forms, autograd, differences and each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo import CONTINUOUS, DISCRETE, DTYPES, SCHEDULES, ZERO_SNR, f64, few, inner_times

from otprior_lite import schedules

PRESERVING = [n for n in SCHEDULES if n not in ("sub_vp", "ve", "edm", "flow_matching")]
every = pytest.mark.parametrize("name", SCHEDULES)


# ---- values


def test_check_1_terminal_values():
    """Check 1: alpha_T and SNR_T of the published schedules, rtol 1e-6."""
    values = {
        "ddpm_linear": (6.352818e-3, 4.035993e-5),
        "scaled_linear": (6.826491e-2, 4.681917e-3),
        "cosine": (4.928252e-5, 2.428767e-9),
        "vp": (6.571586e-3, 4.318761e-5),
        "sub_vp": (6.571586e-3, 4.318948e-5),
    }
    for name, (alpha, snr) in values.items():
        schedule = SCHEDULES[name]()
        assert float(schedule.alpha(schedule.T)) == pytest.approx(alpha, rel=1e-6)
        assert float(schedule.snr(schedule.T)) == pytest.approx(snr, rel=1e-6)
    assert float(schedules.vp().alpha(1.0)) == pytest.approx(math.exp(-10.05 / 2), rel=1e-12)
    assert float(schedules.sub_vp().sigma(1.0)) == pytest.approx(0.9999568, abs=5e-8)
    assert float(schedules.scaled_linear().sigma(1000)) == pytest.approx(0.99766723, rel=1e-8)


@pytest.mark.parametrize("t, alpha, sigma", [(50, 0.98540, 0.17025), (100, 0.94711, 0.32091), (500, 0.28033, 0.95990)])
def test_mid_values_of_ddpm_linear(t, alpha, sigma):
    """THEORY 3a: what 50, 100, 500 of 1000 steps mean."""
    schedule = schedules.ddpm_linear()
    assert float(schedule.alpha(t)) == pytest.approx(alpha, abs=6e-6)
    assert float(schedule.sigma(t)) == pytest.approx(sigma, abs=6e-6)


CLOSED_FORMS = {
    "ou": lambda t: (np.exp(-t), np.sqrt(1 - np.exp(-2 * t))),
    "vp": lambda t: (np.exp(-(0.1 * t + 9.95 * t**2) / 2), np.sqrt(1 - np.exp(-(0.1 * t + 9.95 * t**2)))),
    "sub_vp": lambda t: (np.exp(-(0.1 * t + 9.95 * t**2) / 2), 1 - np.exp(-(0.1 * t + 9.95 * t**2))),
    "ve": lambda t: (np.ones_like(t), 0.01 * 5000**t),
    "edm": lambda t: (np.ones_like(t), t),
    "flow_matching": lambda t: (1 - t, t),
    "trigonometric": lambda t: (np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)),
    "zero_ou": lambda t: ((np.exp(-t) - np.exp(-1.5)) / (1 - np.exp(-1.5)),),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name):
    """alpha and sigma as printed in the papers; SNR and log-SNR follow."""
    schedule = CONTINUOUS[name]()
    t = inner_times(schedule)
    alpha, *rest = CLOSED_FORMS[name](t.numpy())
    sigma = rest[0] if rest else np.sqrt(1 - alpha**2)
    np.testing.assert_allclose(schedule.alpha(t), alpha, rtol=1e-11)
    np.testing.assert_allclose(schedule.sigma(t), sigma, rtol=1e-11)
    np.testing.assert_allclose(schedule.snr(t), (alpha / sigma) ** 2, rtol=1e-10)
    np.testing.assert_allclose(schedule.log_snr(t), np.log(alpha**2 / sigma**2), rtol=1e-10, atol=1e-10)


def published_alphas_bar(name, n):
    """Cumulative products from the papers' own betas, in numpy."""
    if name == "cosine":
        f = lambda k: np.cos((k / n + 0.008) / 1.008 * np.pi / 2) ** 2
        betas = np.minimum(1 - f(np.arange(1, n + 1)) / f(np.arange(n)), 0.999)
    elif name == "scaled_linear":
        betas = np.linspace(0.00085**0.5, 0.012**0.5, n) ** 2
    else:
        betas = np.linspace(1e-4, 0.02, n)
    return betas, np.cumprod(1 - betas)


@pytest.mark.parametrize("n", [2, 50, 1000])
@pytest.mark.parametrize("name", ["ddpm_linear", "scaled_linear", "cosine"])
def test_discrete_schedules_meet_their_betas_at_integer_steps(name, n):
    schedule = DISCRETE[name](n)
    betas, alphas_bar = published_alphas_bar(name, n)
    steps = torch.arange(1, n + 1)
    assert schedule.T == n and len(schedule.betas) == n
    np.testing.assert_allclose(schedule.betas, betas, rtol=1e-9)
    np.testing.assert_allclose(schedule.alpha(steps) ** 2, alphas_bar, rtol=1e-10)
    np.testing.assert_allclose(schedule.sigma(steps) ** 2, 1 - alphas_bar, rtol=1e-10)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_schedules_are_linear_in_log_snr_between_steps(name):
    schedule = DISCRETE[name]()
    k = torch.tensor([1, 7, 400, 997], dtype=f64)
    ends = schedule.log_snr(k), schedule.log_snr(k + 1)
    np.testing.assert_allclose(schedule.log_snr(k + 0.25), 0.75 * ends[0] + 0.25 * ends[1], rtol=1e-10)


# ---- the channel and its SDE


@every
def test_ends_and_order(name):
    """alpha(0) = 1, noise starts at 0 (ve: sigma_min), SNR falls; the prior is N(0, sigma_T^2 I) or N(0, I)."""
    schedule = SCHEDULES[name]()
    assert float(schedule.alpha(0.0)) == pytest.approx(1, abs=1e-12)
    assert float(schedule.sigma(0.0)) == pytest.approx(0.01 if name == "ve" else 0, abs=1e-12)
    assert bool((schedule.log_snr(torch.linspace(0.001, 1, 301, dtype=f64) * schedule.T).diff() < 0).all())
    assert schedule.prior_std == {"ve": 50.0, "edm": 80.0}.get(name, 1.0)
    assert (float(schedule.snr(schedule.T)) == 0) == (name in ZERO_SNR)


@pytest.mark.parametrize("name", PRESERVING)
def test_variance_is_preserved(name):
    schedule = SCHEDULES[name]()
    t = torch.linspace(0, schedule.T, 97, dtype=f64)
    np.testing.assert_allclose(schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2, 1, rtol=1e-12)


def slope(f, t, h):
    """Sixth-order central difference."""
    d = lambda k: f(t + k * h) - f(t - k * h)
    return (45 * d(1) - 9 * d(2) + d(3)) / (60 * h)


@every
def test_check_2_log_snr_identity(name):
    """Check 2: lambda'(t) = -g^2 / sigma^2, by differences, rtol 1e-6, away from the kinks of a discrete schedule."""
    schedule = SCHEDULES[name]()
    t = inner_times(schedule)
    derivative = slope(schedule.log_snr, t, 1e-3 * schedule.T if schedule.betas is None else 0.1)
    np.testing.assert_allclose(derivative, -schedule.diffusion_squared(t) / schedule.sigma(t) ** 2, rtol=1e-6)


def test_check_2_value():
    """Check 2: lambda' of VP at t = .37 is -9.9084623."""
    schedule = schedules.vp()
    assert float(-schedule.diffusion_squared(0.37) / schedule.sigma(0.37) ** 2) == pytest.approx(-9.9084623, abs=5e-8)


@every
def test_derivatives(name):
    """alpha', sigma', f = alpha'/alpha and g^2 = (sigma^2)' - 2 f sigma^2, by differences of alpha and sigma."""
    schedule = SCHEDULES[name]()
    t = inner_times(schedule)
    h = 1e-3 * schedule.T if schedule.betas is None else 0.1
    alpha_dot, variance_dot = slope(schedule.alpha, t, h), slope(lambda u: schedule.sigma(u) ** 2, t, h)
    scale = 1 / schedule.T
    np.testing.assert_allclose(schedule.alpha_dot(t), alpha_dot, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_allclose(schedule.sigma_dot(t), slope(schedule.sigma, t, h), rtol=1e-6, atol=1e-9 * scale)
    f = alpha_dot / schedule.alpha(t)
    np.testing.assert_allclose(schedule.drift(t), f, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_allclose(schedule.diffusion_squared(t), variance_dot - 2 * f * schedule.sigma(t) ** 2, rtol=1e-6)


@pytest.mark.parametrize("name", DISCRETE)
def test_derivatives_before_the_first_step(name):
    """On (0, 1) sigma^2 = t beta_1: the derivatives belong to that line, and the law joins step 1 continuously."""
    schedule = DISCRETE[name]()
    t = torch.tensor([0.3, 0.7], dtype=f64)
    np.testing.assert_allclose(schedule.sigma(t) ** 2, t * schedule.betas[0], rtol=1e-9)
    np.testing.assert_allclose(schedule.alpha_dot(t), slope(schedule.alpha, t, 0.05), rtol=1e-6)
    np.testing.assert_allclose(schedule.sigma(1 - 1e-12), schedule.sigma(1), rtol=1e-9)


def test_known_diffusion_coefficients():
    """ou: f = -1, g^2 = 2. vp: f = -beta/2, g^2 = beta. sub-vp: g^2 = beta (1 - e^{-2B}). edm: g^2 = 2 t."""
    t = torch.tensor([0.2, 0.9], dtype=f64)
    beta, B = 0.1 + 19.9 * t, 0.1 * t + 9.95 * t**2
    for schedule, f, g2 in (
        (schedules.ou(), -torch.ones(2), 2 * torch.ones(2)),
        (schedules.vp(), -beta / 2, beta),
        (schedules.sub_vp(), -beta / 2, beta * (1 - torch.exp(-2 * B))),
        (schedules.edm(), torch.zeros(2), 2 * t),
    ):
        np.testing.assert_allclose(schedule.drift(t), f, rtol=1e-10)
        np.testing.assert_allclose(schedule.diffusion_squared(t), g2, rtol=1e-9)


@every
@few
@given(share=st.floats(0.01, 0.99))
def test_t_of_log_snr_is_the_inverse(name, share):
    schedule = SCHEDULES[name]()
    t = share * schedule.T
    assert float(schedule.t_of_log_snr(schedule.log_snr(t))) == pytest.approx(t, rel=1e-8)


@pytest.mark.parametrize("name, t_of", [
    ("ou", lambda lam: 0.5 * math.log1p(math.exp(-lam))), ("edm", lambda lam: math.exp(-lam / 2)),
    ("flow_matching", lambda lam: 1 / (1 + math.exp(lam / 2))),
    ("trigonometric", lambda lam: 2 / math.pi * math.atan(math.exp(-lam / 2))),
])  # fmt: skip
def test_t_of_log_snr_closed_forms(name, t_of):
    lam = torch.tensor([-3.0, 0.0, 4.0], dtype=f64)
    np.testing.assert_allclose(SCHEDULES[name]().t_of_log_snr(lam), [t_of(float(v)) for v in lam], rtol=1e-10)


# ---- zero terminal SNR


def test_check_3_rescaled_schedule():
    """Check 3: s_T = 0 exactly, s_0 unchanged, monotone; SD s_{T-1} = 4.43609e-4, abar_499 = .2423592; twice = once."""
    old, new = schedules.scaled_linear(), DISCRETE["zero_scaled_linear"]()
    assert float(new.alpha(1000)) == 0 and float(new.snr(1000)) == 0 and float(new.betas[-1]) == 1
    assert float(new.alpha(1)) == pytest.approx(float(old.alpha(1)), rel=1e-12)
    assert bool((new.alpha(torch.arange(1, 1001)).diff() < 0).all())
    assert float(new.alpha(999)) == pytest.approx(4.43609e-4, rel=2e-6)
    assert float(old.alpha(500) ** 2) == pytest.approx(0.27767, abs=5e-6)
    assert float(new.alpha(500) ** 2) == pytest.approx(0.2423592, abs=5e-8)  # abar_499 counts from zero
    twice = schedules.zero_terminal_snr(new)
    t = torch.linspace(0, 1000, 77, dtype=f64)
    np.testing.assert_array_equal(twice.alpha(t), new.alpha(t))


@pytest.mark.parametrize("name", ["ddpm_linear", "scaled_linear", "cosine"])
def test_check_3_is_algorithm_1(name):
    """Check 3: every step of the rescaled discrete schedule is Lin et al.'s algorithm 1 in numpy."""
    s = np.sqrt(published_alphas_bar(name, 200)[1])
    expected = (s - s[-1]) * s[0] / (s[0] - s[-1])
    new = schedules.zero_terminal_snr(DISCRETE[name](200))
    np.testing.assert_allclose(new.alpha(torch.arange(1, 201)), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("T", [0.3, 1.5, 6.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_check_3_continuous(T, dtype):
    """Check 3 in continuous time: alpha(T) = 0 exactly, alpha(0) = 1; in float32 to rounding, never below 0 or NaN."""
    new = schedules.zero_terminal_snr(schedules.ou(T))
    t = torch.linspace(0, T, 50, dtype=dtype)
    alpha, end = new.alpha(t), new.alpha(t[-1])
    assert 0 <= float(end) <= (0 if dtype == f64 else 1e-6) and float(alpha[0]) == pytest.approx(1, abs=1e-6)
    assert bool((alpha.diff() < 0).all()) and not bool(new.log_snr(t).isnan().any())
    assert float(new.log_snr(T)) == -math.inf


def test_check_4_zero_snr_and_finite_speed():
    """Check 4: SNR(1) = 0 exactly for straight and trigonometric paths; alpha' and sigma' stay finite there."""
    for name, ends in (("flow_matching", (-1, 1)), ("trigonometric", (-math.pi / 2, 0))):
        schedule = SCHEDULES[name]()
        assert float(schedule.snr(1.0)) == 0 and float(schedule.alpha(1.0)) == 0
        assert float(schedule.alpha_dot(1.0)) == pytest.approx(ends[0], abs=1e-12)
        assert float(schedule.sigma_dot(1.0)) == pytest.approx(ends[1], abs=1e-12)


# ---- dtype, shape, device


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_and_shape_follow_t(name, dtype):
    schedule = SCHEDULES[name]()
    exact = inner_times(schedule, 6).reshape(2, 3)
    t = exact.to(dtype)
    for method in ("alpha", "sigma", "alpha_dot", "sigma_dot", "snr", "log_snr", "drift", "diffusion_squared", "reference_std"):
        value = getattr(schedule, method)(t)
        assert value.dtype == dtype and value.shape == (2, 3)
        if dtype == torch.float32:
            np.testing.assert_allclose(value, getattr(schedule, method)(t.double()), rtol=2e-3, atol=1e-5)
    assert schedule.t_of_log_snr(schedule.log_snr(t)).dtype == dtype
    assert schedule.alpha(0.5).dtype == f64 and schedule.alpha(1 if schedule.T >= 1 else 0).dtype == f64


@few
@given(st.floats(0.01, 20), st.sampled_from(DTYPES))
def test_the_end_itself_is_inside(T, dtype):
    """T as a tensor of either precision is a time of the schedule, however it rounds."""
    t = torch.tensor(T, dtype=dtype)
    assert float(schedules.ou(T).alpha(t)) == pytest.approx(math.exp(-T), rel=1e-4)


@pytest.mark.parametrize("schedule", [schedules.ve(0.1, 2.0), schedules.edm(2.0), schedules.edm(1.0), schedules.ve(0.1, 1.0)])
def test_reference_std_of_exploding_schedules_is_sigma(schedule):
    """Where alpha = 1 the usual start at t is N(0, sigma_t^2 I), also when sigma_max = 1."""
    t = torch.tensor([0.25, 0.75], dtype=f64) * schedule.T
    np.testing.assert_allclose(schedule.reference_std(t), schedule.sigma(t), rtol=1e-12)
    assert float(schedule.reference_std(schedule.T)) == pytest.approx(schedule.prior_std)


def test_reference_std_of_the_others_is_one():
    for name in SCHEDULES:
        if name not in ("ve", "edm"):
            schedule = SCHEDULES[name]()
            np.testing.assert_array_equal(schedule.reference_std(inner_times(schedule)), 1.0)


# ---- refusals

BAD = {
    "T": lambda: schedules.ou(0.0), "T ": lambda: schedules.ou(float("nan")), "T  ": lambda: schedules.ou("3"),
    "beta_min": lambda: schedules.vp(-0.1), "beta_max": lambda: schedules.sub_vp(5.0, 1.0),
    "sigma_min": lambda: schedules.ve(0.0), "sigma_max": lambda: schedules.ve(1.0, 0.5),
    "sigma_max ": lambda: schedules.edm(float("inf")), "n": lambda: schedules.ddpm_linear(0),
    "n ": lambda: schedules.cosine(1), "n  ": lambda: schedules.scaled_linear(10.0),
    "beta_max ": lambda: schedules.ddpm_linear(10, 0.1, 1.5), "beta_max  ": lambda: schedules.scaled_linear(10, 0.1, 2.0),
    "s": lambda: schedules.cosine(100, s=-1.5), "beta_clip": lambda: schedules.cosine(100, beta_clip=1.5),
    "schedule": lambda: schedules.zero_terminal_snr(schedules.ve()),
    "schedule ": lambda: schedules.zero_terminal_snr(schedules.sub_vp()),
    "log_snr": lambda: schedules.vp().t_of_log_snr(-30.0), "log_snr ": lambda: schedules.vp().t_of_log_snr(float("nan")),
}  # fmt: skip


@pytest.mark.parametrize("argument", BAD)
def test_schedules_refuse(argument):
    with pytest.raises(ValueError, match=rf"^{argument.strip()}: expected .+got"):
        BAD[argument]()


@every
@pytest.mark.parametrize("method", ["alpha", "sigma", "snr", "log_snr", "drift", "diffusion_squared", "reference_std"])
def test_times_outside_are_refused(name, method):
    schedule = SCHEDULES[name]()
    for t in (-1e-3, schedule.T * 1.001, float("nan"), torch.tensor([0.0, 2 * schedule.T])):
        with pytest.raises(ValueError, match=r"^t: expected values in \[0, .+got"):
            getattr(schedule, method)(t)
