"""Solving by counting: what sampling noise does to a semi-discrete solve, on digits in 64 dimensions.

Clean digits, or noised to alpha = 0.5. Every error is measured on fresh draws, with the noise of that measurement
removed. Chapter 7 shows the results; `laguerre` holds its planar ones.
"""

import math
from dataclasses import dataclass

import torch

from .. import data
from ..errors import known
from ..randomness import normal, permutation, seeded
from ..semidiscrete import MassError, solve_steps
from ..semidiscrete.evaluate import evaluate
from ..semidiscrete.sampling import Sampler
from ..semidiscrete.start import mean_field

METHODS = ("newton", "asgd", "entropic", "paper", "dpm-ot", "pyomt")


def digit_atoms(n: int = 150, alpha: float = 1.0, seed: int = 0) -> torch.Tensor:
    """n digits alpha x + sigma eps with sigma^2 = 1 - alpha^2, (n, 64) float64."""
    generator = seeded(seed)
    x = data.load("digits").flat.double()
    x = x[permutation(len(x), generator)[:n]]
    return alpha * x + math.sqrt(1 - alpha**2) * normal(x.shape, generator, dtype=torch.float64)


def fresh_error(points, heights, draws: int = 2**15, shifts: int = 4, seed: int = 99) -> MassError:
    """The error of the cell masses on at least `draws` fresh base draws, uniform weights."""
    sampler = Sampler((points - points.mean(0)).float(), shifts)
    weights = torch.full((len(points),), 1 / len(points), dtype=torch.float64)
    return evaluate(sampler, heights.double(), weights, -(-draws // sampler.base), seeded(seed)).error


@dataclass(frozen=True, eq=False)
class Training:
    """Errors |w - b|_2 along a solve on one fixed sample of M draws: `seen` on that sample, `fresh` on new ones."""

    steps: list[int]
    seen: list[float]
    fresh: list[float]
    floor: float
    M: int
    stop: float


def training(n: int = 100, per_atom: int = 10, steps: int = 250, seed: int = 1) -> Training:
    """Adam on M = per_atom n fixed draws, as the first AE-OT code does it, watched with other eyes."""
    points, M = digit_atoms(n, 0.5), None
    shown, seen, fresh = [], [], []
    for state in solve_steps(points, method="pyomt", tolerance=0.02, generator=seeded(seed), max_samples=per_atom * n * steps):
        if not state.numbers or state.step == (shown[-1] if shown else 0):
            continue
        M = M or 64 * math.ceil(state.numbers["draws"] / 64)
        if state.numbers["doublings"]:
            break
        if state.step < 10 or state.step % 10 == 0:
            shown.append(state.step)
            seen.append(state.numbers["norm"])
            chi2 = fresh_error(points, state.heights, draws=2**14).chi2.value
            fresh.append(math.sqrt(max(chi2, 0) / n))
    return Training(shown, seen, fresh, math.sqrt((1 - 1 / n) / M), M, 2e-3)


@dataclass(frozen=True)
class Recycling:
    """Variance of a cell frequency for each base draw, in units of b (1 - b): 1 for plain draws."""

    shifts: tuple[int, ...]
    variance: tuple[float, ...]
    antithetic: float
    N: int
    blocks: int


def recycling(shifts=(0, 1, 4, 8, 16), n: int = 300, blocks: int = 300, seed: int = 2) -> Recycling:
    """Measured on noised digits at the closed-form start, from the spread between independent blocks of 64 draws."""
    points = digit_atoms(n, 0.5)
    points = points - points.mean(0)
    heights, _ = mean_field(points, torch.full((n,), 1 / n, dtype=torch.float64))
    generator, found = seeded(seed), []
    for K in shifts:
        sampler = Sampler(points.float(), K, 64)
        shares = torch.stack([sampler.counts(heights, 1, generator)[0] / sampler.rows for _ in range(blocks)])
        found.append(_relative_variance(shares))
    y, h, twins = points.float(), heights.float(), []
    for _ in range(blocks):
        scores = normal((64, y.shape[1]), generator) @ y.T
        cells = torch.cat([(scores + h).argmax(1), (h - scores).argmax(1)])
        twins.append(torch.bincount(cells, minlength=n).double() / 128)
    return Recycling(tuple(shifts), tuple(found), _relative_variance(torch.stack(twins)), n, blocks)


def _relative_variance(shares: torch.Tensor, base: int = 64) -> float:
    mean = shares.mean(0)
    return float(base * shares.var(0).sum() / (mean * (1 - mean)).sum())


@dataclass(frozen=True, eq=False)
class Track:
    """One method on one problem: the L1 error on fresh draws after so many draws moved its heights."""

    problem: str
    method: str
    samples: list[int]
    l1: list[float]
    error: list[float]


def race(
    problems=(("clean digits", 1.0), ("noised digits", 0.5)), methods=METHODS, n: int = 100, budget: int = 100_000, looks: int = 4, seed: int = 5,
) -> list[Track]:  # fmt: skip
    """The engine and its ancestors from their own starts with the same budget of draws, on n digits in 64 dimensions."""
    marks = [round(budget * 3.0 ** (k + 1 - looks)) for k in range(looks)]
    return [
        _track(name, known(method, METHODS, "methods"), digit_atoms(n, alpha), marks, seed)
        for name, alpha in problems
        for method in methods
    ]


def _track(problem: str, method: str, points, marks: list[int], seed: int) -> Track:
    """Draws of a check are counted only where they move the heights, too: in the engine's own method."""
    track, left, spent, before = Track(problem, method, [], [], []), list(marks), 0, None
    tolerance = 0.05 if method == "asgd" else 0.02
    for state in solve_steps(points, method=method, tolerance=tolerance, generator=seeded(seed), max_samples=20 * marks[-1]):
        moved = method == "newton" or before is None or len(state.history) == len(before.history)
        spent += (state.samples - (before.samples if before else 0)) if moved else 0
        before = state
        if spent >= left[0]:
            left = [mark for mark in left if mark > spent]
            current = state.tensors["mean"] if state.numbers.get("averaging") else state.heights
            error = fresh_error(points, current)
            track.samples.append(spent)
            track.l1.append(error.l1.value)
            track.error.append(error.l1.error)
        if not left:
            break
    return track


@dataclass(frozen=True)
class Start:
    """Heights before any step, and their L1 error."""

    name: str
    alpha: float
    l1: float


def starts(n: int = 600, draws: int = 20_000) -> list[Start]:
    """Three starts on clean and on noised digits."""
    rows = []
    for alpha in (1.0, 0.5):
        points = digit_atoms(n, alpha)
        points = points - points.mean(0)
        closed = mean_field(points, torch.full((n,), 1 / n, dtype=torch.float64))[0]
        for name, heights in (
            ("zero", torch.zeros_like(closed)),
            ("Voronoi", -points.square().sum(1) / 2),
            ("closed form", closed),
        ):
            error = fresh_error(points, heights, draws, shifts=1)
            rows.append(Start(name, alpha, error.l1.value))
    return rows
