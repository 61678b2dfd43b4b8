"""Chapter 4: its checks know right answers from slips, its widget agrees with the library, its claims hold."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.optimize import brentq

from otprior_lite import bounds, check, schedules, targets
from otprior_lite.experiments import back, keeping
from otprior_lite.figures import back as drawings
from otprior_lite.flow import flow_jacobian, flow_map
from otprior_lite.forward import marginal
from otprior_lite.samplers import sample
from otprior_lite.score import ExactDenoiser, score
from otprior_lite.targets import GaussianMixture, normal_to
from otprior_lite.theorems import theorem_3_2

OU = schedules.ou(6.0)
LAM = 1 + 3 * math.exp(-1)  # variance at t = 0.5 of data N(0, 4)


def _normal(mean, variance):
    return GaussianMixture([1.0], [[float(mean)]], [float(variance)])


# ---- checks


def _kept(v, T):
    lam = 1 + (v - 1) * math.exp(-2 * T)
    return math.sqrt(v / lam), math.exp(-T) * v / lam


def _crossing(m=1.0, v=0.25):
    def excess(T):
        end = 1 + (v - 1) * math.exp(-2 * T)
        return 0.5 * math.log(v / end) + m**2 * (1 - math.exp(-2 * T)) / (2 * v * end) - T

    return brentq(excess, 0.5, 5)


def test_right_answers_pass():
    assert check.one_sided_constant(1 - 1 / LAM)
    assert check.one_sided_constant(1 - 1 / (1 - 0.5 * math.exp(-2)), variance=0.5, t=1.0)
    assert check.kept_shares(_kept)
    assert check.crossover_time(_crossing())
    assert check.crossover_time(_crossing(1.2, 0.4), m=1.2, variance=0.4)
    assert check.loose_bound(back.two_bumps(1.5, 0.25))
    assert check.no_lower_bound(_normal(1, 0.01), 1.0)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (LAM, "That is lambda_t"), (-1 / LAM, "Hessian of log p_t. The velocity"), (1 + 1 / LAM, "curves downwards"),
        (0.75, "at time 0"), (1 - 2 / LAM, "SDE's constant"), (1 - math.e / 4, "forgot the noise"),
        (1 - 1 / (1 + 3 * math.exp(-0.5)), "You used e^{-t}"),
        (5.0, "too large"), (-9.0, "too small"), (None, "one number"),
    ],
)  # fmt: skip
def test_one_sided_constant_names_the_slip(answer, word):
    _rejects(check.one_sided_constant(answer), word)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda v, T: _kept(v, T)[::-1], "swapped"), (lambda v, T: (_kept(v, T)[0] ** 2, _kept(v, T)[1]), "take the root"),
        (lambda v, T: (1 / _kept(v, T)[0], _kept(v, T)[1]), "upside down"),
        (lambda v, T: (_kept(v, T)[0], _kept(v, T)[1] * math.exp(T)), "e^{-T} is missing"),
        (lambda v, T: (_kept(v, T)[0], _kept(v, T)[1] * math.exp(-T)), "once, not twice"),
        (lambda v, T: (1.0, math.exp(-T)), "in place of"), (lambda v, T: (0.5, 0.5), "Not yet"),
        (lambda v, T: 1.0, "shape"), (lambda v, T: v.nonsense, "raised"), (3, "Expected a function"),
    ],
)  # fmt: skip
def test_kept_shares_names_the_slip(function, word):
    _rejects(check.kept_shares(function), word)


def _unit_sde():
    """T with Gamma_sde = 1: Gamma_ode^2 = e^T."""
    target = back.two_bumps(1.0, 0.25)
    return brentq(lambda T: math.log(bounds.amplification("sde", target, OU, T).value), 1.0, 5.9)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (_unit_sde, "Gamma_sde is 1"), (lambda: math.log(0.5 * math.exp(2)), "T = infinity"),
        (lambda: 0.5 * math.log(1.75), "log-concavity time"), (lambda: 4.0, "too large"), (lambda: 0.1, "too small"),
    ],
)  # fmt: skip
def test_crossover_time_names_the_slip(answer, word):
    _rejects(check.crossover_time(answer()), word)


def test_loose_bound_says_what_is_missing():
    _rejects(check.loose_bound(back.two_bumps(1.0, 0.25)), "Separate the modes")
    _rejects(check.loose_bound(_normal(1, 0.2)), "no mode boundary")
    _rejects(check.loose_bound(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.3])), "same covariance")
    _rejects(check.loose_bound(_normal(0, 1)), "no prior gap")
    _rejects(check.loose_bound(GaussianMixture([1.0], [[0.0, 0.0]], [1.0])), "one dimension")


def test_no_lower_bound_says_what_is_missing():
    _rejects(check.no_lower_bound(_normal(1, 1), 1.0), "bring it to 1/10")
    _rejects(check.no_lower_bound(_normal(0, 0.01), 4.0), "Keep it above 0.01")
    _rejects(check.no_lower_bound(_normal(1, 0.01), 7.0), "T: ")
    _rejects(check.no_lower_bound("narrow", 1.0), "one dimension")
    law = back.two_bumps(1.8, 0.05, centre=0.5)
    assert bounds.carried_w2(law, OU, 0.5, kind="sde").at_0 > bounds.carried_w2(law, OU, 0.5).at_T
    _rejects(check.no_lower_bound(law, 0.5), "nothing is broken")


def _rejects(verdict, word):
    assert not verdict
    assert word in verdict.message, verdict


# ---- the widget

LAWS = [(1.0, 0.25, 0.5, 1.0), (1.6, 0.25, 0.5, 0.4), (0.0, 0.25, 0.5, 2.5)]  # m, variance, centre, T


def _js(m, variance, centre):
    return {"means": [centre - m, centre + m], "variance": variance}


@pytest.mark.browser
@pytest.mark.parametrize(("m", "v", "c", "T"), LAWS)
def test_widget_flow_score_and_step(widget_js, m, v, c, T):
    target, law = back.two_bumps(m, v, c), _js(m, v, c)
    assert widget_js("back", "twoBumps", m, v, c) == law
    x = torch.tensor([[-1.3], [0.2], [1.9]], dtype=torch.float64)
    exact, denoiser = flow_map(target, OU, x, T, 0.0), ExactDenoiser(target, OU)
    p_T, slope = marginal(target, OU, T), score(ExactDenoiser(target, OU), OU, x, T)
    for k, point in enumerate(x[:, 0].tolist()):
        assert widget_js("back", "flowMap", law, point, T) == pytest.approx(float(exact[k]), abs=2e-6)
        assert widget_js("back", "score", law, point, T) == pytest.approx(float(slope[k]), rel=1e-9)
        assert widget_js("back", "density", law, point, T) == pytest.approx(float(p_T.log_prob([[point]]).exp()), rel=1e-9)
        mean = float(target.posterior_mean([[point]], math.exp(-T), math.sqrt(-math.expm1(-2 * T))))
        assert widget_js("back", "posteriorMean", law, point, T) == pytest.approx(mean, rel=1e-8)
        counterpart = float(normal_to(p_T, torch.tensor([point], dtype=torch.float64)))
        assert widget_js("back", "counterpart", law, point, T) == pytest.approx(counterpart, abs=1e-9)
        # one Euler-Maruyama step of the library, with the noise that its generator draws
        noise = float(torch.randn(1, 1, generator=torch.Generator().manual_seed(k), dtype=torch.float64))
        seeded = torch.Generator().manual_seed(k)
        options = dict(steps=1, method="em", spacing="time", t_start=T, t_end=T - 0.05, generator=seeded)
        after = float(sample(denoiser, OU, x[k : k + 1], **options))
        assert widget_js("back", "sdeStep", law, point, T, 0.05, noise) == pytest.approx(after, rel=1e-9)


@pytest.mark.browser
@pytest.mark.parametrize(("m", "v", "c", "T"), LAWS)
def test_widget_laws_distances_and_bounds(widget_js, m, v, c, T):
    target, law = back.two_bumps(m, v, c), _js(m, v, c)
    ode, sde = (bounds.carried_w2(target, OU, T, kind=kind) for kind in ("ode", "sde"))
    assert widget_js("back", "carried", law, T) == pytest.approx([ode.at_T, ode.at_0], rel=2e-3)
    assert widget_js("back", "forgotten", law, T) == pytest.approx(sde.at_0, rel=2e-2, abs=2e-4)
    q = bounds.reverse_sde_law(target, OU, T)
    y = torch.tensor([-1.0, 0.4, 1.8], dtype=torch.float64)
    x = flow_map(target, OU, y[:, None], 0.0, T)[:, 0]
    ratio = stats.norm.pdf(x) / marginal(target, OU, T).log_prob(x[:, None]).exp().numpy()
    for k, point in enumerate(y.tolist()):
        assert widget_js("back", "sdeDensity", law, point, T) == pytest.approx(float(q.log_prob([[point]]).exp()), rel=1e-6)
        expected = float(target.log_prob([[point]]).exp()) * ratio[k]
        assert widget_js("back", "flowDensity", law, point, T) == pytest.approx(expected, rel=1e-6)
    for kind in ("ode", "sde"):
        gamma = bounds.amplification(kind, target, OU, T).value
        assert widget_js("back", "gamma", kind, law, T) == pytest.approx(gamma, rel=1e-9)


@pytest.mark.browser
def test_widget_noise_is_seeded_and_standard(widget_js):
    draws = np.array(widget_js("back", "normals", 4, 20_000))
    assert widget_js("back", "normals", 4, 5) == draws[:5].tolist() != widget_js("back", "normals", 5, 5)
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    noises = draws[:4000].reshape(40, 100).tolist()
    ends = np.array([widget_js("back", "sdePath", _js(0.0, 0.25, 0.5), 0.6, 1.0, noise)[-1] for noise in noises])
    share = math.exp(-1) * 0.25 / (1 - 0.75 * math.exp(-2))
    mean = 0.5 + share * (0.6 - 0.5 * math.exp(-1))
    assert abs(ends.mean() - mean) < 4 * 0.5 / math.sqrt(40)


# ---- what the page says


def test_the_question():
    """Variance 4: W2 grows; 0.25: it shrinks; KL is the same at both ends."""
    wide, narrow = (bounds.gaussian_error("ode", _normal(0, v), OU, 1.0) for v in (4.0, 0.25))
    assert wide.w2_0 > wide.w2_T and narrow.w2_0 < narrow.w2_T
    assert wide.kl_0 == pytest.approx(wide.kl_T, rel=1e-9)


def test_kl_pairs_flow_on_the_diagonal_sde_below():
    pairs = keeping.kl_pairs(n=600, lines=3, planes=3)
    for pair in pairs:
        room = 4 * math.hypot(pair.at_T.error, pair.at_0.error)
        if pair.kind == "ode":
            assert abs(pair.at_0.value - pair.at_T.value) <= max(room, 1e-6 * pair.at_T.value)
        else:
            assert pair.at_0.value < pair.at_T.value
    assert {pair.d for pair in pairs} == {1, 2}


def test_sampled_kl_of_the_sde_agrees_with_quadrature():
    """The plane's formula -log E[gamma/p_T] on a product law, whose KL is twice that of the line."""
    line = _normal(0.7, 0.3)
    plane = GaussianMixture([1.0], [[0.7, 0.7]], [0.3])
    generator = torch.Generator().manual_seed(1)
    ode, sde = keeping._plane(plane, 0.5, 3000, generator)
    for kind, found in (("ode", ode), ("sde", sde)):
        exact = 2 * bounds.carried_kl(line, OU, 0.5, kind=kind).at_0
        assert abs(found.at_0.value - exact) < 4 * found.at_0.error


