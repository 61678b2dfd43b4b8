"""Chapter 5: what the page claims, its checks with their slips, and the live figure against the library."""

import math

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otprior_lite import bounds, check, data, figures, gap, priors, schedules, targets
from otprior_lite.experiments import free_fix, moments
from otprior_lite.forward import marginal
from otprior_lite.gap.line import w2_one_dimensional
from otprior_lite.linalg import power
from otprior_lite.samplers import sample
from otprior_lite.score import ExactDenoiser
from otprior_lite.targets import GaussianMixture
from otprior_lite.transport import gaussian_map


@pytest.fixture(scope="module")
def late():
    return {row.label: row for row in free_fix.late_times(times=(0.25, 1.0, 2.5, 3.0))}


# ---- what stays


def test_slopes_and_constants_of_the_theorem(late):
    skewed, whitened, symmetric = late.values()
    assert skewed.slope(skewed.standard) == pytest.approx(-1, abs=0.01)
    assert skewed.slope(skewed.fixed) == pytest.approx(-2.99, abs=0.02)
    assert symmetric.slope(symmetric.standard) == pytest.approx(-2, abs=0.01)
    assert symmetric.slope(symmetric.fixed) == pytest.approx(-4, abs=0.01)
    assert float(symmetric.fixed[-1]) == pytest.approx(1.2538e-6, rel=1e-4)
    assert float(symmetric.standard[-1]) == pytest.approx(1.1154e-4, rel=1e-4)
    assert float(skewed.fixed[-1]) == pytest.approx(6.5846e-5, rel=1e-4)
    for row in late.values():
        assert float(row.fixed[-1] / row.fixed_law[-1]) == pytest.approx(1, abs=0.003)
        assert row.floor < 1e-8 * row.fixed[-1]
    assert whitened.fixed == pytest.approx(whitened.standard, rel=1e-9)


def test_leading_terms_are_cumulants_by_hand(late):
    """kappa_3 and kappa_4 of equal-variance bumps are those of a two-point law."""
    T = 3.0
    p, a, b = 0.7, 2.0, -1.0
    third = p * (1 - p) * (1 - 2 * p) * (a - b) ** 3
    assert float(late["skewed"].fixed_law[-1]) == pytest.approx(abs(third) / math.sqrt(18) * math.exp(-3 * T), rel=1e-12)
    assert float(late["symmetric"].fixed_law[-1]) == pytest.approx(
        2 / math.sqrt(96) * math.exp(-4 * T), rel=1e-12
    )  # kappa_4 = -2


def test_talagrands_bound_holds_and_its_slack_tends_to_the_root_of_the_order(late):
    for row in late.values():
        assert bool((row.bound > row.fixed).all())
        assert float(row.bound[-1] / row.fixed[-1]) == pytest.approx(math.sqrt(row.order), rel=0.002)


def test_the_kl_to_the_matched_gaussian_is_the_plain_integral():
    law, x = free_fix.laws()["skewed"], torch.linspace(-14, 14, 200_001, dtype=torch.float64)[:, None]
    for t in (0.1, 1.0):
        p = marginal(law, schedules.ou(1.0), t)
        log_p, log_q = p.log_prob(x), GaussianMixture([1.0], [[float(p.mean)]], [float(p.covariance)]).log_prob(x)
        right = float(torch.trapezoid(log_p.exp() * (log_p - log_q), x[:, 0]))
        assert free_fix.moment_matched_kl(p) == pytest.approx(right, rel=1e-7)
        for shift, scale in ((0.1, 1.0), (0.0, 0.9), (0.0, 1.1)):  # no other Gaussian is closer in KL
            other = GaussianMixture([1.0], [[float(p.mean) + shift]], [scale * float(p.covariance)])
            assert float(torch.trapezoid(log_p.exp() * (log_p - other.log_prob(x)), x[:, 0])) > right + 1e-3


@given(st.floats(0.05, 0.95), st.floats(0.3, 4.0), st.floats(0.05, 1.5), st.floats(0.05, 2.0))
def test_the_fix_multiplies_the_squared_shape_by_the_width(p, distance, std, t):
    law = GaussianMixture([p, 1 - p], [[distance], [-1.0]], [std**2, std**2])
    clock = schedules.ou(2.0)
    split, c = gap.prior_gap(law, clock, t), float(marginal(law, clock, t).covariance) ** 0.5
    assert gap.moment_matched_gap(law, clock, t).value ** 2 == pytest.approx(c * split.shape.value**2, rel=1e-5, abs=1e-13)


