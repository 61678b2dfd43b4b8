"""Chapter 3: its checks know right answers from slips, its widget agrees with the library, its claims hold."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from otprior_lite import check, gap, schedules, targets
from otprior_lite.experiments import floors, gaps
from otprior_lite.forward import marginal
from otprior_lite.gap.line import w2_one_dimensional
from otprior_lite.targets import Empirical, GaussianMixture

OU = schedules.ou(4.0)


# ---- checks: (right answer) and (slip, a word of its hint)


def _normal(mean, variance):
    return GaussianMixture([1.0], [[float(mean)]], [float(variance)])


def _plane(correlation, mean=(0.0, 0.0), variances=(1.0, 1.0)):
    a, b = variances
    c = correlation * math.sqrt(a * b)
    return GaussianMixture([1.0], [list(mean)], [[[a, c], [c, b]]])


def _comb(teeth=40, width=0.01):
    places = torch.special.ndtri((torch.arange(teeth, dtype=torch.float64) + 0.5) / teeth)[:, None]
    return GaussianMixture([1 / teeth] * teeth, places, [width**2] * teeth)


def _floor(n, d, generator, root=True, draws=8, pair=None):
    total = 0.0
    for _ in range(draws):
        x, y = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
        cost = (x[:, None] - y).square().sum(-1)
        rows, columns = linear_sum_assignment(cost) if pair is None else pair(n)
        total += float(cost[rows, columns].mean().sqrt() if root else cost[rows, columns].mean())
    return total / draws


V = 1 - math.exp(-2)


def test_right_answers_pass():
    assert check.gaussian_gap(1.5)
    assert check.point_kl(0.5 * (9 * math.exp(-2) + 3 * (V - 1 - math.log(V))))
    assert check.standardised_yet_far(_plane(0.95)) and check.standardised_yet_far(_plane(-0.9))
    assert check.sample_floor(_floor)
    assert check.talagrand_loose(_comb())


def test_right_answers_pass_on_other_problems():
    assert check.gaussian_gap(math.sqrt(4 + 0.25), mean=(2.0,), variances=(2.25,))
    assert check.point_kl(gap.kl_bound(Empirical([[3.0]]), OU, 0.4), squared_norm=9.0, d=1, T=0.4)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (2.25, "the square"), (math.sqrt(1 + 9 + 0.5625), "standard deviations"), (math.sqrt(1.25), "mean is missing"),
        (1.0, "Only the mean"), (1 + math.sqrt(1.25), "Their squares add"), (1.5 / math.sqrt(2), "averaged"),
        (0.5 * (1 + 4 + 0.25 - 2 - math.log(1.0)), "That is KL"), (9.0, "too large"), (0.1, "too small"), ("x", "one number"),
    ],
)  # fmt: skip
def test_gaussian_gap_names_the_slip(answer, word):
    _rejects(check.gaussian_gap(answer), word)


SIGNAL, EXCESS = 9 * math.exp(-2), V - 1 - math.log(V)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (math.inf, "At time 0"), (SIGNAL + 3 * EXCESS, "factor 1/2"), (0.5 * (SIGNAL + EXCESS), "one dimension"),
        (0.5 * SIGNAL, "Only the mean"), (1.5 * EXCESS, "Only the variance"), (0.5 * (9 * math.exp(-1) + 3 * EXCESS), "e^{-2T}"),
        (0.5 * (SIGNAL + 3 * (math.sqrt(V) - 1 - math.log(math.sqrt(V)))), "sigma^2 belongs"),
        (0.5 * (SIGNAL + 3 * (V - 1 + math.log(V))), "sign of the logarithm"),
        (0.5 * (SIGNAL / V + 3 * (1 / V - 1 + math.log(V))), "other way round"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_point_kl_names_the_slip(answer, word):
    _rejects(check.point_kl(answer), word)


@pytest.mark.parametrize(
    ("law", "word"),
    [
        (_plane(0.95, mean=(0.1, 0.0)), "have means"), (_plane(0.95, variances=(1.0, 2.0)), "have variances"),
        (_plane(0.0), "still free"), (_plane(0.5), "Correlate"), (_normal(0, 1), "in the plane"), ("law", "in the plane"),
    ],
)  # fmt: skip
def test_standardised_yet_far_names_what_is_missing(law, word):
    _rejects(check.standardised_yet_far(law), word)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda n, d, g: _floor(n, d, g, root=False), "squared"),
        (lambda n, d, g: _floor(n, d, g, pair=lambda n: (range(n), range(n))), "list order"),
        (lambda n, d, g: _by_axis(n, d, g), "each coordinate"), (lambda n, d, g: 0.0, "itself"),
        (lambda n, d, g: 5.0, "too large"), (lambda n: n, "raised TypeError"), (0.7, "Expected a function"),
    ],
)  # fmt: skip
def test_sample_floor_names_the_slip(function, word):
    _rejects(check.sample_floor(function), word)


def _by_axis(n, d, generator):
    draws = []
    for _ in range(20):
        x, y = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
        draws.append(float((x.sort(0).values - y.sort(0).values).square().sum(1).mean().sqrt()))
    return sum(draws) / len(draws)


@pytest.mark.parametrize(
    ("law", "word"),
    [
        (_normal(0, 1), "0 over 0"), (_normal(0, 0.01), "use many bumps"), (_comb(8, 0.3), "narrower"),
        (_plane(0.5), "one dimension"), (None, "Expected"),
    ],
)  # fmt: skip
def test_talagrand_loose_names_what_is_missing(law, word):
    _rejects(check.talagrand_loose(law), word)


def _rejects(verdict, word):
    assert not verdict
    assert word in verdict.message, verdict


# ---- the widget


STATES = [
    (1.0, 1.5, 0.9, 0.4, 0.5), (0.0, 1.0, 0.98, 0.4, 2.0), (-2.0, 0.2, 0.99, 0.05, 0.1), (0.5, 2.5, 0.3, 0.95, 4.0),
    (1.3, 0.7, 0.0, 0.5, 1.0),
]  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("state", STATES, ids=str)
def test_widget_gap_is_the_librarys(widget_js, state):
    *knobs, T = state
    target = gaps.two_bumps(*knobs)
    law = widget_js("gap", "twoBumps", *knobs)
    assert law["means"] == pytest.approx(target.means[:, 0].tolist(), rel=1e-12, abs=1e-15)
    assert law["stds"] == pytest.approx(target.covariances.sqrt().tolist(), rel=1e-12)
    found, exact = widget_js("gap", "gap", law, T), gap.prior_gap(target, OU, T)
    for name, expected in {
        "w2": exact.total.value, "mean": exact.mean, "covariance": exact.covariance, "lower": exact.lower,
        "kl": gap.kl(target, OU, T).value, "synchronous": exact.upper, "talagrand": gap.talagrand(target, OU, T),
        "contraction": gap.contraction_bound(target, OU, T),
    }.items():  # fmt: skip
        assert found[name] == pytest.approx(expected, rel=1e-7, abs=3e-8), name
    assert found["shape"] == pytest.approx(exact.shape.value, rel=1e-6, abs=1e-7)  # the library subtracts two squares


@pytest.mark.browser
def test_widget_density_and_channel(widget_js):
    target = gaps.two_bumps(1.0, 1.5, 0.9)
    alpha, sigma = widget_js("gap", "channel", 0.7)
    assert (alpha, sigma) == pytest.approx((float(OU.alpha(0.7)), float(OU.sigma(0.7))), rel=1e-12)
    p = widget_js("gap", "diffuse", widget_js("gap", "twoBumps", 1.0, 1.5, 0.9, 0.4), alpha, sigma)
    for x in (-2.0, 0.3, 1.9):
        expected = float(marginal(target, OU, 0.7).log_prob([[x]]).exp())
        assert widget_js("gap", "density", p, x) == pytest.approx(expected, rel=1e-10)


# ---- what the page says: theorems


def test_two_bumps_have_the_moments_that_the_knobs_say():
    law = gaps.two_bumps(0.7, 1.3, 0.6, 0.2)
    assert float(law.mean) == pytest.approx(0.7) and float(law.covariance) == pytest.approx(1.69)


@pytest.mark.parametrize("T", [0.2, 1.0])
def test_shape_is_what_the_free_fix_leaves(T):
    """shape^2 = s / sqrt(v) W2(p_T, N(m_T, v))^2, on a schedule with s != 1, too."""
    for schedule, t in ((OU, T), (schedules.edm(3.0), 3.0 * T)):
        law = gaps.two_bumps(1.0, 1.5)
        split, p = gap.prior_gap(law, schedule, t), marginal(law, schedule, t)
        v, s = float(p.covariance), float(schedule.reference_std(t))
        rest = w2_one_dimensional(p, math.sqrt(v), float(p.mean))
        assert split.shape.value**2 == pytest.approx(s / math.sqrt(v) * rest**2, rel=1e-8)


def test_slack_of_the_convexity_bound_is_mutual_information():
    """Gaussian data: I(x_0; x_T) = 1/2 log(1 + SNR v)."""
    law, T = _normal(0.7, 2.3), 0.6
    information = 0.5 * math.log1p(2.3 * float(OU.snr(T)))
    assert gap.kl_bound(law, OU, T) - gap.kl(law, OU, T).value == pytest.approx(information, rel=1e-9)


def test_slack_of_talagrand_is_stretching():
    """KL = W2^2 / 2 + E(mu - 1 - log mu); the map from N(0, 1) to p_T has mu(z) = gamma(z) / p_T(S(z))."""
    law, T = gaps.two_bumps(0.4, 1.2, 0.8), 0.3
    p = marginal(law, OU, T)
    x = torch.linspace(-7, 7, 20_001, dtype=torch.float64)
    density, z = p.log_prob(x[:, None]).exp(), torch.special.ndtri(targets.cdf(p, x))
    mu = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) / density
    stretching = float(torch.trapezoid(torch.where(density > 1e-12, (mu - 1 - mu.log()) * density, 0.0), x))
    w2 = gap.prior_gap(law, OU, T).total.value
    assert gap.kl(law, OU, T).value == pytest.approx(w2**2 / 2 + stretching, rel=1e-5)


def test_late_times_and_talagrands_root_k():
    for law, k in zip(gaps.treatments().values(), (1, 2, 3)):
        late, exact = gap.hermite_asymptotics(law, OU, 3.5), gap.prior_gap(law, OU, 3.5).total.value
        assert late.slope == -k and exact == pytest.approx(late.value, rel=3e-3)
        assert gap.talagrand(law, OU, 3.5) / exact == pytest.approx(math.sqrt(k), rel=2e-3)
    symmetric = gaps.two_bumps(share=0.5)
    assert gap.hermite_asymptotics(symmetric, OU).slope == -4
    assert gap.talagrand(symmetric, OU, 2.5) / gap.prior_gap(symmetric, OU, 2.5).total.value == pytest.approx(2.0, rel=2e-2)


def test_sample_distance_is_above_its_lower_bound():
    found = floors.floors(dimensions=(16, 64), sizes=(50, 200), repeats=3)
    for floor in found:
        assert bool((floor.w2 > floor.least).all()) and float(floor.least.min()) > 0
    assert floors.least_floor(1000, 2) == 0
    assert floors.least_floor(50_000, 3072) == pytest.approx(75.0, abs=0.05)


# ---- what the page says: numbers


def test_one_unit_of_time():
    """From T = 2.1 to 3.1 the gap falls by about e, e^2, e^3."""
    for curve, k in zip(gaps.decay(), (1, 2, 3)):
        assert float(curve.T[15] - curve.T[10]) == pytest.approx(1.0)
        assert float(curve.exact[10] / curve.exact[15]) == pytest.approx(math.exp(k), rel=0.3 * math.exp(-2.1))  # O(alpha)
        assert bool((curve.gelbrich <= curve.exact * (1 + 1e-9)).all())
        for bound in (curve.synchronous, curve.talagrand, curve.contraction):
            assert bool((bound >= curve.exact * (1 - 1e-9)).all())
    assert curve.floor > 0.05 and float(curve.exact[3:].max()) < curve.floor  # most of the panel is below the floor
    assert float(curve.gelbrich.max()) < 1e-9 and torch.allclose(curve.matched, curve.exact)


def test_three_distances_disagree():
    shifted, moved, comb, points = gaps.views()
    assert shifted.w2 == pytest.approx(0.1) and shifted.kl == pytest.approx(0.005)
    assert moved.w2 > 5 * comb.w2 and moved.total_variation < comb.total_variation / 20
    assert points.kl == math.inf and points.total_variation == 1 and points.w2 < 0.1


def test_slack_is_where_the_page_says():
    by = {s.label: s.ratios for s in gaps.slack(times=(0.1, 1.0, 3.0), plane=(0.4,))}
    one = pytest.approx(torch.ones(3), rel=1e-6)
    shift, point, shape = by["shift, unit variance"], by["one point"], by["skewed, standardised"]
    assert shift["Talagrand"].numpy() == one and shift["contraction"].numpy() == one
    assert point["synchronous"].numpy() == one and point["KL convexity"].numpy() == one
    assert float(shift["Pinsker"][-1]) == pytest.approx(math.sqrt(math.pi / 2), rel=2e-3)
    for name, worst in (("synchronous", 4000), ("contraction", 2000), ("KL convexity", 6e6)):
        assert float(shape[name][-1]) > worst
    assert float(shape["Talagrand"].max()) < 2.6 and float(shape["Gelbrich"].max()) < 1e-9
    for ratios in by.values():
        for name, ratio in ratios.items():
            seen = ratio[~ratio.isnan()]
            assert bool((seen <= 1 + 1e-6).all() if name == "Gelbrich" else (seen >= 1 - 1e-6).all()), name
            if name == "Pinsker" and len(seen):
                assert float(seen.min()) > 1.1


def test_only_the_giraffe_has_error_bars():
    *line, plane = gaps.slack(times=(1.0,), plane=(1.0,))
    assert all(float(error.max()) == 0 for s in line for error in s.errors.values())
    kl = gap.kl(targets.toy("giraffe"), OU, 1.0, n=10_000)
    assert float(plane.errors["KL convexity"]) == pytest.approx(kl.error / kl.value)
    assert float(plane.errors["Talagrand"]) > float(plane.errors["Gelbrich"]) > 0


def test_much_signal_small_gap_and_the_other_way_round():
    rows = gaps.units()
    signals = [row.signal for row in rows]
    assert signals == sorted(signals, reverse=True)
    assert all(row.standardised < row.drawn < row.centimetres for row in rows)
    assert rows[1].signal == pytest.approx(0.467, abs=1e-3) and rows[1].standardised < 0.01
    assert rows[-1].signal < 0.007 and rows[-1].centimetres > 1
    laws = gaps.heights()
    assert float(laws["standardised"].covariance) == pytest.approx(1)
    assert float(laws["centimetres"].means.min()) == pytest.approx(0, abs=1e-9)


def test_scale_free_numbers_bring_edm_close_to_ddpm():
    pixels = _normal(0, 0.25)
    plain = [gap.prior_gap(pixels, s).total.value for s in (schedules.ddpm_linear(1000), schedules.edm(80.0))]
    free = [gap.relative_gap(pixels, s).w2.value for s in (schedules.ddpm_linear(1000), schedules.edm(80.0))]
    assert plain[1] > 50 * plain[0] and free[1] < 2 * free[0]


def test_true_gaps_lie_far_below_the_floor():
    found, truths = floors.floors(dimensions=(1, 64), sizes=(100,), line=(100,), repeats=2), floors.truths()
    for floor in found:
        for truth in truths:
            assert float(truth.w2[truth.d.tolist().index(floor.d)]) < float(floor.w2[-1]) / 3
    assert float(truths[0].w2[-1]) < 2 < 70 < floors.least_floor(10_000, 3072)


def test_hidden_laws_are_all_half_away():
    for law in floors.hidden(0.5, d=3).values():
        first = GaussianMixture(law.weights, law.means[:, :1], law.covariances[:, 0, 0])
        assert gap.prior_gap(first, OU, 0.0).total.value == pytest.approx(0.5, rel=1e-6)
    split = floors.hidden(0.5, d=3)["split"]
    assert float(split.mean.abs().max()) < 1e-12
    assert torch.allclose(split.covariance, torch.eye(3, dtype=torch.float64), atol=1e-9)


def test_who_sees_what():
    rows = {row.estimator: row for row in floors.sight()}
    w2, sliced, energy, moments, told = (rows[k] for k in rows)
    assert max(w2.scores.values()) < 2 and w2.values["shifted"] > 15 * 0.5
    for row in (sliced, energy):
        assert row.scores["shifted"] > 2 > row.scores["stretched"] and row.scores["split"] < 2
    assert min(moments.scores["shifted"], moments.scores["stretched"]) > 2 > moments.scores["split"]
    assert min(told.scores.values()) > 5