def test_what_the_sde_forgets_has_the_stated_formula():
    """KL_T - KL_0 = E KL(p(x_T | x_0) || q(x_T | x_0)), by scipy, for one Gaussian."""
    target, T = _normal(0.5, 0.5), 0.7
    found = bounds.carried_kl(target, OU, T, kind="sde")
    a, s2 = math.exp(-T), -math.expm1(-2 * T)
    mean_T, var_T = a * 0.5, a * a * 0.5 + s2
    gain, rest = a * 0.5 / var_T, 0.5 * s2 / var_T  # x_0 given x_T

    def conditional(y):  # q(x_T | y) is proportional to N(x; 0, 1) N(y; m + gain (x - mean_T), rest)
        precision = 1 + gain**2 / rest
        centre = gain * (y - 0.5 + gain * mean_T) / rest / precision
        return 0.5 * (math.log(1 / precision / s2) + (s2 + (a * y - centre) ** 2) * precision - 1)

    weight = lambda y: stats.norm.pdf(y, 0.5, math.sqrt(0.5)) * conditional(y)
    assert integrate.quad(weight, -6, 7)[0] == pytest.approx(found.at_T - found.at_0, rel=1e-8)


@pytest.mark.parametrize("m, v, T", back.CASES)
def test_gamma_formula_of_the_page(m, v, T):
    """Equation (eq-ch4-gamma), its SDE companion, and the lower bound r / r_T."""
    end, target = 1 + (v - 1) * math.exp(-2 * T), back.two_bumps(m, v, 0.5)
    ode = math.sqrt(v / end) * math.exp(m**2 * (1 - math.exp(-2 * T)) / (2 * v * end))
    found = bounds.amplification("ode", target, OU, T)
    assert found.value == pytest.approx(ode, rel=1e-10) and found.least == pytest.approx(math.sqrt(v / end), rel=1e-10)
    assert bounds.amplification("sde", target, OU, T).value == pytest.approx(math.exp(-T) * ode**2, rel=1e-10)


