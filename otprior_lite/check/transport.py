"""Checks of chapter 6."""

import itertools
import math

import torch

from ..errors import point_cloud
from ..experiments.transport import count_crossings
from ..linalg import squared_distances
from ..randomness import normal, seeded
from ..transport import cyclical_monotonicity, sinkhorn
from .verdict import Verdict, compare

__all__ = ["sorted_cost", "crossing_yet_optimal", "swaps_are_not_enough", "log_sinkhorn", "distinct_share"]


def sorted_cost(answer, x=(4.0, 0.0, 1.0), y=(2.0, 3.0, 7.0)) -> Verdict:
    """W2^2 between the uniform laws on the numbers x and on the numbers y."""
    a, b = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    low, high = a.sort().values, b.sort().values
    right = float((low - high).square().mean())
    slips = {
        "That is the sum over the pairs. Each pair has mass 1/n: divide by n.": right * len(a),
        "That is W2. The question asks for its square.": math.sqrt(right),
        "You paired the numbers in list order. Sort both lists first.": float((a - b).square().mean()),
        "You paired the smallest with the largest. Sort both lists the same way.": float((low - high.flip(0)).square().mean()),
        "You averaged |x - y|. The cost here is its square.": float((low - high).abs().mean()),
        "That is the cost of independent pairs. The optimal plan chooses partners.": float((a[:, None] - b).square().mean()),
        "That is the squared difference of the means. The lists also differ in spread.": float((a.mean() - b.mean()).square()),
    }
    return compare(answer, right, slips)


def _pairs(x, y, n: int | None):
    """x, y as clouds of equal size in the plane, or a Verdict that says what is wrong."""
    try:
        x = point_cloud(x, "x", 2).double()
        y = point_cloud(y, "y", 2).double()
    except ValueError as error:
        return Verdict(False, f"{error}.")
    if len(x) != len(y) or (n is not None and len(x) != n):
        return Verdict(False, f"Expected {'equally many' if n is None else n} points in x and in y, got {len(x)} and {len(y)}.")
    return x, y


def crossing_yet_optimal(x, y) -> Verdict:
    """Two pairs x_i -> y_i in the plane, (2, 2) each, whose arrows cross and which are optimal for |x - y|^2."""
    pairs = _pairs(x, y, 2)
    if isinstance(pairs, Verdict):
        return pairs
    x, y = pairs
    if count_crossings(x, y) == 0:
        return Verdict(False, "Your arrows do not cross. The crossing must lie strictly inside both.")
    inner = float((x[0] - x[1]) @ (y[0] - y[1]))
    if cyclical_monotonicity(x, y).gain > 0:
        return Verdict(
            False,
            f"They cross, but exchanging the ends pays: <x1 - x2, y1 - y2> = {inner:.3g} is negative. Let one arrow be late.",
        )
    return Verdict(True, f"Right: they cross, and <x1 - x2, y1 - y2> = {inner:.3g}. At no time are both at the same place.")


def swaps_are_not_enough(x, y) -> Verdict:
    """Pairs x_i -> y_i in the plane, (n, 2) each, that no exchange of two partners improves, and a longer cycle does."""
    pairs = _pairs(x, y, None)
    if isinstance(pairs, Verdict):
        return pairs
    x, y = pairs
    if len(x) < 3:
        return Verdict(False, "With fewer than three pairs there is no cycle of three.")
    for i, j in itertools.combinations(range(len(x)), 2):
        both = [i, j]
        if cyclical_monotonicity(x[both], y[both]).gain > 0:
            return Verdict(
                False,
                f"Exchanging the partners of {i + 1} and {j + 1} already pays. Turn less: a turn by up to 90 degrees survives all swaps.",
            )
    gain = cyclical_monotonicity(x, y).gain
    if gain == 0:
        return Verdict(False, "No swap pays, but no longer cycle does either: this pairing is optimal. Turn more.")
    return Verdict(True, f"Right: no swap helps, and a longer cycle lowers the mean cost by {gain:.3g}.")


def log_sinkhorn(answer) -> Verdict:
    """A function (cost, epsilon, steps) -> plan (n, m), uniform weights, that survives a small epsilon."""
    if not callable(answer):
        return Verdict(False, f"Expected a function of (cost, epsilon, steps), got {type(answer).__name__}.")
    generator = seeded(2)
    x, y = (normal((k, 2), generator, dtype=torch.float64) for k in (5, 4))
    for epsilon, shift in ((1.0, 0.0), (0.05, 8.0)):
        cost = squared_distances(x, y + shift)
        try:
            found = torch.as_tensor(answer(cost.clone(), epsilon, 2000), dtype=torch.float64)
        except Exception as error:  # the reader's code may fail in any way
            return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
        right = sinkhorn(x, y + shift, epsilon=epsilon, tolerance=1e-6, max_iterations=50_000).matrix
        verdict = _compare_plans(found, right, shift > 0)
        if not verdict:
            return verdict
    return Verdict(True, "Right, and it survives a kernel that is zero in float64.")


def _compare_plans(found: torch.Tensor, right: torch.Tensor, small: bool) -> Verdict:
    n, m = right.shape
    if found.shape != right.shape:
        return Verdict(False, f"Expected shape ({n}, {m}), got {tuple(found.shape)}.")
    if not bool(found.isfinite().all()):
        where = (
            "at a small epsilon: exp(-cost/epsilon) is zero there. Keep log u and log v, and use logsumexp"
            if small
            else "already at epsilon = 1"
        )
        return Verdict(False, f"The plan is not finite {where}.")
    near = lambda other: torch.allclose(found, other, rtol=1e-3, atol=1e-5)
    if near(right):
        return Verdict(True, "Right.")
    if float(found.min()) < 0:
        return Verdict(False, "There are negative masses. Did you return the logarithm of the plan?")
    if near(right * n) or near(right * m) or near(right * n * m):
        return Verdict(False, f"The masses sum to {float(found.sum()):.3g}, not to 1: rows must sum to 1/n, columns to 1/m.")
    off = float((found.sum(1) - 1 / n).abs().sum()), float((found.sum(0) - 1 / m).abs().sum())
    if max(off) > 1e-3:
        return Verdict(
            False,
            f"{'Rows' if off[0] > off[1] else 'Columns'} do not have their mass (L1 error {max(off):.2g}). Alternate both updates until they do.",
        )
    if near(torch.full_like(right, 1 / (n * m))):
        return Verdict(False, "That is the product of the weights. Its marginals are right, too; the cost does not enter.")
    return Verdict(False, "Both marginals are right, the plan is not. Does the kernel use -cost/epsilon?")


def distinct_share(answer, n: int = 10) -> Verdict:
    """Expected share of distinct x among n pairs drawn independently from an optimal plan of n and n points."""
    right = 1 - (1 - 1 / n) ** n
    slips = {
        "That is the share that is missed. Take its complement.": 1 - right,
        "That is the limit for large n. Here n is small: keep (1 - 1/n)^n.": 1 - math.exp(-1),
        "That is the limit of the share that is missed. Take n as it is, and the complement.": math.exp(-1),
        "Independent draws repeat. Only without replacement would every point come once.": 1.0,
        "The plan is a permutation: only n of its n^2 entries have mass, 1/n each.": 1 - (1 - 1 / n**2) ** n,
        "That is the expected number. Divide by n.": n * right,
    }
    return compare(answer, right, slips)
