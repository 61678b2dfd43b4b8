"""The gap by direction: sums are the library's own bounds, the floor is Marchenko and Pastur's, thresholds separate."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from zoo import f64, few, rng, seeds

from otprior_lite import data, figures, gap, schedules
from otprior_lite.experiments import spectrum
from otprior_lite.figures import spectrum as drawn
from otprior_lite.randomness import normal
from otprior_lite.targets import Empirical

SCHEDULES = {
    "linear": schedules.ddpm_linear(1000),
    "cosine": schedules.cosine(1000),
    "Stable Diffusion": schedules.scaled_linear(1000),
}


@pytest.fixture(scope="module")
def digits():
    return spectrum.spectrum("digits")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("t", spectrum.TIMES)
def test_sums_are_gelbrich_and_the_parts_of_the_prior_gap(digits, schedule, t):
    """Against the library, which takes another route: the target's covariance, its eigenvalues, plain square roots."""
    law = Empirical(data.load("digits").flat.double())
    start = digits.start(schedule, t)
    assert start.gelbrich == pytest.approx(gap.gelbrich(law, SCHEDULES[schedule], t), rel=1e-7)
    assert start.synchronous == pytest.approx(gap.synchronous_bound(law, SCHEDULES[schedule], t), rel=1e-7)
    if t == 500:
        parts = gap.prior_gap(law, SCHEDULES[schedule], t, n=2)
        assert start.mean == pytest.approx(parts.mean, rel=1e-7)
        assert start.covariance == pytest.approx(parts.covariance, rel=1e-7)


def test_pictures_add_up_too():
    """256 pictures of 16 x 16 x 3: the small Gram matrix, zeros for the rest, and the same sum."""
    points = data.load("emoji32").distinct().resized(16).flat[:256]
    found = spectrum.of_points("some", points)
    law = Empirical(points.double())
    for schedule in ("linear", "Stable Diffusion"):
        assert found.start(schedule, 250).gelbrich == pytest.approx(gap.gelbrich(law, SCHEDULES[schedule], 250), rel=1e-7)
    assert found.variances[:255].min() > 0 and found.variances[256:].abs().max() == 0 and len(found.variances) == 768


@settings(few, max_examples=10)
@given(seeds, st.integers(2, 9), st.integers(2, 30))
def test_eigenvalues_of_either_gram_matrix_are_numpys(seed, d, n):
    points = normal((n, d), rng(seed), dtype=f64) * torch.arange(1, d + 1)
    expected = np.linalg.eigvalsh(np.atleast_2d(np.cov(points.numpy().T, bias=True)))[::-1]
    assert spectrum.eigenvalues(points).numpy() == pytest.approx(expected, abs=1e-9 * expected[0])


def test_the_floor_fills_marchenko_and_pasturs_interval(digits):
    """The edges hold the eigenvalues of N draws of N(0, I) but for the Tracy-Widom wiggle, and their density is the law's."""
    for d, n in ((64, 1797), (400, 543)):
        lam = digits.floor if d == 64 else spectrum.eigenvalues(normal((n, d), rng(1)))
        low, high = (1 - math.sqrt(d / n)) ** 2, (1 + math.sqrt(d / n)) ** 2
        root = math.sqrt(d / n)
        wiggle = high * n ** (-2 / 3) * (1 + 1 / math.sqrt(root)) ** (1 / 3) / (1 + root)
        assert low - 4 * wiggle < lam[-1] and lam[0] < high + 4 * wiggle
        assert lam[0] > 0.9 * high and lam[-1] < low + 0.1
        density = lambda x: math.sqrt(max(0.0, (high - x) * (x - low))) / (2 * math.pi * d / n * x)  # noqa: B023
        for power in (0.5, 2, 3):
            moment = integrate.quad(lambda x: x**power * density(x), low, high)[0]  # noqa: B023
            assert float(lam.pow(power).mean()) == pytest.approx(moment, rel=0.03)
    assert digits.edges == pytest.approx(((1 - math.sqrt(64 / 1797)) ** 2, (1 + math.sqrt(64 / 1797)) ** 2))