def test_gamma_is_the_stretching_at_the_mode_boundary():
    two = back.two_bumps(1.5, 0.25)
    slope = float(flow_jacobian(two, OU, torch.zeros(1, 1), 2.0, 0.0).jacobian)
    assert slope == pytest.approx(bounds.amplification("ode", two, OU, 2.0).value, rel=1e-6)
    loose = back.case(1.5, 0.25, 2.0)
    assert 60 < loose.slack < 80 and loose.ratio < 1
    sde = back.case(1.5, 0.25, 2.0, "sde")
    assert sde.gamma > loose.gamma and sde.ratio < loose.ratio
    edge = 0.25 / 1.5 * math.acosh(3.0)
    for x, sign in ((edge * 0.99, 1), (edge * 1.01, -1)):  # (log p_0)'' changes sign there
        point = torch.tensor([x], dtype=torch.float64)
        assert sign * float(torch.autograd.functional.hessian(lambda u: two.log_prob(u[None])[0], point)) > 0
    inside = targets.cdf(two, torch.tensor([-edge, edge], dtype=torch.float64))
    assert 0 < float(inside[1] - inside[0]) < 0.02


def test_a_start_wrong_only_at_the_boundary_pays_all_of_gamma():
    """q_T = p_T moved by a narrow bump around 0: the ratio of W2 tends to Gamma."""
    two = back.two_bumps(1.0, 0.25)
    p_T, gamma = marginal(two, OU, 1.0), bounds.amplification("ode", two, OU, 1.0).value
    x = torch.linspace(-0.05, 0.05, 41, dtype=torch.float64)
    moved = x + 1e-4 * torch.exp(-((x / 0.01) ** 2))
    mass = p_T.log_prob(x[:, None]).exp()
    before = (mass * (moved - x) ** 2).sum()
    after = (mass * (flow_map(two, OU, moved[:, None], 1.0, 0.0) - flow_map(two, OU, x[:, None], 1.0, 0.0))[:, 0] ** 2).sum()
    assert float((after / before).sqrt()) == pytest.approx(gamma, rel=0.02)


