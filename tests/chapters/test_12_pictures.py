"""Chapter 12: what the page claims, its checks with their slips, and the live figure against the library."""

import base64
import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import integrate
from scipy.stats import norm

from otprior_lite import check, data, features, gap, metrics, priors, schedules
from otprior_lite.experiments import cost, pictures, pictures_budget, pictures_groups, pictures_sources
from otprior_lite.experiments.album import album as album_of
from otprior_lite.randomness import seeded
from otprior_lite.semidiscrete import BrenierMap, State, solve
from otprior_lite.targets import GaussianMixture

SCHEDULE = schedules.ddpm_linear(1000)


@pytest.fixture(scope="module")
def smileys():
    """Training smileys as vectors, (351, 3072)."""
    return pictures.smileys()[0].flatten(1)


# ---- 3,072 dimensions


def test_fewer_points_than_dimensions_and_all_far_apart(smileys):
    n, d = smileys.shape
    assert n - 1 < d == 3072
    centred = (smileys - smileys.mean(0)).double()
    assert int(torch.linalg.matrix_rank(centred @ centred.T, rtol=1e-10)) == n - 1
    z = torch.randn(n, d, generator=seeded())
    apart = metrics.nearest_distance(torch.randn(200, d, generator=seeded(1)), z)
    assert float(apart.mean()) == pytest.approx(math.sqrt(2 * d - 2 * math.sqrt(2 * d * math.log(n))), rel=0.02)


def test_the_mean_alone_keeps_the_laws_apart_at_T():
    """ "A fifth of a standard deviation", and total variation as the page prints it: against the integral of |p - q| / 2."""
    shift = float(SCHEDULE.alpha(1000)) * float(features.split("emoji32")[0].distinct().flat.double().mean(0).norm())
    assert shift == pytest.approx(0.2, rel=0.1)
    apart = lambda x: abs(norm.pdf(x) - norm.pdf(x, shift)) / 2
    total_variation = integrate.quad(apart, -10, 10, points=[shift / 2])[0]
    length = shift / float(SCHEDULE.alpha(1000))
    printed = gap.total_variation(GaussianMixture([1.0], [[length]], [1.0]), SCHEDULE, 1000).value
    assert 0.05 < total_variation < 0.12 and printed == pytest.approx(total_variation, rel=1e-4)


def test_the_mean_is_most_of_the_gap_at_T(smileys):
    x, alpha = smileys.double(), float(SCHEDULE.alpha(1000))
    shift = alpha * float(x.mean(0).norm())
    assert 0.2 < shift < 0.3  # "a quarter of a standard deviation"
    gram = (x - x.mean(0)) @ (x - x.mean(0)).T / len(x)
    excess = alpha**2 * (torch.linalg.eigvalsh(gram).clamp_min(0) - 1)
    covariance = math.sqrt(float(((1 + excess).sqrt() - 1).square().sum()) + (3072 - len(x)) * (1 - math.sqrt(1 - alpha**2)) ** 2)
    assert shift > 20 * covariance


# ---- the map


def test_a_solve_sees_only_the_span_of_its_atoms():
    atoms = torch.randn(30, 200, generator=seeded()).double() + 3
    mean, heights = atoms.mean(0), 5 * torch.randn(30, generator=seeded(1)).double()
    Q = torch.linalg.svd(atoms - mean, full_matrices=False)[2][:29].T
    z = torch.randn(5000, 200, generator=seeded(2)).double()
    small = (atoms - mean) @ Q
    assert torch.equal(BrenierMap(atoms, heights).cell(z), BrenierMap(small, heights).cell(z @ Q))
    full, projected = (solve(y, tolerance=0.05, generator=seeded(3)) for y in (atoms, small))
    told = (200 - 29) + float(mean.square().sum()) + projected.w2_squared.value
    noise = math.hypot(full.w2_squared.error, projected.w2_squared.error)
    assert full.w2_squared.value == pytest.approx(told, abs=4 * noise)


