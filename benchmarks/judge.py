"""One fresh sample that all solvers are judged on, and the time at which a run reached a target.

The sample is drawn once for each cloud from its own seed; scores are computed once and the cells of all answers read
off. Independent draws only, no recycling: the judge shares no code with the solver. L1 = sum |mass - 1/N| of M draws
reads sqrt(2N / (pi M)) too much in quadrature, which is removed. In the plane the masses are exact.
"""

import math

import numpy as np
import torch

from otprior_lite.semidiscrete.exact import exact_masses

SEED = 990_001


def floor(atoms: int, draws: int) -> float:
    """The L1 error that M draws of exact cells would show."""
    return math.sqrt(2 * atoms / (math.pi * draws))


def l1_errors(cloud, answers, draws: int, seed: int = SEED) -> list[dict]:
    """For each heights (N,): l1 without the noise, and the number of cells never hit."""
    points = cloud.points()
    if points.shape[1] == 2:
        return [_exact(points, torch.as_tensor(h)) for h in answers]
    counts = _counts(points.float(), answers, draws, seed)
    noise = floor(len(points), draws)
    errors = np.abs(counts / draws - 1 / len(points)).sum(1)
    return [
        {"l1": math.sqrt(max(0.0, e**2 - noise**2)), "empty": int((c == 0).sum())} for e, c in zip(errors, counts, strict=True)
    ]


def _exact(points, heights):
    masses = exact_masses(points, heights)[0]
    return {"l1": float(np.abs(masses - 1 / len(points)).sum()), "empty": int((masses <= 0).sum())}


def _counts(points, answers, draws, seed, block=256):
    heights = [torch.as_tensor(h - np.mean(h), dtype=torch.float32) for h in answers]
    counts = np.zeros((len(heights), len(points)), dtype=np.int64)
    generator, columns = torch.Generator().manual_seed(seed), points.T.contiguous()
    plain, scores = torch.empty(block, len(points)), torch.empty(block, len(points))
    for _ in range(-(-draws // block)):
        torch.mm(torch.randn(block, points.shape[1], generator=generator), columns, out=plain)
        for row, h in zip(counts, heights, strict=True):
            torch.add(plain, h, out=scores)
            row += np.bincount(scores.numpy().argmax(1), minlength=len(points))
    return counts


def crossing(xs, l1s, target: float) -> tuple[float, str]:
    """The first x at which a run of errors falls to the target, by log-log interpolation, and "".

    ">" instead: the run ended before, and x is its end; "<": it was there at its first point, so x is a bound.
    """
    last = None
    for x, e in zip(xs, l1s, strict=True):
        if e <= target:
            if last is None:
                return x, "<"
            share = math.log(last[1] / target) / math.log(last[1] / max(e, 1e-12))
            return math.exp(math.log(last[0]) + share * math.log(x / last[0])), ""
        last = (x, e)
    return last[0], ">"