def test_gaussian_proposition():
    """Variances and shifts of the page, against the exact law of the SDE, the flow map, and the DDIM sampler."""
    v, T = 0.3, 0.8
    end = 1 + (v - 1) * math.exp(-2 * T)
    target, q = _normal(0, v), bounds.reverse_sde_law(_normal(0, v), OU, T)
    variance = v + math.exp(-2 * T) * v**2 / end * (1 / end - 1)
    assert float(q.covariance) == pytest.approx(variance, rel=1e-10)
    x = torch.tensor([[0.2], [1.2]], dtype=torch.float64)
    flow = flow_map(target, OU, x, T, 0.0)
    assert float(flow[1] - flow[0]) == pytest.approx(math.sqrt(v / end), rel=1e-8)
    moved = bounds.reverse_sde_law(target, OU, T, start=_normal(0.3, 1.0))
    assert float(moved.mean) == pytest.approx(0.3 * math.exp(-T) * v / end, rel=1e-9)
    grid = torch.linspace(T, 0, 6, dtype=torch.float64)
    phi = torch.atan2(OU.sigma(grid), OU.alpha(grid) * math.sqrt(v))
    gain = math.sqrt(v / end) * float(torch.cos(phi.diff()).prod())
    out = sample(ExactDenoiser(target, OU), OU, x, steps=5, t_start=T, spacing="time")
    assert float(out[1] - out[0]) == pytest.approx(gain, rel=1e-9)


