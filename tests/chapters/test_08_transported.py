"""Chapter 8: what the page claims, its checks with their slips, the studies made again in part, and the live figure."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otprior_lite import check, samplers
from otprior_lite.experiments import late_start, tau, tracing, transported
from otprior_lite.experiments.study import load
from otprior_lite.randomness import normal, seeded
from otprior_lite.semidiscrete import BrenierMap, solve
from otprior_lite.semidiscrete.smooth import SmoothMap, score_scale

GIVEN = late_start.TIMES


@pytest.fixture(scope="module")
def late():
    return transported.late()


@pytest.fixture(scope="module")
def rows():
    return {(row.world, row.t, row.prior): row for row in transported.rulers()}


@pytest.fixture(scope="module")
def soft():
    return {found.world: found for found in transported.temperatures()}


def below(a, b, by=2.0):
    """Pair a is smaller than pair b by more than `by` standard errors."""
    return b[0] - a[0] > by * math.hypot(a[1], b[1])


# ---- two rulers


def test_the_ranking_of_the_question(rows):
    row = {name: rows["ring", 2.0, name] for name in ("standard", "semi-discrete", "moment-matched", "oracle", "X_T")}
    assert row["moment-matched"].fresh[0] < row["standard"].fresh[0] < row["semi-discrete"].fresh[0]
    assert row["semi-discrete"].stored[0] < min(row[name].stored[0] for name in ("standard", "moment-matched"))
    assert row["semi-discrete"].seeds == 10
    assert abs(row["semi-discrete"].stored[0] - row["X_T"].stored[0]) < 0.03


def test_the_map_is_worse_than_nothing_at_2_and_better_at_a_quarter():
    worse, better = (transported.difference("semi-discrete", "standard", t) for t in (2.0, 0.25))
    assert worse.n == better.n == 10
    assert worse.value - 1.96 * worse.error > 0.03
    assert better.value + 1.96 * better.error < -0.1
    behind = transported.difference("semi-discrete", "moment-matched", 0.25)
    assert behind.value - 1.96 * behind.error > 0


def test_fresh_noise_is_at_the_floor_and_equals_the_control(rows):
    for t in (0.25, 1.0, 2.0):
        for name in ("fresh noise", "data-initialised"):
            assert abs(rows["ring", t, name].fresh[0] - rows["ring", t, "oracle"].fresh[0]) < 0.02
    assert below(rows["ring", 2.0, "oracle"].fresh, rows["ring", 2.0, "semi-discrete"].fresh, 5)


def test_who_sits_at_which_floor_in_the_figure(rows):
    """The alternative text: stored maps at the floor on the left, and off it on the right."""
    for t in (0.25, 2.0):
        for name in ("semi-discrete", "extended", "smoothed 0.1"):
            assert rows["ring", t, name].stored[0] < 0.2 < 0.24 < rows["ring", t, name].fresh[0]
        for name in ("mixture", "learned", "fresh noise", "data-initialised"):
            assert rows["ring", t, name].stored[0] > 0.22 > rows["ring", t, name].fresh[0]


def test_shrinking_is_rewarded_by_w2_and_not_by_the_energy_distance(soft):
    digits = soft["digits"]
    k = digits.taus.index(1.0)
    assert below(digits.kept["fresh"][k], digits.controls["oracle", "fresh"], 10)
    assert below(digits.controls["oracle", "energy"], digits.kept["energy"][k], 10)
    seeds = [row for row in load("tau") if row["world"] == "digits"]
    assert all(row["kept"][tau.TAUS.index(1.0)][0] < row["oracle"][0] for row in seeds)


# ---- the law


def test_the_start_is_a_draw_from_the_list():
    test = transported.resampled()
    assert test.p_value > 0.01
    prior = late_start.start("semi-discrete", "ring", 0, 0.25)
    assert float((prior.map.exact_masses() - 1 / 300).abs().max()) < 1e-4
    cell = {"world": "ring", "score": "exact", "method": "ddim", "seed": 0}
    ends = late_start.end(cell, "semi-discrete", 0.25, 5)
    starts = late_start.draws("semi-discrete", "ring", 0, 0.25, late_start.SAMPLES["ring"])
    assert len(torch.unique((ends / 1e-6).round(), dim=0)) <= len(torch.unique(starts, dim=0)) <= 300


def test_unlike_any_other_counts_what_probability_says(late):
    """n draws from N points: a share exp(-n / N) comes once."""
    share, error = late.of("ring", "exact", "ddim", "semi-discrete", 0.25, 20, "distinct")
    assert abs(share - math.exp(-400 / 300)) < 4 * max(error, 0.01)
    assert late.of("ring", "exact", "ddim", "data-initialised", 0.25, 20, "distinct")[0] > 0.99


def test_a_list_costs_its_mean_distance_over_n():
    """Lists of standard normal numbers: E|x - Y| and E|Y - Y'| = 2 / sqrt(pi) in closed form."""
    N, lists = 20, normal((4000, 20), seeded(0), dtype=torch.float64)
    to_law = lists * torch.erf(lists / math.sqrt(2)) + math.sqrt(2 / math.pi) * (-lists.square() / 2).exp()
    inside = (lists[:, :, None] - lists[:, None, :]).abs().mean((1, 2))
    energy = 2 * to_law.mean(1) - inside - 2 / math.sqrt(math.pi)
    error = float(energy.std()) / math.sqrt(len(lists))
    assert abs(float(energy.mean()) - 2 / math.sqrt(math.pi) / N) < 4 * error


