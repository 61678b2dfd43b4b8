"""Chapter 11: what the page claims, its checks with their slips, and the live figure against the library."""

import json
import math

import pytest
import torch

from otprior_lite import check, data, metrics, priors, schedules
from otprior_lite.experiments import digits
from otprior_lite.figures import digits as draw
from otprior_lite.samplers import sample
from otprior_lite.score import EmpiricalDenoiser

IMAGES = data.load("digits").flat
SCHEDULE = schedules.ddpm_linear(1000)


@pytest.fixture(scope="module")
def results():
    """The experiment of the chapter with fewer splits and start times."""
    return digits.runs(times=(100, 400, 1000), seeds=(0, 1), n=300)


@pytest.fixture(scope="module")
def gaps():
    return digits.gaps()


# ---- the gap


def test_the_mean_is_most_of_the_gap_and_the_shape_stays_in_its_floor(gaps):
    for t, gap in zip(gaps.times, gaps.gaps):
        if t >= 100:
            assert gap.mean > gap.covariance
            assert gap.shape.value <= gap.shape.floor
        assert gap.lower <= gap.total.value <= gap.upper
    assert gaps.gaps[gaps.times.index(1000)].mean > 100 * gaps.gaps[gaps.times.index(1000)].covariance


def test_most_components_are_too_narrow_and_make_most_of_the_covariance_part(gaps):
    excess = (gaps.stds(400) - 1).square()
    narrow = gaps.spectrum < 1
    assert int(narrow.sum()) > 55
    assert torch.equal(gaps.stds(400) < 1, narrow) and torch.equal(gaps.stds(100) < 1, narrow)
    assert excess[narrow].sum() > 0.8 * excess.sum()
    assert float(excess.sum().sqrt()) == pytest.approx(gaps.gaps[gaps.times.index(400)].covariance, rel=1e-4)


# ---- distances in 64 dimensions


def test_sampled_w2_measures_its_floor_and_sliced_w2_does_not():
    for n in (100, 900):
        e = digits.estimators(64, n)
        assert e.w2.value - e.w2.floor < 0.1 < e.true_w2
        assert e.w2.value > 5 * e.true_w2
    assert e.sliced.value > 2 * e.sliced.floor
    assert e.sliced.value == pytest.approx(e.true_sliced, rel=0.2)
    neighbour = math.sqrt(128 - 2 * math.sqrt(128 * math.log(900)))
    assert 0.85 * e.w2.floor < neighbour < e.w2.floor


def test_the_known_distances_are_right():
    shift = torch.full((64,), 1.5 / 8)
    assert float(shift.norm()) == pytest.approx(1.5)
    truth = digits.estimators(64, 100, t=400)
    gap = digits.gaps(times=(400,), n=2).gaps[0]
    assert truth.true_w2 == pytest.approx(gap.lower, rel=1e-4)  # all 64 components: the Gaussian part of the gap
    assert truth.true_sliced < truth.true_w2 / 8 * (1 + 1e-2)  # exercise 4


# ---- scores and starts


def test_the_empirical_flow_ends_on_training_images(results):
    w = digits.world(0)
    z = priors.Standard(SCHEDULE, 64).sample(300, torch.Generator().manual_seed(0))
    drawn = sample(EmpiricalDenoiser(w.train, SCHEDULE), SCHEDULE, z, steps=12, method="dpmpp2m")
    assert (metrics.nearest_distance(drawn, w.train) < 0.01).double().mean() > 0.98
    for row in results.rows:
        if row.score == "empirical":
            assert row.share[0] > 0.99 and row.to_train[0] < 0.01


def test_digits_on_the_sheet_under_the_empirical_score_are_training_images(results):
    w = digits.world(0)
    for r in results.runs:
        if r.score == "empirical" and r.seed == 0:
            assert (metrics.nearest_distance(r.samples[:6], w.train) < 0.1).all()