def test_a_gap_of_zero_shows_the_floor_gap(digits):
    """Marchenko and Pastur predict the covariance part that draws of the prior itself show; `floor_gap` is one draw of it."""
    ratio = 64 / 1797
    low, high = digits.edges
    density = lambda x: math.sqrt((high - x) * (x - low)) / (2 * math.pi * ratio * x)
    predicted = 64 * integrate.quad(lambda x: (math.sqrt(x) - 1) ** 2 * density(x), low, high)[0]
    draws = [spectrum.eigenvalues(normal((1797, 64), rng(seed))) for seed in range(20)]
    assert sum(float((lam.sqrt() - 1).square().sum()) for lam in draws) / 20 == pytest.approx(predicted, rel=0.03)
    assert digits.floor_gap**2 == pytest.approx(predicted, rel=0.1)


@pytest.mark.parametrize("variance, visible", [(1.9, True), (1.15, False)])
def test_a_direction_is_seen_above_the_threshold_only(variance, visible):
    """One direction of that variance among 300, 1,200 draws, threshold 1.5: its eigenvalue leaves the interval or does not."""
    d, n = 300, 1200
    points = normal((n, d), rng(3), dtype=f64)
    points[:, 0] *= math.sqrt(variance)
    top, edge = spectrum.eigenvalues(points)[0], (1 + math.sqrt(d / n)) ** 2
    outlier = variance * (1 + d / n / (variance - 1))  # where Baik and Silverstein put it
    assert float(top) == pytest.approx(outlier if visible else edge, rel=0.05)
    law = spectrum.Spectrum("", n, torch.tensor([variance, 1.0], dtype=f64), torch.ones(d, dtype=f64), ())
    assert law.threshold == pytest.approx(1.5)
    assert law.seen(spectrum.Start("", 0, 1.0, 0.0, law.variances - 1)) == int(visible)


def test_counting_directions():
    """Costs 4, 1, 1 and 0: two of three directions carry five sixths."""
    start = spectrum.Start("x", 0, 1.0, 3.0, torch.tensor([8.0, 3.0, -1.0, 0.0], dtype=f64))
    assert start.costs.tolist() == pytest.approx([4, 1, 1, 0]) and start.covariance == pytest.approx(math.sqrt(6))
    assert [start.directions(s) for s in (0.5, 4 / 6, 5 / 6, 0.9, 1.0)] == [1, 1, 2, 3, 3]
    assert start.narrow_share == pytest.approx(1 / 6) and start.mean_share == pytest.approx(9 / 15)
    assert start.off(0.5) == 3 and start.off(1.5) == 1
    with pytest.raises(ValueError, match=r"share: expected values in \(0, 1\]"):
        start.directions(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True])
def test_figures_draw_what_was_computed(digits, theme, narrow):
    assert {"gap_spectrum", "gap_directions"} <= set(figures.names())
    panels = drawn.spectrum(theme, (digits, digits), narrow).axes
    assert len(panels) == 6
    half_time = next(axis for axis in panels if axis.get_title() == "1,797 digits, $d$ = 64; $t$ = 500")
    lines = {line.get_label(): line.get_ydata() for line in half_time.lines}
    assert lines["cosine"] == pytest.approx(1 + digits.start("cosine", 500).excess.numpy())
    assert lines["floor: as many draws of $N(0, I)$"] == pytest.approx(digits.floor.numpy())
    panel = drawn.directions(theme, (digits,), narrow).axes[0]
    counts = [digits.start("linear", 1000).directions(share) for share in (0.5, 0.9, 0.99)]
    assert list(panel.lines[0].get_xdata()) == counts
    assert panel.texts[0].get_text() == f"{100 * digits.start('linear', 1000).mean_share:.0f} %"
