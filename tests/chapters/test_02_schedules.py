"""Chapter 2: its checks know right answers from slips, its widget agrees with the library, its claims hold."""

import math

import pytest
import torch

from otprior_lite import check, gap, schedules
from otprior_lite.experiments import noise
from otprior_lite.forward import marginal
from otprior_lite.samplers import sample
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import GaussianMixture

# ---- checks: (right answer) and (slip, a word of its hint)


def test_right_answers_pass():
    assert check.terminal_log_snr(-10.05 - math.log1p(-math.exp(-10.05)))
    assert check.terminal_log_snr(-5.025 * 2, beta_min=0.1)
    assert check.ou_time(0.5 * math.log(1 + math.exp(2)))
    assert check.rescale(_rescale)
    assert check.vp_to_ve(lambda x, a, s: (x / a, s / a))
    assert check.snr_is_not_the_gap(_normal(200, 1), _normal(0, 1))


def test_right_answers_pass_on_other_problems():
    assert check.terminal_log_snr(float(schedules.vp(0.5, 3).log_snr(1.0)), beta_min=0.5, beta_max=3.0)
    assert check.ou_time(0.5 * math.log(1 + math.exp(-1)), log_snr=1.0)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (-5.025, "square it first"), (10.05, "sign"), (-10.05 / math.log(10), "base-10"), (math.exp(-10.05), "SNR itself"),
        (math.exp(-5.025), "alpha_T"), (-20.0, "whole time"), (-9.95, "mean of its ends"),
        (-3.0, "too large"), (-30.0, "too small"), (float("nan"), "NaN"), ("ten", "one number"), (None, "one number"),
    ],
)  # fmt: skip
def test_terminal_log_snr_names_the_slip(answer, word):
    _rejects(check.terminal_log_snr(answer), word)


def _sigma_not_squared():
    """T with e^{-2T} / sqrt(1 - e^{-2T}) = e^{-2}: with u = e^{-2T}, u^2 = e^{-4} (1 - u)."""
    c = math.exp(-4)
    return -0.5 * math.log((-c + math.sqrt(c * c + 4 * c)) / 2)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (1.0, "sigma = 1"), (math.log(1 + math.exp(2)), "lost a factor 2: "), (2.0, "lost a factor 2 and"),
        (0.5 * math.log10(1 + math.exp(2)), "base-10"), (0.5 * math.log(1 + math.exp(-2)), "opposite"),
        (_sigma_not_squared(), "sigma instead of sigma^2"), (math.exp(-2), "SNR, not the time"), (7.0, "too large"),
    ],
)  # fmt: skip
def test_ou_time_names_the_slip(answer, word):
    _rejects(check.ou_time(answer), word)


def _rescale(bar):
    alpha = bar.sqrt()
    shifted = alpha - alpha[-1]
    return (shifted * alpha[0] / shifted[0]).square()


def _no_root(bar):
    return (bar - bar[-1]) * bar[0] / (bar[0] - bar[-1])


def _off_by_one(bar):
    alpha = bar.sqrt()
    return ((alpha - alpha[-2]) * alpha[0] / (alpha[0] - alpha[-2])).square()


def _as_betas(bar):
    new = _rescale(bar)
    return 1 - new / torch.cat([torch.ones(1), new[:-1]])


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (_no_root, "act on its root"), (lambda b: _rescale(b).sqrt(), "Square it"),
        (lambda b: (b.sqrt() - b.sqrt()[-1]).square(), "did not scale back"),
        (lambda b: ((b.sqrt() - b.sqrt()[-1]) / (b.sqrt()[0] - b.sqrt()[-1])).square(), "became 1"),
        (lambda b: torch.cat([b[:-1], torch.zeros(1)]), "only set the last step"),
        (_off_by_one, "step n - 1"), (_as_betas, "betas"), (lambda b: b, "what came in"), (lambda b: b[:-1], "shape"),
        (lambda b: b / 0 * 0, "NaN"), (lambda b: b.nonsense(), "raised AttributeError"), (0.5, "Expected a function"),
        (lambda b: b / 2, "Not yet: entry"),
    ],
)  # fmt: skip
def test_rescale_names_the_slip(function, word):
    _rejects(check.rescale(function), word)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x, a, s: (x / a, s), "still sigma"), (lambda x, a, s: (x / a, (s / a) ** 2), "variance"),
        (lambda x, a, s: (x / a, 1 / a), "VP prior"), (lambda x, a, s: (x * a, s * a), "divide"),
        (lambda x, a, s: (x / a**2, s / a**2), "alpha^2"), (lambda x, a, s: (x / s, a / s), "divided by sigma"),
        (lambda x, a, s: (x, s / a), "not divided"), (lambda x, a, s: x / a, "raised ValueError"), (None, "Expected a function"),
    ],
)  # fmt: skip
def test_vp_to_ve_names_the_slip(function, word):
    _rejects(check.vp_to_ve(function), word)