@pytest.mark.parametrize("name, t", [("emoji32", 500), ("emoji32", 1000), ("smileys", 250), ("smileys", 1000)])
def test_alignment_is_bounded_by_the_number_of_atoms(name, t, smileys):
    points = features.split("emoji32")[0].distinct().x if name == "emoji32" else pictures.smileys()[0]
    atoms = priors.Potential.load(data.path(f"potentials/{name}_t{t}")).replay(points, SCHEDULE).map
    z, y = torch.randn(1000, 3072, generator=seeded(5)), atoms.points
    aligned = float((z * atoms(z)).sum(1).double().mean())
    reach = float((y - y.mean(0)).norm(dim=1).max()) * math.sqrt(2 * math.log(len(y)))
    assert 0.5 * reach < aligned < reach
    saved = 2 * aligned / (3072 + float(y.square().sum(1).mean()))
    assert 0.03 < saved < 0.07
    assert saved > 0.06 or (name, t) != ("emoji32", 1000)  # the quiz says 6 to 7 %


def test_thirty_percent_would_need_more_pictures_than_there_are():
    """With atoms as long as noise the share is sqrt(2 log N / d), nearly: measured. So 30 % has log N = 0.045 d or more."""
    N, d = 4096, 3072
    z, y = (torch.randn(n, d, generator=seeded(n)) for n in (300, N))
    y = y * math.sqrt(d) / y.norm(dim=1, keepdim=True)
    saved = 2 * float((z * BrenierMap(y, torch.zeros(N))(z)).sum(1).mean()) / (2 * d)
    bound = lambda log_n: math.sqrt(2 * log_n / d)
    assert 0.85 * bound(math.log(N)) < saved < bound(math.log(N))
    assert bound(100) < 0.3 == pytest.approx(bound(0.045 * d))


# ---- exercise checks: the right answer, and each slip with its own hint


def hints_differ(verdicts):
    assert not any(verdicts)
    messages = [verdict.message for verdict in verdicts]
    assert len(set(messages)) == len(messages), messages


def told(checked, wrong):
    """Every wrong answer is told its own words."""
    verdicts = {words: checked(answer) for words, answer in wrong.items()}
    hints_differ(list(verdicts.values()))
    for words, verdict in verdicts.items():
        assert words in verdict.message, (words, verdict)


def _raw(cells, N):
    return float((torch.bincount(cells, minlength=N) / len(cells) - 1 / N).abs().sum())


def _floor(cells, N):
    return math.sqrt(2 * N / (math.pi * len(cells)))


def test_fresh_l1():
    right = lambda c, N: math.sqrt(max(0, _raw(c, N) ** 2 - _floor(c, N) ** 2))
    assert check.fresh_l1(right)
    assert "truth behind these draws is 0.3" in check.fresh_l1(right).message
    told(
        check.fresh_l1,
        {
            "plain error": _raw,
            "subtracted the floor": lambda c, N: _raw(c, N) - _floor(c, N),
            "added the noise": lambda c, N: math.hypot(_raw(c, N), _floor(c, N)),
            "floor itself": _floor,
            "take the root": lambda c, N: _raw(c, N) ** 2 - _floor(c, N) ** 2,
            "L1 sums sizes": lambda c, N: float((torch.bincount(c, minlength=N) / len(c) - 1 / N).square().sum()),
            "total variation": lambda c, N: right(c, N) / 2,
            "Sum over them": lambda c, N: right(c, N) / N,
            "return 0 there": lambda c, N: math.sqrt(d) if (d := _raw(c, N) ** 2 - _floor(c, N) ** 2) > 0 else math.nan,
            "raised": lambda c, N: 1 / 0,
            "Expected a function": 3,
            "Expected shape": lambda c, N: torch.zeros(2),
        },
    )


def test_scoring_work():
    N, d, e = 50_000, 3072, 0.05
    S = 2 * N / (math.pi * e**2)
    assert check.scoring_work(S * N * d)
    told(
        check.scoring_work,
        {
            "Those are the draws": S,
            "all N atoms": S * d,
            "product of d numbers": S * N,
            "squared": 2 * N / (math.pi * e) * N * d,
            "pi stands below": S * math.pi**2 * N * d,
            "factor 2 is missing": S * N * d / 2,
            "counts as one": 2 * S * N * d,
            "one colour": S * N * 1024,
            "too small": 1.0,
        },
    )


