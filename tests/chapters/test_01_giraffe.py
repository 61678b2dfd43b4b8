"""Chapter 1: what the page claims, its checks with their slips, and the live figure against the library."""

import math

import pytest
import torch

from otprior_lite import bounds, check, metrics, priors, schedules, targets
from otprior_lite.experiments import giraffe, league
from otprior_lite.forward import marginal
from otprior_lite.gap import gelbrich
from otprior_lite.samplers import sample
from otprior_lite.score import ExactDenoiser


@pytest.fixture(scope="module")
def means():
    """The experiment of the chapter, with the lengths that its text speaks of."""
    return {(row.T, row.prior): row for row in giraffe.averages(lengths=(50, 1000), seeds=(0, 1, 2), n=600)}


def test_the_start_alone_loses_the_head(means):
    assert means[50, "standard"].head < 0.005
    assert means[50, "oracle"].head > 0.03
    assert means[50, "standard"].mean > 3 * means[50, "standard"].floor


def test_the_free_fix_returns_most_of_it_but_not_all(means):
    free = means[50, "moment-matched"]
    assert free.head > 0.03
    assert free.floor < free.mean < means[50, "standard"].mean / 3


@pytest.mark.parametrize("name", ["semi-discrete", "data-initialised", "oracle"])
def test_at_short_T_map_and_control_are_inside_the_floor(means, name):
    assert means[50, name].mean < means[50, name].floor


def test_at_long_T_every_start_is_inside_the_floor(means):
    assert all(row.mean < row.floor for (T, _), row in means.items() if T == 1000)


def test_the_flow_keeps_the_kl_and_stretches_w2_while_the_sde_forgets():
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(50)
    ode, sde = (bounds.gaussian_error(kind, target, schedule) for kind in ("ode", "sde"))
    assert ode.kl_0 == pytest.approx(ode.kl_T, rel=1e-10)
    assert ode.w2_0 > ode.w2_T
    assert sde.kl_0 < sde.kl_T and sde.w2_0 < ode.w2_0


def test_the_league_table_is_ordered_and_signal_is_not_the_gap():
    rows = league.table()
    assert [row.signal for row in rows] == sorted((row.signal for row in rows), reverse=True)
    tiny = next(row for row in rows if row.where.startswith("tiny-diffusion"))
    assert tiny.alpha_bar == pytest.approx(math.prod(1 - (1e-4 + 0.0199 * k / 49) for k in range(50)), rel=1e-12)
    # Data with mean 0 and covariance I have no Gaussian gap under any variance-preserving default.
    whitened = targets.GaussianMixture([0.5, 0.5], [[0.8], [-0.8]], [[[0.36]], [[0.36]]])
    assert gelbrich(whitened, schedules.ddpm_linear(50), 50) < 1e-12 < tiny.gap


# ---- the checks accept what is right and name the slip in what is not


def test_right_answers_pass():
    schedule, target = schedules.ddpm_linear(50), targets.toy("giraffe")
    assert check.signal_kept(float(schedule.alpha(50)))
    assert check.start_law(marginal(target, schedule, 50).covariance)
    assert check.giraffe_gap(gelbrich(target, schedule, 50))
    assert check.worst_default("Diffusion-Explorer")
    assert check.exact_start(priors.Oracle(target, schedule, 50).sample)
    points = target.sample(2000, torch.Generator().manual_seed(0))
    assert check.exact_start(priors.MomentMatched.fit(points, schedule, 50).sample)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (0.6029515973, "squared"), (0.6301189684, "noise"), (1.5185846191, "SNR"), (0.7843831557, "n - 1"),
        (0.98**0.5, "last beta"), (0.4975, "first-order"), (2.0, "too large"), (0.1, "too small"),
        (float("nan"), "NaN"), ("half", "one number"),
    ],
)  # fmt: skip
def test_signal_kept_names_the_slip(answer, word):
    verdict = check.signal_kept(answer)
    assert not verdict and word in verdict.message


def test_start_law_names_the_slip():
    schedule, target = schedules.ddpm_linear(50), targets.toy("giraffe")
    S, a2, eye = target.covariance, float(schedule.alpha(50)) ** 2, torch.eye(2)
    slips = {
        "by alpha.": a2**0.5 * S + (1 - a2) * eye, "forgot the noise": a2 * S, "added sigma I": a2 * S + (1 - a2) ** 0.5 * eye,
        "covariance of the data": S, "sampler assumes": eye, "independent terms": 2 * S, "shape (3,)": torch.ones(3),
        "2 x 2 matrix of numbers": "matrix",
    }  # fmt: skip
    for word, answer in slips.items():
        verdict = check.start_law(answer)
        assert not verdict and word in verdict.message, (word, verdict)