def test_the_list_of_the_studies_costs_what_it_should(rows, soft):
    seen = rows["ring", 2.0, "X_T"].fresh_energy
    assert abs(seen[0] - transported.list_cost("ring", 2.0)) < 3 * seen[1]
    seen, floor = (soft["digits"].controls[name, "energy"] for name in ("semi-discrete", "oracle"))
    assert abs(seen[0] - transported.list_cost("digits", 0.25)) < 4 * math.hypot(seen[1], floor[1])


# ---- late starts


def test_few_calls_and_a_short_start_favour_the_map_and_its_control(late):
    ring = {name: late.of("ring", "exact", "ddim", name, 0.05, 5, "energy") for name in late_start.STARTS}
    full = late.of("ring", "exact", "dpmpp2m", "standard", 4.0, 5, "energy")
    assert below(ring["semi-discrete"], full, 5) and below(ring["data-initialised"], full, 5)
    key = lambda name, t, world="ring", score="exact": (world, score, "ddim", name, t, 5, "energy")
    more, error = late.gap(key("moment-matched", 0.05), key("semi-discrete", 0.05))
    assert more > 2 * error
    digits = {name: late.of("digits", "learned", "ddim", name, 0.05, 5, "energy") for name in late_start.STARTS}
    full = {k: late.of("digits", "learned", "dpmpp2m", "standard", 4.0, k, "energy") for k in late_start.STEPS}
    assert below(digits["semi-discrete"], digits["moment-matched"], 3) and below(digits["semi-discrete"], full[5], 3)
    assert digits["data-initialised"][0] < digits["semi-discrete"][0]
    rival = ("digits", "learned", "dpmpp2m", "standard", 4.0, 50, "energy")
    more, error = late.gap(rival, key("data-initialised", 0.05, "digits", "learned"))
    assert more > 2 * error


def test_ten_calls_of_a_good_solver_are_as_good(late):
    full, map = (
        ("digits", "learned", *rest, 10, "energy") for rest in (("dpmpp2m", "standard", 4.0), ("ddim", "semi-discrete", 0.05))
    )
    more, error = late.gap(full, map)
    assert abs(more) < 2 * error


def test_every_column_but_the_last_likes_copies(late):
    """Late starts from data are both precise and diverse, as the training digits are; full runs are one or the other."""
    at = lambda name, t, method, measure: late.of("digits", "learned", method, name, t, 10, measure)[0]
    for name in ("semi-discrete", "data-initialised"):
        for method in ("ddim", "ddpm"):
            assert at(name, 0.05, "ddim", "energy") < at("standard", 4.0, method, "energy")
            assert at(name, 0.05, "ddim", "recall") > at("standard", 4.0, method, "recall")
            assert at(name, 0.05, "ddim", "mixture") < at("standard", 4.0, method, "mixture")
        assert at(name, 0.05, "ddim", "precision") > at("standard", 4.0, "dpmpp2m", "precision") + 0.2
        assert at(name, 0.05, "ddim", "nearer") > 0.98
        assert min(at(name, 0.05, "ddim", measure) for measure in ("precision", "recall")) > 0.8
    for method in late_start.METHODS:
        assert min(at("standard", 4.0, method, measure) for measure in ("precision", "recall")) < 0.8
    for measure in ("precision", "recall"):
        assert abs(late.training["digits", measure][0] - late.new["digits", measure][0]) < 0.06