def test_the_closest_gaussian_in_w2_is_a_little_narrower():
    law, clock, T = free_fix.laws()["symmetric"], schedules.ou(1.0), 0.25
    p, shape = marginal(law, clock, T), gap.prior_gap(law, clock, T).shape.value
    c, mean = float(p.covariance) ** 0.5, float(p.mean)
    for b in (0.7, c, c - shape**2 / 2, 1.4):
        right = c * shape**2 - shape**4 / 4 + (b - c + shape**2 / 2) ** 2
        assert w2_one_dimensional(p, b, mean) ** 2 == pytest.approx(right, rel=1e-8)


def test_the_fix_can_lose_at_short_times_when_the_law_is_wide():
    law, clock = free_fix.laws()["symmetric"], schedules.ou(1.0)
    plain, fixed = (f(law, clock, 0.05) for f in (gap.prior_gap, gap.moment_matched_gap))
    assert fixed.value > plain.total.value
    assert gap.moment_matched_gap(law, clock, 0.25).value < gap.prior_gap(law, clock, 0.25).total.value


def test_whitened_data_win_nothing_and_fall_with_the_third_order():
    law, clock = free_fix.whiten(free_fix.laws()["skewed"]), schedules.ou(1.0)
    assert float(law.mean) == pytest.approx(0, abs=1e-12) and float(law.covariance) == pytest.approx(1)
    assert gap.moment_matched_gap(law, clock).value == pytest.approx(gap.prior_gap(law, clock).total.value, rel=1e-9)
    assert gap.hermite_asymptotics(law, clock).order == 3


# ---- the map


