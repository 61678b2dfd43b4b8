"""The temperature of the smoothed start: prior error, spread and closeness to the training set against tau.

Each tau is measured twice: with the heights of the unsmoothed map, as in the paper, and with heights solved again for
this tau. Beside them stand the controls, which have no temperature. Everything else is as in `late_start`: its worlds,
its scores, its judges. Chapter 8 shows the rows; `experiments.transported` arranges them.
"""

import math

from .. import metrics, priors
from ..discrete import assignment_cost
from ..randomness import seeded
from ..samplers import sample
from ..semidiscrete import solve
from .late_start import SAMPLES, SCHEDULE, SEEDS, draws, judge, place, score, start
from .study import Study

TIME = 0.25
STEPS = 20
TAUS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
"""In units of the score scale."""
CONTROLS = ("standard", "moment-matched", "semi-discrete", "data-initialised", "oracle")
WORLDS = {"ring": "exact", "digits": "learned"}
"""world: its score."""
MEASURES = ("fresh", "energy", "stored", "trace", "to_atoms", "nearer", "end_energy")
"""Of the start: W2 and energy distance to new draws of p_t, W2 to X_t, trace of its covariance over that of X_t, median
distance to X_t. Of what 20 steps of DDIM make of it: share nearer to the training set, energy distance to new data."""


def cells(quick: bool) -> list[dict]:
    """Both worlds and every seed; quick: one cell with one temperature."""
    if quick:
        return [{"world": "ring", "seed": 0, "taus": [0.3]}]
    return [{"world": name, "seed": seed} for name in WORLDS for seed in SEEDS]


def smoothed(name: str, seed: int, tau: float, again: bool) -> priors.Smoothed:
    """The smoothed start of a seed at TIME; again: its heights solved for this tau."""
    hard = start("semi-discrete", name, seed, TIME)
    if not again:
        return priors.Smoothed(hard.map.smooth(tau), hard.shape)
    fit = solve(hard.map.points, method="entropic", tau=tau, tolerance=0.1, generator=seeded(9000 + seed))
    return priors.Smoothed(fit.map.smooth(tau), hard.shape)


def grade(name: str, seed: int, prior) -> list[float]:
    """MEASURES of a start, a prior or the name of a control."""
    n, atoms, by = SAMPLES[name], start("semi-discrete", name, seed, TIME).map.points, judge(name, seed)
    many = draws(prior, name, seed, TIME, 10 * n) if isinstance(prior, str) else prior.sample(10 * n, seeded(5000 + seed))
    x, fresh = many[:n], place(name, seed).fresh(SCHEDULE, TIME, n, seeded(9500 + seed))
    ends = sample(score(WORLDS[name], name, seed), SCHEDULE, x, steps=STEPS, t_start=TIME, method="ddim")
    values = (
        math.sqrt(assignment_cost(x, fresh)), metrics.energy(x, fresh, repeats=1).value, math.sqrt(assignment_cost(x, atoms)),
        float(many.var(0).sum() / atoms.var(0).sum()), float(metrics.nearest_distance(x, atoms).median()),
        metrics.memorisation(ends, place(name, seed).train, by.new).value, metrics.energy(ends, by.reference, repeats=1).value,
    )  # fmt: skip
    return [float(f"{value:.4g}") for value in values]


def measure(cell: dict) -> dict:
    """kept, solved: one list of MEASURES per tau; and one for each control."""
    name, seed, taus = cell["world"], cell["seed"], cell.get("taus", TAUS)
    found = {key: [grade(name, seed, smoothed(name, seed, tau, key == "solved")) for tau in taus] for key in ("kept", "solved")}
    return found | {control: grade(name, seed, control) for control in CONTROLS}


STUDY = Study("tau", cells, measure)