def test_the_table_of_wins(late):
    """The map against the Gaussian: ahead at 0.05, behind on the ring at 1 and 2 with few calls; against the control: never ahead."""
    table = {(row.world, row.t): row for row in transported.wins(late)}
    for world in ("ring", "digits"):
        assert all(row.gauss_5[0] > 2 * row.gauss_5[1] for (place, t), row in table.items() if place == world and t == 0.05)
        assert not any(row.control_20[0] > 2 * row.control_20[1] for (place, _), row in table.items() if place == world)
    for t in (1.0, 2.0):
        assert table["ring", t].gauss_5[0] < -2 * table["ring", t].gauss_5[1]
        assert table["digits", t].full_20[0] < -2 * table["digits", t].full_20[1]
    assert all(table["ring", t].full_20[0] < -2 * table["ring", t].full_20[1] for t in GIVEN)
    for t in (0.05, 0.25):
        assert table["ring", t].full_5[0] > 2 * table["ring", t].full_5[1]


def test_a_late_start_with_a_poor_solver_loses(late):
    full = late.of("digits", "learned", "dpmpp2m", "standard", 4.0, 5, "energy")
    for t in (1.0, 2.0):
        for name in late_start.STARTS:
            assert below(full, late.of("digits", "learned", "ddim", name, t, 5, "energy"))


def test_copies_come_from_the_start_not_from_the_network(late):
    share = lambda name, t, method="ddim": late.of("digits", "learned", method, name, t, 20, "nearer")[0]
    for method in ("ddim", "ddpm"):
        assert share("semi-discrete", 0.05, method) > 0.9 and share("data-initialised", 0.05, method) > 0.9
        assert share("oracle", 0.05, method) < 0.15
        assert abs(share("semi-discrete", 1.0, method) - share("oracle", 1.0, method)) < 0.1
        assert abs(share("semi-discrete", 0.05, method) + share("oracle", 0.05, method) - 1) < 0.12
    assert share("moment-matched", 0.25) < 0.65
    for name in late_start.STARTS:
        assert abs(late.of("ring", "exact", "ddim", name, 0.05, 20, "nearer")[0] - 0.5) < 0.08


def test_the_empirical_score_copies_from_every_start(late):
    for name in late_start.STARTS:
        for t in GIVEN:
            assert late.of("digits", "empirical", "ddim", name, t, 20, "nearer")[0] > 0.99


def test_mode_mixture_falls_with_the_start_time_with_or_without_a_map(late):
    mix = lambda name, t: late.of("digits", "learned", "ddim", name, t, 20, "mixture")
    for name in ("semi-discrete", "data-initialised"):
        assert below(mix(name, 0.05), mix(name, 2.0), 5)
        assert abs(mix(name, 0.05)[0] - late.new["digits", "mixture"][0]) < 0.06
        assert abs(mix(name, 2.0)[0] - mix("standard", 4.0)[0]) < 0.08
    assert mix("moment-matched", 0.05)[0] > 2 * mix("semi-discrete", 0.05)[0]
    assert late.training["digits", "mixture"][0] < 0.15


def test_no_temperature_is_both_new_and_right(soft):
    digits = soft["digits"]
    for k in range(len(digits.taus)):
        new = digits.kept["to_atoms"][k][0] > 0.5 * digits.controls["oracle", "to_atoms"][0]
        right = digits.kept["energy"][k][0] < 3 * digits.controls["semi-discrete", "energy"][0]
        assert not (new and right)
    for found in soft.values():
        spread = [value for value, _ in found.kept["trace"]]
        assert spread == sorted(spread, reverse=True)
    k = digits.taus.index(0.5)
    assert soft["ring"].solved["trace"][k][0] - soft["ring"].kept["trace"][k][0] > 0.04
    assert abs(digits.solved["trace"][k][0] - digits.kept["trace"][k][0]) < 0.02


# ---- traces and noise levels


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(1, 5), st.floats(0.05, 0.99), st.integers(0, 10**6))
def test_the_bound_holds_for_any_points(n, d, alpha, seed):
    sigma, generator = math.sqrt(1 - alpha**2), seeded(seed)
    points = 2 * normal((n, d), generator, dtype=torch.float64)
    index = torch.arange(n).repeat(400)
    x = alpha * points[index] + sigma * normal((len(index), d), generator, dtype=torch.float64)
    share = float((torch.cdist(x, alpha * points).argmin(1) == index).double().mean())
    assert tracing.trace_bound(points, alpha, sigma) <= share + 4 * 0.5 / math.sqrt(len(index))


