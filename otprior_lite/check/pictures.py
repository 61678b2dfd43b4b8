"""Checks of chapter 12."""

import math
import tempfile
from functools import cache
from pathlib import Path

import torch

from .. import data, features, metrics
from ..experiments import pictures
from ..priors import Potential, SemiDiscrete
from ..randomness import normal, seeded
from ..schedules import ddpm_linear
from ..semidiscrete import State, solve_steps
from ..semidiscrete.plan import iid_floor
from .verdict import Verdict, compare, returned

__all__ = ["replayed_cells", "fresh_l1", "scoring_work", "resumed_solve", "fewer_dimensions", "flattering_copies"]


def replayed_cells(answer, n: int = 64) -> Verdict:
    """The cells (n,) of `codes(n, seeded(64))` of the shipped map onto emoji at t = 500."""
    points, heights, prior = _shipped()
    z, y, h = prior.codes(n, seeded(64)), prior.map.points, heights
    came = returned(lambda: answer, (), torch.Size([n]))
    if isinstance(came, Verdict):
        return came
    scores = z @ y.T
    right = (scores + h).argmax(1)
    slips = {
        "Those are the nearest atoms. The score is <z, y> + h, without |y|^2.": (scores - y.square().sum(1) / 2).argmax(1),
        "You left the heights out. Without them long pictures win too often.": scores.argmax(1),
        "You subtracted the heights. They are added.": (scores - h).argmax(1),
        "You took the lowest score. The highest wins.": (scores + h).argmin(1),
        "Those are clean pictures. The atoms are the noised ones, `prior.map.points`.": (z @ points.flatten(1).T + h).argmax(1),
        "Other noises: draw them with codes(64, seeded(64)).": prior.map.cell(prior.codes(n, seeded(0))),
    }
    same = lambda cells: float((came == cells).double().mean()) > 0.95  # float32 may break a tie the other way
    if same(right):
        return Verdict(True, f"Right: {len(right.unique())} different pictures, from {len(h):,} heights and a seed.")
    hints = [hint for hint, wrong in slips.items() if same(wrong)]
    shared = int((came == right).sum())
    return Verdict(False, hints[0] if hints else f"Not yet: {shared} of {n} cells are right.")


@cache
def _shipped() -> tuple[torch.Tensor, torch.Tensor, SemiDiscrete]:
    """Training pictures, the heights of their shipped potential at t = 500, and the start that it replays."""
    points, potential = features.split("emoji32")[0].distinct().x, Potential.load(data.path("potentials/emoji32_t500"))
    return points, potential.heights, potential.replay(points, ddpm_linear(1000))


