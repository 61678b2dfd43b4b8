"""Why optimal transport in the training of a conditional flow can undo the condition: a line with two classes.

Pair noise z with data x by optimal transport over all classes and z knows the class: given the class, z is no longer N(0, 1),
but sampling starts from N(0, 1). That is a prior gap which training made. On a line the optimal pairing of a batch is by
rank, so every batch size is cheap. Chapter 13.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, known
from ..randomness import normal, seeded

CENTRE, STD = 1.5, 0.7
"""Class 0 is N(-CENTRE, STD^2), class 1 is N(CENTRE, STD^2), each with probability 1/2."""
BATCHES = (1, 2, 4, 16, 64, 256)
PAIRINGS = ("all classes", "within the class")


@dataclass(frozen=True, eq=False)
class Pairs:
    """z (n,) and x (n,) paired in batches of `batch`; y (n,) the class of x."""

    pairing: str
    batch: int
    z: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor


@dataclass(frozen=True)
class Row:
    """One pairing and batch size.

    gap: W2 between z given class 1 and N(0, 1), and its standard error; floor: the same for noise of that size.
    end: W2 between samples of class 1, made from N(0, 1), and class 1. wrong: share of them below zero. right: the share
    that the class itself has there. limit: the gap of infinite batches over all classes.
    """

    pairing: str
    batch: int
    gap: float
    error: float
    floor: float
    end: float
    wrong: float
    right: float
    limit: float


def pairs(pairing: str, batch: int, n: int = 2**14, seed: int = 0) -> Pairs:
    """n pairs of noise and data, optimal within each batch, over all its points or class by class."""
    known(pairing, PAIRINGS, "pairing")
    generator = seeded(seed)
    y = (torch.rand(count(n), generator=generator) < 0.5).long()
    z, e = (normal((n,), generator, dtype=torch.float64) for _ in range(2))
    x = CENTRE * (2 * y - 1) + STD * e
    return Pairs(pairing, batch, _paired(z, x, y, count(batch), pairing), x, y)


def _paired(z, x, y, batch: int, pairing: str) -> torch.Tensor:
    """z permuted within each batch so that it rises with x, over the batch or within each class of it."""
    blocks = lambda v: v[: len(v) // batch * batch].reshape(-1, batch)
    result = z.clone()
    out = blocks(result)
    zs, xs, ys = blocks(z), blocks(x), blocks(y)
    if pairing == "all classes":
        out.scatter_(1, xs.argsort(1), zs.sort(1).values)
        return result
    far = 1e6 * ys  # sorts by class first: the noise of a class stays with it
    out.scatter_(1, (xs + far).argsort(1), (zs + far).sort(1).values - far.sort(1).values)
    return result


def gap(z: torch.Tensor) -> float:
    """W2 between the numbers z and N(0, 1): by quantiles, exact on the line up to the sampling of z."""
    quantiles = torch.special.ndtri((torch.arange(len(z), dtype=torch.float64) + 0.5) / len(z))
    return float((z.sort().values - quantiles).square().mean().sqrt())


def limit() -> float:
    """`gap` for large batches: z = Phi^{-1}(F(x)) with F the law of all data, x of class 1."""
    n = 200_000
    quantiles = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    x = CENTRE + STD * quantiles
    both = (torch.special.ndtr((x - CENTRE) / STD) + torch.special.ndtr((x + CENTRE) / STD)) / 2
    return float((torch.special.ndtri(both) - quantiles).square().mean().sqrt())


def generate(found: Pairs, n: int = 4000, steps: int = 50, seed: int = 1) -> torch.Tensor:
    """n samples of class 1 by the flow whose velocity is E[x - z | x_t, class 1], x_t = (1 - t) z + t x, from N(0, 1).

    The regression is on bins of x_t, linear in between; where training saw nothing the nearest bin answers.
    """
    z, x = (v[found.y == 1] for v in (found.z, found.x))
    edges = torch.linspace(-4, 4.5, 171, dtype=torch.float64)
    centres = (edges[1:] + edges[:-1]) / 2
    s = normal((count(n),), seeded(seed), dtype=torch.float64)
    for k in range(steps):
        t = (k + 0.5) / steps
        place = torch.bucketize(((1 - t) * z + t * x).contiguous(), edges).clamp(1, len(centres)) - 1
        hits = torch.bincount(place, minlength=len(centres)).double()
        seen = hits >= 5
        mean = torch.bincount(place, x - z, minlength=len(centres))[seen] / hits[seen]
        velocity = lambda u: _linear(u, centres[seen], mean)  # noqa: B023
        middle = s + velocity(s) / (2 * steps)
        s = s + velocity(middle) / steps
    return s


def _linear(u, grid, values):
    """values at u by linear interpolation, constant outside."""
    i = torch.bucketize(u.contiguous(), grid).clamp(1, len(grid) - 1)
    share = ((u - grid[i - 1]) / (grid[i] - grid[i - 1])).clamp(0, 1)
    return values[i - 1] + share * (values[i] - values[i - 1])


def rows(batches: tuple[int, ...] = BATCHES, n: int = 2**14, seeds: tuple[int, ...] = (0, 1, 2)) -> list[Row]:
    """Every pairing and batch size, averaged over seeds."""
    found, far = [], limit()
    for pairing in PAIRINGS:
        for batch in batches:
            gaps, ends, shares = [], [], []
            for seed in seeds:
                drawn = pairs(pairing, batch, n, seed)
                gaps.append(gap(drawn.z[drawn.y == 1]))
                made = generate(drawn, seed=100 + seed)
                ends.append(gap((made - CENTRE) / STD) * STD)
                shares.append(float((made < 0).double().mean()))
            mean = lambda values: sum(values) / len(values)
            error = float(torch.tensor(gaps, dtype=torch.float64).std()) / math.sqrt(len(seeds)) if len(seeds) > 1 else math.nan
            floor = gap(normal((n // 2,), seeded(999), dtype=torch.float64))
            right = float(torch.special.ndtr(torch.tensor(-CENTRE / STD)))
            found.append(Row(pairing, batch, mean(gaps), error, floor, mean(ends), mean(shares), right, far))
    return found
