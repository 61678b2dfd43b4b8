"""What every metric checks and shares: a pair of samples, random splits of their pool."""

from statistics import stdev

import torch

from ..errors import count, expect, real_tensor
from ..estimate import Estimate
from ..randomness import permutation


def pair(x, y, name: str = "y", features=None) -> tuple[torch.Tensor, torch.Tensor]:
    """x (n, ...) and y (m, ...), or their features, as matrices of one width, n, m >= 2."""
    x, y = real_tensor(x, "x"), real_tensor(y, name)
    if features is not None:
        x, y = real_tensor(features(x), "features"), real_tensor(features(y), "features")
    for argument, sample in (("x", x), (name, y)):
        expect(sample.ndim >= 2 and len(sample) >= 2, argument, "shape (n, ...) with n >= 2", f"shape {tuple(sample.shape)}")
    expect(x.shape[1:] == y.shape[1:], name, f"samples of shape {tuple(x.shape[1:])}", f"{tuple(y.shape[1:])}")
    return x.flatten(1), y.to(x).flatten(1)


def spread(values: list[float]) -> float:
    """Standard deviation with n - 1; NaN for one value."""
    return stdev(values) if len(values) > 1 else float("nan")


def with_floor(statistic, x, y, repeats: int, generator) -> Estimate:
    """statistic(x, y), and its mean and spread over random splits of the pooled sample."""
    pool, n = torch.cat([x, y]), len(x)
    null = []
    for _ in range(count(repeats, "repeats")):
        shuffled = pool[permutation(len(pool), generator, pool.device)]
        null.append(statistic(shuffled[:n], shuffled[n:]))
    return Estimate(statistic(x, y), sum(null) / repeats, min(n, len(y)), spread(null))


def share(hits: torch.Tensor, floor: float) -> Estimate:
    """The mean of booleans (n,), with its binomial error (one hit and one miss added, so that it is never zero)."""
    n, k = len(hits), int(hits.sum())
    p = (k + 1) / (n + 2)
    return Estimate(k / n, floor, n, (p * (1 - p) / n) ** 0.5)
