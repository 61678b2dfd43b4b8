"""The error of the cell masses on a fresh sample, with the sampling noise taken out.

Squaring a noisy frequency adds its variance, so the plain chi2 of M draws reads N/M too much. Products of two
independent blocks have no such bias: the chi2 here is the U-statistic over pairs of blocks. L1 has no unbiased
estimator; the noise is removed in quadrature, which is exact when cell errors are spread like noise.

    chi2 = mean over pairs A != B of sum_j (w_Aj - b_j)(w_Bj - b_j) / b_j,    L1^2 = |w - b|_1^2 - floor^2.

Chapter 7 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, expect, probability_vector
from ..estimate import Estimate
from ..randomness import check_generator
from .brenier import BrenierMap
from .fit import MassError
from .problem import in_span, robust_centre
from .sampling import Sampler

UPPER = 1.96  # half-width of the interval in standard errors
GROUPS = 64  # groups of blocks whose pairs form the U-statistic


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one fresh sample says of given heights: the mass error, the block means of u = max score, the counts
    (N,) of the cells, and the base draws it cost."""

    error: MassError
    tops: torch.Tensor
    counts: torch.Tensor
    samples: int


def evaluate(sampler: Sampler, heights, weights, blocks: int, generator) -> Evaluation:
    """Evaluate heights (N,) on at least `blocks` fresh blocks of the sampler.

    chi2's standard error follows Hoeffding's decomposition of a U-statistic.
    """
    groups = min(GROUPS, max(blocks, 4))
    per_group = -(-blocks // groups)
    parts = [sampler.counts(heights, per_group, generator) for _ in range(groups)]
    counts, tops = torch.stack([c for c, _ in parts]), torch.cat([t for _, t in parts])
    rows = per_group * sampler.rows
    return Evaluation(mass_error(counts / rows, weights, rows), tops, counts.sum(0), groups * per_group * sampler.base)


def verify(map: BrenierMap, weights=None, *, n: int, generator: torch.Generator) -> MassError:
    """The error of a map's cell masses on at least n fresh rows of scores; weights (N,): default 1/N each.

    Nothing of the solve is used. A map is shown to miss a tolerance when the 95 % `interval` lies above it, and to keep it when
    it lies below; small n shows neither. The rows are rotated copies of fewer draws (`sampling`), as in the solver's own check.
    """
    weights = probability_vector(weights, len(map.points), map.points.double())
    expect(bool((weights > 0).all()), "weights", "positive entries", "a zero")
    points = map.points.double()
    sampler = Sampler(in_span(points - robust_centre(points)).to(map.points.dtype))
    return evaluate(sampler, map.heights, weights, math.ceil(count(n) / sampler.rows), check_generator(generator)).error


def mass_error(shares: torch.Tensor, weights: torch.Tensor, rows: int) -> MassError:
    """MassError from independent group frequencies (G, N) of `rows` rows each."""
    groups, N = shares.shape
    gaps = (shares - weights) / weights.sqrt()
    gram = gaps @ gaps.T
    pairs = groups * (groups - 1)
    off = gram - torch.diag(gram.diagonal())
    chi2 = float(off.sum()) / pairs
    spread = float((off.square().sum() / pairs - chi2**2).clamp_min(0))
    rows_mean = off.sum(1) / (groups - 1)
    shared = max(0.0, float(rows_mean.var()) - spread / (groups - 1))
    chi2_error = math.sqrt((4 * (groups - 2) * shared + 2 * spread) / pairs)
    noise = max(0.0, float(gram.diagonal().mean()) - chi2) / groups  # chi2 of pure noise in the grand mean
    gap = shares.mean(0) - weights
    raw = float(gap.abs().sum())
    iid = float((weights * (1 - weights)).sqrt().sum() * math.sqrt(2 / (math.pi * groups * rows)))
    inflation = noise / ((N - 1) / (groups * rows)) if N > 1 else 0.0
    floor = iid * math.sqrt(inflation)
    squared = raw**2 - floor**2
    plugin = max(chi2 + noise, 1e-300)
    # A sum of sizes varies up to pi/2 more than a sum of squares, and "spread like noise" holds up to 0.53 / sqrt N.
    squared_error = math.hypot(math.sqrt(math.pi / 2) * chi2_error * raw**2 / plugin, 0.53 / math.sqrt(N) * max(0.0, squared))
    l1, low, high = (math.sqrt(max(0.0, squared + k * squared_error)) for k in (0, -UPPER, UPPER))
    empty = int((shares.sum(0) == 0).sum())
    n = groups * rows
    return MassError(
        Estimate(l1, floor, n, (high - low) / (2 * UPPER)), Estimate(chi2, noise, n, chi2_error), (low, high), n, empty
    )


def dual_cost(problem, heights, tops: torch.Tensor) -> Estimate:
    """W2^2 = d + sum_j b_j (|y_j|^2 + 2 h_j) - 2 E u from independent block means of u = max score."""
    atoms = problem.points.double()
    fixed = atoms.shape[1] + float((problem.weights * (atoms.square().sum(1) + 2 * heights.to(problem.weights))).sum())
    error = 2 * float(tops.std()) / math.sqrt(len(tops)) if len(tops) > 1 else math.inf
    return Estimate(fixed - 2 * float(tops.mean()), error, len(tops), error)