def test_two_points_attain_the_bound():
    points = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]], dtype=torch.float64)
    x = 0.8 * points[1] + 0.6 * normal((200_000, 3), seeded(0), dtype=torch.float64)
    share = float((torch.cdist(x, 0.8 * points).argmin(1) == 1).double().mean())
    assert tracing.trace_bound(points, 0.8, 0.6) == pytest.approx(share, abs=3e-4 * 5)


def test_the_figure_of_traces_says_what_the_text_says():
    ring, digits = tracing.traces()
    for found in (ring, digits):
        for (value, error), bound in zip(found.measured, found.bound):
            assert bound <= value + 3 * error
    at = dict(zip(digits.times, zip(digits.measured, digits.bound)))
    assert at[0.05][1] > 0.99 and at[0.05][0][0] > 0.99
    assert at[0.25][1] < 0.3 < 0.5 < at[0.25][0][0] and at[1.0][0][0] < 0.1 and at[0.5][1] == 0
    assert max(ring.bound) == 0 and max(value for value, _ in ring.measured) < 0.15


def test_the_ladder_of_dpm_ot():
    """sigma at the index of the atoms and of the sampler, from the logarithms of the ends."""
    for shipped, atoms, sampler in zip(tracing.SHIPPED, (0.0139, 0.0141, 0.0109), (0.0104, 0.0106, 0.0103)):
        assert shipped.level(0) == pytest.approx(shipped.first) and shipped.level(shipped.levels - 1) == pytest.approx(
            shipped.last
        )
        assert (round(shipped.atoms, 4), round(shipped.sampler, 4)) == (atoms, sampler)
        assert 2 < shipped.grey < 4
        assert tracing.copies_at(shipped.atoms) == pytest.approx((1.0, 1.0))


# ---- the pairing


def test_what_the_pairing_buys():
    gauss, hard, smooth, shuffled, anyone, fresh = transported.pairings()
    assert hard.cost < 0.1 * anyone.cost and hard.cost < 0.1 * shuffled.cost and gauss.cost < hard.cost
    assert hard.step < 0.1 < 0.9 < anyone.step and hard.jumps < 0.02 < 0.4 < shuffled.jumps < anyone.jumps
    assert max(hard.distinct, shuffled.distinct, anyone.distinct) < 0.01 < 0.99 < min(gauss.distinct, fresh.distinct)
    assert smooth.distinct > 0.99 and smooth.jumps == 0


# ---- the studies, a part of them again