def fresh_l1(answer) -> Verdict:
    """A function (cells (n,), N) -> the L1 error of N equal cells, from the cells of n fresh draws, sampling noise taken out."""
    N, n = 50, 4000
    weights = (torch.arange(N) % 2 * 0.6 + 0.7).double() / N  # every other cell too light, the rest too heavy: L1 is 0.3
    cells = torch.multinomial(weights, n, replacement=True, generator=seeded(12))
    gap = torch.bincount(cells, minlength=N).double() / n - 1 / N
    raw, floor = float(gap.abs().sum()), math.sqrt(2 * N / (math.pi * n))
    came = returned(answer, (cells.clone(), N), torch.Size())
    if isinstance(came, Verdict):
        return came
    slips = {
        "That is the plain error. Perfect cells would read sqrt(2N / (pi n)) too; take that out, in squares.": raw,
        "You subtracted the floor. Noise adds in squares: sqrt(raw^2 - floor^2).": raw - floor,
        "You added the noise. It is already in the counts: take it out.": math.hypot(raw, floor),
        "That is the floor itself, what perfect cells would read.": floor,
        "That is the square: take the root.": raw**2 - floor**2,
        "You summed squares. L1 sums sizes.": float(gap.square().sum()),
        "Half of the L1 error is the total variation. Here the L1 error is asked.": math.sqrt(raw**2 - floor**2) / 2,
        "You averaged over the cells. Sum over them.": math.sqrt(raw**2 - floor**2) / N,
    }
    verdict = compare(came, math.sqrt(raw**2 - floor**2), slips, rtol=0.01)
    if not verdict:
        return verdict
    equal = torch.arange(N).repeat(n // N)
    if not abs(float(answer(equal, N))) < 1e-6:
        return Verdict(False, "When every cell is hit equally often, raw is below the floor: return 0 there, not NaN.")
    return Verdict(True, f"Right: {float(came):.3f}, and the truth behind these draws is 0.3.")


def scoring_work(answer, N: int = 50_000, d: int = 3072, tolerance: float = 0.05) -> Verdict:
    """Multiply-adds to score S = 2N / (pi tolerance^2) draws against N atoms in d dimensions."""
    S = iid_floor(N, tolerance)
    slips = {
        "Those are the draws. Each is scored against N atoms of d numbers.": S,
        "Each draw meets all N atoms, not one.": S * d,
        "A score is a product of d numbers.": S * N,
        "The tolerance enters squared.": 2 * N / (math.pi * tolerance) * N * d,
        "The formula is 2N / (pi tolerance^2): pi stands below.": S * math.pi**2 * N * d,
        "The factor 2 is missing.": S / 2 * N * d,
        "A multiply-add counts as one here.": 2 * S * N * d,
        "You used the dimensions of one colour only: 32 x 32 x 3.": S * N * d / 3,
    }
    return compare(answer, S * N * d, slips, rtol=0.01, praise="Right. It grows with the square of N.")


def resumed_solve(answer) -> Verdict:
    """A function (points (N, d), file) -> heights (N,) that goes on with the solve saved in `file`, tolerance 0.1."""
    points = normal((60, 5), seeded(1))
    states = list(solve_steps(points, tolerance=0.1, generator=seeded(2)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "solve.safetensors"
        states[len(states) // 2].save(file)
        came = returned(answer, (points.clone(), file), points.shape[:1])
        stopped = State.load(file)
    if isinstance(came, Verdict):
        return came
    right = states[-1].fit.heights.double()
    if torch.equal(came - came.mean(), right - right.mean()):
        return Verdict(True, f"Right: the same bits as the solve that was never stopped, {len(states)} states in all.")
    if torch.equal(came, stopped.heights.double()):
        return Verdict(False, "Those are the heights of the file. The solve was half done: go on with it.")
    if float((came - right).abs().max()) < 0.5 * float(right.std()):
        return Verdict(
            False,
            "Right up to noise, not the same bits. Heights alone forget the generator and the averages: pass resume=, "
            "the whole state, not warm_start= and not a new solve.",
        )
    return Verdict(False, "These are not the heights of this problem: load the State, and pass it to `solve` with resume=.")


def fewer_dimensions(answer) -> Verdict:
    """A function (z (n, d), atoms (N, d)) -> (z (n, k), atoms (N, k)) with k < N, the same cells for all heights, z still normal."""
    if not callable(answer):
        return Verdict(False, "Expected a function of (z, atoms) that returns two tensors.")
    N, d = 6, 20
    atoms = normal((N, d), seeded(3)).double() + 5
    z, heights = normal((4000, d), seeded(4)).double(), normal((N,), seeded(5)).double()
    cell = lambda a, b: (a @ b.T + heights).argmax(1)
    try:
        new, moved = (torch.as_tensor(value, dtype=torch.float64) for value in answer(z.clone(), atoms.clone()))
        axes = torch.as_tensor(answer(torch.eye(d, dtype=torch.float64), atoms.clone())[0], dtype=torch.float64)
    except Exception as error:  # the reader's code may fail in any way
        return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
    if new.ndim != 2 or moved.ndim != 2 or (len(new), len(moved)) != (4000, N) or new.shape[1] != moved.shape[1]:
        return Verdict(False, f"Expected shapes (n, k) and (N, k), got {tuple(new.shape)} and {tuple(moved.shape)}.")
    k = new.shape[1]
    if k > N:
        return Verdict(False, f"Still {k} dimensions. What z does outside the span of the atoms changes no comparison of scores.")
    same = float((cell(new, moved) == cell(z, atoms)).double().mean())
    if k == N:
        hint = "Differences of atoms span one dimension less: take off their mean first. It adds the same to all scores."
        return Verdict(False, f"{N} dimensions. {hint}")
    if k < N - 1:
        return Verdict(
            False, f"{k} dimensions are fewer than the differences of {N} atoms span: {same:.0%} of the cells are kept."
        )
    if not torch.allclose(axes.T @ axes, torch.eye(k, dtype=torch.float64), atol=1e-6):
        if float(new.mean(0).abs().max()) < 1e-9:
            return Verdict(
                False, "You centred z as well. N(0, I) is centred already; the noise of its mean is not yours to take off."
            )
        return Verdict(
            False, "The new z is not N(0, I): the axes must be orthonormal. Whitening, or raw differences, change the cells."
        )
    if same < 1:
        return Verdict(False, f"Only {same:.0%} of the cells are kept. Project atoms and z on the same axes.")
    return Verdict(True, f"Right: {d} dimensions became {k}, and every cell is the same.")


def flattering_copies(answer, n: int = 153) -> Verdict:
    """A function (samples, train, generator) -> pictures with a smaller Frechet distance to held-out smileys that are less new.

    samples, train: (n, 3, 32, 32) in [-1, 1]. The samples are draws of the Gaussian with the moments of `train`.
    """
    if not callable(answer):
        return Verdict(False, "Expected a function of (samples, train, generator) that returns n pictures.")
    train, held_out = pictures.smileys()
    samples = _gaussian_pictures(train, n)
    drawn = answer(samples.clone(), train.clone(), seeded(7))
    if not isinstance(drawn, torch.Tensor) or drawn.shape != samples.shape:
        came = tuple(drawn.shape) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
        return Verdict(False, f"Expected a tensor of shape {tuple(samples.shape)}, got {came}.")
    seen = features.load("emoji32").pooled
    before, after = (metrics.frechet(x, held_out, features=seen, repeats=2) for x in (samples, drawn))
    old, new = (metrics.memorisation(x.flatten(1), train.flatten(1), held_out.flatten(1)) for x in (samples, drawn))
    said = f"Frechet distance {before.value:.2f} -> {after.value:.2f}, copies {old.duplicates.value:.2f} -> {new.duplicates.value:.2f}"
    if after.value > 0.95 * before.value:
        return Verdict(False, f"{said}. The distance must fall by 5 % at least. What would look perfect to it?")
    if new.duplicates.value < old.duplicates.value + 0.05:
        return Verdict(False, f"{said}. Better, and no copies: then it is a model. The exercise asks for the opposite.")
    return Verdict(True, f"Right: {said}. Whoever reports the first number alone reports progress.")


def _gaussian_pictures(train: torch.Tensor, n: int) -> torch.Tensor:
    """n draws of the Gaussian with mean and covariance of the pictures."""
    x = train.flatten(1)
    draws = x.mean(0) + normal((n, len(x)), seeded(6)) @ (x - x.mean(0)) / math.sqrt(len(x))
    return draws.reshape(n, *train.shape[1:]).clamp(-1, 1)
