"""What samples cover, lose and mix: tails along a direction, precision and recall, mode mixtures.

A distance says that two laws differ; these say how. Each is a share of samples, and its floor is the share among
perfect samples, which is rarely 1 or 0.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, expect, real_tensor, within
from ..estimate import Estimate
from ..linalg import squared_distances
from ..randomness import permutation, seeded
from .samples import pair, share, spread


@dataclass(frozen=True)
class TailCoverage:
    """Shares of samples beyond the reference's lower and upper q-quantiles along one direction.

    Both are q when nothing is lost. `value` is the smaller share divided by q (1 = all there, 0 = lost);
    `floor` is the half-width of its 95 % band when nothing is lost.
    """

    lower: float
    upper: float
    q: float
    value: float
    floor: float
    n: int


def tail_coverage(x, reference, *, q: float = 0.05, direction=None) -> TailCoverage:
    """How much of the reference's two tails the samples x (n, d) reach, along `direction` (default: last axis)."""
    x, reference = pair(x, reference, "reference")
    within(q, 0.0, 0.5, "q", open_low=True)
    if direction is None:
        direction = torch.eye(x.shape[1])[-1]
    direction = real_tensor(direction, "direction").to(x)
    expect(direction.shape == x.shape[1:], "direction", f"shape ({x.shape[1]},)", f"shape {tuple(direction.shape)}")
    expect(bool(direction.any()), "direction", "a nonzero vector", "zero")
    edges = torch.quantile((reference @ direction).double(), torch.tensor([q, 1 - q], dtype=torch.float64, device=x.device))
    along = (x @ direction).double()
    lower, upper = float((along < edges[0]).double().mean()), float((along > edges[1]).double().mean())
    band = 1.96 * math.sqrt((1 - q) / q * (1 / len(x) + 1 / len(reference)))
    return TailCoverage(lower, upper, q, min(lower, upper) / q, band, len(x))


@dataclass(frozen=True)
class PrecisionRecall:
    """precision: the share of samples inside the reference's manifold; recall: of the reference inside the samples'.

    Here a floor is a ceiling: the share that fresh data of the same number reach.
    """

    precision: Estimate
    recall: Estimate


def precision_recall(
    x, reference, *, k: int = 3, features=None, repeats: int = 5, generator: torch.Generator | None = None
) -> PrecisionRecall:
    """k-nearest-neighbour precision and recall of samples x (n, ...) against a reference (m, ...).

    A set's manifold is the union of balls around its points that reach to the k-th nearest other point. Its size
    depends on the number of points, so all sets are cut to n = min(n, m // 2): `repeats` times the reference is split
    at random, one half is the reference and the other half stands for perfect samples, which gives the floor. Value
    and floor are means over the splits, `error` the floor's spread. features: callable (n, ...) -> (n, k).
    Source: Kynkaanniemi et al. 2019.
    """
    x, reference = (v.double() for v in pair(x, reference, "reference", features))
    generator, h = generator or seeded(), min(len(x), len(reference) // 2)
    expect(count(k, "k") < h, "k", f"less than min(n, m // 2) = {h}", k)
    runs = []
    for _ in range(count(repeats, "repeats")):
        order = permutation(len(reference), generator, x.device)
        perfect, half = reference[order[:h]], reference[order[h : 2 * h]]
        some = x[permutation(len(x), generator, x.device)[:h]]
        runs.append([_covered(a, b, k) for a, b in ((some, half), (half, some), (perfect, half), (half, perfect))])
    precision, recall, best_precision, best_recall = ([float(v) for v in column] for column in zip(*runs))
    mean = lambda values: sum(values) / repeats
    return PrecisionRecall(*(
        Estimate(mean(values), mean(floors), h, spread(floors))
        for values, floors in ((precision, best_precision), (recall, best_recall))
    ))  # fmt: skip


def _covered(x: torch.Tensor, reference: torch.Tensor, k: int) -> float:
    """The share of rows of x in a ball around a reference point that reaches to its k-th nearest other point."""
    blocks = lambda v: (squared_distances(block, reference) for block in v.split(1024))
    radius = torch.cat([d.kthvalue(k + 1, dim=1).values for d in blocks(reference)])  # the nearest is itself
    return float(torch.cat([(d <= radius).any(1) for d in blocks(x)]).double().mean())


def mode_mixture(x, reference, classes, *, threshold: float = 0.2) -> Estimate:
    """The share of samples x (n, ...) to which two classes or more each give probability >= `threshold`.

    classes: callable (n, ...) -> (n, K) class probabilities: a classifier, or `target.responsibilities` of a known
    Gaussian mixture. The floor is the share among `reference` (m, ...), fresh data: overlapping classes mix without
    any fault of a sampler. Source: equation 22 of the paper, as reported, with threshold .2.
    """
    within(threshold, 0.0, 0.5, "threshold", open_low=True)
    pair(x, reference, "reference")
    mixed = [_two_classes(real_tensor(v, name), classes, threshold) for name, v in (("x", x), ("reference", reference))]
    return share(mixed[0], float(mixed[1].double().mean()))


def _two_classes(x, classes, threshold: float) -> torch.Tensor:
    p = real_tensor(classes(x), "classes")
    expect(p.ndim == 2 and len(p) == len(x), "classes", f"probabilities of shape ({len(x)}, K)", f"shape {tuple(p.shape)}")
    off = float(((p.double().sum(1) - 1).abs() + p.double().clamp_max(0).abs().sum(1)).max())
    expect(off < 1e-4, "classes", "rows of probabilities that sum to 1", f"rows off by {off:.3g}")
    return (p >= threshold).sum(1) >= 2