def test_spectrum_figure_claims():
    """Left of 1 the gap shrinks and the SDE is below the flow; right of 1 the flow amplifies; DDIM spoils nu = 1."""
    found = back.spectrum(points=61)
    low, high = found.variance < 0.9, found.variance > 1.1
    e = found.errors
    assert (e["ode"][low] < e["start"][low]).all() and (e["sde"][low] < e["ode"][low]).all()
    assert (e["ode"][high] > e["start"][high]).all() and (e["sde"][high] < e["ode"][high]).all()
    near = abs(np.log(found.variance)).argmin()
    assert e["ddim, 10 steps"][near] > 0.05 > 10 * e["ode"][near]


def test_measured_lies_between_the_bounds_and_the_sde_forgets():
    run = back.propagation(points=4, n=3000, sampled_T=(0.5, 1.0))
    assert (run.least <= run.exact["ode"]).all()
    for kind in back.KINDS:
        assert (run.exact[kind] <= run.bound[kind]).all()
        exact = [bounds.carried_w2(back.two_bumps(1.0, 0.25, 0.5), OU, T, kind=kind).at_0 for T in run.sampled_T]
        for value, estimate in zip(exact, run.sampled[kind]):
            assert abs(estimate.value - value) < 2 * estimate.floor
    far = run.exact["sde"] / run.at_T, run.exact["ode"] / run.at_T
    assert (np.diff(far[0]) < 0).all() and far[0][-1] < 0.05 < 1 < far[1][-1]


def test_landscape_corner():
    """Overlapping bumps: tight within 20 %; narrow distant bumps: both ways amplify, bounds beyond 100 and 1000."""
    near, corner = ({k: back.case(m, v, 1.0, k, 0.5) for k in back.KINDS} for m, v in ((0.1, 2.0), (1.5, 0.2)))
    assert all(c.slack < 1.2 for c in near.values())
    assert corner["ode"].gamma > 100 and corner["sde"].gamma > 1000
    assert 1 < corner["sde"].ratio < corner["ode"].ratio < 3


