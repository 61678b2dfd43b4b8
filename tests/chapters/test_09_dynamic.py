"""Chapter 9: its checks know right answers from slips, its widget agrees with the library, its claims hold."""

import math

import numpy as np
import pytest
import torch

from otprior_lite import check, figures, flow, schedules, theorems, transport
from otprior_lite.experiments import curl as curls
from otprior_lite.experiments import dynamic
from otprior_lite.forward import marginal
from otprior_lite.randomness import normal, seeded
from otprior_lite.targets import Empirical, GaussianMixture

f64 = torch.float64
CLOCK = schedules.ou(20.0)
LAWS = dynamic.laws()

# ---- checks: (right answer) and (slip, a word of its hint)


def curl(f, x, h):
    e1, e2 = h * torch.eye(2, dtype=x.dtype)
    return ((f(x + e2) - f(x - e2))[:, 0] - (f(x + e1) - f(x - e1))[:, 1]) / (4 * h)


def long_ellipses(length, degrees):
    turn = math.radians(degrees)
    R = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=f64)
    D = torch.diag(torch.tensor([length, 1 / length], dtype=f64))
    return D, R @ D @ R.T


def test_right_answers_pass():
    assert check.flow_stretch(math.sqrt(1.75 / 4))
    assert check.flow_stretch(math.sqrt((1 - math.exp(-2) * 0.75) / 0.25), variance=0.25, t=1.0)
    assert check.detour(*long_ellipses(9, 45)) and check.detour([[9, 0], [0, 0.1]], [[5, 4.4], [4.4, 5]])
    assert check.curl(curl)
    for law, slope in (("three atoms", -5), ("four atoms", -6), ("triangle", -7.0), ("two atoms", -math.inf)):
        assert check.antisymmetry_slope(slope, law=law)


def _rejects(verdict, word):
    assert not verdict
    assert word in verdict.message, verdict


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (1.75 / 4, "ratio of the variances"), (math.sqrt(4 / 1.75), "way back"), (0.5, "drift alone"), (math.sqrt(1.75), "Divide by"),
        (math.sqrt(2.5 / 4), "e^{-2t}"), (0.1, "too small"), (3.0, "too large"), (float("nan"), "NaN"), ("half", "one number"),
    ],
)  # fmt: skip
def test_flow_stretch_names_the_slip(answer, word):
    _rejects(check.flow_stretch(answer), word)


def test_flow_stretch_tells_infinity_from_t():
    _rejects(check.flow_stretch(1 / math.sqrt(3.0), variance=3.0), "infinity")


@pytest.mark.parametrize(
    ("S1", "S2", "word"),
    [
        ([[2, 0], [0, 1]], [[3, 0], [0, 5]], "commute"), ([[1, 0], [0, 1]], [[2, 1], [1, 3]], "commute"),
        (*dynamic.tanana_pair(), "only 2.2 % more"), ([[1, 2], [0, 1]], [[1, 0], [0, 1]], "symmetric"),
        ([[1, 2], [2, 1]], [[1, 0], [0, 1]], "positive definite"), ([[1.0]], [[2.0]], "shapes"), ("ab", [[1, 0], [0, 1]], "2 x 2"),
        (*long_ellipses(9, 90), "commute"),
    ],
)  # fmt: skip
def test_detour_names_what_is_missing(S1, S2, word):
    _rejects(check.detour(S1, S2), word)


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda f, x, h: -curl(f, x, h), "sign"), (lambda f, x, h: 2 * curl(f, x, h), "half of it"),
        (lambda f, x, h: curl(f, x, h) + 0.5, "symmetric part"),
        (lambda f, x, h: ((f(x + h * torch.eye(2)[1]) - f(x))[:, 0] - (f(x + h * torch.eye(2)[0]) - f(x))[:, 1]) / (2 * h), "order h"),
        (lambda f, x, h: 4 * curl(f, x, h), "constant factor"), (lambda f, x, h: x[:, 0], "one axis"),
        (lambda f, x, h: x, "shape"), (lambda f, x: x, "raised TypeError"), (3, "Expected a function"),
    ],
)  # fmt: skip
def test_curl_names_the_slip(function, word):
    _rejects(check.curl(function), word)