def test_resumed_solve():
    again = lambda points, file: solve(points, tolerance=0.1, generator=torch.Generator(), resume=State.load(file)).heights
    verdict = check.resumed_solve(again)
    assert verdict and "same bits" in verdict.message
    warm = lambda p, f: solve(p, tolerance=0.1, generator=seeded(2), warm_start=State.load(f).heights).heights
    assert "pass resume=" in check.resumed_solve(warm).message
    assert "pass resume=" in check.resumed_solve(lambda p, f: solve(p, tolerance=0.1, generator=seeded(9)).heights).message
    told(
        check.resumed_solve,
        {
            "pass resume=": warm,
            "heights of the file": lambda p, f: State.load(f).heights,
            "not the heights of this problem": lambda p, f: torch.zeros(60),
            "Expected shape": lambda p, f: torch.zeros(3),
            "raised": lambda p, f: State.load("nowhere"),
        },
    )


def test_fewer_dimensions():
    def axes(atoms, k=None):
        return torch.linalg.svd(atoms, full_matrices=False)[2][: k or len(atoms)].T

    def fewer(z, atoms, k=5):
        centred = atoms - atoms.mean(0)
        return z @ axes(centred, k), centred @ axes(centred, k)

    def wrong_axes(z, atoms):
        centred = atoms - atoms.mean(0)
        return z @ axes(centred, 5), centred @ axes(centred, 5).flip(1)

    def centre_z(z, atoms):
        centred = atoms - atoms.mean(0)
        return (z - z.mean(0)) @ axes(centred, 5), centred @ axes(centred, 5)

    assert check.fewer_dimensions(fewer)
    told(
        check.fewer_dimensions,
        {
            "Still 20": lambda z, a: (z, a),
            "6 dimensions": lambda z, a: (z @ axes(a), a @ axes(a)),
            "are fewer than": lambda z, a: fewer(z, a, 3),
            "orthonormal": lambda z, a: (2 * fewer(z, a)[0], fewer(z, a)[1] / 2),
            "centred z": centre_z,
            "same axes": wrong_axes,
            "Expected shapes": lambda z, a: (z[:3], a),
            "raised": lambda z, a: z,
            "Expected a function": 3,
        },
    )


