"""Real pictures: 351 smileys at 32 x 32 x 3, a small U-Net that learned them, and seven ways to start it.

Three start times of ddpm_linear(1000): T, where p_T is N(0, I) but for 0.6 % of its signal, and two late ones with
alpha = .28 and .72. Starts that the data decide are fitted to the training pictures; the oracle noises pictures that
neither network nor starts have seen, the only unseen draws of p_0 there are. All starts of a seed are given the same
codes z where they take any; DPM-Solver++(2M) adds no noise. A seed has its own maps, codes, noise and halves of the
held-out names: one half is the oracle's, the other is what every sample is compared with. There is one network.

MEASURES of each start, time and number of calls. Quality: Frechet distance (not squared), energy distance, precision and
recall in the features of the shipped classifier, energy distance of pixels. Memorisation: is a sample nearer to training
than to held-out pictures, is it a copy, does it come twice? 75 pictures in 96 features bias a Frechet distance upward, so
two samples of data are measured in the same way and at the same number: the oracle's half ("held-out"), which is the
floor, and as many training pictures ("training"), which is what perfect copies score. 63 cells of 50 s on one core, and three of
a second; a killed run loses the cells it was in. Chapter 12 shows the rows.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from .. import data, features, metrics
from ..estimate import over_seeds
from ..randomness import permutation, seeded
from ..samplers import sample
from .smileys import STARTS, TIMES, World, halves, smileys, starts, world
from .study import Study, load

NFES = (5, 10, 20, 50)
METHOD = "dpmpp2m"
SEEDS = (0, 1, 2)
SAMPLES = 75
"""Pictures a cell, as many as the oracle's half holds."""


def draws(world: World, t: float, seed: int, name: str, n: int = SAMPLES) -> torch.Tensor:
    """n pictures of the start called `name` at t; all starts of a seed see the same generator, so the same codes."""
    return starts(world, t, seed)[name].sample(n, seeded(2000 + seed))


def ends(world: World, x: torch.Tensor, t: float, calls: int) -> torch.Tensor:
    """What the network makes of starts x at t in `calls` calls."""
    return sample(world.denoiser, world.schedule, x, steps=calls, t_start=t, method=METHOD)


MEASURES = (
    "frechet", "energy", "pixels", "precision", "recall", "nearer", "closer", "copies", "repeats", "to_train", "to_held_out",
)  # fmt: skip
"""frechet, energy, precision, recall: to the reference half, in features; pixels: energy distance of the pictures themselves.

nearer: share whose nearest picture is a training one, not one of the reference; not 1/2 but 351 / 429 = 82 % for fresh data,
since cutting the training set to the same number would hide four copies of five. closer: probability that a sample is nearer
to the training set than a reference picture is, 1/2 for fresh data; leftover noise lowers it, so compare with the oracle.
copies: share whose nearest training picture is at most a third as far as the second nearest. repeats: share with an equal
among the samples, to 0.01. to_train, to_held_out: median distance to the nearest training and reference picture. Distances
are root mean squares of numbers in [-1, 1]."""


def grade(world: World, seed: int, x: torch.Tensor) -> list[float]:
    """MEASURES of pictures x (n, 3, 32, 32), four digits each."""
    reference = halves(world.held_out, seed)[1]
    seen = [features.load("emoji32").pooled(pictures) for pictures in (x, reference)]
    covered = metrics.precision_recall(*seen, generator=seeded(3000 + seed))
    quality = (
        metrics.frechet(*seen, repeats=1).value, *(metrics.energy(*pair, repeats=1).value for pair in (seen, (x, reference))),
        covered.precision.value, covered.recall.value,
    )  # fmt: skip
    return [float(f"{float(value):.4g}") for value in (*quality, *newness(x, world.train, reference).values())]


