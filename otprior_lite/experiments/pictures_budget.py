"""Where the error of a drawn picture comes from: the start, the steps or the score, each by one coupling, in pixels.

The law to reach is that of the training pictures, whose score is known exactly (`EmpiricalDenoiser`). A picture x_0 and a
noise z make x = alpha x_0 + sigma z, a true draw of p_t. With F_k^s what k steps with score s make of a start,

    F_K^net(z) -> F_K^net(x) -> F_M^net(x) -> F_M^exact(x),    M = 100,
         start       discretisation      score

and each arrow is a root mean square over pairs, per number of a picture in [-1, 1]. Each is an upper bound of the W2
between the two laws at its ends, since it is the cost of one coupling; their sum bounds the total, which pairs the two
ends, and the total bounds the W2 of what is drawn to what exact score and start draw: training pictures, again. So a
network that only copies has no score term, and what a good one gains by not copying counts as error here. "matched" pairs
the same pictures anew at the least cost: what the couplings give away, and no bound, since few pictures are paired.

The starts are N(0, I), at the same z, and the moment-matched Gaussian with the same z as its noise. 16 pairs a cell; nine
cells of 45 s. Chapter 12 shows the rows.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch

from .. import priors
from ..discrete import assignment_cost
from ..estimate import over_seeds
from ..randomness import normal, permutation, seeded
from ..samplers import sample
from ..score import EmpiricalDenoiser
from .pictures import METHOD, NFES, TIMES, world
from .study import Study, load

SEEDS = (0, 1, 2)
PAIRS = 16
FINE = 100
STARTS = ("standard", "moment-matched")
TERMS = ("start", "discretisation", "score", "total", "matched")


def terms(denoiser, exact, schedule, t, x, starts, calls, fine: int = FINE) -> list[list]:
    """[start, calls, *TERMS] for each of `starts`, (n, ...) like the true draws x of p_t and paired with them, row by row."""
    run = lambda score, x, steps: sample(score, schedule, x, steps=steps, t_start=t, method=METHOD)
    ideal, settled = run(exact, x, fine), run(denoiser, x, fine)
    rows = []
    for k in calls:
        right = run(denoiser, x, k)
        for name, start in starts.items():
            end = run(denoiser, start, k)
            matched = math.sqrt(max(0.0, assignment_cost(end.flatten(1), ideal.flatten(1))) / end[0].numel())
            values = rms(end, right), rms(right, settled), rms(settled, ideal), rms(end, ideal), matched
            rows.append([name, k, *(float(f"{value:.4g}") for value in values)])
    return rows


def rms(x: torch.Tensor, y: torch.Tensor) -> float:
    """Root mean square of x - y over all entries."""
    return float((x.double() - y.double()).square().mean().sqrt())


def cells(quick: bool) -> list[dict]:
    """Every seed and start time; quick: one, five calls, no finer reference: only its start term is the same."""
    if quick:
        return [{"seed": 0, "t": 250, "calls": [5], "fine": 5}]
    return [{"seed": seed, "t": t} for seed in SEEDS for t in TIMES]


def measure(cell: dict) -> dict:
    """rows: what `terms` returns, for pairs of a training picture and a noise."""
    found, t = world(), cell["t"]
    generator = seeded(6000 + cell["seed"])
    pictures = found.train[permutation(len(found.train), generator)[:PAIRS]]
    z = normal(pictures.shape, seeded(2000 + cell["seed"]))
    x = float(found.schedule.alpha(t)) * pictures + float(found.schedule.sigma(t)) * z
    gaussian = priors.MomentMatched.fit(found.train, found.schedule, t, form="low-rank", rank=len(found.train))
    starts = {"standard": found.schedule.prior_std * z, "moment-matched": gaussian.sample(PAIRS, seeded(2000 + cell["seed"]))}
    exact = EmpiricalDenoiser(found.train, found.schedule)
    calls, fine = cell.get("calls", NFES), cell.get("fine", FINE)
    return {"rows": terms(found.denoiser, exact, found.schedule, t, x, starts, calls, fine)}


STUDY = Study("pictures_budget", cells, measure)


@dataclass(frozen=True)
class Stack:
    """The terms of one start at t in some number of calls: mean over the seeds and standard error of each."""

    t: float
    start: str
    calls: int
    terms: dict[str, tuple[float, float]]

    @property
    def bound(self) -> float:
        """start + discretisation + score."""
        return sum(self.terms[name][0] for name in TERMS[:3])


@cache
def stacks() -> list[Stack]:
    """Every start, time and number of calls."""
    found: dict[tuple, list] = {}
    for row in load("pictures_budget"):
        for start, calls, *values in row["rows"]:
            found.setdefault((row["t"], start, calls), []).append(values)
    return [Stack(*key, dict(zip(TERMS, map(over_seeds, zip(*rows))))) for key, rows in found.items()]