@pytest.mark.parametrize("name", free_fix.FIVE)
def test_the_fix_is_the_affine_optimal_map(name):
    target, clock = targets.toy(name), schedules.ou(0.4)
    points = target.sample(500, torch.Generator().manual_seed(0))
    prior = priors.MomentMatched.fit(points, clock, 0.4)
    optimal = gaussian_map(torch.zeros(2), torch.eye(2, dtype=torch.float64), prior.mean, prior.covariance)
    z = torch.randn(500, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert prior.sample(500, torch.Generator().manual_seed(1)) == pytest.approx(optimal(z), abs=1e-9)
    assert optimal.matrix == pytest.approx(power(prior.covariance, 0.5), abs=1e-9)
    # The Cholesky factor gives the same law and moves the noise farther.
    cholesky, eye = torch.linalg.cholesky(prior.covariance), torch.eye(2)
    assert float((cholesky - eye).norm()) >= float((optimal.matrix - eye).norm())


# ---- back at time 0


def test_the_error_after_the_flow_agrees_with_the_bounds_module():
    clock = schedules.ou(2.0)
    for label, rel in (("skewed", 1e-7), ("symmetric", 1e-8)):
        law = free_fix.laws()[label]
        for T in (0.25, 1.0):
            assert free_fix.carried(law, clock, T, 0.0, 1.0) == pytest.approx(bounds.carried_w2(law, clock, T).at_0, rel=rel)


def test_the_error_of_the_fix_after_the_flow_agrees_with_samples():
    law, clock, T = free_fix.laws()["skewed"], schedules.ou(0.25), 0.25
    (row,) = (r for r in free_fix.ways_back(times=(T,), labels=("skewed",)))
    p = marginal(law, clock, T)
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    start = (p.mean + p.covariance[0].sqrt() * torch.special.ndtri(u))[:, None]
    end = sample(ExactDenoiser(law, clock), clock, start, steps=150, method="heun")
    right = targets.normal_to(law, torch.special.ndtri(u))
    assert float((end[:, 0].sort().values - right).square().mean().sqrt()) == pytest.approx(row.fixed_0, rel=0.03)
    assert row.fixed_T < row.standard_T and row.fixed_0 < row.standard_0


def test_at_time_zero_the_skewed_law_gains_more_than_a_factor_of_twenty():
    (row,) = free_fix.ways_back(times=(1.0,), labels=("skewed",))
    assert row.standard_0 / row.fixed_0 > 20
    assert row.standard_0 / row.standard_T > row.fixed_0 / row.fixed_T > 1


def test_gaussian_data_leave_nothing():
    law, clock = GaussianMixture([1.0], [[1.3]], [2.5]), schedules.ou(1.0)
    p = marginal(law, clock, 1.0)
    assert free_fix.carried(law, clock, 1.0, float(p.mean), float(p.covariance) ** 0.5) < 1e-9
    assert gap.moment_matched_gap(law, clock).value < 1e-12


@pytest.fixture(scope="module")
def outcomes():
    rows = free_fix.starts("ring", times=(0.05, 0.5, 1.0), seeds=(0, 1, 2))
    return {(row.prior, row.T): row for row in rows}


def test_in_the_plane_the_fix_enters_the_floor_and_at_short_times_it_does_not(outcomes):
    floor = lambda key: max(getattr(row, key).floor for row in outcomes.values())
    short = outcomes["moment-matched", 0.05]
    assert short.at_T.value > 2 * floor("at_T") and outcomes["standard", 0.05].at_T.value > 1.7 * short.at_T.value
    for name in ("data-initialised", "oracle"):
        assert all(outcomes[name, T].at_T.value < floor("at_T") for T in (0.05, 0.5, 1.0))
    rows = list(outcomes.values())
    assert free_fix.inside_from(rows, "moment-matched", "at_T") == 0.5
    assert free_fix.inside_from(rows, "oracle", "flow") == 0.05
    for T in (0.5, 1.0):
        assert outcomes["moment-matched", T].at_T.value < floor("at_T")
        assert outcomes["moment-matched", T].flow.value < floor("flow") < outcomes["standard", T].flow.value
    assert outcomes["standard", 1.0].sde.value < 0.75 * outcomes["standard", 1.0].flow.value


def test_at_short_times_shape_dominates_and_the_control_is_nearer():
    rows = {row.name: row for row in free_fix.short_times(seeds=(0, 1))}
    assert tuple(rows) == free_fix.FIVE
    for row in rows.values():
        floor = max(row.standard.floor, row.fixed.floor, row.control.floor)
        assert row.standard.value > row.fixed.value > 1.5 * floor
        assert row.control.value < 0.65 * row.fixed.value  # not always in the floor: its training set is finite
    gain = {name: row.standard.value / row.fixed.value for name, row in rows.items()}
    assert max(gain, key=gain.get) == "giraffe" and min(gain, key=gain.get) == "checkerboard"


# ---- how many points


def test_expected_error_against_many_small_fits():
    spectrum, alpha, sigma, n = torch.tensor([3.0, 1.0, 0.2], dtype=torch.float64), 0.6, 0.8, 400
    generator, found = torch.Generator().manual_seed(0), []
    noise = sigma**2 * torch.eye(3, dtype=torch.float64)
    for _ in range(300):
        points = torch.randn(n, 3, generator=generator, dtype=torch.float64) * spectrum.sqrt()
        mean, S = alpha * points.mean(0), alpha**2 * torch.cov(points.T, correction=0) + noise
        zero = torch.zeros(3, dtype=torch.float64)
        found.append((float(mean.square().sum()), moments.gaussian_w2(zero, alpha**2 * spectrum.diag() + noise, zero, S) ** 2))
    measured = torch.tensor(found).mean(0)
    assert measured == pytest.approx(torch.tensor(moments.expected_error(spectrum, alpha, sigma, n)), rel=0.1)


def test_gaussian_w2_is_pot():
    generator = torch.Generator().manual_seed(3)
    A, B = (torch.randn(4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    m1, m2, S1, S2 = torch.zeros(4).double(), torch.ones(4).double(), A @ A.T + torch.eye(4), B @ B.T + torch.eye(4)
    right = ot.gaussian.bures_wasserstein_distance(*(v.numpy() for v in (m1, m2, S1, S2)))
    assert moments.gaussian_w2(m1, S1, m2, S2) == pytest.approx(float(right), rel=1e-7)


def test_few_points_beat_the_standard_prior_and_cheap_forms_have_a_bias():
    fitted = moments.fitting(sizes=(4, 32, 2048), repeats=3)
    assert float(fitted.full[0]) < 0.7 * fitted.nothing
    assert float(fitted.full[2] / fitted.full[1]) == pytest.approx((32 / 2048) ** 0.5, rel=0.25)
    assert fitted.full / fitted.predicted == pytest.approx(torch.ones(3, dtype=torch.float64), abs=0.15)
    assert float(fitted.diagonal[2]) > float(fitted.low_rank[2]) > 1.5 * float(fitted.full[2])
    assert float(fitted.diagonal[0]) < float(fitted.full[0])
    assert float(fitted.nearest[2]) > 2 * fitted.nothing


def test_cheap_forms_keep_the_diagonal_and_lose_nothing_at_full_rank():
    points, clock = data.load("digits").flat.double(), schedules.ddpm_linear(1000)
    full, diagonal, low, whole = (
        moments.covariance(priors.MomentMatched.fit(points, clock, 400, form=form, rank=rank))
        for form, rank in (("full", 1), ("diagonal", 1), ("low-rank", 8), ("low-rank", 64))
    )
    assert whole == pytest.approx(full, abs=1e-12)
    assert low.diagonal() == pytest.approx(full.diagonal(), abs=1e-12) and torch.equal(diagonal, diagonal.diagonal().diag())
    assert diagonal.diagonal() == pytest.approx(full.diagonal(), abs=1e-12)


# ---- spectrum, brightness, offset noise


def test_spectrum_of_the_digits_under_three_schedules():
    seen = moments.spectrum()
    assert int((seen.variances > 1).sum()) == 5
    for name, schedule in moments.three_schedules().items():
        alpha, sigma = float(schedule.alpha(500)), float(schedule.sigma(500))
        assert seen.variance(seen.alpha_middle[name]) == pytest.approx(alpha**2 * seen.variances + sigma**2, rel=1e-12)
    ends = {name: seen.excess(alpha).abs().max() for name, alpha in seen.alpha_end.items()}
    assert ends["cosine"] < seen.resolution < ends["linear"] < ends["Stable Diffusion"]
    assert np.float32(1) + np.float32(ends["cosine"]) == np.float32(1)
    for alpha in seen.alpha_end.values():
        assert alpha * seen.mean > 5 * float(((1 + seen.excess(alpha)).sqrt() - 1).norm())


def test_offset_noise_opens_a_new_gap_in_the_direction_of_the_mean():
    cast = {(c.noise, c.start): c for c in moments.casts()}
    plain, offset = cast["plain", "N(0, I)"], cast["offset", "N(0, I)"]
    assert offset.gap > 5 * plain.gap
    assert plain.brightness > -0.16 and offset.brightness < -0.22  # the mean is nearly repaired
    assert offset.spread < 0.02 < 0.09 < plain.spread  # the variation is not
    assert cast["offset", "noise as in training"].spread == pytest.approx(0.1, rel=1e-3)
    for noise in ("plain", "offset"):
        matched = cast[noise, "moment-matched"]
        assert matched.gap < 1e-12 and matched.brightness == pytest.approx(-0.25) and matched.spread == pytest.approx(0.1)


def test_offset_variance_along_the_constant_direction():
    eta, P, generator = 0.1, 256, torch.Generator().manual_seed(0)
    eps = torch.randn(20_000, P, generator=generator) + eta * torch.randn(20_000, 1, generator=generator)
    across = eps[:, 0] - eps[:, 1]
    assert float(eps.mean(1).mul(P**0.5).var()) == pytest.approx(1 + eta**2 * P, rel=0.04)
    assert float(across.var()) == pytest.approx(2, rel=0.04)


def test_the_plain_start_agrees_with_chapter_two():
    from otprior_lite.experiments import noise

    there = next(s for s in noise.starts() if s.schedule == "Stable Diffusion" and s.t == 1000)
    here = next(c for c in moments.casts() if (c.noise, c.start) == ("plain", "N(0, I)"))
    assert here.gap == pytest.approx(there.gap, rel=1e-9) and here.brightness == pytest.approx(there.brightness, rel=1e-9)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_registered_and_draw_what_was_computed(theme):
    assert {f"free_fix_{name}" for name in ("clouds", "errors", "orders", "points", "spectrum")} <= set(figures.names())
    left, right = figures.make("free_fix_spectrum", theme).axes
    seen = moments.spectrum()
    for line, alpha in zip(left.lines, seen.alpha_middle.values()):
        assert line.get_ydata() == pytest.approx(seen.variance(alpha).numpy())
    clouds = figures.make("free_fix_clouds", theme)
    assert [len(axis.lines) for axis in clouds.axes] == [2, 2]


# ---- the checks accept what is right and name the slip in what is not


def two_modes():
    return targets.toy("two_modes"), marginal(targets.toy("two_modes"), schedules.ou(0.5), 0.5)


def test_right_answers_pass():
    _, law = two_modes()
    assert check.offset_gap(math.sqrt(1 + 0.01 * 4096) - 1)
    assert check.affine_start(power(law.covariance, 0.5), law.mean)
    assert check.nothing_to_win(GaussianMixture([0.5, 0.5], [[-0.9], [0.9]], [0.19, 0.19]))
    assert "order 4" in check.nothing_to_win(GaussianMixture([0.5, 0.5], [[-0.9], [0.9]], [0.19, 0.19])).message
    assert check.nothing_to_win(free_fix.laws()["skewed, whitened"])
    law, clock = free_fix.laws()["skewed"], schedules.ou(1.0)
    exact = math.exp(-2) * 2.14 / w2_to_matched(law, clock) ** 2
    assert check.enough_points(exact) and check.enough_points(math.ceil(exact))
    assert check.moments_from_points(right_fit)


def w2_to_matched(law, clock):
    p = marginal(law, clock, 1.0)
    return w2_one_dimensional(p, float(p.covariance) ** 0.5, float(p.mean))


def right_fit(points, alpha, sigma, correction=0):
    centred = points - points.mean(0)
    S = centred.T @ centred / max(1, len(points) - correction)
    return alpha * points.mean(0), alpha**2 * S + sigma**2 * torch.eye(points.shape[1], dtype=points.dtype)


def test_the_unbiased_covariance_passes_too():
    assert check.moments_from_points(lambda *a: right_fit(*a, correction=1))


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (40.96, "extra variance"), (41.96, "variance along"), (41.96**0.5, "subtract"), (5.4, "ordinary noise"),
        (1.01**0.5 - 1, "One pixel"), (64 * (1.01**0.5 - 1), "every single pixel"), (9.0, "too large"), ("?", "one number"),
    ],
)  # fmt: skip
def test_offset_gap_names_the_slip(answer, word):
    verdict = check.offset_gap(answer)
    assert not verdict and word in verdict.message, verdict


def test_affine_start_names_the_slip():
    target, law = two_modes()
    root, S = power(law.covariance, 0.5), law.covariance
    values, axes = torch.linalg.eigh(S)
    flipped = axes @ (values.sqrt() * torch.tensor([1.0, -1.0])).diag() @ axes.T
    slips = [
        (root, target.mean, "mean of the data"), (root, torch.zeros(2), "mean of p_T"), (S, law.mean, "take the root"),
        (power(target.covariance, 0.5), law.mean, "Diffuse"), (S.diagonal().sqrt().diag(), law.mean, "not diagonal"),
        (torch.eye(2), law.mean, "not Sigma_T"), (torch.linalg.cholesky(S), law.mean, "not symmetric"),
        (flipped, law.mean, "convex"), (torch.ones(3), law.mean, "shapes"), ("A", law.mean, "numbers"),
    ]  # fmt: skip
    for matrix, shift, word in slips:
        verdict = check.affine_start(matrix, shift)
        assert not verdict and word in verdict.message, (word, verdict)


def test_nothing_to_win_names_the_slip():
    slips = {
        "mean is": free_fix.laws()["skewed"], "shrinks": free_fix.laws()["symmetric"], "not Gaussian": GaussianMixture([1.0], [[0.0]], [1.0]),
        "one-dimensional": targets.toy("ring"),
    }  # fmt: skip
    for word, law in slips.items():
        verdict = check.nothing_to_win(law)
        assert not verdict and word in verdict.message, (word, verdict)


def test_enough_points_names_the_slip():
    law, clock = free_fix.laws()["skewed"], schedules.ou(1.0)
    w, a, v = w2_to_matched(law, clock), math.exp(-1), 2.14
    slips = {
        "mean of the data": v / w**2, "alpha squared": a * v / w**2, "noise is not estimated": (a**2 * v + 1 - a**2) / w**2,
        "standard deviation": a * v**0.5 / w, "gap of N(0, 1)": a**2 * v / gap.prior_gap(law, clock).total.value ** 2, "too small": 100,
    }  # fmt: skip
    for word, answer in slips.items():
        verdict = check.enough_points(answer)
        assert not verdict and word in verdict.message, (word, verdict)


@pytest.mark.filterwarnings("ignore:cov")
def test_moments_from_points_names_the_slip():
    def noised(points, alpha, sigma):
        x = alpha * points + sigma * torch.randn(points.shape, generator=torch.Generator().manual_seed(0), dtype=points.dtype)
        return x.mean(0), torch.cov(x.T, correction=0)

    def clean_mean(points, alpha, sigma):
        return alpha * points.mean(0), noised(points, alpha, sigma)[1]

    slips = {
        "without fresh noise": noised, "Not the covariance": clean_mean,
        "singular": lambda x, a, s: (a * x.mean(0), right_fit(x, a, s)[1] - (0 if len(x) > 100 else s**2 * torch.eye(x.shape[1]))),
        "n - 1": lambda x, a, s: (a * x.mean(0), a**2 * torch.cov(x.T).reshape(x.shape[1], -1) + s**2 * torch.eye(x.shape[1])),
        "no other ridge": lambda x, a, s: (a * x.mean(0), right_fit(x, a, s)[1] + 0.1 * torch.eye(x.shape[1])),
        "raised": lambda x, a, s: (x.mean(0), torch.linalg.cholesky(-torch.eye(2))),
        "Expected shapes": lambda x, a, s: (x.mean(), x), "Expected a function": 3,
    }  # fmt: skip
    for word, answer in slips.items():
        verdict = check.moments_from_points(answer)
        assert not verdict and word in verdict.message, (word, verdict)


# ---- the live figure


def entries(S):
    return [float(S[i]) for i in ((0, 0), (0, 1), (1, 1))]


@pytest.mark.browser
@pytest.mark.parametrize(("name", "T"), [("ring", 0.1), ("giraffe", 0.3), ("spiral", 1.5)])
def test_widget_moments_map_and_gap(widget_js, name, T):
    target, clock = targets.toy(name), schedules.ou(3.0)
    law, mean, S = marginal(target, clock, T), target.mean.tolist(), entries(target.covariance)
    m, C = widget_js("free_fix", "momentsAt", T, mean, S)
    assert m == pytest.approx(law.mean.tolist(), abs=1e-12) and C == pytest.approx(entries(law.covariance), rel=1e-12, abs=1e-15)
    assert widget_js("free_fix", "gaussianGap", T, mean, S) == pytest.approx(gap.gelbrich(target, clock, T), rel=1e-9)
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right = priors.MomentMatched(law.mean, law.covariance).sample(40, torch.Generator().manual_seed(0))
    assert torch.tensor(widget_js("free_fix", "affine", z.tolist(), T, mean, S), dtype=torch.float64) == pytest.approx(
        right, abs=1e-9
    )
    points = target.sample(40, torch.Generator().manual_seed(1))
    came = torch.tensor(widget_js("free_fix", "noised", points.tolist(), z.tolist(), T), dtype=torch.float64)
    assert came == pytest.approx(float(clock.alpha(T)) * points + float(clock.sigma(T)) * z, abs=1e-12)


@pytest.mark.browser
def test_widget_sliced_distance_is_pot(widget_js):
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(60, 2, generator=generator).double(), 0.5 + 0.7 * torch.randn(60, 2, generator=generator).double()
    angles = np.pi * np.arange(24) / 24
    right = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=np.stack([np.cos(angles), np.sin(angles)]))
    assert widget_js("free_fix", "slicedW2", x.tolist(), y.tolist(), 24) == pytest.approx(float(right), rel=1e-9)


