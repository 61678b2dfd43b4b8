"""Chapter 10: the committed grid made again in part, what the page claims, its checks with their slips, the live figure."""

import math
from itertools import product

import pytest
import torch

from otprior_lite import bounds, check, theorems
from otprior_lite.archive import read
from otprior_lite.experiments import budget, budget_grid, budget_map, budget_networks, study
from otprior_lite.forward import marginal
from otprior_lite.metrics import sliced_w2
from otprior_lite.randomness import seeded
from otprior_lite.score import ExactDenoiser

LAW, SCHEDULE = budget_networks.law(), budget_networks.SCHEDULE
EVERY = budget.every_stack()


# ---- the committed files are what the code makes


@pytest.mark.parametrize("part", [
    {"part": "sample", "method": "ddim", "network": "small", "steps": 10, "T": 0.5, "seed": 1},
    {"part": "sample", "method": "ddpm", "network": "exact", "steps": 5, "T": 2.0, "seed": 1},
    {"part": "w2", "network": "tiny", "steps": 5, "T": 1.0, "seed": 0},
    {"part": "kl", "network": "exact", "steps": 20, "T": 0.25, "seed": 0},
])  # fmt: skip
def test_the_grid_is_made_again(part):
    """A cell measured now has the committed numbers, up to float32 rounding of another processor."""
    (row,) = (row for row in study.load("budget") if part.items() <= row.items())
    for key, value in budget_grid.measure(part).items():
        assert value == pytest.approx(row[key], rel=2e-3, abs=2e-4), key


def test_the_brackets_are_made_again():
    row = study.load("budget_map")[3]
    cell = {key: row[key] for key in ("T", "tau", "N", "draws", "seed")}
    found = budget_map.measure(cell)
    assert found == pytest.approx({key: row[key] for key in found}, rel=2e-3, abs=2e-4)