@pytest.mark.parametrize(
    ("answer", "law", "word"),
    [
        (6, "four atoms", "negative"), (-5, "four atoms", "third cumulant"), (-6, "triangle", "second term"), (-2, "four atoms", "identity"),
        (-3, "triangle", "third-cumulant wave"), (-4, "triangle", "fourth-cumulant wave"), (-8, "triangle", "slower"), (-7, "two atoms", "where the atoms lie"),
        (-1, "triangle", "too large"), (-5, "ring", "law: expected"),
    ],
)  # fmt: skip
def test_slope_names_the_slip(answer, law, word):
    _rejects(check.antisymmetry_slope(answer, law=law), word)


def test_slopes_of_the_check_are_measured():
    """The key is theory; the library measures it: -5, -6, -7, and nothing for two atoms."""
    corners = [[math.cos(a), math.sin(a)] for a in (0.3, 0.3 + 2 * math.pi / 3, 0.3 + 4 * math.pi / 3)]
    for law, key in ((LAWS["three atoms"], -5), (LAWS["symmetric atoms"], -6), (Empirical(corners), -7)):
        found = curls.rate(law, "", [3.0, 3.5], n=12)
        assert found.slope(3.0, 3.5) == pytest.approx(key, abs=0.03)
        assert float(found.measured.min()) > 1e3 * float(found.floor.max())
    two = curls.rate(Empirical([[1.0, 0.5], [-2.0, -1.0]]), "", [1.0], n=12)
    assert float(two.measured) < 1e-15


# ---- the widget


def _plain(law):
    best = dynamic.optimal(law)
    if isinstance(law, Empirical):
        return {"weights": law.weights.tolist(), "points": law.means.tolist(), "heights": best.heights.tolist()}
    return {"covariance": law.covariance.tolist(), "matrix": best.matrix.tolist()}


