"""Couplings of two weighted samples for the cost C_ij = |x_i - y_j|^2, exact and entropic.

    exact:    min <P, C>                             s.t. P 1 = a, P' 1 = b, P >= 0
    Sinkhorn: min <P, C> + epsilon KL(P | a b')      s.t. P 1 = a, P' 1 = b

The dual potentials (f, g) prove the answer: for the exact plan <a, f> + <b, g> is the same number as <P, C>, and
P_ij > 0 only where f_i + g_j = C_ij; for Sinkhorn's, P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon). Chapter 6
teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..discrete import entropic_plan, exact_plan
from ..errors import count, expect, point_cloud, probability_vector, real_tensor
from ..linalg import squared_distances
from ..randomness import categorical


@dataclass(frozen=True, eq=False)
class Plan:
    """A coupling of two samples, and what is known of its quality.

    matrix: (n, m) masses.
    cost: sum of mass times |x - y|^2, without any entropy term.
    potentials: f (n,) and g (m,), in the units of the cost, with <a, f> = <b, g>.
    dual: <a, f> + <b, g>, a lower bound of the least cost (of cost plus entropy term when epsilon > 0).
    epsilon: 0 for the exact plan.
    error: sum_i |row sum - a_i| + sum_j |column sum - b_j|; NaN when the plan is not finite.
    converged: whether error is within the tolerance that was asked for; `reason` says what happened.
    steps: iterations of Sinkhorn's algorithm, 0 for the exact plan.
    """

    matrix: torch.Tensor
    cost: float
    potentials: tuple[torch.Tensor, torch.Tensor]
    dual: float
    epsilon: float = 0.0
    error: float = 0.0
    converged: bool = True
    reason: str = "solved exactly"
    steps: int = 0

    @property
    def assignment(self) -> torch.Tensor:
        """For each x the index of the y that receives most of its mass, shape (n,)."""
        return self.matrix.argmax(1)


def _problem(x, y, weights_x, weights_y):
    x = point_cloud(x, "x")
    y = point_cloud(y, "y", x.shape[1]).to(x)
    return x, y, probability_vector(weights_x, len(x), x, "weights_x"), probability_vector(weights_y, len(y), y, "weights_y")


def _marginal_error(matrix, a, b) -> float:
    return float((matrix.sum(1) - a).abs().sum() + (matrix.sum(0) - b).abs().sum())


def plan(x, y, weights_x=None, weights_y=None) -> Plan:
    """Exact optimal plan between samples x (n, d) and y (m, d) for the squared distance.

    Weights default to uniform. O(n^3) at worst: n = 5000 takes seconds. Raises RuntimeError if POT gives up.
    """
    x, y, a, b = _problem(x, y, weights_x, weights_y)
    matrix, cost, (f, g) = exact_plan(x, y, a, b)
    matrix, f, g = (torch.from_numpy(v) for v in (matrix, f, g))
    a, b = (w.double().cpu() / w.double().sum().cpu() for w in (a, b))
    potentials = (f.to(x), g.to(x))
    return Plan(matrix.to(x), cost, potentials, float(a @ f + b @ g), error=_marginal_error(matrix, a, b))


def sinkhorn(
    x, y, *, epsilon: float, weights_x=None, weights_y=None, max_iterations: int = 10_000, tolerance: float = 1e-6
) -> Plan:
    """Entropic plan between samples x (n, d) and y (m, d): Sinkhorn's algorithm on logarithms (POT's `sinkhorn_log`).

    epsilon: strength of the entropy, in the units of the cost |x - y|^2. The plan tends to the exact one as
    epsilon -> 0 and to the product of the weights as epsilon -> infinity.
    tolerance: bound on `Plan.error`, the L1 distance of both marginals from the weights.

    A run that ends above the tolerance, or is not finite, returns `converged=False` with its `reason`; `sample_plan`
    and `barycentric_map` refuse such a plan. float64 inside, on the device of x. Source: Cuturi 2013.
    """
    x, y, a, b = _problem(x, y, weights_x, weights_y)
    for name, value in (("epsilon", epsilon), ("tolerance", tolerance)):
        number = float(real_tensor(value, name))
        expect(number > 0, name, "a number > 0", f"{number:g}")
    count(max_iterations, "max_iterations")
    epsilon, a, b = float(epsilon), a.double() / a.double().sum(), b.double() / b.double().sum()
    cost = squared_distances(x.detach().double(), y.detach().double())
    matrix, u, v, steps = entropic_plan(cost, a, b, epsilon, max_iterations, tolerance)
    kernel = -cost / epsilon
    f = -epsilon * torch.logsumexp(kernel + v, 1)  # = epsilon (u - log a), finite where a = 0, too
    g = torch.where(b > 0, epsilon * (v - b.log()), -epsilon * torch.logsumexp(kernel + u[:, None], 0))
    shift = (a @ f - b @ g) / 2
    error = _marginal_error(matrix, a, b)
    return Plan(
        matrix.to(x), float((matrix * cost).sum()), ((f - shift).to(x), (g + shift).to(x)), float(a @ f + b @ g), epsilon,
        error, error <= tolerance, _reason(error, tolerance, steps), steps,
    )  # fmt: skip


def _reason(error: float, tolerance: float, steps: int) -> str:
    if not math.isfinite(error):
        return f"not finite after {steps} steps: epsilon is too small for these costs in float64"
    if error <= tolerance:
        return f"error {error:.2g} within the tolerance {tolerance:g} after {steps} steps"
    return f"error {error:.2g} above the tolerance {tolerance:g} after {steps} steps"


def _usable(plan) -> Plan:
    expect(isinstance(plan, Plan), "plan", "a Plan, from `plan` or `sinkhorn`", type(plan).__name__)
    expect(plan.converged, "plan", "a converged plan", f"one with {plan.reason}")
    return plan


def barycentric_map(plan: Plan, y) -> torch.Tensor:
    """For each x the mean of its partners, sum_j P_ij y_j / sum_j P_ij, shape (n, d). y: (m, d).

    For an exact plan that is a permutation these are the partners. Raises ValueError if some x has no mass.
    """
    matrix = _usable(plan).matrix
    y = point_cloud(y, "y")
    expect(len(y) == matrix.shape[1], "y", f"{matrix.shape[1]} points, one for each column of the plan", len(y))
    mass = matrix.sum(1, keepdim=True)
    empty = int((mass <= 0).sum())
    expect(empty == 0, "plan", "mass in every row", f"{empty} of {len(mass)} without")
    return (matrix / mass) @ y.to(matrix)


def sample_plan(plan: Plan, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """n pairs (i, j) drawn independently with probability P_ij: two index tensors of shape (n,).

    Independent draws repeat: of the points of a permutation plan with n points, n draws miss a share (1 - 1/n)^n,
    about 1/e. For each point once, use `Plan.assignment`.
    """
    matrix = _usable(plan).matrix
    pair = categorical(matrix.flatten(), count(n), generator)
    return pair // matrix.shape[1], pair % matrix.shape[1]