def test_the_weights_are_the_networks():
    """The committed tensors are those of the named sizes, and a training of 20 steps starts from what the code starts from."""
    stored = read(budget_networks.data.path("weights/budget"))[0]
    names = {f"{size}.{seed}." for size in budget_networks.SIZES for seed in budget_networks.SEEDS}
    assert {".".join(name.split(".")[:2]) + "." for name in stored} == names
    first, again = (budget_networks.trained("tiny", 0, steps=20).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("size", budget_networks.SIZES)
def test_larger_networks_are_better_denoisers(size):
    """Error of the learned posterior mean at three times, and that the ranking tiny, small, wide is real."""
    exact, order = ExactDenoiser(LAW, SCHEDULE), list(budget_networks.SIZES)
    x = {t: marginal(LAW, SCHEDULE, t).sample(2000, seeded(4)) for t in (0.05, 0.3, 1.0)}
    rms = lambda name: sum(
        float((budget_networks.denoiser(name, 0)(v, t) - exact(v, t)).square().sum(1).mean().sqrt()) for t, v in x.items()
    )
    assert rms(size) < 0.5
    if size != "tiny":
        assert rms(size) < rms(order[order.index(size) - 1])


# ---- the bounds hold, and the measurement is a lower estimate


def test_every_bound_that_can_be_tested_holds():
    tested = [s for s in EVERY if s.matched > s.floor]
    assert len(tested) > 0.9 * len(EVERY) and all(s.total > s.matched for s in tested)
    ratios = sorted(s.slack for s in tested)
    assert 4 < ratios[len(ratios) // 2] < 15 and ratios[-1] < 40


def test_girsanov_holds_and_its_terms_combine():
    for row in (budget.path_kl(net, K, T) for net in budget.NETWORKS for K in budget.KL_STEPS for T in budget.LENGTHS):
        for start in ("standard", "moment-matched"):
            assert row[start] <= row["path"] + row[f"prior {start}"] + row["floor"]
        assert row["path"] == pytest.approx((math.sqrt(row["score"]) + math.sqrt(row["discretisation"])) ** 2, rel=1e-3)


def test_the_measured_distance_is_a_shift_and_at_most_w2():
    """sqrt(2) SW2 of a shifted copy is the shift; of a cloud against its reflection it is below the assignment's W2."""
    from otprior_lite.discrete import assignment_cost

    x = LAW.sample(300, seeded(1))
    shift = torch.tensor([0.3, -0.4], dtype=torch.float64)
    assert math.sqrt(2) * sliced_w2(x, x + shift, projections=400).value == pytest.approx(0.5, rel=0.03)
    assert math.sqrt(2) * sliced_w2(x, -x, projections=100).value < 1.03 * math.sqrt(assignment_cost(x, -x))


def test_the_histogram_sees_a_kl_below_the_true_one():
    """p_eps shifted by c: the KL seen through 64 cells is positive, and below the exact KL by Monte Carlo."""
    p, c = marginal(LAW, SCHEDULE, budget.EPS), torch.tensor([0.2, 0.1], dtype=torch.float64)
    x = p.sample(20_000, seeded(3))
    exact = float((p.log_prob(x) - p.log_prob(x - c)).mean())
    seen, floor = budget_grid.histogram_kl(p.sample(20_000, seeded(5)) + c, 0)
    assert 0.5 * exact < seen < exact
    assert budget_grid.histogram_kl(p.sample(20_000, seeded(6)), 0)[0] < 2 * floor


@pytest.mark.parametrize("name", budget.STARTS)
def test_the_bound_on_the_start_holds(name):
    """W2(p_T, q_T) between samples, minus what two samples of p_T give, stays below the bound used in the grid."""
    T = 0.5
    p, q = marginal(LAW, SCHEDULE, T), budget_grid.start(name, T, 0)
    x, y, z = p.sample(900, seeded(1)), p.sample(900, seeded(2)), q.sample(900, seeded(3))
    from otprior_lite.discrete import assignment_cost

    measured, floor = math.sqrt(assignment_cost(x, z)), math.sqrt(assignment_cost(x, y))
    assert measured <= budget_grid.start_w2(name, T, 0) + 1.2 * floor


# ---- what the page says


def test_long_or_short():
    """From N(0, I) the error falls with T up to 3; from p_T it rises; good starts have their best T at 1 or before."""
    trade = budget.trade()
    values = {start: [m.value for m in means] for start, means in trade.measured.items()}
    assert values["standard"][:5] == sorted(values["standard"][:5], reverse=True)
    assert values["oracle"] == sorted(values["oracle"])
    for start in ("moment-matched", "data-initialised", "oracle"):
        assert trade.T[values[start].index(min(values[start]))] <= 1
    bound = [budget.stack("wide", 20, T, "moment-matched").total for T in budget.LENGTHS]
    assert 0 < bound.index(min(bound)) < len(bound) - 1  # a U
    for score in trade.score.values():
        assert score[-1] > score[0] and score[-1] < 1.1 * score[3]  # rises, then saturates
    assert trade.prior["standard"] == sorted(trade.prior["standard"], reverse=True)


def test_the_ablation():
    at = {(c.start, c.network, c.steps, c.method): c.measured for c in budget.ablation()}
    flow, sde = (at["standard", "exact", 80, method].value for method in ("ddim", "ddpm"))
    assert sde < flow / 2  # the SDE forgets part of its start
    assert at["oracle", "exact", 10, "ddpm"].value > 1.4 * at["oracle", "exact", 10, "ddim"].value  # and pays in steps
    assert at["oracle", "exact", 80, "ddim"].value < budget.floor()
    assert at["oracle", "wide", 80, "ddim"].value > at["oracle", "exact", 80, "ddim"].value


def test_a_perfect_start_is_wasted_on_a_poor_score():
    by = {(g.network, g.T): g for g in budget.gains()}
    for T in (3.0, 4.5):
        assert by["tiny", T].removed.value < 0.1 and by["tiny", T].oracle.value > 5 * budget.floor()
    assert by["wide", 1.0].removed.value > 0.7 > by["tiny", 1.0].removed.value
    for net in budget.NETWORKS[:3]:
        shares = [by[net, T].removed.value for T in budget.LENGTHS]
        assert shares == sorted(shares, reverse=True)


def test_only_the_first_bracket_is_zero():
    for row in study.load("budget_map"):
        assert (row["smoothing"] < 1e-4) == (row["tau"] == 0)
        assert row["quantisation"] > 0.2 and row["measured"] > 1.3 * row["floor"]
        assert row["measured"] <= row["smoothing"] + row["quantisation"] + row["sampling"] + 0.5 * row["floor"]


def test_the_papers_theorems_hold_on_the_examples():
    import copy

    from otprior_lite.score import LearnedDenoiser

    own = LearnedDenoiser(copy.deepcopy(budget_networks.denoiser("small", 0).network).double(), SCHEDULE)
    found = theorems.theorem_3_6(own, LAW, SCHEDULE, 1.0, eps=0.01, n=60)
    assert found.holds and not found.assumptions_met and found.right <= found.term("cauchy_schwarz") * 1.001


def test_the_amplification_is_proved_and_tends_to_a_constant():
    far, farther = (bounds.amplification("ode", LAW, SCHEDULE, T, t=0.01) for T in (4.0, 5.0))
    assert far.certified and farther.value == pytest.approx(far.value, rel=1e-3) and 5 < far.value < 7


# ---- the checks


def trap(x, t, threshold=-13.0, far=40.0):
    unseen = marginal(LAW, SCHEDULE, t).log_prob(x) < threshold
    return torch.where(unseen[:, None], torch.full_like(x, far), ExactDenoiser(LAW, SCHEDULE)(x, t))


def test_right_answers_pass():
    assert check.path_term(0.09 * 1.99)
    assert check.carry(lambda gamma, delta: (gamma[1:] * delta).sum())
    assert check.hopeless("tiny", 4.5)
    assert check.trap(trap)
    settings = product(budget.NETWORKS[:3], budget.STEPS, budget.LENGTHS, budget.STARTS[:3])
    offers = [key for key in settings if budget_networks.weights(key[0]) * key[1] <= 50_000]
    assert check.spend(*min(offers, key=lambda key: budget.measured(*key).value))


@pytest.mark.parametrize("answer, word", [
    (0.09 * 3.98, "1/2"), (0.09 * 0.995, "g^2 = 2"), (0.3 * 1.99, "squared"), (0.18, "eps, not at 0"),
    (math.sqrt(0.09 * 1.99), "root"), (0.09, "integrate over time"), (9.0, "too large"), ("x", "one number"),
])  # fmt: skip
def test_path_term_names_the_slip(answer, word):
    verdict = check.path_term(answer)
    assert not verdict and word in verdict.message


@pytest.mark.parametrize("answer, word", [
    (lambda g, e: (g[:-1] * e).sum(), "from t_k"), (lambda g, e: g[0] * e.sum(), "whole run"), (lambda g, e: e.sum(), "did not carry"),
    (lambda g, e: (g[1:] * e).norm(), "added squares"), (lambda g, e: (g[1:].flip(0).cumprod(0).flip(0) * e).sum(), "multiply the factors"),
    (lambda g, e: g[1:] * e, "shape"), (3.0, "function"),
])  # fmt: skip
def test_carry_names_the_slip(answer, word):
    verdict = check.carry(answer)
    assert not verdict and word in verdict.message


@pytest.mark.parametrize("answer, word", [
    (("wide", 80, 1.0, "standard"), "Too dear"), (("small", 80, 0.25, "standard"), "prior"), (("wide", 5, 3.0, "moment-matched"), "discretisation"),
    (("tiny", 80, 3.0, "moment-matched"), "score"), (("exact", 80, 1.0, "standard"), "network: choose"), (("small", 7, 1.0, "standard"), "steps: choose"),
    (("small", 80, 1.0, "oracle"), "start: choose"),
])  # fmt: skip
def test_spend_names_the_slip(answer, word):
    verdict = check.spend(*answer)
    assert not verdict and word in verdict.message


@pytest.mark.parametrize("answer, word", [
    (("exact", 4.5), "nothing dominates"), (("tiny", 0.5), "removes"), (("huge", 1.0), "Choose a network"), (("tiny", 9.0), "Choose a network"),
])  # fmt: skip
def test_hopeless_names_the_slip(answer, word):
    verdict = check.hopeless(*answer)
    assert not verdict and word in verdict.message


@pytest.mark.parametrize("answer, word", [
    (lambda x, t: trap(x, t, threshold=-7.0), "training would notice"), (ExactDenoiser(LAW, SCHEDULE), "Where does N(0, I)"),
    (lambda x, t: x[:1], "shape"), (None, "function"),
])  # fmt: skip
def test_trap_names_the_slip(answer, word):
    verdict = check.trap(answer)
    assert not verdict and word in verdict.message


# ---- the live figure


@pytest.mark.browser
@pytest.mark.parametrize("at", [(0, 0, 0, 0), (1, 3, 2, 0), (2, 2, 4, 1), (3, 1, 5, 2), (0, 3, 4, 3)])
def test_widget_reads_the_grid(widget_js, at):
    """The state the page hands over, read by the widget, is the library's stack: terms, slack, largest term, gain."""
    net, K, T, start = (names[i] for names, i in zip((budget.NETWORKS, budget.STEPS, budget.LENGTHS, budget.STARTS), at))
    right, best = budget.stack(net, K, T, start), budget.measured(net, K, T, "oracle")
    came = widget_js("budget", "setting", budget.grid(), *at, 3)
    assert came["terms"] == pytest.approx([right.prior, right.score, right.discretisation], abs=1e-4)
    assert came["total"] == pytest.approx(right.total, abs=3e-4) and came["largest"] == right.largest
    assert came["flow"] == pytest.approx([right.measured.value, right.measured.error], abs=1e-4)
    assert came["slack"] == pytest.approx(right.total / right.measured.value, rel=1e-2)
    gap, noise = right.measured.value - best.value, 2 * math.hypot(right.measured.error, best.error)
    assert came["helps"] == (gap > noise) or abs(gap - noise) < 4e-4


@pytest.mark.browser
def test_widget_axis_ends_are_round_and_wide_enough(widget_js):
    for x in (0.0123, 0.1, 0.29, 1.0, 1.4, 2.92, 4.79, 9.99):
        end = widget_js("budget", "axisEnd", x)
        assert x * (1 - 1e-9) <= end <= 2 * x + 1e-12
