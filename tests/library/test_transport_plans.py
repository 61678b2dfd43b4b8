"""Plans, their duals, Sinkhorn's limits and cyclical monotonicity, against brute force and against each other."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo import DTYPES, f64, few, random_rotation, rng, seeds

from otprior_lite.transport import Plan, barycentric_map, cyclical_monotonicity, plan, sample_plan, sinkhorn

sizes = st.integers(1, 7)


def clouds(n, m, seed, d=2):
    generator = rng(seed)
    x, y = (torch.randn(k, d, generator=generator, dtype=f64) for k in (n, m))
    return x, 0.7 * y + 0.5


def weights(n, seed, zeros=0):
    w = np.random.default_rng(seed).dirichlet(np.ones(n))
    w[:zeros] = 0
    return torch.from_numpy(w / w.sum())


def squared(x, y):
    return (x[:, None] - y).square().sum(-1)


def cheapest_permutation(cost):
    n = len(cost)
    return min(sum(float(cost[i, s[i]]) for i in range(n)) / n for s in itertools.permutations(range(n)))


# ---- the exact plan and its dual


@few
@given(st.integers(1, 6), st.integers(1, 4), seeds)
def test_plan_is_the_best_of_all_permutations(n, d, seed):
    """Birkhoff: with uniform weights some permutation is optimal among all couplings."""
    x, y = clouds(n, n, seed, d)
    found = plan(x, y)
    assert found.cost == pytest.approx(cheapest_permutation(squared(x, y)), rel=1e-9)
    assert sorted(found.assignment.tolist()) == list(range(n))


@few
@given(st.integers(1, 6), st.integers(1, 3), seeds)
def test_repeated_points_weigh_as_much_as_their_copies(n, copies, seed):
    """A point with k times the weight is k copies of it."""
    x, y = clouds(n, n * copies, seed)
    many = x.repeat_interleave(copies, 0)
    assert plan(x, y).cost == pytest.approx(plan(many, y).cost, rel=1e-9)


@few
@given(sizes, sizes, seeds, st.integers(0, 1))
def test_strong_duality_and_complementary_slackness(n, m, seed, zeros):
    """The potentials are feasible, tight where the plan has mass, and prove its cost, also where weights are zero."""
    x, y = clouds(n, m, seed)
    a, b = weights(n, seed, zeros * (n > 1)), weights(m, seed + 1, zeros * (m > 1))
    found = plan(x, y, a, b)
    f, g = found.potentials
    slack = squared(x, y) - f[:, None] - g
    assert float(slack.min()) > -1e-10
    assert float((slack * (found.matrix > 1e-14)).max()) < 1e-10
    assert found.dual == pytest.approx(found.cost, rel=1e-9, abs=1e-12)
    assert float(a @ f) == pytest.approx(float(b @ g), abs=1e-10)
    assert found.converged and found.error < 1e-12 and found.epsilon == 0


@few
@given(st.integers(1, 12), seeds)
def test_one_dimension_is_sorting(n, seed):
    x, y = clouds(n, n, seed, d=1)
    partner = y[plan(x, y).assignment, 0][x[:, 0].argsort()]
    torch.testing.assert_close(partner, y[:, 0].sort().values)


@few
@given(sizes, sizes, seeds, st.floats(0.1, 10))
def test_rigid_motions_and_scales(n, m, seed, c):
    """Turning both clouds changes nothing, scaling multiplies the cost by c^2, shifting y adds 2 <b, mean> + |b|^2."""
    x, y = clouds(n, m, seed)
    found, R, b = plan(x, y), torch.from_numpy(random_rotation(2, seed)), torch.tensor([0.3, -2.0], dtype=f64)
    turned, scaled, moved = plan(x @ R.T, y @ R.T), plan(c * x, c * y), plan(x, y + b)
    assert turned.cost == pytest.approx(found.cost, rel=1e-8)
    assert scaled.cost == pytest.approx(c**2 * found.cost, rel=1e-8)
    assert moved.cost == pytest.approx(found.cost + 2 * float(b @ (y.mean(0) - x.mean(0))) + float(b @ b), rel=1e-8)
    for other in (turned, scaled, moved):
        torch.testing.assert_close(other.matrix, found.matrix, atol=1e-9, rtol=0)


def test_plan_says_when_weights_are_rounded():
    """float32 weights are normalised in float64: no mass is lost, and none is invented."""
    found = plan(torch.zeros(3, 1), torch.ones(3, 1), torch.full((3,), 1 / 3))
    assert float(found.matrix.double().sum()) == pytest.approx(1, abs=1e-6)
    assert found.cost == pytest.approx(1, abs=1e-12)


# ---- Sinkhorn


@few
@given(sizes, sizes, seeds, st.sampled_from([0.05, 0.5, 5.0]))
def test_sinkhorn_is_what_its_potentials_say(n, m, seed, epsilon):
    """P = a b' exp((f + g - C) / epsilon) with both marginals: the conditions under which it is the minimiser."""
    x, y = clouds(n, m, seed)
    a, b = weights(n, seed), weights(m, seed + 1)
    found = sinkhorn(x, y, epsilon=epsilon, weights_x=a, weights_y=b, tolerance=1e-8, max_iterations=50_000)
    assert found.converged and found.error <= 1e-8 and 1 <= found.steps <= 50_000
    f, g = found.potentials
    gibbs = a[:, None] * b * ((f[:, None] + g - squared(x, y)) / epsilon).exp()
    torch.testing.assert_close(found.matrix, gibbs, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(found.matrix.sum(1), a, atol=1e-8, rtol=0)
    torch.testing.assert_close(found.matrix.sum(0), b, atol=1e-8, rtol=0)
    independent = a[:, None] * b
    kl = float((found.matrix * (found.matrix / independent).log().nan_to_num()).sum())
    assert found.dual == pytest.approx(found.cost + epsilon * kl, rel=1e-5, abs=1e-7)


@few
@given(st.integers(2, 7), st.integers(2, 7), seeds)
def test_sinkhorn_between_exact_and_independent(n, m, seed):
    """The cost rises with epsilon, from the exact plan's to that of the product of the weights."""
    x, y = clouds(n, m, seed)
    costs = [plan(x, y).cost]
    costs += [sinkhorn(x, y, epsilon=e, tolerance=1e-5, max_iterations=100_000).cost for e in (0.02, 0.2, 2.0, 20.0)]
    costs += [float(squared(x, y).mean())]
    assert all(low <= high + 1e-4 for low, high in itertools.pairwise(costs))
    assert 0 <= costs[1] + 1e-4 - costs[0] <= 0.02 * math.log(n * m) + 2e-4  # |C_eps - C| <= eps log(nm)
    torch.testing.assert_close(sinkhorn(x, y, epsilon=1e6).matrix, torch.full((n, m), 1 / (n * m), dtype=f64), atol=1e-5, rtol=0)


def test_sinkhorn_tends_to_the_exact_plan():
    x, y = clouds(6, 6, 3)
    exact = plan(x, y).matrix
    distance = [
        float((sinkhorn(x, y, epsilon=e, tolerance=1e-4, max_iterations=100_000).matrix - exact).abs().sum())
        for e in (1.0, 0.1, 0.001)
    ]
    assert distance[0] > distance[1] > distance[2] and distance[2] < 0.02


def test_sinkhorn_where_the_naive_kernel_is_zero():
    """exp(-C / epsilon) underflows in every row; on logarithms the answer is the exact plan to four digits."""
    x, y = clouds(8, 8, 5)
    y = y + 10
    assert float((-squared(x, y) / 0.01).exp().max()) == 0
    found = sinkhorn(x, y, epsilon=0.01, tolerance=1e-4, max_iterations=100_000)
    assert found.converged and found.cost == pytest.approx(plan(x, y).cost, rel=1e-4)


def test_points_without_weight_take_no_part():
    x, y = clouds(5, 4, 7)
    a, b = weights(5, 1, zeros=2), weights(4, 2, zeros=1)
    found, small = (
        sinkhorn(x, y, epsilon=0.3, weights_x=a, weights_y=b),
        sinkhorn(x[2:], y[1:], epsilon=0.3, weights_x=a[2:], weights_y=b[1:]),
    )
    assert found.converged and float(found.matrix[:2].sum()) == 0 == float(found.matrix[:, 0].sum())
    torch.testing.assert_close(found.matrix[2:, 1:], small.matrix, atol=1e-6, rtol=0)
    assert all(bool(p.isfinite().all()) for p in found.potentials)


def test_too_few_steps_are_said():
    x, y = clouds(20, 20, 1)
    found = sinkhorn(x, y, epsilon=0.001, max_iterations=7)
    assert not found.converged and found.steps == 7 and found.error > 1e-6 and "above the tolerance" in found.reason
    for use in (lambda: sample_plan(found, 3, rng()), lambda: barycentric_map(found, y)):
        with pytest.raises(ValueError, match="^plan: expected a converged plan, got one with error .+ after 7 steps"):
            use()


def test_a_plan_that_is_not_finite_is_said():
    """No uniform plan in its place: NaN stays NaN, and nothing downstream takes it."""
    x, y = clouds(4, 4, 1)
    found = sinkhorn(x, y, epsilon=1e-310, max_iterations=50)
    assert not found.converged and math.isnan(found.error) and "not finite" in found.reason and math.isnan(found.cost)
    with pytest.raises(ValueError, match="not finite"):
        sample_plan(found, 3, rng())


@few
@given(st.integers(1, 60))
def test_steps_never_exceed_the_budget(budget):
    x, y = clouds(9, 9, 2)
    assert sinkhorn(x, y, epsilon=1e-3, max_iterations=budget).steps <= budget


# ---- what a plan is used for


def test_barycentric_map_of_a_permutation_is_the_partner():
    x, y = clouds(9, 9, 4)
    found = plan(x, y)
    torch.testing.assert_close(barycentric_map(found, y), y[found.assignment])


def test_barycentric_map_is_the_conditional_mean():
    """Its mean is that of y, and its spread is smaller: averaging partners loses the variance within each row."""
    x, y = clouds(30, 40, 4)
    found = sinkhorn(x, y, epsilon=2.0, tolerance=1e-9)
    image = barycentric_map(found, y)
    torch.testing.assert_close(image.mean(0), y.mean(0), atol=1e-7, rtol=0)
    assert float(image.var(0).sum()) < 0.7 * float(y.var(0).sum())
    torch.testing.assert_close(barycentric_map(sinkhorn(x, y, epsilon=1e8), y), y.mean(0).expand(30, 2), atol=1e-5, rtol=0)


def test_barycentric_map_needs_mass():
    x, y = clouds(3, 3, 1)
    found = plan(x, y, weights(3, 1, zeros=1))
    with pytest.raises(ValueError, match="^plan: expected mass in every row, got 1 of 3 without"):
        barycentric_map(found, y)


def test_sample_plan_draws_the_plan():
    x, y = clouds(4, 3, 2)
    found, n = sinkhorn(x, y, epsilon=0.5), 40_000
    i, j = sample_plan(found, n, rng(1))
    assert i.shape == j.shape == (n,)
    counted = torch.zeros(4, 3, dtype=f64).index_put_((i, j), torch.ones(n, dtype=f64), accumulate=True) / n
    assert float((counted - found.matrix).abs().max()) < 4 * 0.5 / n**0.5
    again = sample_plan(found, n, rng(1))
    assert torch.equal(again[0], i) and torch.equal(again[1], j)


def test_sample_plan_draws_no_pair_without_mass_and_repeats_itself():
    """Pairs of a permutation plan are its pairs; n draws of n points miss about 1/e of them."""
    x, y = clouds(200, 200, 3)
    found = plan(x, y)
    i, j = sample_plan(found, 200, rng(0))
    assert torch.equal(j, found.assignment[i])
    missed = [1 - len(sample_plan(found, 200, rng(k))[0].unique()) / 200 for k in range(50)]
    assert sum(missed) / 50 == pytest.approx((1 - 1 / 200) ** 200, abs=0.015)


# ---- cyclical monotonicity


@few
@given(st.integers(1, 6), st.integers(1, 3), seeds)
def test_gain_is_the_best_permutation(n, d, seed):
    x, y = clouds(n, n, seed, d)
    cost, found = squared(x, y), cyclical_monotonicity(x, y)
    assert found.gain == pytest.approx(float(cost.diagonal().mean()) - cheapest_permutation(cost), abs=1e-12)
    assert float((x - y[found.order]).square().sum(-1).mean()) == pytest.approx(cheapest_permutation(cost), rel=1e-9)


@few
@given(st.integers(1, 30), st.integers(1, 5), seeds)
def test_exact_plans_are_monotone_and_swapped_pairs_are_not(n, d, seed):
    x, y = clouds(n, n, seed, d)
    y = y[plan(x, y).assignment]
    assert cyclical_monotonicity(x, y).gain == 0
    assert torch.equal(cyclical_monotonicity(x, y).order, torch.arange(n))
    if n > 1:
        swapped = y.clone()
        swapped[[0, 1]] = y[[1, 0]]
        loss = 2 * float((x[0] - x[1]) @ (y[0] - y[1])) / n
        assert cyclical_monotonicity(x, swapped).gain == pytest.approx(loss, abs=1e-9)


def test_the_support_of_a_weighted_plan_is_monotone():
    x, y = clouds(6, 5, 8)
    i, j = plan(x, y, weights(6, 3), weights(5, 4)).matrix.nonzero(as_tuple=True)
    assert cyclical_monotonicity(x[i], y[j]).gain == 0


@pytest.mark.parametrize("angle, helps", [(50, False), (70, True), (120, True)])
def test_a_turned_triangle_needs_three(angle, helps):
    """Turned by 60 to 90 degrees no swap of two helps, a cycle of three does."""
    turn = torch.arange(3, dtype=f64) * 2 * math.pi / 3
    point = lambda t: torch.stack([t.cos(), t.sin()], 1)
    x, y = point(turn), point(turn + math.radians(angle))
    assert (cyclical_monotonicity(x, y).gain > 0) == helps
    pairs = [cyclical_monotonicity(x[[a, b]], y[[a, b]]).gain for a, b in itertools.combinations(range(3), 2)]
    assert all(gain == 0 for gain in pairs) == (angle <= 90)


def test_equal_points_gain_nothing():
    x = torch.ones(5, 2, dtype=f64)
    assert cyclical_monotonicity(x, 3 * x).gain == 0


# ---- dtype and refusals


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_follows(dtype):
    x, y = (c.to(dtype) for c in clouds(5, 4, 1))
    for found in (plan(x, y), sinkhorn(x, y, epsilon=0.5)):
        assert {found.matrix.dtype, *(p.dtype for p in found.potentials), barycentric_map(found, y).dtype} == {dtype}
        assert found.converged


POINTS = torch.zeros(3, 2)
GOOD = plan(POINTS, POINTS + 1)
BAD = [
    ("x", lambda: sinkhorn(torch.zeros(3), POINTS, epsilon=1)),
    ("y", lambda: sinkhorn(POINTS, torch.full((3, 2), math.nan), epsilon=1)),
    ("y", lambda: sinkhorn(POINTS, torch.zeros(3, 4), epsilon=1)),
    ("epsilon", lambda: sinkhorn(POINTS, POINTS, epsilon=0)),
    ("epsilon", lambda: sinkhorn(POINTS, POINTS, epsilon=-1.0)),
    ("epsilon", lambda: sinkhorn(POINTS, POINTS, epsilon=math.inf)),
    ("epsilon", lambda: sinkhorn(POINTS, POINTS, epsilon="small")),
    ("tolerance", lambda: sinkhorn(POINTS, POINTS, epsilon=1, tolerance=0)),
    ("max_iterations", lambda: sinkhorn(POINTS, POINTS, epsilon=1, max_iterations=0)),
    ("weights_x", lambda: sinkhorn(POINTS, POINTS, epsilon=1, weights_x=[0.5, 0.6, 0.1])),
    ("weights_y", lambda: sinkhorn(POINTS, POINTS, epsilon=1, weights_y=[0.5, 0.5])),
    ("plan", lambda: sample_plan(GOOD.matrix, 3, rng())),
    ("n", lambda: sample_plan(GOOD, 0, rng())),
    ("generator", lambda: sample_plan(GOOD, 3, None)),
    ("plan", lambda: barycentric_map("exact", POINTS)),
    ("y", lambda: barycentric_map(GOOD, torch.zeros(4, 2))),
    ("x", lambda: cyclical_monotonicity(torch.zeros(0, 2), POINTS)),
    ("y", lambda: cyclical_monotonicity(POINTS, torch.zeros(4, 2))),
    ("y", lambda: cyclical_monotonicity(POINTS, torch.zeros(3, 1))),
]  # fmt: skip


@pytest.mark.parametrize("argument, call", BAD)
def test_refusals_name_the_argument(argument, call):
    with pytest.raises(ValueError, match=rf"^{argument}: expected .+got"):
        call()


def test_epsilon_must_be_said():
    with pytest.raises(TypeError):
        sinkhorn(POINTS, POINTS)
    assert isinstance(GOOD, Plan)
