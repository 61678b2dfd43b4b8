"""Checks of chapter 8."""

import math

import torch

from ..experiments import late_start, transported
from ..randomness import normal, seeded
from ..samplers import time_grid
from ..semidiscrete import BrenierMap, solve
from ..semidiscrete.smooth import score_scale
from .verdict import Verdict, compare, returned

__all__ = ["saved_steps", "transported_start", "confusion", "choose_start", "tau_in_scales", "merge_atoms"]


def saved_steps(answer, t: float = 0.25, steps: int = 20) -> Verdict:
    """How many of the steps of a run from T = 4 begin before the time t is reached."""
    schedule = late_start.SCHEDULE
    grid = time_grid(schedule, steps)
    right = int((grid[:-1] > t).sum())
    slips = {
        "You spread the steps evenly in t. The grid is even in log-SNR, and spends most of it near the data.": round(steps * (1 - t / schedule.T)),
        "These are the steps that are left. The question asks for the saved ones.": steps - right,
        "You counted the start itself once more: n steps have n + 1 times.": right + 1,
    }  # fmt: skip
    return compare(answer, right, {hint: wrong for hint, wrong in slips.items() if wrong != right}, rtol=1e-9)


def transported_start(answer) -> Verdict:
    """A function (points, heights, alpha, sigma, eps, z) -> the paper's start x_T' (n, d), unsmoothed."""
    generator = seeded(3)
    points, eps = (normal((30, 2), generator, dtype=torch.float64) for _ in range(2))
    alpha, sigma = 0.6, 0.8
    atoms = alpha * points + sigma * eps
    heights = solve(atoms, tolerance=1e-6, generator=generator).map.heights
    z = normal((50, 2), generator, dtype=torch.float64)
    right = BrenierMap(atoms, heights)(z)
    came = returned(answer, (points, heights, alpha, sigma, eps, z), right.shape)
    if isinstance(came, Verdict):
        return came
    if torch.allclose(came, right):
        return Verdict(True, "Right: one argmax. Look at what is random: z chooses a stored point, and nothing else happens.")
    scores = z @ atoms.T + heights
    slips = {
        "These are the clean points of the right cells. The reverse process expects p_T': return the noised atoms.": points[scores.argmax(1)],
        "You scored the clean points. The heights belong to the noised ones.": atoms[(z @ points.T + heights).argmax(1)],
        "You forgot the heights: those cells do not have equal mass.": atoms[(z @ atoms.T).argmax(1)],
        "That is the nearest atom. Heights replace -|y|^2/2, so that every cell has the same mass.": atoms[torch.cdist(z, atoms).argmin(1)],
        "The highest plane wins, not the lowest.": atoms[scores.argmin(1)],
        "You noised after the map. The paper noises the training points once, before the solve.": (alpha * points)[scores.argmax(1)] + sigma * z,
    }  # fmt: skip
    for hint, wrong in slips.items():
        if torch.allclose(came, wrong):
            return Verdict(False, hint)
    return Verdict(False, f"Not yet: {int((came - right).norm(dim=1).gt(1e-9).sum())} of {len(z)} images are wrong.")


def confusion(answer, alpha: float = 0.8, sigma: float = 0.6, distance: float = 3.0) -> Verdict:
    """P(x is nearer to alpha x_j than to alpha x_i) for x = alpha x_i + sigma eps and |x_i - x_j| = distance."""
    phi = lambda v: float(torch.special.ndtr(torch.tensor(v, dtype=torch.float64)))
    slips = {
        "The border is half way: the noise has to travel alpha |x_i - x_j| / 2.": phi(-alpha * distance / sigma),
        "The noise has standard deviation sigma: divide by it.": phi(-alpha * distance / 2),
        "The atoms are alpha x_i and alpha x_j: their distance shrinks by alpha.": phi(-distance / (2 * sigma)),
        "That is the probability of the opposite.": phi(alpha * distance / (2 * sigma)),
        "Only the component of the noise along x_j - x_i matters, and it has one side.": 2 * phi(-alpha * distance / (2 * sigma)),
    }
    return compare(answer, phi(-alpha * distance / (2 * sigma)), slips)


