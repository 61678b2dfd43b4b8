"""Does the picture that was noised come back? Starts that noise a stored picture, and whether the network redraws that one.

A start of the map, of fresh noise or of the control is one training picture x_i with noise, its source. If no training picture
is nearer than x_i to what the network draws from it, the start has told which picture to draw, however much grain lies on it: grain
adds the same distance to all. Chance is 1 / 351. The source of the oracle is a held-out picture, and comes back in the same
sense. MEASURES, each a share of the pictures that `pictures` draws from the same starts:

    own      no training picture is nearer to what is drawn than the source
    ten      fewer than ten are
    told     no alpha x_j is nearer to the start itself than alpha times its source: the noise leaves it to be read

`CALLS` calls of the network; 36 cells of 12 s on one core. Chapter 12 shows the rows.
"""

from functools import cache

import torch

from ..estimate import over_seeds
from ..randomness import categorical, seeded
from .pictures import SAMPLES, SEEDS, draws, ends, world
from .smileys import TIMES, World, starts
from .study import Study, load

STARTS = ("semi-discrete", "fresh-noise", "data-initialised", "oracle")
CALLS = 20
MEASURES = ("own", "ten", "told")


def sources(world: World, t: float, seed: int, name: str, n: int = SAMPLES) -> torch.Tensor:
    """The clean pictures (n, 3, 32, 32) that `draws` noises."""
    prior, generator = starts(world, t, seed)[name], seeded(2000 + seed)
    if name == "data-initialised":
        return prior.points[categorical(torch.ones(len(prior.points)), n, generator)]
    if name == "oracle":
        return prior.points[prior.order(n, generator)]
    return world.train[prior.map.cell(prior.codes(n, generator))]


def places(x: torch.Tensor, own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """How many of `others` (N, ...) are nearer to each x (n, ...) than its own (n, ...), itself not counted: (n,)."""
    apart = torch.cdist(x.flatten(1).double(), others.flatten(1).double(), compute_mode="donot_use_mm_for_euclid_dist")
    return (apart < (x.double() - own.double()).flatten(1).norm(dim=1, keepdim=True) - 1e-9).sum(1)


def cells(quick: bool) -> list[dict]:
    """Every seed, start time and start; quick: one, two calls, of which `told` is the same."""
    if quick:
        return [{"seed": 0, "t": 500, "start": "semi-discrete", "calls": 2}]
    return [{"seed": seed, "t": t, "start": start} for seed in SEEDS for t in TIMES for start in STARTS]


def measure(cell: dict) -> dict:
    """MEASURES by name."""
    found, seed, t, name = world(), cell["seed"], cell["t"], cell["start"]
    x, own, alpha = draws(found, t, seed, name), sources(found, t, seed, name), float(found.schedule.alpha(t))
    drawn = places(ends(found, x, t, cell.get("calls", CALLS)), own, found.train)
    told = places(x, alpha * own, alpha * found.train)
    shares = ((drawn == 0), (drawn < 10), (told == 0))
    return {key: round(float(share.double().mean()), 4) for key, share in zip(MEASURES, shares)}


STUDY = Study("pictures_sources", cells, measure)


@cache
def shares() -> dict[tuple[str, float], dict[str, tuple[float, float]]]:
    """(start, t) -> each measure's mean over the seeds and its standard error."""
    found: dict[tuple, list] = {}
    for row in load("pictures_sources"):
        found.setdefault((row["start"], row["t"]), []).append([row[key] for key in MEASURES])
    return {key: dict(zip(MEASURES, map(over_seeds, zip(*rows)))) for key, rows in found.items()}