def test_the_proposition_bounds_the_distance_to_the_nearest_image():
    points = IMAGES[:200].double()
    for t in (20, 100, 200):
        alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
        x = alpha * points[:40] + sigma * torch.randn(40, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        squared = torch.cdist(x, alpha * points).square()
        two, index = squared.topk(2, largest=False)
        farthest = torch.cdist(points[index[:, 0]], points).max(1).values
        bound = len(points) * torch.exp(-(two[:, 1] - two[:, 0]) / (2 * sigma**2)) * farthest
        off = (EmpiricalDenoiser(points, SCHEDULE)(x, t) - points[index[:, 0]]).norm(dim=1)
        assert (off <= bound + 1e-6).all()


def test_nobody_wins_the_contest(results):
    assert results.copies.sliced[0] < 1.1 * results.copies.floor
    assert results.copies.share[0] == 1
    for name in ("oracle", "semi-discrete"):
        row = results.row("smooth", name, 100)
        assert row.sliced[0] < 1.25 * row.floor and abs(row.sliced[0] - results.copies.sliced[0]) < 0.3 * row.floor


def test_a_copying_flow_gets_the_law_wrong_when_it_starts_wrong(results):
    row = results.row("empirical", "standard", 100)
    assert row.share[0] > 0.99 and row.sliced[0] > 1.4 * row.floor


def test_short_start_what_each_prior_repairs(results):
    row = {name: results.row("smooth", name, 100) for name in digits.PRIORS}
    assert row["standard"].sliced[0] > 3 * row["standard"].floor
    assert row["moment-matched"].sliced[0] < row["standard"].sliced[0] / 3
    assert row["moment-matched"].sliced[0] - row["moment-matched"].floor > 2 * (
        row["semi-discrete"].sliced[0] - row["semi-discrete"].floor
    )
    for name in ("semi-discrete", "data-initialised", "oracle"):
        assert row[name].sliced[0] < 1.25 * row[name].floor
    assert abs(row["moment-matched"].share[0] - row["oracle"].share[0]) < 0.12


def test_the_transported_start_copies_when_the_run_is_short_like_its_control(results):
    for name in ("semi-discrete", "data-initialised"):
        shares = [results.row("smooth", name, t).share[0] for t in (100, 400)]
        assert shares[0] > 0.97 and shares[1] < 0.7
        assert (
            results.row("smooth", name, 100).to_train[0]
            < results.copies.test_to_train
            < results.row("smooth", name, 100).to_test[0]
        )
    for t in (100, 400, 1000):
        map_row, control = (results.row("smooth", name, t) for name in ("semi-discrete", "data-initialised"))
        assert abs(map_row.sliced[0] - control.sliced[0]) < 0.5 * control.floor


def test_late_start_is_repaired_by_moments_and_a_full_run_needs_no_repair(results):
    middle = results.row("smooth", "moment-matched", 400)
    assert middle.sliced[0] < 1.2 * middle.floor
    assert results.row("smooth", "standard", 400).sliced[0] > 1.4 * middle.sliced[0]
    end = [results.row("smooth", name, 1000) for name in digits.PRIORS]
    assert max(row.sliced[0] for row in end) - min(row.sliced[0] for row in end) < 0.5 * min(row.floor for row in end)


def test_the_stand_in_leans_to_the_training_half_and_is_blotchy(results):
    oracle = results.row("smooth", "oracle", 1000)
    assert 0.52 < oracle.share[0] < 0.75
    assert oracle.to_train[0] > 1.1 * results.copies.test_to_train


def test_the_mixture_keeps_the_moments_of_its_training_digits():
    w = digits.world(0)
    assert torch.allclose(w.mixture.mean, w.train.mean(0), atol=1e-3)
    covariance = torch.cov(w.train.T, correction=0) + digits.RIDGE * torch.eye(64)
    assert torch.allclose(w.mixture.covariance, covariance, atol=5e-3)


def test_few_calls_favour_a_close_start_and_it_copies():
    rows = {(row.prior, row.t, row.steps): row for row in digits.few_calls(seeds=(0, 1), n=300)}
    three = {name: rows[name, 200, 3].sliced[0] for name in digits.PRIORS}
    assert three["semi-discrete"] < 0.8 * three["moment-matched"] < 0.8 * rows["standard", 1000, 3].sliced[0]
    assert abs(three["semi-discrete"] - three["data-initialised"]) < 0.02
    assert abs(three["semi-discrete"] - three["oracle"]) < 0.02
    assert rows["semi-discrete", 200, 3].share[0] > rows["oracle", 200, 3].share[0] + 0.08
    assert rows["standard", 1000, 6].sliced[0] < 1.3 * rows["standard", 1000, 6].floor


def test_a_stopped_copy_looks_new():
    w = digits.world(0)
    z = priors.Standard(SCHEDULE, 64).sample(50, torch.Generator().manual_seed(0))
    stopped = sample(EmpiricalDenoiser(w.train, SCHEDULE), SCHEDULE, z, steps=12, method="dpmpp2m", t_end=50)
    assert metrics.nearest_distance(stopped, w.train).median() > 1


def test_the_three_maps_of_noise_see_the_same_noise(results):
    start = {r.prior: r.start for r in results.runs if (r.score, r.t, r.seed) == ("smooth", 1000, 0)}
    z, matched = start["standard"], start["moment-matched"]
    fitted = digits.prior("moment-matched", 0, 1000)
    assert torch.allclose(matched, fitted.mean + z @ fitted._root, atol=1e-5)
    assert torch.equal(digits.prior("semi-discrete", 0, 1000).map(z), start["semi-discrete"])


def test_runs_are_deterministic():
    first, again = (digits.compare("smooth", 400, 0, ("standard",), 20, 3)[0] for _ in range(2))
    assert torch.equal(first.samples, again.samples) and first.sliced == again.sliced


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_draw_what_they_are_given(results, gaps, theme):
    from matplotlib.figure import Figure

    for figure in (draw.gap(theme, gaps), draw.sheet(theme, results), draw.distances(theme, results)):
        assert isinstance(figure, Figure)


def test_results_name_what_they_lack(results):
    with pytest.raises(ValueError, match="row of the results"):
        results.row("smooth", "standard", 123)
    with pytest.raises(ValueError, match="times, seeds"):
        digits.runs(times=())


# ---- exercise checks: the right answer, and each slip with its own hint

SPECTRUM = torch.linalg.eigvalsh(torch.cov(IMAGES.double().T, correction=0)).clamp_min(0)
ALPHA, SIGMA = float(SCHEDULE.alpha(400)), float(SCHEDULE.sigma(400))
MEAN = float(IMAGES.double().mean(0).norm())
NOISED = ALPHA**2 * SPECTRUM + SIGMA**2
SPREAD = float((NOISED.sqrt() - 1).norm())


def hints_differ(verdicts):
    assert not any(verdicts)
    messages = [verdict.message for verdict in verdicts]
    assert len(set(messages)) == len(messages), messages


def test_narrow_components():
    right = int((SPECTRUM < 1).sum())
    assert check.narrow_components(right)
    wrong = [64 - right, 64, int((64 * SPECTRUM < 1).sum()), right + 1, right - 1]
    hints_differ([check.narrow_components(answer) for answer in wrong])
    assert "too wide" in check.narrow_components(64 - right).message
    assert "0 to 16" in check.narrow_components(int((64 * SPECTRUM < 1).sum())).message


def test_digits_gap():
    assert check.digits_gap(math.hypot(ALPHA * MEAN, SPREAD))
    wrong = {
        "mean's part": ALPHA * MEAN,
        "covariance's part": SPREAD,
        "squares add": ALPHA * MEAN + SPREAD,
        "take the root": (ALPHA * MEAN) ** 2 + SPREAD**2,
        "variances": math.hypot(ALPHA * MEAN, float((NOISED - 1).norm())),
        "shrink the mean": math.hypot(MEAN, SPREAD),
        "clean digits": math.hypot(MEAN, float((SPECTRUM.sqrt() - 1).norm())),
        "too small": 0.1,
    }
    hints_differ([check.digits_gap(answer) for answer in wrong.values()])
    for words, answer in wrong.items():
        assert words in check.digits_gap(answer).message


def test_empirical_denoiser():
    def softmax(exponent):
        return lambda x, y, a, s: exponent(torch.cdist(x, a * y), torch.cdist(x, y), s).softmax(1) @ y

    def naive(x, y, a, s):
        weights = torch.exp(-torch.cdist(x, a * y).square() / (2 * s**2) - 200)
        return weights @ y / weights.sum(1, keepdim=True)

    assert check.empirical_denoiser(softmax(lambda d, c, s: -(d**2) / (2 * s**2)))
    wrong = {
        "factor 1/2": softmax(lambda d, c, s: -(d**2) / s**2),
        "sigma squared": softmax(lambda d, c, s: -(d**2) / (2 * s)),
        "clean images": softmax(lambda d, c, s: -(c**2) / (2 * s**2)),
        "squared distances": softmax(lambda d, c, s: -d / (2 * s**2)),
        "nearest image": lambda x, y, a, s: y[torch.cdist(x, a * y).argmin(1)],
        "alpha times": lambda x, y, a, s: a * (-torch.cdist(x, a * y).square() / (2 * s**2)).softmax(1) @ y,
        "underflowed": naive,
        "Expected a tensor": lambda x, y, a, s: y,
        "off by": lambda x, y, a, s: torch.zeros_like(x),
        "raised": lambda x, y, a, s: 1 / 0,
        "Expected a function": 3,
    }
    hints_differ([check.empirical_denoiser(answer) for answer in wrong.values()])
    for words, answer in wrong.items():
        assert words in check.empirical_denoiser(answer).message


def test_sliced_shift():
    assert check.sliced_shift(0.125)
    hints_differ([check.sliced_shift(answer) for answer in (1.0, 1 / 64, (2 / 64) ** 0.5, 0.5)])
    assert check.sliced_shift(0.25, d=16)
    hints_differ([check.sliced_shift(answer, shift=2.0) for answer in (2.0, 4 / 64, 2 / 64, 2 * (2 / 64) ** 0.5)])


def test_sliced_w2_of_a_shift_by_samples():
    x = torch.randn(3000, 64, generator=torch.Generator().manual_seed(0))
    shift = torch.eye(64)[0]
    assert metrics.sliced_w2(x, x + shift, projections=2000, repeats=2).value == pytest.approx(1 / 8, rel=0.05)


def test_copying_sampler():
    w = digits.world(0)
    permuted = lambda train, n, g: train[torch.randperm(len(train), generator=g)[:n]]
    assert check.copying_sampler(permuted)
    wrong = {
        "held-out digits": lambda train, n, g: w.test[:n],
        "different images": lambda train, n, g: train[:5].repeat(n // 5, 1),
        "farther from every digit": lambda train, n, g: torch.randn(n, 64, generator=g),
        "still above": lambda train, n, g: 0.9 * permuted(train, n, g),
        "then it is a model": lambda train, n, g: w.mixture.sample(n, g),
        "Expected a tensor": lambda train, n, g: train[:3],
        "Expected a function": IMAGES,
    }
    verdicts = {words: check.copying_sampler(answer) for words, answer in wrong.items()}
    hints_differ(list(verdicts.values()))
    for words, verdict in verdicts.items():
        assert words in verdict.message


# ---- the live figure


def test_album_is_small_and_complete(results):
    album = digits.album(results)
    assert len(json.dumps(album)) < 200_000
    assert set(album["shown"]) == {f"{s} {p} {t}" for s in digits.SCORES for p in digits.PRIORS for t in (100, 400, 1000)}
    assert set(album["starts"]) == {f"{p} {t}" for p in digits.PRIORS for t in (100, 400, 1000)}
    for texts in (*album["shown"].values(), *album["starts"].values(), album["train"], album["test"]):
        assert all(len(text) == 64 for text in texts)
    row = results.row("smooth", "oracle", 400)
    assert album["numbers"]["smooth oracle 400"][0] == pytest.approx(row.sliced[0], abs=1e-4)


@pytest.mark.browser
def test_the_page_decodes_and_measures_like_the_library(results, widget_js):
    album, w = digits.album(results), digits.world(0)
    decoded = torch.tensor([widget_js("digits", "decode", text) for text in album["train"][:20]])
    assert torch.equal(decoded, w.train[:20])  # training digits survive coding exactly
    for key in ("smooth semi-discrete 100", "smooth oracle 1000", "empirical standard 400"):
        text = album["shown"][key][0]
        image = torch.tensor(widget_js("digits", "decode", text), dtype=torch.float64)
        for name, half in (("train", w.train), ("test", w.test)):
            index, least = widget_js("digits", "nearest", text, album[name])
            distances = (half.double() - image).norm(dim=1)
            assert least == pytest.approx(float(distances.min()), abs=1e-6)
            assert distances[index] == pytest.approx(float(distances.min()), abs=1e-6)
            assert widget_js("digits", "distance", image.tolist(), half[0].double().tolist()) == pytest.approx(
                float(distances[0]), abs=1e-6
            )