def _normal(mean, variance):
    return GaussianMixture([1.0], [[float(mean)]], [float(variance)])


@pytest.mark.parametrize(
    ("loud", "quiet", "word"),
    [
        (_normal(100, 1), _normal(0, 1), "how far out"), (_normal(200, 1), _normal(0.5, 1), "quiet: its mean"),
        (_normal(200, 1), _normal(0, 2), "quiet: its variance"), ("far", _normal(0, 1), "loud: expected"),
        (_normal(200, 1), GaussianMixture([1.0], [[0.0, 0.0]], [1.0]), "quiet: expected"),
        (_normal(200, 1), GaussianMixture([0.5, 0.5], [[-0.8], [0.8]], [0.36, 0.36]), "shape"),
    ],
)  # fmt: skip
def test_snr_is_not_the_gap_names_what_is_missing(loud, quiet, word):
    _rejects(check.snr_is_not_the_gap(loud, quiet), word)


def _rejects(verdict, word):
    assert not verdict
    assert word in verdict.message, verdict


# ---- the widget

CASES = [
    ("ddpm_linear", 35, schedules.ddpm_linear(35)), ("ddpm_linear", 1000, schedules.ddpm_linear(1000)),
    ("scaled_linear", 300, schedules.scaled_linear(300)), ("cosine", 50, schedules.cosine(50)), ("ou", 1.3, schedules.ou(1.3)),
    ("vp", 8, schedules.vp(0.1, 8.0)), ("sub_vp", 8, schedules.sub_vp(0.1, 8.0)), ("ve", 5, schedules.ve(0.01, 5.0)),
    ("edm", 20, schedules.edm(20.0)), ("flow_matching", 1, schedules.flow_matching()), ("trigonometric", 1, schedules.trigonometric()),
]  # fmt: skip
SHARES = (0.013, 0.25, 0.5, 0.801, 1.0)


def _law(target):
    return {"weights": target.weights.tolist(), "means": target.means[:, 0].tolist(), "stds": target.covariances.sqrt().tolist()}


@pytest.mark.browser
@pytest.mark.parametrize(("name", "parameter", "schedule"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_widget_schedules_are_the_librarys(widget_js, name, parameter, schedule):
    for share in SHARES:
        t = share * schedule.T
        expected = [float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std)]
        assert widget_js("schedules", "coefficients", name, parameter, False, t) == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.browser
@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[4], CASES[5]], ids=lambda c: c[0])
def test_widget_rescaling_is_the_librarys(widget_js, case):
    name, parameter, schedule = case
    rescaled = schedules.zero_terminal_snr(schedule)
    for share in SHARES:
        t = share * schedule.T
        expected = [float(rescaled.alpha(t)), float(rescaled.sigma(t)), 1.0]
        assert widget_js("schedules", "coefficients", name, parameter, True, t) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert widget_js("schedules", "coefficients", name, parameter, True, schedule.T)[0] == 0  # not merely small


@pytest.mark.browser
@pytest.mark.parametrize("law", noise.laws())
def test_widget_density_and_gap_are_the_librarys(widget_js, law):
    target = noise.laws()[law]
    for schedule, t in (
        (schedules.ddpm_linear(100), 100),
        (schedules.ou(1.0), 0.6),
        (schedules.edm(5.0), 5.0),
        (schedules.ve(0.01, 5.0), 0.9),
    ):
        alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
        p_t, diffused = marginal(target, schedule, t), widget_js("schedules", "diffuse", _law(target), alpha, sigma)
        for x in (-2.0, 0.1, 1.5):
            assert widget_js("schedules", "density", diffused, x) == pytest.approx(float(p_t.log_prob([[x]]).exp()), rel=1e-9)
        exact = gap.prior_gap(target, schedule, t)
        assert widget_js("schedules", "gap", diffused, s) == pytest.approx(exact.total.value, rel=1e-9)
        assert widget_js("schedules", "gelbrich", diffused, s) == pytest.approx(exact.lower, rel=1e-9)