@pytest.mark.browser
@pytest.mark.parametrize("name", LAWS)
def test_widget_follows_the_librarys_flow(widget_js, name):
    """Places and Jacobians at four times, from N(0, I) itself, against the adaptive integrator of order eight."""
    law, clock, z = LAWS[name], schedules.trigonometric(), normal((4, 2), seeded(2), dtype=f64)
    grid = [0.0, 0.2, 0.5, 0.8, 0.95]
    found = [widget_js("dynamic", "follow", _plain(law), start, grid) for start in z.tolist()]
    for k, s in enumerate(grid[1:], 1):
        step = flow.flow_jacobian(law, clock, z, clock.T, clock.T * (1 - s), tolerance=1e-9)
        np.testing.assert_allclose([one[k]["x"] for one in found], step.x, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose([one[k]["J"] for one in found], step.jacobian, rtol=1e-5, atol=1e-5)
        for one, turned in zip(found, curls.twist(step.jacobian)):
            assert widget_js("dynamic", "twist", one[k]["J"]) == pytest.approx(float(turned), abs=5e-3)
    assert found[0][0] == {"x": z[0].tolist(), "J": [[1, 0], [0, 1]]}


@pytest.mark.browser
@pytest.mark.parametrize("name", LAWS)
def test_widget_transport_is_the_optimal_map(widget_js, name):
    law, z = LAWS[name], normal((6, 2), seeded(3), dtype=f64)
    right = dynamic.optimal(law)(z)
    for start, end in zip(z, right):
        np.testing.assert_allclose(widget_js("dynamic", "transport", _plain(law), start.tolist()), end, atol=1e-9)


@pytest.mark.browser
def test_widget_meter_is_zero_where_the_flow_is_optimal(widget_js):
    z = normal((5, 2), seeded(4), dtype=f64).tolist()
    largest = {}
    for name in LAWS:
        ends = [widget_js("dynamic", "follow", _plain(LAWS[name]), start, [0, 0.6, 1.0])[-1]["J"] for start in z]
        largest[name] = max(abs(widget_js("dynamic", "twist", J)) for J in ends)
    assert max(largest["Gaussian"], largest["collinear atoms"]) < 1e-9
    assert min(largest["three atoms"], largest["symmetric atoms"]) > 0.5
    assert widget_js("dynamic", "degrees", largest["Gaussian"]) == "0°"


@pytest.mark.browser
def test_widget_rings_the_particles_that_end_elsewhere(widget_js):
    """Both independent flows agree on which particles end at another atom than the optimal map's; two of 48 for three atoms."""
    particles = dynamic.scene()["particles"]
    for name, count in (("three atoms", 2), ("collinear atoms", 0)):
        law = LAWS[name]
        away = dynamic.basin(law, particles) != dynamic.optimal(law).map.cell(particles)
        assert int(away.sum()) == count
        for i in (*away.nonzero()[:, 0].tolist(), *range(6)):
            end = widget_js("dynamic", "follow", _plain(law), particles[i].tolist(), [0, 1])[-1]["x"]
            aim = widget_js("dynamic", "transport", _plain(law), particles[i].tolist())
            points = law.means.tolist()
            assert (widget_js("dynamic", "nearest", points, end) != widget_js("dynamic", "nearest", points, aim)) == bool(away[i])


# ---- what the page says


def test_basins_have_the_weights_and_differ_from_the_cells():
    """The flow's basins carry the atoms' weights, as the cells do; 2.5 % of the noise goes elsewhere, and pays for it."""
    found = dynamic.basins(side=3, n=2000, seed=7)
    law = LAWS["three atoms"]
    z = normal((2000, 2), seeded(7), dtype=f64)
    share = dynamic.basin(law, z).bincount(minlength=3) / 2000
    np.testing.assert_allclose(share, law.weights, atol=4 * math.sqrt(0.25 / 2000))
    np.testing.assert_allclose(dynamic.optimal(law).map.exact_masses(), law.weights, atol=1e-8)
    assert 0.015 < found.moved.value < 0.035
    assert 4 * found.extra.error < found.extra.value < 0.01 * found.cost
    control = dynamic.basins("collinear atoms", side=3, n=500)
    assert control.moved.value == 0 and control.extra.value == 0


def test_paths_share_their_ends_for_a_gaussian_and_not_the_ways():
    one, three = dynamic.paths()
    assert float((one.flow[-1] - one.straight[-1]).norm(dim=1).max()) < 1e-7
    assert float((one.flow[20] - one.straight[20]).norm(dim=1).max()) > 0.1
    apart = (three.flow[-1] - three.straight[-1]).norm(dim=1)
    assert int((apart > 0.1).sum()) == 2 and float(apart[apart < 0.1].max()) < 0.02


def test_energy_inequalities_and_both_kinds_of_slack():
    results = {e.label: e for e in dynamic.energies(T=[0.02, 0.5, 3.0])}
    for found in results.values():
        assert found.gap < 1e-9
        assert bool((found.w2 <= found.length * (1 + 1e-6)).all()) and bool((found.length <= found.bound * (1 + 1e-6)).all())
        assert float(found.bound[0] / found.w2[0]) < 1.1 and float(found.bound[-1] / found.w2[-1]) > 2
    np.testing.assert_allclose(results["one Gaussian"].length, results["one Gaussian"].w2, rtol=1e-6)
    np.testing.assert_allclose(
        results["one Gaussian"].w2, (2 - (1 + 3 * np.exp(-2 * np.array([0.02, 0.5, 3.0]))) ** 0.5) ** 2, rtol=1e-6
    )
    assert 1.01 < float(results["wide × narrow"].length[-1] / results["wide × narrow"].w2[-1]) < 1.05
    assert float(results["two bumps"].length[-1] / results["two bumps"].w2[-1]) > 1.2


def test_the_flow_is_optimal_where_the_proposition_says():
    """A product of mixtures, a correlated Gaussian, a turned line: |A| at rounding; none of them is trivial (|J - I| is large)."""
    product = GaussianMixture(
        [0.42, 0.28, 0.18, 0.12], [[1.5, 1.0], [1.5, -0.8], [-1.0, 1.0], [-1.0, -0.8]], np.stack([np.diag([0.2, 0.1])] * 4)
    )
    x = normal((10, 2), seeded(5), dtype=f64)
    for law in (product, LAWS["Gaussian"], LAWS["collinear atoms"]):
        found = flow.antisymmetry(law, CLOCK, x, 0.3, 20.0)
        assert float(found.relative.max()) < 1e-11
        assert float((flow.flow_jacobian(law, CLOCK, x, 0.3, 20.0).jacobian - torch.eye(2)).abs().max()) > 0.1
    radial = Empirical([[1.5 * math.cos(k * math.pi / 20), 1.5 * math.sin(k * math.pi / 20)] for k in range(40)])
    assert float(flow.antisymmetry(radial, CLOCK, x, 0.3, 20.0).relative.max()) < 1e-9
    assert float(flow.antisymmetry(LAWS["three atoms"], CLOCK, x, 0.3, 20.0).relative.max()) > 0.01


def test_three_maps_between_gaussians():
    """All carry S1 to S2; only one is symmetric, and it is the cheapest. Commuting covariances: all three agree."""
    S1, S2 = dynamic.tanana_pair()
    zero = torch.zeros(2, dtype=f64)
    best, langevin, noise = (
        transport.gaussian_map(zero, S1, zero, S2).matrix, dynamic.langevin_flow(S1, S2), dynamic.through_noise(S1, S2),
    )  # fmt: skip
    for M in (best, langevin, noise):
        np.testing.assert_allclose(M @ S1 @ M.T, S2, atol=1e-9)
    skew = [abs(float(M[0, 1] - M[1, 0])) for M in (best, langevin, noise)]
    assert skew[0] < 1e-12 and 0.005 < skew[1] < 0.02 < 0.1 < skew[2]
    costs = [dynamic.affine_cost(M, S1) for M in (best, langevin, noise)]
    assert costs[0] < costs[1] < costs[2] and costs[1] / costs[0] < 1.001 and 1.01 < costs[2] / costs[0] < 1.05
    commuting = torch.diag(torch.tensor([2.0, 3.0], dtype=f64))
    for M in (dynamic.langevin_flow(S1, commuting), dynamic.through_noise(S1, commuting)):
        np.testing.assert_allclose(M, transport.gaussian_map(zero, S1, zero, commuting).matrix, atol=1e-9)


@pytest.mark.parametrize("degrees", [10, 45, 80])
def test_a_detour_between_long_ellipses_costs_up_to_twice(degrees):
    S1, S2 = long_ellipses(1e5, degrees)
    zero = torch.zeros(2, dtype=f64)
    ratio = dynamic.affine_cost(dynamic.through_noise(S1, S2), S1) / dynamic.affine_cost(
        transport.gaussian_map(zero, S1, zero, S2).matrix, S1
    )
    assert ratio == pytest.approx(1 + math.cos(math.radians(degrees)), rel=2e-3)


def test_the_two_term_law_point_by_point():
    three, four, control = curls.rates(T=torch.tensor([2.0, 3.0, 4.0], dtype=f64), n=20)
    for found in (three, four):
        assert float(found.error[1]) < 0.01 and float(found.error[2]) < 0.002
        assert bool((found.measured > 1e5 * found.floor).all())
    assert float(three.first_error[1]) > 5 * float(three.error[1])
    assert three.slope(3.0, 4.0) == pytest.approx(-5, abs=0.02) and four.slope(3.0, 4.0) == pytest.approx(-6, abs=0.02)
    assert float(control.measured.max()) < 1e-15 and float(four.first.max()) < 1e-15


def test_the_field_is_predicted_with_its_sign():
    errors = []
    for found in curls.fields(times=(2.0, 3.0), side=7):
        errors.append(float((found.measured - found.predicted).norm() / found.measured.norm()))
        assert float(np.corrcoef(found.measured.ravel(), found.predicted.ravel())[0, 1]) > 0.98
    assert errors[0] < 0.2 and errors[1] == pytest.approx(math.exp(-2) * errors[0], rel=0.2)  # the error is O(e^{-2T})


def test_samples_do_not_see_the_twist():
    """The flow's pairing is what the assignment solver returns, at a twist far above the integrator's error; early, it is not."""
    late = curls.blind(times=(0.2, 0.5), sizes=(200,))
    assert all(w.gain == 0 and w.exchanged == 0 and w.twist > 0.1 for w in late)
    early = curls.blind(times=(0.05,), sizes=(800,))[0]
    assert early.exchanged > 0 and 0 < early.gain < 0.01
    rotation = torch.tensor([[[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]]], dtype=f64)
    stretch = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=f64)
    assert float(curls.twist(rotation @ stretch)) == pytest.approx(math.degrees(0.3))


