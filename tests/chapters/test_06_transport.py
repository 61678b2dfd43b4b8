"""Chapter 6: its checks know right answers from slips, its widget agrees with the library, its claims hold."""

import itertools
import math

import pytest
import torch

from otprior_lite import check, figures, transport
from otprior_lite.experiments import transport as experiments
from otprior_lite.linalg import squared_distances

# ---- checks: (right answer) and (slip, a word of its hint)


def log_sinkhorn(cost, epsilon, rounds):
    n, m = cost.shape
    kernel, u = -cost / epsilon, torch.zeros(n, dtype=cost.dtype)
    for _ in range(rounds):
        v = -math.log(m) - torch.logsumexp(kernel + u[:, None], 0)
        u = -math.log(n) - torch.logsumexp(kernel + v, 1)
    return (kernel + u[:, None] + v).exp()


def on_circle(*degrees):
    return [[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees]


def test_right_answers_pass():
    assert check.sorted_cost(17 / 3)
    assert check.sorted_cost(9.0, x=(1.0, 2.0), y=(5.0, 4.0))
    assert check.distinct_share(1 - 0.9**10)
    assert check.distinct_share(0.75, n=2)
    assert check.crossing_yet_optimal([[0, 0], [1, -1]], [[10, 0], [12, 1]])
    assert check.crossing_yet_optimal(*experiments.crossing_pair())
    assert check.swaps_are_not_enough(on_circle(0, 120, 240), on_circle(75, 195, 315))
    assert check.swaps_are_not_enough(on_circle(*range(0, 360, 36)), on_circle(*range(30, 390, 36)))
    assert check.log_sinkhorn(log_sinkhorn)


def _rejects(verdict, word):
    assert not verdict
    assert word in verdict.message, verdict


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (17, "sum over the pairs"), (math.sqrt(17 / 3), "That is W2"), (49 / 3, "list order"), (19, "smallest with the largest"),
        (7 / 3, "averaged |x - y|"), (13.0, "independent"), ((7 / 3) ** 2, "means"), (9.0, "too large"), ("six", "one number"),
    ],
)  # fmt: skip
def test_sorted_cost_names_the_slip(answer, word):
    _rejects(check.sorted_cost(answer), word)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (0.9**10, "missed"), (1 - math.exp(-1), "limit for large n"), (math.exp(-1), "limit of the share"), (1.0, "Independent draws repeat"),
        (1 - 0.99**10, "permutation"), (10 * (1 - 0.9**10), "Divide by n"), (0.5, "too small"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_distinct_share_names_the_slip(answer, word):
    _rejects(check.distinct_share(answer), word)


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        ([[0, 0], [0, 1]], [[1, 0], [1, 1]], "do not cross"), ([[0, 0], [0, 1]], [[1, 1], [1, 0]], "exchanging the ends pays"),
        ([[0, 0]], [[1, 1]], "Expected 2 points"), ([[0, 0, 0]] * 2, [[1, 1]] * 2, "x: expected shape"), ("ab", [[1, 1]] * 2, "x: expected"),
        ([[0, 0], [2, 0]], [[1, 0], [1, 1]], "do not cross"),
    ],
)  # fmt: skip
def test_crossing_yet_optimal_names_what_is_missing(x, y, word):
    _rejects(check.crossing_yet_optimal(x, y), word)


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (on_circle(0, 120, 240), on_circle(50, 170, 290), "Turn more"), (on_circle(0, 120, 240), on_circle(100, 220, 340), "Turn less"),
        (on_circle(0, 180), on_circle(70, 250), "fewer than three"), (on_circle(0, 120, 240), on_circle(70, 190), "equally many"),
        ([[math.nan, 0]] * 3, on_circle(0, 1, 2), "x: expected finite"),
    ],
)  # fmt: skip
def test_swaps_are_not_enough_names_what_is_missing(x, y, word):
    _rejects(check.swaps_are_not_enough(x, y), word)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (experiments.naive_sinkhorn, "small epsilon"), (lambda c, e, s: log_sinkhorn(c, e, s).log(), "logarithm"),
        (lambda c, e, s: log_sinkhorn(c, e, s) * len(c), "sum to"), (lambda c, e, s: log_sinkhorn(c, e, s).T, "shape"),
        (lambda c, e, s: (-c / e).softmax(1) / len(c), "Columns"), (lambda c, e, s: (-c / e).softmax(0) / c.shape[1], "Rows"),
        (lambda c, e, s: torch.full_like(c, 1 / c.numel()), "product of the weights"), (lambda c, e, s: log_sinkhorn(-c, e, s), "-cost/epsilon"),
        (lambda c, e, s: c * math.nan, "already at epsilon"), (lambda c: c, "raised TypeError"), (None, "Expected a function"),
    ],
)  # fmt: skip
def test_log_sinkhorn_names_the_slip(function, word):
    _rejects(check.log_sinkhorn(function), word)