def test_off_centre_sde_error_by_dense_quantiles():
    """Mass between modes: W2 of the corner law against 400 000 interpolated quantiles."""
    target = back.two_bumps(1.5, 0.2, 0.5)
    q = bounds.reverse_sde_law(target, OU, 1.0)
    x, u = np.linspace(-4, 5, 60_001), (np.arange(400_000) + 0.5) / 400_000
    quantile = {}
    for name, law in (("p", target), ("q", q)):
        below = np.zeros_like(x)
        for w, mean, variance in zip(law.weights.tolist(), law.means[:, 0].tolist(), law.covariances.tolist()):
            below += w * stats.norm.cdf(x, mean, math.sqrt(variance)) if name == "p" else 0
        if name == "q":
            density = law.log_prob(torch.from_numpy(x)[:, None]).exp().numpy()
            below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))])
            below /= below[-1]
        quantile[name] = np.interp(u, below, x)
    dense = math.sqrt(((quantile["p"] - quantile["q"]) ** 2).mean())
    assert bounds.carried_w2(target, OU, 1.0, kind="sde").at_0 == pytest.approx(dense, rel=2e-3)


def test_toys_have_useless_bounds_and_two_modes_none():
    rows = {row.name: row for row in back.toy_bounds()}
    assert 1e23 < rows["ring"].gamma < 1e24 and all(row.bound > 1e20 * row.size for row in rows.values())
    found = bounds.amplification("ode", targets.toy("two_modes"), schedules.vp())
    assert found.method == "unbounded" and not found.assumptions_met
    law = targets.toy("two_modes").diffuse(0.8, 0.6)  # along the line where both components tie, the curvature grows
    inverse = torch.linalg.inv(law.covariances)
    angle = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
    far = [30.0, 60.0]
    worst = []
    for radius in far:
        x = radius * torch.stack([angle.cos(), angle.sin()], 1)
        tie = (law.weights.log() + 0.5 * torch.linalg.slogdet(inverse).logabsdet)[:, None] - 0.5 * torch.stack(
            [torch.einsum("ni,ij,nj->n", x - mu, P, x - mu) for mu, P in zip(law.means, inverse)]
        )
        start = x[(tie[0] - tie[1]).abs().argmin()]
        slope = torch.stack([P @ (mu - start) for mu, P in zip(law.means, inverse)])
        worst.append(float((slope[0] - slope[1]).square().sum()) / 4)  # the largest possible between-component part
    assert worst[1] > 3 * worst[0] > 100


def test_theorem_3_2_and_the_starts():
    found = theorem_3_2(back.two_bumps(1.5, 0.25), OU, T=2.0)
    assert found.holds and found.assumptions_met and 0 < found.lower < found.left.value < found.right
    starts = {s.name: s for s in back.starts(training=30, sets=2)}
    assert all(s.sde < s.ode for s in starts.values())
    assert starts["moment-matched"].ode < starts["standard"].sde and starts["data-initialised"].at_T < starts["standard"].at_T


def test_answer_c_of_the_crossover():
    """Before the crossing the SDE's bound is the larger one, and its true error the smaller one."""
    ode, sde = back.case(1.0, 0.25, 1.0), back.case(1.0, 0.25, 1.0, "sde")
    assert 1.0 < _crossing() and sde.gamma > ode.gamma and sde.at_0 < ode.at_0


def test_fan_of_the_fallback():
    """The sampler's last step returns E[x_0 | x_t], so its end is off by a part of one step."""
    fan = back.fan(paths=5)
    T = float(fan.times[0])
    exact = flow_map(fan.target, OU, torch.tensor([[fan.flow[0]], [fan.right[0]]], dtype=torch.float64), T, 0.0)
    assert float(fan.flow[-1]) == pytest.approx(float(exact[0]), abs=1.5e-2)
    assert float(fan.right[-1]) == pytest.approx(float(normal_to(fan.target, fan.flow[:1])), abs=1.5e-2)
    assert fan.sde.shape == (151, 5)
    assert drawings.fan("light", fan).axes