@pytest.mark.browser
def test_widget_floor_is_the_largest_of_six_null_distances(widget_js):
    pool = torch.randn(700, 2, generator=torch.Generator().manual_seed(5)).double()
    angles = np.pi * np.arange(24) / 24
    project = np.stack([np.cos(angles), np.sin(angles)])
    nulls = []
    for stride in (3, 11, 13, 17, 19, 23):
        order = torch.arange(700) * stride % 700
        assert len(order.unique()) == 700
        x, y = pool[order].split(350)
        nulls.append(ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=project))
    found = widget_js("free_fix", "floor", pool[:350].tolist(), pool[350:].tolist(), 24)
    assert found == pytest.approx(float(max(nulls)), rel=1e-9)


@pytest.mark.browser
@pytest.mark.parametrize(("name", "T"), [("ring", 0.3), ("moons", 1.0)])
def test_widget_flow_is_the_library(widget_js, name, T):
    target, clock = targets.toy(name), schedules.ou(T)
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    right = sample(ExactDenoiser(target, clock), clock, z, steps=12, method="dpmpp2m")
    law = {"means": target.means.tolist(), "weights": target.weights.tolist(), "std": float(target.covariances[0] ** 0.5)}
    came = widget_js("free_fix", "reverse", z.tolist(), T, law, 12)
    assert torch.tensor(came, dtype=torch.float64) == pytest.approx(right, abs=1e-6)
