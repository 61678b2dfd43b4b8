"""Two-sample tests: do two samples come from one law, and how sure can one be?

Both statistics are means of a function h over pairs of points, without the pairs i = i, so they are zero on average
when the laws are equal:

    D^2 = E h(x, x') + E h(y, y') - 2 E h(x, y),    h a Gaussian kernel (MMD^2) or minus the distance (energy).

The p-value is exact at any n: under equality every split of the pool is as likely as the one we saw, so it is the
share of random splits whose statistic is as large. All splits are one matrix product. Chapter 11 teaches it.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, expect
from ..estimate import Estimate
from ..linalg import squared_distances
from ..randomness import permutation, seeded
from .samples import pair, spread

_BLOCK = 2**23  # entries of the pool's distance matrix held at a time: 64 MB
_MEDIAN = 2000  # points of the pool whose distances give the median


@dataclass(frozen=True)
class TwoSampleTest(Estimate):
    """An estimate with the probability, if the laws were equal, of a statistic at least as large.

    p_value: (1 + number of random splits at least as large) / (1 + repeats), so never below 1 / (1 + repeats).
    """

    p_value: float = float("nan")

    def __str__(self) -> str:
        return f"{super().__str__()[:-1]}, p = {self.p_value:.2g})"


def energy(x, y, *, repeats: int = 200, generator: torch.Generator | None = None) -> TwoSampleTest:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, so its floor is near 0. Source: Szekely 2013.

    `error` is the spread under equality, over `repeats` random splits of the pool, which also give `p_value`.
    """
    x, y = pair(x, y)
    return _test(x, y, lambda d2: -d2.sqrt(), repeats, generator or seeded())


def mmd(x, y, *, bandwidth: float | None = None, repeats: int = 200, generator: torch.Generator | None = None) -> TwoSampleTest:
    """Squared maximum mean discrepancy for exp(-|x - y|^2 / (2 bandwidth^2)), unbiased: it can be negative.

    bandwidth: default the median distance between points of the pool (2,000 of them if there are more).
    `error` is the spread under equality, over `repeats` random splits of the pool, which also give `p_value`.
    Source: Gretton et al. 2012, equation 3.
    """
    x, y = pair(x, y)
    generator = generator or seeded()
    if bandwidth is None:
        bandwidth = _median_distance(torch.cat([x, y]), generator)
    width = float(bandwidth)
    expect(0 < width < math.inf, "bandwidth", "a positive number (the median distance, if not given)", width)
    return _test(x, y, lambda d2: (d2 / (-2 * width**2)).exp(), repeats, generator)


def _median_distance(pool: torch.Tensor, generator) -> float:
    some = pool[permutation(len(pool), generator, pool.device)[:_MEDIAN]].double()
    distances = squared_distances(some, some)
    return float(distances[~torch.eye(len(some), dtype=torch.bool, device=pool.device)].median().sqrt())


def _test(x, y, h, repeats: int, generator) -> TwoSampleTest:
    """D^2 of the split we saw and of `repeats` random ones, in float64.

    With a column s of zeros and ones for each split and H the matrix of h, diagonal zero, the three means follow from
    s'Hs, s'H1 and 1'H1. H is never held whole.
    """
    pool, n, m = torch.cat([x, y]).double(), len(x), len(y)
    splits = torch.zeros(n + m, 1 + count(repeats, "repeats"), dtype=torch.float64, device=pool.device)
    splits[:n, 0] = 1
    for k in range(1, 1 + repeats):
        splits[permutation(n + m, generator, pool.device)[:n], k] = 1
    inside, touching, total = 0.0, 0.0, 0.0
    rows = max(1, _BLOCK // (n + m))
    for start in range(0, n + m, rows):
        block = h(squared_distances(pool[start : start + rows], pool))
        block.diagonal(start).zero_()
        s, sums = splits[start : start + rows], block.sum(1)
        inside, touching, total = inside + (s * (block @ splits)).sum(0), touching + sums @ s, total + sums.sum()
    of_x, of_y = inside / (n * (n - 1)), (total - 2 * touching + inside) / (m * (m - 1))
    value, *null = (of_x + of_y - 2 * (touching - inside) / (n * m)).tolist()
    tie = 1e-12 * float(total.abs()) / ((n + m) * (n + m - 1))  # equal statistics may differ in the last digits
    p_value = (1 + sum(v >= value - tie for v in null)) / (1 + repeats)
    return TwoSampleTest(value, sum(null) / repeats, min(n, m), spread(null), p_value)
