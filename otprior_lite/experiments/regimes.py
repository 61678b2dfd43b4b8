"""Where an optimal-transport start wins and where it loses: number of training points against start time.

The ring under its exact score, so that only the start differs. Every start of a seed is compared with the same new data,
and the map of the page shows differences of two starts with their standard error over the seeds. Chapter 13.
"""

import torch

from .. import metrics, priors
from ..forward import marginal
from ..randomness import seeded
from ..samplers import sample
from ..schedules import ou
from ..score import ExactDenoiser
from ..targets import toy
from .study import Study

TIMES = (0.25, 0.5, 1.0, 2.0)
POINTS = (50, 100, 200, 500, 2000)
SEEDS = 6
CALLS = 20
SAMPLES = 1000
STARTS = ("standard", "moment-matched", "semi-discrete", "data-initialised", "oracle")


def cells(quick: bool) -> list[dict]:
    """Every number of points and seed; quick: one cell, two times."""
    if quick:
        return [{"points": 50, "seed": 0, "times": [0.25, 2.0]}]
    return [{"points": points, "seed": seed} for seed in range(SEEDS) for points in POINTS]


def measure(cell: dict) -> dict:
    """rows: [t, start, energy distance to new data at t, the same at the end], and the floor of each t: oracle rows."""
    schedule, seed = ou(max(TIMES)), cell["seed"]
    law = toy("ring")
    train = law.sample(cell["points"], seeded(10 * cell["points"] + seed))
    score, rows = ExactDenoiser(law, schedule), []
    for k, t in enumerate(cell.get("times", TIMES)):
        generator = seeded(1000 * seed + k)
        at_t, clean = marginal(law, schedule, t).sample(SAMPLES, generator), law.sample(SAMPLES, generator)
        for name, start in starts(train, law, schedule, t, seed).items():
            x = start.sample(SAMPLES, seeded(300 + seed))
            end = sample(score, schedule, x, steps=CALLS, t_start=t, method="dpmpp2m")
            rows.append([t, name, *(round(_energy(a, b), 6) for a, b in ((x, at_t), (end, clean)))])
    return {"rows": rows}


def starts(train: torch.Tensor, law, schedule, t: float, seed: int) -> dict[str, priors.Prior]:
    """The five starts at t, fitted to the training points."""
    kinds = (priors.Standard, priors.MomentMatched, priors.SemiDiscrete, priors.DataInitialised)
    found = {kind.name: kind.fit(train, schedule, t, generator=seeded(400 + seed)) for kind in kinds}
    return found | {"oracle": priors.Oracle(law, schedule, t)}


def _energy(x: torch.Tensor, y: torch.Tensor) -> float:
    return metrics.energy(x, y, repeats=1).value


STUDY = Study("regimes", cells, measure)