@pytest.mark.browser
def test_widget_normal_tail(widget_js):
    for z in (-9.0, -0.3, 0.0, 0.7, 1.999, 2.001, 6.0, 20.0):
        assert widget_js("schedules", "upperTail", z) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)


# ---- what the page says


def test_terminal_values_of_the_table():
    ends = {curve.label: curve for curve in noise.curves(4)}
    assert ends["DDPM linear"].snr_T == pytest.approx(4.035993e-5, rel=1e-6)
    assert ends["Stable Diffusion"].snr_T == pytest.approx(4.681917e-3, rel=1e-6)
    assert ends["cosine"].snr_T == pytest.approx(2.428767e-9, rel=1e-6)
    assert ends["VP"].alpha_T == pytest.approx(math.exp(-10.05 / 2), rel=1e-12)
    assert ends["sub-VP"].sigma_T == pytest.approx(1 - math.exp(-10.05), rel=1e-12)
    for label in ("flow matching", "trigonometric", "Stable Diffusion, rescaled"):
        assert ends[label].log_snr_T == -math.inf
    assert all(bool((curve.log_snr.diff() < 0).all()) for curve in noise.curves(50))


def test_short_process_leaves_ten_thousand_times_the_snr():
    assert float(schedules.ddpm_linear(100).snr(100) / schedules.ddpm_linear(1000).snr(1000)) > 10_000


def test_rescaling_changes_the_middle_and_leaves_the_ends():
    change = noise.rescaling()
    assert float(change.alpha_bar_rescaled[0]) == pytest.approx(float(change.alpha_bar[0]), rel=1e-12)
    assert float(change.alpha_bar_rescaled[-1]) == 0
    assert float(change.alpha_bar_rescaled[499]) == pytest.approx(0.2423592, rel=1e-6)
    assert bool((change.log_snr_rescaled[1:] < change.log_snr[1:]).all())
    assert change.never_seen == int((change.step >= change.first_never_seen).sum())
    assert math.isinf(float(change.amplify_noise_rescaled[-1])) and float(change.amplify_velocity_rescaled.max()) <= 1


def test_vp_and_ve_give_the_same_samples():
    target, vp, edm = noise.laws()["two bumps"], schedules.vp(), schedules.edm(200.0)
    alpha, sigma = vp.alpha(1.0), vp.sigma(1.0)
    z = torch.linspace(-3, 3, 40, dtype=torch.float64)[:, None]
    as_vp = sample(ExactDenoiser(target, vp), vp, z, steps=20)
    as_ve = sample(ExactDenoiser(target, edm), edm, z / alpha, t_start=sigma / alpha, steps=20)
    assert torch.allclose(as_vp, as_ve, atol=1e-9)


def test_brightness_formula_against_a_sampler():
    start = noise.starts()[0]
    m, s0 = -0.25 * 64, 0.1 * 64
    schedule = schedules.scaled_linear(1000)
    z = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)  # the map is affine: the mean of +-1 is the image of the mean
    out = sample(ExactDenoiser(GaussianMixture([1.0], [[m]], [s0**2]), schedule), schedule, z, steps=2000)
    assert float(out.mean()) / 64 == pytest.approx(start.brightness, abs=2e-3)


def test_only_the_start_at_zero_snr_keeps_the_darkness():
    published, published_leading, repaired, leading = noise.starts()
    assert repaired.gap == 0 and repaired.brightness == pytest.approx(-0.25, abs=1e-12)
    assert published_leading.brightness > published.brightness > leading.brightness + 0.05 > repaired.brightness + 0.05


def test_old_network_fails_at_the_new_end_only():
    old = noise.stale_network()
    assert all(stale >= best for stale, best in zip(old.stale, old.best))
    assert old.stale[old.step.index(500)] < 1.01 * old.best[old.step.index(500)] and old.stale[-1] > 2 * old.best[-1]


def test_same_snr_different_gaps():
    schedule = schedules.ddpm_linear(100)
    gaps = [gap.prior_gap(law, schedule).total.value for law in noise.laws().values()]
    assert max(gaps) > 10 * min(gaps)