def choose_start(start, t, budget: int = 10, most: float = 0.6) -> Verdict:
    """A start and a T' for digits with `budget` calls of DDIM, the learned score, and a memorisation share of at most `most`.

    Accepted when the best admissible choice of the committed study is not better by two standard errors (paired by seed).
    """
    found = transported.late()
    key = lambda choice, measure: ("digits", "learned", "ddim", *choice, budget, measure)
    pick = lambda who, when, measure: found.of(*key((who, when), measure))
    choices = [(who, when) for who in late_start.STARTS[:-1] for when in late_start.TIMES]
    choices += [(who, late_start.SCHEDULE.T) for who in late_start.FULL]
    try:
        mine = (str(start), float(t))
    except (TypeError, ValueError):
        return Verdict(False, "Expected the name of a start and a time.")
    if mine not in choices:
        return Verdict(
            False,
            f"That was not measured. Starts: {', '.join(late_start.STARTS[:-1])}; times: {', '.join(f'{v:g}' for v in late_start.TIMES)}, and 4 for {' and '.join(late_start.FULL)}.",
        )
    share, error = pick(*mine, "nearer"), pick(*mine, "energy")
    said = f"energy distance {error[0]:.3f} ± {error[1]:.3f}, memorisation share {share[0]:.2f}"
    if share[0] > most:
        return Verdict(False, f"{said}: above the limit of {most:g}. Small errors near the data are the errors of copies.")
    allowed = [c for c in choices if pick(*c, "nearer")[0] <= most]
    best = min(allowed, key=lambda c: pick(*c, "energy")[0])
    more, spread = found.gap(key(mine, "energy"), key(best, "energy"))
    if more > 2 * spread:
        return Verdict(False, f"{said}. Allowed, but another allowed choice is clearly better: it has {error[0] - more:.3f}.")
    return Verdict(True, f"Right: {said}. No allowed choice is clearly better.")


def tau_in_scales(answer, tau: float = 0.02, t: float = 0.05) -> Verdict:
    """An absolute tau on the digits noised to t, in units of the score scale of their atoms."""
    atoms = late_start.start("semi-discrete", "digits", 0, t).map.points
    scale, count, radius = score_scale(atoms), len(atoms), float((atoms - atoms.mean(0)).square().sum(1).mean().sqrt())
    slips = {
        "Divide by the scale; you multiplied.": tau * scale,
        "That is the scale itself.": scale,
        "You divided by the radius R. Two neighbouring scores differ by less: R / sqrt(2 log N).": tau / radius,
        "The logarithm is natural.": tau * math.sqrt(2 * math.log10(count)) / radius,
        "Under the root it is 2 log N.": tau * math.sqrt(math.log(count)) / radius,
    }
    return compare(answer, tau / scale, slips, rtol=5e-3)


def merge_atoms(answer) -> Verdict:
    """A function (points) -> (different points, weights) that keeps the law of the points."""
    if not callable(answer):
        return Verdict(False, f"Expected a function, got {type(answer).__name__}.")
    points = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    try:
        kept, weights = (torch.as_tensor(v, dtype=torch.float64) for v in answer(points))
    except Exception as error:  # the reader's code may fail in any way
        return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
    if kept.ndim != 2 or kept.shape[1:] != points.shape[1:] or weights.shape != kept.shape[:1]:
        return Verdict(False, f"Expected points (m, 2) and m weights, got shapes {tuple(kept.shape)} and {tuple(weights.shape)}.")
    if len(torch.unique(kept, dim=0)) < len(kept):
        return Verdict(
            False, "A point still comes twice: its two planes are the same, and one of its cells is empty at any heights."
        )
    if abs(float(weights.sum()) - 1) > 1e-6:
        return Verdict(False, f"The weights sum to {float(weights.sum()):.3g}. They are probabilities.")
    law = lambda x, w: {tuple(row): round(float(v), 9) for row, v in zip(x.tolist(), w)}
    right = law(*(lambda u, c: (u, c / len(points)))(*torch.unique(points, dim=0, return_counts=True)))
    if set(law(kept, weights)) != set(right):
        return Verdict(False, "Some point is lost, or a new one came in.")
    if law(kept, weights) != right:
        return Verdict(False, "Equal weights change the law: a point that came three times must weigh three times as much.")
    return Verdict(True, "Right. `semidiscrete.solve` does this, too: `Fit.atom` tells which atom each given point became.")