def test_giraffe_gap_names_the_slip():
    schedule, target = schedules.ddpm_linear(50), targets.toy("giraffe")
    lam = torch.linalg.eigvalsh(marginal(target, schedule, 50).covariance)
    slips = {
        "square of the gap": float((lam.sqrt() - 1).square().sum()),
        "compared variances": float((lam - 1).norm()),
        "squares add": float((lam.sqrt() - 1).abs().sum()),
        "data themselves": float((torch.linalg.eigvalsh(target.covariance).sqrt() - 1).norm()),
    }
    for word, answer in slips.items():
        verdict = check.giraffe_gap(answer)
        assert not verdict and word in verdict.message, (word, verdict)


def test_worst_default_says_the_rank_or_the_choices():
    assert "number 2 of" in check.worst_default("tiny-diffusion").message
    assert "Name one row" in check.worst_default("nobody").message


def test_exact_start_names_the_slip():
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(50)
    standard = priors.Standard(schedule, 2, torch.float64).sample
    slips = {
        "unit spread": standard,
        "do not copy": target.sample,
        "shape (400, 2)": lambda n, g: torch.zeros(3, 2),
        "function of (n, generator)": standard(400, torch.Generator()),
    }
    for word, answer in slips.items():
        verdict = check.exact_start(answer)
        assert not verdict and word in verdict.message, (word, verdict)


# ---- the live figure


@pytest.mark.browser
@pytest.mark.parametrize("n", [20, 50, 400, 1000])
def test_widget_terminal_alpha_and_gap(widget_js, n):
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(n)
    alpha, S = float(schedule.alpha(n)), target.covariance
    assert widget_js("giraffe", "terminalAlpha", n) == pytest.approx(alpha, rel=1e-10)
    gap = widget_js("giraffe", "gaussianGap", alpha, [float(S[0, 0]), float(S[0, 1]), float(S[1, 1])])
    assert gap == pytest.approx(gelbrich(target, schedule, n), rel=1e-7)


@pytest.mark.browser
@pytest.mark.parametrize("n", [50, 600])
def test_widget_reverse_process_is_the_library(widget_js, n):
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(n)
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    right = sample(ExactDenoiser(target, schedule), schedule, z, steps=18, method="dpmpp2m")
    std = float(target.covariances[0] ** 0.5)
    came = widget_js("giraffe", "reverse", z.tolist(), float(schedule.alpha(n)), target.means.tolist(), std, 18)
    assert torch.tensor(came, dtype=torch.float64) == pytest.approx(right, abs=1e-6)


@pytest.mark.browser
def test_widget_starts_have_the_laws_they_name(widget_js):
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(50)
    generator = torch.Generator().manual_seed(6)
    noise, train, fresh = (
        torch.randn(3000, 2, generator=generator).double(),
        target.sample(3000, generator),
        target.sample(3000, generator),
    )
    alpha, S = float(schedule.alpha(50)), target.covariance
    state = {
        "noise": noise.tolist(), "train": train.tolist(), "fresh": fresh.tolist(),
        "covariance": [float(S[0, 0]), float(S[0, 1]), float(S[1, 1])],
    }  # fmt: skip
    start = {
        name: torch.tensor(widget_js("giraffe", "start", name, alpha, state))
        for name in ("standard", "moment-matched", "data-initialised", "oracle")
    }
    assert torch.equal(start["standard"].double(), noise)
    # The affine map is applied to the same noise: its square is the covariance of p_T.
    A = torch.linalg.lstsq(noise, start["moment-matched"].double()).solution
    assert A @ A == pytest.approx(marginal(target, schedule, 50).covariance, abs=1e-6)
    sigma = (1 - alpha**2) ** 0.5
    assert start["data-initialised"].double() == pytest.approx(alpha * train + sigma * noise, abs=1e-5)
    assert start["oracle"].double() == pytest.approx(alpha * fresh + sigma * noise, abs=1e-5)
    assert metrics.energy(start["oracle"].double(), marginal(target, schedule, 50).sample(3000, generator)).value < 0.02