# ---- the widget


def _problems():
    scenes = dict(experiments.scenes())
    generator = torch.Generator().manual_seed(9)
    for n in (1, 2, 5, 8):
        scenes[f"random {n}"] = tuple(torch.randn(n, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    return scenes


PROBLEMS = _problems()


@pytest.mark.browser
@pytest.mark.parametrize("name", PROBLEMS)
def test_widget_solves_the_assignment(widget_js, name):
    x, y = PROBLEMS[name]
    for power in (1, 2):
        cost = squared_distances(x, y) ** (power / 2)
        C = widget_js("transport", "costs", x.tolist(), y.tolist(), power)
        assert torch.allclose(torch.tensor(C, dtype=torch.float64), cost)
        found = widget_js("transport", "assignment", C)
        f, g = (torch.tensor(found[k], dtype=torch.float64) for k in "fg")
        slack = cost - f[:, None] - g
        assert float(slack.min()) > -1e-9 and max(abs(float(slack[i, j])) for i, j in enumerate(found["order"])) < 1e-9
        assert found["cost"] == pytest.approx(float(f.mean() + g.mean()), rel=1e-9) and float(f.mean()) == pytest.approx(
            float(g.mean()), abs=1e-9
        )
        if power == 2:
            best = transport.plan(x, y)
            assert found["cost"] == pytest.approx(best.cost, rel=1e-9) and found["order"] == best.assignment.tolist()


@pytest.mark.browser
@pytest.mark.parametrize("name", ["two clouds", "a turned triangle", "random 5", "random 1"])
def test_widget_sinkhorn_is_the_librarys(widget_js, name):
    x, y = PROBLEMS[name]
    C = widget_js("transport", "costs", x.tolist(), y.tolist(), 2)
    for epsilon in (0.3, 2.0, 20.0):
        right = transport.sinkhorn(x, y, epsilon=epsilon, tolerance=1e-9, max_iterations=100_000)
        found = widget_js("transport", "sinkhorn", C, epsilon, 1e-8, 100_000)
        assert found["converged"] and found["cost"] == pytest.approx(right.cost, rel=1e-5)
        torch.testing.assert_close(torch.tensor(found["plan"], dtype=torch.float64), right.matrix, rtol=1e-4, atol=1e-7)
        for mine, theirs in zip((found["f"], found["g"]), right.potentials):
            torch.testing.assert_close(torch.tensor(mine, dtype=torch.float64), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.browser
def test_widget_says_when_sinkhorn_did_not_converge(widget_js):
    x, y = PROBLEMS["random 8"]
    C = widget_js("transport", "costs", x.tolist(), y.tolist(), 2)
    assert not widget_js("transport", "sinkhorn", C, 0.05, 1e-12, 1)["converged"]


@pytest.mark.browser
@pytest.mark.parametrize("name", PROBLEMS)
def test_widget_counts_crossings(widget_js, name):
    x, y = PROBLEMS[name]
    order = list(range(len(x)))
    assert widget_js("transport", "crossings", x.tolist(), y.tolist(), order) == experiments.count_crossings(x, y)


@pytest.mark.browser
def test_widget_travellers_of_crossing_arrows_do_not_meet(widget_js):
    x, y = (p.tolist() for p in experiments.crossing_pair())
    assert min(widget_js("transport", "closest", x, y, [0, 1], t / 50) for t in range(1, 50)) > 0.2


# ---- what the page says


def test_crossings_are_common_for_the_squared_distance_and_absent_for_the_distance():
    shares = experiments.crossing_shares(60)
    assert shares["distance"] == 0 and shares["squared distance"] > 0.5 and shares["list order"] > 0.9


def test_scenes_are_what_the_page_asks_the_reader_to_see():
    scenes = experiments.scenes()
    x, y = scenes["two arrows"]
    assert experiments.count_crossings(x, y) == 1 and transport.cyclical_monotonicity(x, y).gain == 0
    x, y = scenes["a turned triangle"]
    pairs = [transport.cyclical_monotonicity(x[[i, j]], y[[i, j]]).gain for i, j in itertools.combinations(range(3), 2)]
    assert pairs == [0, 0, 0] and transport.cyclical_monotonicity(x, y).gain > 1
    x, y = scenes["two lines"]
    assert bool((y[transport.plan(x, y).assignment, 0][x[:, 0].argsort()].diff() > 0).all())
    x, y = scenes["two clouds"]
    assert experiments.count_crossings(x, y[transport.plan(x, y).assignment]) == 0 < experiments.count_crossings(x, y)


def test_four_couplings_have_the_same_marginals_and_different_costs():
    results = experiments.couplings()
    for result in results:
        for side in (0, 1):
            torch.testing.assert_close(result.matrix.sum(side), torch.full((7,), 1 / 7, dtype=torch.float64), atol=1e-5, rtol=0)
    independent, listed, soft, best = (result.cost for result in results)
    assert listed > independent > soft > best


def test_potentials_are_prices():
    """Moving a little mass from x_k to x_i changes the cost by (f_i - f_k) times that mass, where prices are unique."""
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.randn(k, 2, generator=generator, dtype=torch.float64) for k in (4, 5))
    a = torch.tensor([0.13, 0.29, 0.17, 0.41], dtype=torch.float64)  # no partial sums agree with those of y: no ties
    f, delta = transport.plan(x, y, a).potentials[0], 1e-4
    moved = a + delta * torch.tensor([1.0, 0.0, -1.0, 0.0], dtype=torch.float64)
    rate = (transport.plan(x, y, moved).cost - transport.plan(x, y, a).cost) / delta
    assert rate == pytest.approx(float(f[0] - f[2]), rel=1e-6)


def test_naive_sinkhorn_breaks_and_its_fallback_costs_what_no_transport_costs():
    sweep = experiments.sweep(n=40, epsilons=[10.0, 1.0, 0.1, 0.01])
    assert all(sweep.converged) and bool((sweep.cost.diff() < 0).all()) and sweep.cost[-1] < 1.001 * sweep.exact
    assert (
        not bool(sweep.naive32[2:].isfinite().any())
        and bool(sweep.naive64[:2].isfinite().all())
        and not bool(sweep.naive64[-1].isfinite())
    )
    assert float(sweep.careless[-1]) == pytest.approx(sweep.independent, rel=1e-6)
    assert float(sweep.careless_error[2:].max()) < 1e-5  # the marginal test does not see it


def test_gaussian_samples_learn_the_cost_before_the_map():
    runs = experiments.gaussians(sizes=(50, 400), repeats=3)
    S1, S2 = experiments.gaussian_pair()[1::2]
    assert float((S1 @ S2 - S2 @ S1).abs().max()) > 0.1
    assert abs(float(runs.w2[-1]) / runs.truth - 1) < 0.05 and float(runs.partner[-1]) > 0.1
    assert bool((runs.partner >= runs.least).all()) and float(runs.partner[-1]) < float(runs.partner[0])
    assert bool((runs.partner < 1.5 * runs.floor).all())


def test_sample_w2_in_high_dimension_is_its_floor():
    low, high = experiments.bias(dimensions=(2, 32), sizes=(32, 256), repeats=3)
    assert float(low.apart[-1]) > float(low.floor[-1]) + 3 * float(low.spread[-1])
    assert float(high.apart[-1]) - float(high.floor[-1]) < 0.1 * float(high.floor[-1]) and float(high.floor[-1]) > 5 * high.truth
    assert 1 < float(high.floor[0] / high.floor[-1]) < 1.3


def test_quiz_floor_of_a_thousand_points_in_a_thousand_dimensions():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(1000, 1000, generator=generator) for _ in range(2))
    assert math.sqrt(transport.plan(x, y).cost) == pytest.approx(42, abs=1)


def test_drawing_pairs_repeats_them():
    assert experiments.duplicates(n=256, batches=100) == pytest.approx(1 - (1 - 1 / 256) ** 256, abs=0.01)


@pytest.mark.parametrize("angle, n, helps", [(59, 3, False), (61, 3, True), (17, 10, False), (19, 10, True)])
def test_a_turned_polygon_is_found_out_beyond_half_its_step(angle, n, helps):
    step = 360 / n
    x, y = on_circle(*(k * step for k in range(n))), on_circle(*(k * step + angle for k in range(n)))
    assert (transport.cyclical_monotonicity(x, y).gain > 0) == helps


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_couplings_are_drawn(theme):
    figure = figures.make("transport_couplings", theme)
    assert len(figure.axes) == 8
    assert {"transport_couplings", "transport_sinkhorn", "transport_gaussians", "transport_bias"} <= set(figures.names())