def test_flattering_copies():
    def improve(samples, train, generator):
        return torch.cat([train[: len(samples) // 2], samples[len(samples) // 2 :]])

    verdict = check.flattering_copies(improve)
    assert verdict and "copies 0.00" in verdict.message
    held_out = pictures.smileys()[1]
    told(
        check.flattering_copies,
        {
            "must fall": lambda s, t, g: t.mean(0) + 0.8 * (s - t.mean(0)),
            "then it is a model": lambda s, t, g: held_out[: len(s)],
            "Expected a tensor": lambda s, t, g: t[:3],
            "Expected a function": 3,
        },
    )


def test_replayed_cells():
    points = features.split("emoji32")[0].distinct().x
    potential = priors.Potential.load(data.path("potentials/emoji32_t500"))
    prior = potential.replay(points, SCHEDULE)
    z, y, h = prior.codes(64, seeded(64)), prior.map.points, potential.heights
    assert check.replayed_cells((z @ y.T + h).argmax(1))
    told(
        check.replayed_cells,
        {
            "without |y|^2": (z @ y.T - y.square().sum(1) / 2).argmax(1),
            "left the heights out": (z @ y.T).argmax(1),
            "subtracted": (z @ y.T - h).argmax(1),
            "lowest score": (z @ y.T + h).argmin(1),
            "clean pictures": (z @ points.flatten(1).T + h).argmax(1),
            "Other noises": prior.map.cell(prior.codes(64, seeded(0))),
            "0 of 64": torch.zeros(64) - 1,
            "Expected shape": torch.zeros(3),
        },
    )


# ---- the live figure


@pytest.fixture(scope="module")
def album():
    return album_of(pictures.atlas(), pictures.scores())


def crop(address, left, top, side=32):
    """The picture (3, side, side) in [-1, 1] that a page reads out of a strip at [left, top]."""
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).crop((left, top, left + side, top + side))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def test_album_is_small_and_complete(album):
    assert len(json.dumps(album)) < 1_000_000
    rows = len(pictures.TIMES) * len(pictures.NFES) * album["each"]
    for start in pictures.STARTS:
        assert len(album["near"][start]) == len(album["distances"][start]) == rows
    keys = {f"{start} {t} {calls}" for start in pictures.STARTS for t in pictures.TIMES for calls in pictures.NFES}
    assert set(album["numbers"]) == keys | {"held-out", "training"}
    score = pictures.scores()["oracle", 500, 20]
    assert album["numbers"]["oracle 500 20"] == [[pytest.approx(v, abs=1e-4) for v in score.of(m)] for m in album["measures"]]


@pytest.mark.browser
def test_the_page_finds_each_picture_and_its_neighbour(album, widget_js):
    shown, train = pictures.atlas(), pictures.smileys()[0]
    for start, i, j, k in ((0, 0, 0, 0), (2, 1, 1, 3), (6, 2, 3, 5)):
        name = pictures.STARTS[start]
        place = widget_js("pictures", "slot", i, j, k, len(pictures.NFES), 32)
        drawn = crop(album["strips"][name], *place)
        assert (drawn - shown.outputs[start, i, j, k]).abs().mean() < 0.1  # JPEG
        index = album["near"][name][(i * len(pictures.NFES) + j) * album["each"] + k]
        neighbour = crop(album["neighbours"], *widget_js("pictures", "cell", index, album["each"], 32))
        nearest = train[shown.near_train[start, i, j, k]]
        assert (neighbour - nearest).abs().mean() < 0.1
        distance = album["distances"][name][(i * len(pictures.NFES) + j) * album["each"] + k]
        assert distance == pytest.approx(float((shown.outputs[start, i, j, k] - nearest).square().mean().sqrt()), abs=1e-3)
    assert widget_js("pictures", "within", [0.1, 0.3, 0.2], 0.2) == 2
    assert widget_js("pictures", "pm", [1.234, 0.056], 2) == "1.23\u00a0±\u00a00.06"


# ---- what the study says


def mean(start, t, measure, calls=20):
    return pictures.scores()[start, t, calls].of(measure)[0]


def minus(one, other, t, measure, calls=20):
    return pictures.scores()[one, t, calls].minus(pictures.scores()[other, t, calls], measure)


def test_the_frechet_distance_cannot_see_a_copy():
    held, copies = (pictures.scores()[name, 0, 0] for name in ("held-out", "training"))
    (a, ea), (b, eb) = held.of("frechet"), copies.of("frechet")
    assert abs(a - b) < 2 * math.hypot(ea, eb)
    assert copies.of("closer")[0] == copies.of("copies")[0] == 1 and abs(held.of("closer")[0] - 0.5) < 0.15
    assert held.of("repeats")[0] == 0


def test_late_the_start_decides():
    worst, free, map_, best = (mean(name, 250, "frechet") for name in ("standard", "moment-matched", "semi-discrete", "oracle"))
    assert worst > 3 * best and worst > free + 2 and free > map_ + 1.5 and map_ < 1.25 * best
    assert 0.5 < (worst - free) / (worst - best) < 0.8


def test_there_the_map_copies_and_in_the_middle_distances_do_not_tell():
    for name in ("semi-discrete", "fresh-noise", "data-initialised"):
        assert minus(name, "oracle", 250, "closer")[0] > 0.2
        assert abs(minus(name, "oracle", 500, "closer")[0]) < 0.1
    for t in pictures.TIMES:
        assert mean("semi-discrete", t, "repeats") > 0.08
        assert mean("fresh-noise", t, "repeats") == mean("data-initialised", t, "repeats") == 0
    assert mean("semi-discrete", 250, "copies") < 0.02  # the rule of a third sees nothing
    birthday = 1 - (1 - 1 / 351) ** (pictures.SAMPLES - 1)
    assert abs(mean("semi-discrete", 250, "repeats") - birthday) < 0.08
    assert mean("semi-discrete", 500, "frechet") < mean("moment-matched", 500, "frechet") - 0.7
    assert mean("semi-discrete", 500, "frechet") < 1.2 * mean("oracle", 500, "frechet")


def test_half_of_the_noised_pictures_come_back_in_the_middle_and_the_oracles_do_too():
    own = pictures_sources.shares()
    for name in pictures_sources.STARTS:
        assert own[name, 250]["own"][0] > 0.9 and own[name, 250]["told"][0] > 0.99
        assert 0.3 < own[name, 500]["own"][0] < 0.7 and own[name, 500]["told"][0] > 0.85
        assert own[name, 1000]["own"][0] < 0.05
    (share, error), (oracle, noise) = (own[name, 500]["own"] for name in ("semi-discrete", "oracle"))
    assert abs(share - oracle) < 3 * math.hypot(error, noise)


def test_the_scores_at_the_end_say_how_much_an_order_is_worth():
    """N(0, I) and the control have nearly one law there, and differ as much as any two starts in the middle that are close."""
    late = [mean(name, 1000, "frechet") for name in pictures.STARTS]
    close = [abs(minus(name, "data-initialised", 500, "frechet")[0]) for name in ("semi-discrete", "fresh-noise", "oracle")]
    assert 0.3 < max(late) - min(late) < 0.6 and max(close) < 0.6


def test_the_control_does_as_well():
    for t in pictures.TIMES:
        difference, error = minus("semi-discrete", "data-initialised", t, "frechet")
        assert abs(difference) < max(3 * error, 0.25)


def test_at_the_end_the_start_is_not_the_problem_but_the_calls_are():
    difference, error = minus("standard", "oracle", 1000, "frechet")
    assert abs(difference) < max(3 * error, 0.3)
    assert mean("oracle", 1000, "frechet", 5) > mean("oracle", 1000, "frechet", 50) + 0.3


def test_the_best_pictures_are_the_least_drawn_and_smoothing_averages():
    late, middle, end = (mean("oracle", t, "frechet") for t in pictures.TIMES)
    assert late < middle < end
    assert minus("smoothed", "semi-discrete", 250, "frechet")[0] > 0.5


def test_the_budget_bounds_and_says_which_term_leads():
    stacks = {(s.t, s.start, s.calls): s for s in pictures_budget.stacks()}
    for stack in stacks.values():
        assert stack.terms["total"][0] <= stack.bound
    late = stacks[250, "standard", 20].terms
    assert late["start"][0] > late["score"][0] > late["discretisation"][0]
    (moments, error), (plain, noise) = stacks[250, "moment-matched", 20].terms["start"], late["start"]
    assert plain - moments > 3 * math.hypot(error, noise) and moments > 2 * late["score"][0]
    end = stacks[1000, "standard", 5].terms
    assert end["discretisation"][0] > end["start"][0]


def test_guidance_makes_the_classifier_as_content_as_real_emoji_do():
    groups = pictures_groups.groups()
    assert list(groups.right) == sorted(groups.right) and groups.right[-1] > groups.right[0] + 0.15
    assert abs(groups.right[-1] - groups.held_out) < 0.1


def test_the_shipped_solve_takes_the_time_that_the_model_says():
    low, high = cost.predict(cost.costs(), 4175).cpu
    assert low < priors.Potential.load(data.path("potentials/emoji32_t250")).seconds < high < 10 * low


def test_time_breaks_first_and_a_solve_costs_the_square():
    found = cost.costs()
    walls = cost.limits(found)
    assert "core" in walls[0].what and walls[0].measured
    memory = [wall.N for wall in walls if "memory" in wall.what]
    assert min(memory) > walls[0].N
    small, large = (sum(cost.predict(found, n).cpu) for n in (10**6, 10**7))
    assert 80 < large / small < 120
    assert cost.rounding(found, 10**9, 3072) < 0.01