def newness(x: torch.Tensor, train: torch.Tensor, reference: torch.Tensor) -> dict[str, float]:
    """The MEASURES of memorisation of pictures x, by name; reference: held-out pictures."""
    to_train, fresh, to_held_out, others = (
        nearest(*pair)[0] for pair in ((x, train), (reference, train), (x, reference), (x, x))
    )  # fmt: skip
    found = {
        "nearer": _below(to_train[:, 0], to_held_out[:, 0]).diagonal().mean(), "closer": _below(to_train[:, 0], fresh[:, 0]).mean(),
        "copies": (to_train[:, 0] <= to_train[:, 1] / 3).double().mean(), "repeats": (others[:, 1] < 0.01).double().mean(),
        "to_train": to_train[:, 0].median(), "to_held_out": to_held_out[:, 0].median(),
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def nearest(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Root mean square distances (n, 2) of each picture of x to its two nearest pictures of y, and their rows (n, 2)."""
    values, rows = metrics.memory.nearest(x.flatten(1).double(), y.flatten(1).double(), 2)
    return values / math.sqrt(x[0].numel()), rows


def _below(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """1 where a_i < b_j, 1/2 where they are equal, 0 elsewhere, shape (n, m)."""
    return (a[:, None] < b).double() + 0.5 * (a[:, None] == b).double()


def cells(quick: bool) -> list[dict]:
    """Every seed's data, and every seed, start time and start with all numbers of calls in one cell; quick: two."""
    if quick:
        return [{"seed": 0, "t": 250, "start": "semi-discrete", "calls": [5]}, {"seed": 0, "start": "data"}]
    grid = [{"seed": seed, "t": t, "start": start} for seed in SEEDS for t in TIMES for start in STARTS]
    return [{"seed": seed, "start": "data"} for seed in SEEDS] + grid


def measure(cell: dict) -> dict:
    """runs: [calls, *MEASURES] each; of data: MEASURES of held-out and of training pictures."""
    found, seed = world(), cell["seed"]
    if cell["start"] == "data":
        shuffled = found.train[permutation(len(found.train), seeded(4000 + seed))]
        samples = {"held-out": halves(found.held_out, seed)[0], "training": shuffled[:SAMPLES]}
        return {name: grade(found, seed, x) for name, x in samples.items()}
    x = draws(found, cell["t"], seed, cell["start"])
    return {"runs": [[k, *grade(found, seed, ends(found, x, cell["t"], k))] for k in cell.get("calls", NFES)]}


STUDY = Study("pictures", cells, measure)


# ---- what the page shows


@dataclass(frozen=True)
class Score:
    """A start at t in some number of calls: each measure's values, seed by seed. t and calls are 0 for samples of data."""

    start: str
    t: float
    calls: int
    values: dict[str, tuple[float, ...]]

    def of(self, measure: str) -> tuple[float, float]:
        """Mean over the seeds and its standard error."""
        return over_seeds(self.values[measure])

    def minus(self, other: "Score", measure: str) -> tuple[float, float]:
        """The same of the differences, seed by seed."""
        return over_seeds(a - b for a, b in zip(self.values[measure], other.values[measure]))


@cache
def scores() -> dict[tuple[str, float, int], Score]:
    """(start, t, calls) -> Score, and ("held-out", 0, 0), ("training", 0, 0): the data's own."""
    found: dict[tuple, list] = {}
    for row in sorted(load("pictures"), key=lambda row: row["seed"]):
        runs = [(row["start"], row["t"], *run) for run in row.get("runs", ())]
        for start, t, calls, *values in runs or [(name, 0, 0, *row[name]) for name in ("held-out", "training")]:
            found.setdefault((start, t, calls), []).append(values)
    return {key: Score(*key, dict(zip(MEASURES, zip(*rows)))) for key, rows in found.items()}


@dataclass(frozen=True, eq=False)
class Atlas:
    """The first pictures of seed 0: outputs (start, t, calls, k, 3, 32, 32) in [-1, 1], in the order of STARTS, TIMES, NFES.

    near_train, near_held_out: (start, t, calls, k), rows of `world().train` and of the reference half of seed 0.
    """

    outputs: torch.Tensor
    near_train: torch.Tensor
    near_held_out: torch.Tensor


@cache
def atlas() -> Atlas:
    """The thumbnails that `python data/build/atlas.py` makes; no network is called."""
    with np.load(data.path("results/pictures_atlas"), allow_pickle=False) as archive:
        outputs, *near = (torch.from_numpy(archive[key]) for key in ("outputs", "near_train", "near_held_out"))
    return Atlas(outputs.float() / 127.5 - 1, *(index.long() for index in near))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Outputs (k, 3, 32, 32) of a start at t, and the nearest training and held-out picture of each."""

    start: str
    t: float
    outputs: torch.Tensor
    train: torch.Tensor
    held_out: torch.Tensor


def neighbours(starts=("semi-discrete", "data-initialised", "oracle"), times=TIMES, calls: int = 20) -> list[Neighbours]:
    """Of the atlas, time by time; no network is called."""
    found, shown, (train, held_out) = [], atlas(), smileys()
    reference = halves(held_out, 0)[1]
    for t in times:
        for start in starts:
            at = STARTS.index(start), TIMES.index(t), NFES.index(calls)
            near = train[shown.near_train[at]], reference[shown.near_held_out[at]]
            found.append(Neighbours(start, t, shown.outputs[at], *near))
    return found