def test_volumes_are_right_and_the_gradient_is_missing():
    law, x = LAWS["three atoms"], marginal(LAWS["three atoms"], CLOCK, 0.5).sample(20, seeded(1))
    step = flow.flow_jacobian(law, CLOCK, x, 0.5, 3.0)
    ends = (marginal(law, CLOCK, t) for t in (0.5, 3.0))
    assert float(flow.monge_ampere_residual(*ends, x, step.x, step.jacobian).abs().max()) < 1e-7
    assert float((step.jacobian - step.jacobian.mT).abs().max()) > 1e-3


def test_distance_to_gradients_of_a_known_map():
    """x -> (1 + rotation by b) x on N(0, I): the nearest gradient is x itself, at distance sqrt(2) b. The flow of no data law is used."""
    b, p = 0.1, GaussianMixture([1.0], [[0.0, 0.0]], [1.0]).to(f64)

    class Turned:
        jacobian = torch.tensor([[1.0, -b], [b, 1.0]], dtype=f64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            curls,
            "flow_jacobian",
            lambda law, clock, x, *a, **k: type("Step", (), {"jacobian": Turned.jacobian.expand(len(x), 2, 2)}),
        )
        assert curls.distance_to_gradients(p, 1.0, 2.0, degree=4) == pytest.approx(math.sqrt(2) * b, rel=1e-4)