def close(a, b):
    assert a == pytest.approx(b, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("method", ["ddim", "ddpm"])
def test_late_starts_are_made_again(method):
    cell = {"world": "ring", "score": "exact", "method": method, "seed": 0}
    row = next(row for row in load("late_start") if all(row[key] == value for key, value in cell.items()))
    kept = {tuple(run[:3]): run[3:] for run in row["runs"]}
    for name in late_start.STARTS:
        close(late_start.grade("ring", 0, late_start.end(cell, name, 0.25, 5)), kept[name, 0.25, 5])


def test_a_late_start_of_digits_is_made_again():
    cell = {"world": "digits", "score": "empirical", "method": "dpmpp2m", "seed": 1}
    row = next(row for row in load("late_start") if all(row[key] == value for key, value in cell.items()))
    kept = {tuple(run[:3]): run[3:] for run in row["runs"]}
    close(late_start.grade("digits", 1, late_start.end(cell, "moment-matched", 4.0, 5)), kept["moment-matched", 4.0, 5])
    close(late_start.grade("digits", 1, late_start.place("digits", 1).train[: late_start.SAMPLES["digits"]]), row["training"])


def test_a_temperature_is_made_again():
    row = next(row for row in load("tau") if (row["world"], row["seed"]) == ("ring", 0))
    k = tau.TAUS.index(0.3)
    close(tau.grade("ring", 0, tau.smoothed("ring", 0, 0.3, False)), row["kept"][k])
    close(tau.grade("ring", 0, "data-initialised"), row["data-initialised"])


def test_the_grids_are_whole():
    rows = load("late_start")
    assert len(rows) == len(late_start.cells(False)) and {row["seed"] for row in rows} == set(late_start.SEEDS)
    counts = {len(row["runs"]) for row in rows if row["method"] != "dpmpp2m"}
    assert counts == {(len(GIVEN) * len(late_start.STARTS) + len(late_start.FULL)) * len(late_start.STEPS)}
    assert len(load("tau")) == len(tau.cells(False))


# ---- checks


def test_saved_steps():
    grid = samplers.time_grid(late_start.SCHEDULE, 20)
    right = int((grid[:-1] > 0.25).sum())
    assert check.saved_steps(right)
    for wrong, word in ((20 - right, "left"), (19, "log-SNR"), (right + 1, "n + 1")):
        assert word in check.saved_steps(wrong).message and not check.saved_steps(wrong)


def test_transported_start():
    atoms = lambda p, a, s, e: a * p + s * e
    answers = {
        "one argmax": lambda p, h, a, s, e, z: atoms(p, a, s, e)[(z @ atoms(p, a, s, e).T + h).argmax(1)],
        "clean points of the right": lambda p, h, a, s, e, z: p[(z @ atoms(p, a, s, e).T + h).argmax(1)],
        "scored the clean": lambda p, h, a, s, e, z: atoms(p, a, s, e)[(z @ p.T + h).argmax(1)],
        "forgot the heights": lambda p, h, a, s, e, z: atoms(p, a, s, e)[(z @ atoms(p, a, s, e).T).argmax(1)],
        "nearest atom": lambda p, h, a, s, e, z: atoms(p, a, s, e)[torch.cdist(z, atoms(p, a, s, e)).argmin(1)],
        "not the lowest": lambda p, h, a, s, e, z: atoms(p, a, s, e)[(z @ atoms(p, a, s, e).T + h).argmin(1)],
        "raised": lambda p, h, a, s, e, z: 1 / 0,
        "shape": lambda p, h, a, s, e, z: z[:3],
        "wrong": lambda p, h, a, s, e, z: z,
    }
    for k, (word, answer) in enumerate(answers.items()):
        verdict = check.transported_start(answer)
        assert bool(verdict) == (k == 0) and word in verdict.message, verdict


def test_confusion():
    phi = lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2)))
    assert check.confusion(phi(-2.0))
    for wrong, word in (
        (phi(-4.0), "half way"),
        (phi(-1.2), "divide"),
        (phi(-2.5), "shrinks"),
        (phi(2.0), "opposite"),
        (2 * phi(-2.0), "one side"),
    ):
        assert word in check.confusion(wrong).message and not check.confusion(wrong)


def test_choose_start(late):
    pick = lambda c, m: late.of("digits", "learned", "ddim", *c, 10, m)[0]
    choices = [(name, t) for name in late_start.STARTS[:-1] for t in GIVEN]
    allowed = [c for c in choices if pick(c, "nearer") <= 0.6]
    best, free = (min(c, key=lambda c: pick(c, "energy")) for c in (allowed, choices))
    assert check.choose_start(*best)
    assert pick(free, "nearer") > 0.9 and free[1] == 0.05  # the page: without the limit, a start that copies
    assert "limit" in check.choose_start("data-initialised", 0.05).message
    assert "better" in check.choose_start("standard", 0.05).message
    assert (
        "not measured" in check.choose_start("oracle", 0.05).message and "Expected" in check.choose_start("standard", "x").message
    )


def test_tau_in_scales():
    atoms = late_start.start("semi-discrete", "digits", 0, 0.05).map.points
    scale = score_scale(atoms)
    assert check.tau_in_scales(0.02 / scale)
    R = scale * math.sqrt(2 * math.log(len(atoms)))
    slips = {
        "multiplied": 0.02 * scale,
        "scale itself": scale,
        "radius": 0.02 / R,
        "natural": 0.02 * math.sqrt(2 * math.log10(len(atoms))) / R,
        "2 log N": 0.02 * math.sqrt(math.log(len(atoms))) / R,
    }
    for word, wrong in slips.items():
        assert word in check.tau_in_scales(wrong).message and not check.tau_in_scales(wrong)


def test_merge_atoms():
    def merge(points):
        kept, counts = torch.unique(points, dim=0, return_counts=True)
        return kept, counts / len(points)

    even = lambda points: (merge(points)[0], torch.full((3,), 1 / 3))
    answers = ((merge, "Right"), (lambda p: (p, torch.full((6,), 1 / 6)), "twice"), (even, "three times"), (lambda p: (merge(p)[0], 6 * merge(p)[1]), "sum"), (lambda p: (p[:1], torch.ones(1)), "lost"), (lambda p: (p, p), "shapes"), (3, "function"), (lambda p: 1 / 0, "raised"))  # fmt: skip
    for k, (answer, word) in enumerate(answers):
        verdict = check.merge_atoms(answer)
        assert bool(verdict) == (k == 0) and word in verdict.message, verdict


