"""A start of N points cannot be close to a density: W2 from noised training points to p_T, and the bound below it.

However the points are weighted, each x of p_T has to travel at least to its nearest point,

    W2(sum_i w_i delta_{y_i}, p)^2 >= E_p min_i |x - y_i|^2.

So where N(0, I) is already close, N points are farther than it. Chapter 13.
"""

import math
from dataclasses import dataclass

import torch

from .. import metrics
from ..discrete import assignment_cost, exact_plan
from ..forward import marginal, noise
from ..gap import prior_gap
from ..randomness import seeded
from ..schedules import ou
from ..targets import toy


@dataclass(frozen=True)
class Atoms:
    """points noised points of the ring at t, weights 1/N; means over seeds, `error` of w2.

    w2: to draws of p_t. least: root mean square distance of the draws to their nearest point, below w2 in every sample.
    """

    points: int
    t: float
    w2: float
    error: float
    least: float


@dataclass(frozen=True)
class Quantised:
    """Rows, and by time: W2(N(0, I), p_t) between draws (standard), its upper bound, and the floor of both estimates."""

    rows: tuple[Atoms, ...]
    times: tuple[float, ...]
    standard: tuple[float, ...]
    upper: tuple[float, ...]
    floor: tuple[float, ...]
    draws: int


def quantised(
    sizes: tuple[int, ...] = (20, 50, 100, 200, 400), times: tuple[float, ...] = (0.5, 2.0), draws: int = 600, seeds: int = 3
) -> Quantised:
    """Exact transport from N points to `draws` draws of p_t; the standard start by as many draws of N(0, I)."""
    law, schedule, rows, standard, floors = toy("ring"), ou(max(times)), [], [], []
    for t in times:
        p = marginal(law, schedule, t)
        fresh = [p.sample(draws, seeded(10 + seed)) for seed in range(seeds)]
        for N in sizes:
            pairs = [_atoms(law, schedule, t, N, seed, x) for seed, x in enumerate(fresh)]
            w2, least = (torch.tensor(v, dtype=torch.float64) for v in zip(*pairs))
            rows.append(Atoms(N, t, float(w2.mean()), float(w2.std()) / math.sqrt(seeds), float(least.mean())))
        noises = [torch.randn(draws, 2, generator=seeded(50 + s), dtype=torch.float64) for s in range(seeds)]
        again = [p.sample(draws, seeded(90 + s)) for s in range(seeds)]
        standard.append(_mean(assignment_cost(z, x) for z, x in zip(noises, fresh)))
        floors.append(_mean(assignment_cost(y, x) for y, x in zip(again, fresh)))
    upper = tuple(prior_gap(law, schedule, t, n=2).upper for t in times)
    return Quantised(tuple(rows), tuple(times), tuple(standard), upper, tuple(floors), draws)


def _atoms(law, schedule, t: float, N: int, seed: int, x: torch.Tensor) -> tuple[float, float]:
    """(W2, RMS distance to the nearest point) of N noised points and the draws x."""
    y = noise(law.sample(N, seeded(1000 * N + seed)), schedule, t, seeded(7 + seed))
    cost = exact_plan(y, x)[1]
    return math.sqrt(cost), float(metrics.nearest_distance(x, y).square().mean().sqrt())


def _mean(costs) -> float:
    values = [math.sqrt(cost) for cost in costs]
    return sum(values) / len(values)