def test_theorem_3_11_with_the_flow_keeps_a_gap():
    """The lower bound rises to a constant, independent of the grid; the control is at rounding; the library never says 'met'."""
    found = curls.limit(s=(3.0, 8.0), n=30)
    assert float(found.least[0]) > 0.002 and float(found.least[1] / found.least[0]) == pytest.approx(1.0, abs=0.05)
    assert float(found.control.max()) < 1e-12 and found.moved[-1].value < 1e-6
    finer = curls.distance_to_gradients(LAWS["three atoms"], 0.5, 8.0, side=37, limit=4.6)
    assert float(found.least[-1]) == pytest.approx(finer, rel=1e-3)
    theorem = theorems.theorem_3_11(LAWS["three atoms"], 0.5, 8.0, n=20)
    assert not theorem.assumptions_met and theorem.holds
    at = int((found.right_s - 8.0).abs().argmin())
    expected = theorem.right * math.exp(-(float(found.right_s[at]) - 8.0)) ** (2 / 15)
    assert float(found.right[at]) == pytest.approx(expected, rel=1e-9)
    assert 40 < found.crossing < 50


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_drawn(theme):
    assert {"dynamic_paths", "dynamic_basins", "dynamic_energies", "curl_fields", "curl_rates", "curl_limit"} <= set(
        figures.names()
    )
    assert len(figures.make("dynamic_paths", theme).axes) == 2 and len(figures.make("curl_fields", theme).axes) == 4