def test_duplicates_are_merged_by_the_solver():
    points = normal((50, 2), seeded(0), dtype=torch.float64)
    fit = solve(torch.cat([points, points[:10]]), generator=seeded(0))
    assert fit.converged and len(fit.map.points) == 50 and float(fit.weights.max()) * 60 == pytest.approx(2)


# ---- figures and the live figure


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_draw_what_they_are_given(late, soft, theme):
    from matplotlib.figure import Figure

    from otprior_lite.figures import tracing as traced
    from otprior_lite.figures import transported as draw

    jobs = ((draw.rulers, transported.rulers()), (draw.calls, late), (draw.copies, late), (draw.mixture, late), (draw.tau, list(soft.values())), (traced.traces, tracing.traces()))  # fmt: skip
    for function, results in jobs:
        assert isinstance(function(theme, results, narrow=theme == "dark"), Figure)


@pytest.fixture(scope="module")
def live():
    return transported.live(times=(0.05, 1.0), atoms=40, codes=60)


def test_the_page_saves_the_steps_that_the_grid_saves(widget_js):
    for steps in (5, 20, 50):
        grid = samplers.time_grid(late_start.SCHEDULE, steps)[:-1]
        for t in GIVEN:
            assert widget_js("transported", "stepsSaved", t, steps, 4) == int((grid > t).sum())
    for t in (0.05, 1.0, 3.0):
        assert widget_js("transported", "logSnr", t) == pytest.approx(float(late_start.SCHEDULE.log_snr(t)), rel=1e-9)


def test_the_page_maps_codes_as_the_library_does(widget_js, live):
    points, eps, z = (torch.tensor(live[key], dtype=torch.float64) for key in ("points", "eps", "z"))
    for frame in live["frames"]:
        alpha, sigma = float(late_start.SCHEDULE.alpha(frame["t"])), float(late_start.SCHEDULE.sigma(frame["t"]))
        atoms = alpha * points + sigma * eps
        map = BrenierMap(atoms, torch.tensor(frame["heights"], dtype=torch.float64))
        assert float((map.exact_masses() - 1 / 40).abs().max()) < 1e-5
        images = lambda start: torch.tensor(widget_js("transported", "images", start, frame, live), dtype=torch.float64)  # noqa: B023
        assert torch.allclose(images("semi-discrete"), map(z))
        assert torch.allclose(images("smoothed"), SmoothMap(atoms, map.heights, frame["tau"])(z), atol=1e-9)
        assert frame["tau"] == pytest.approx(late_start.TAU * score_scale(atoms))
        assert torch.equal(images("standard"), z)
        a, b, c = frame["covariance"]
        values, axes = torch.linalg.eigh(torch.tensor([[a, b], [b, c]], dtype=torch.float64))
        matched = torch.tensor(frame["mean"], dtype=torch.float64) + z @ (axes * values.sqrt()) @ axes.T
        assert torch.allclose(images("moment-matched"), matched)
        fresh = alpha * points[torch.tensor(live["index"])] + sigma * torch.tensor(live["fresh"], dtype=torch.float64)
        assert torch.allclose(images("data-initialised"), fresh)


def test_the_cells_of_the_page_are_the_library_s(widget_js, live):
    area = lambda corners: (
        abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]]))) / 2 if corners else 0.0
    )
    frame = live["frames"][1]
    points, eps = (torch.tensor(live[key], dtype=torch.float64) for key in ("points", "eps"))
    atoms = float(late_start.SCHEDULE.alpha(1.0)) * points + float(late_start.SCHEDULE.sigma(1.0)) * eps
    map = BrenierMap(atoms, torch.tensor(frame["heights"], dtype=torch.float64))
    drawn = widget_js("transported", "cells", atoms.tolist(), frame["heights"], 3.0)
    for own, library in zip(drawn, map.polygons(3.0)):
        assert area(own) == pytest.approx(area(library.tolist()), abs=1e-9)
    assert sum(map_area for map_area in (area(own) for own in drawn)) == pytest.approx(36)


def test_the_bars_are_the_committed_rows(live, late):
    for place, score in (("ring", "exact"), ("digits", "learned")):
        for start in late_start.STARTS[:-1]:
            row = live["numbers"][f"{place} {start} 1"]
            wanted = [v for m in ("energy", "nearer", "distinct") for v in late.of(place, score, "ddim", start, 1.0, 20, m)]
            assert row == pytest.approx(wanted)
