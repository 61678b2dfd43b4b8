"""Distances between samples, each with its noise floor.

Two samples of the same law are never at distance zero. The floor is what the estimator returns then: pool
both samples, split the pool at random, measure again. A value near its floor says nothing. In high dimension
the floor of W2 swallows everything; sliced W2 and the energy distance still see. Chapters 3 and 11 teach it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .discrete import assignment_cost
from .errors import count, expect, real_tensor, within
from .estimate import Estimate
from .linalg import squared_distances
from .randomness import normal, permutation, seeded


def _pair(x, y, name: str = "y"):
    x, y = real_tensor(x, "x"), real_tensor(y, name)
    for argument, sample in (("x", x), (name, y)):
        expect(sample.ndim >= 2 and len(sample) >= 2, argument, "shape (n, ...) with n >= 2", f"shape {tuple(sample.shape)}")
    expect(x.shape[1:] == y.shape[1:], name, f"samples of shape {tuple(x.shape[1:])}", f"{tuple(y.shape[1:])}")
    return x.flatten(1), y.to(x).flatten(1)


def _with_floor(statistic, x, y, repeats: int, generator) -> Estimate:
    """statistic(x, y), and its mean and spread over random splits of the pooled sample."""
    pool, n = torch.cat([x, y]), len(x)
    null = []
    for _ in range(count(repeats, "repeats")):
        shuffled = pool[permutation(len(pool), generator, pool.device)]
        null.append(statistic(shuffled[:n], shuffled[n:]))
    mean = sum(null) / repeats
    spread = math.sqrt(sum((v - mean) ** 2 for v in null) / (repeats - 1)) if repeats > 1 else float("nan")
    return Estimate(statistic(x, y), mean, min(n, len(y)), spread)


def w2(x, y, *, repeats: int = 1, generator: torch.Generator | None = None) -> Estimate:
    """Exact W2 between two samples (n, ...) and (m, ...). Seconds at n = 2000; biased upward by its floor."""
    x, y = _pair(x, y)
    return _with_floor(lambda a, b: math.sqrt(max(0.0, assignment_cost(a, b))), x, y, repeats, generator or seeded())


def sliced_w2(x, y, *, projections: int = 200, repeats: int = 5, generator: torch.Generator | None = None) -> Estimate:
    """Root mean square of the one-dimensional W2 over random directions. Source: Rabin et al. 2012.

    The directions are the same for the value and the floor. Sizes may differ.
    """
    x, y = _pair(x, y)
    generator = generator or seeded()
    directions = normal((x.shape[1], count(projections, "projections")), generator, dtype=x.dtype, device=x.device)
    directions = directions / directions.norm(dim=0)

    def statistic(a, b):
        return float(_w2_of_rows(directions.T @ a.T, directions.T @ b.T).mean().sqrt())

    return _with_floor(statistic, x, y, repeats, generator)


def _w2_of_rows(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """W2^2 between the rows of a (p, n) and b (p, m): both quantile functions on their common breaks."""
    a, b = _sorted(a), _sorted(b)
    n, m = a.shape[1], b.shape[1]
    if n == m:
        return (a - b).square().mean(1)
    breaks = torch.cat([torch.arange(1, n + 1, dtype=torch.float64) / n, torch.arange(1, m + 1, dtype=torch.float64) / m])
    breaks = breaks.sort().values
    mass = breaks.diff(prepend=torch.zeros(1, dtype=torch.float64))
    middle = breaks - mass / 2
    i, j = (middle * n).long().clamp(max=n - 1).to(a.device), (middle * m).long().clamp(max=m - 1).to(a.device)
    return (a[:, i] - b[:, j]).square() @ mass.to(a)


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    """Each row sorted; numpy's vectorised sort is several times faster than torch's on a CPU."""
    if rows.device.type != "cpu":
        return rows.sort(1).values
    return torch.from_numpy(np.sort(rows.detach().numpy(), axis=1))


def energy(x, y, *, repeats: int = 5, generator: torch.Generator | None = None) -> Estimate:
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'|, unbiased, so its floor is near 0. Source: Szekely 2013.

    `error` is the spread under equality: a value of several errors is a difference.
    """
    x, y = _pair(x, y)

    def statistic(a, b):
        within_a = _distances(a, a).sum() / (len(a) * (len(a) - 1))
        within_b = _distances(b, b).sum() / (len(b) * (len(b) - 1))
        return float(2 * _distances(a, b).mean() - within_a - within_b)

    return _with_floor(statistic, x, y, repeats, generator or seeded())


def _distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    distances = squared_distances(x, y).sqrt()
    return distances.fill_diagonal_(0) if x is y else distances


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
    x, reference = _pair(x, reference, "reference")
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
class Memorisation:
    """Nearest-train against nearest-test distances of samples.

    value: the share of samples whose nearest neighbour is a training point, train and test cut to the same
    number. floor: 1/2, by symmetry, when the samples are as new to the training set as to the test set.
    error: binomial, under that hypothesis. The distances are medians; test_to_train is that of fresh data.
    """

    value: float
    floor: float
    n: int
    error: float
    to_train: float
    to_test: float
    test_to_train: float


def memorisation(x, train, test) -> Memorisation:
    """Are samples x (n, ...) nearer to `train` than to `test`, two sets of fresh data of the same law?"""
    (_, test), (x, train) = _pair(x, test, "test"), _pair(x, train, "train")
    m = min(len(train), len(test))
    train, test = train[:m], test[:m]
    to_train, to_test = nearest_distance(x, train), nearest_distance(x, test)
    share = float(((to_train < to_test).double() + 0.5 * (to_train == to_test).double()).mean())
    medians = (float(d.median()) for d in (to_train, to_test, nearest_distance(test, train)))
    return Memorisation(share, 0.5, len(x), 0.5 / math.sqrt(len(x)), *medians)


def nearest_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Distance from each row of x (n, d) to the nearest row of y (m, d), recomputed by differences."""
    index = torch.cat([squared_distances(block, y).argmin(1) for block in x.split(1024)])
    return (x - y[index]).norm(dim=1)
