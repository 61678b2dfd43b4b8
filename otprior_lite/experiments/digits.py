"""Real digits: the prior gap in 64 dimensions, and what each prior turns into under two scores.

The *empirical* score knows only the training images: its flow copies them. The *smooth* score is exact, too, but
of a Gaussian mixture fitted to the same images: a stand-in for a network that generalises. Half of the digits is
held out, and every distance is to that half. Chapter 11 shows the results.
"""

from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from statistics import mean

import torch

from .. import data, metrics, priors
from ..errors import expect
from ..estimate import Estimate, over_seeds
from ..gap import Gap, prior_gap
from ..samplers import trajectory
from ..schedules import Schedule, ddpm_linear
from ..score import EmpiricalDenoiser, ExactDenoiser
from ..targets import Empirical, GaussianMixture

PRIORS = ("standard", "moment-matched", "semi-discrete", "data-initialised", "oracle")
SCORES = ("smooth", "empirical")
RIDGE = 0.01
"""Variance added to every pixel of every component: a deviation of 0.1, a little below one grey level (0.125)."""
WATCHED = 8
"""Samples of each run whose path is kept."""
TOLERANCE = 0.1
"""L1 error of the cell masses at which the semi-discrete solver may stop: half of it in total variation."""


@dataclass(frozen=True, eq=False)
class World:
    """One split of the digits, (n, 64) each, and the mixture fitted to the training half."""

    seed: int
    schedule: Schedule
    train: torch.Tensor
    test: torch.Tensor
    mixture: GaussianMixture


@dataclass(frozen=True, eq=False)
class Run:
    """What one prior at time t became under one score; `sliced` and `near` compare it with held-out digits.

    path: (steps + 1, WATCHED, 64), every state of the first few samples.
    """

    seed: int
    score: str
    prior: str
    t: float
    steps: int
    start: torch.Tensor
    samples: torch.Tensor
    path: torch.Tensor
    sliced: Estimate
    near: metrics.Memorisation


@dataclass(frozen=True)
class Row:
    """Runs that differ in the seed alone. Each pair is a mean over seeds and its standard error."""

    score: str
    prior: str
    t: float
    steps: int
    seeds: int
    sliced: tuple[float, float]
    floor: float
    share: tuple[float, float]
    to_train: tuple[float, float]
    to_test: tuple[float, float]
    test_to_train: float


@dataclass(frozen=True, eq=False)
class Results:
    """Every run, its averages, and the control: what the training images themselves score as a sample."""

    worlds: tuple[World, ...]
    runs: tuple[Run, ...]
    rows: tuple[Row, ...]
    copies: Row

    def row(self, score: str, prior: str, t: float) -> Row:
        """The row with this score, prior and start time; raises ValueError when there is none."""
        found = {(row.score, row.prior, row.t): row for row in self.rows}
        expect((score, prior, t) in found, "score, prior, t", "a row of the results", (score, prior, t))
        return found[score, prior, t]


@dataclass(frozen=True, eq=False)
class Gaps:
    """The prior gap of all digits at several times. spectrum: variances of the principal components, largest first."""

    schedule: Schedule
    times: tuple[float, ...]
    gaps: tuple[Gap, ...]
    spectrum: torch.Tensor

    def stds(self, t) -> torch.Tensor:
        """Standard deviation of every principal component of p_t."""
        return (float(self.schedule.alpha(t)) ** 2 * self.spectrum + float(self.schedule.sigma(t)) ** 2).sqrt()


@cache
def world(seed: int = 0, components: int = 10) -> World:
    """Half of the digits to train on, half held out, and a Gaussian mixture fitted to the first (scikit-learn's EM)."""
    from sklearn.mixture import GaussianMixture as Fitter

    digits = data.load("digits")
    train, test = digits.split(len(digits.x) // 2, torch.Generator().manual_seed(seed))
    fitter = Fitter(components, covariance_type="full", reg_covar=RIDGE, random_state=seed)
    fitter.fit(train.flat.double().numpy())
    parts = (torch.from_numpy(value).float() for value in (fitter.weights_, fitter.means_, fitter.covariances_))
    return World(seed, ddpm_linear(1000), train.flat, test.flat, GaussianMixture(*parts))


def gaps(times: tuple[float, ...] = (50, 100, 200, 300, 400, 500, 700, 850, 1000), n: int = 400) -> Gaps:
    """The prior gap of all 1,797 digits under DDPM's linear schedule, split in mean, covariance and shape."""
    digits, schedule = Empirical(data.load("digits").flat), ddpm_linear(1000)
    spectrum = torch.linalg.eigvalsh(digits.covariance.double()).flip(0).clamp_min(0)
    return Gaps(schedule, times, tuple(prior_gap(digits, schedule, t, n=n) for t in times), spectrum)


@cache
def prior(name: str, seed: int, t: float):
    """The prior called `name` at time t of `world(seed)`, fitted to its training images."""
    w = world(seed)
    if name == "oracle":
        return priors.Oracle(w.mixture, w.schedule, t)
    kind = next(k for k in (priors.Standard, priors.MomentMatched, priors.SemiDiscrete, priors.DataInitialised) if k.name == name)
    options = {"tolerance": TOLERANCE} if kind is priors.SemiDiscrete else {}
    return kind.fit(w.train, w.schedule, t, generator=torch.Generator().manual_seed(1000 + seed), **options)


def denoiser(score: str, w: World):
    """The score called `score` in one world, as a denoiser."""
    return ExactDenoiser(w.mixture, w.schedule) if score == "smooth" else EmpiricalDenoiser(w.train, w.schedule)


def compare(score: str, t: float, seed: int = 0, names: tuple[str, ...] = PRIORS, n: int = 400, steps: int = 12) -> list[Run]:
    """n samples from each prior at t under one score, by `steps` steps of DPM-Solver++(2M).

    Every prior sees the same seed, so the three that map N(0, I) forward see the same noise.
    """
    w = world(seed)
    starts = [prior(name, seed, t).sample(n, torch.Generator().manual_seed(2000 + seed)) for name in names]
    paths = [[] for _ in names]
    for state in trajectory(denoiser(score, w), w.schedule, torch.cat(starts), t_start=t, steps=steps, method="dpmpp2m"):
        ends = state.x.split(n)
        for path, x in zip(paths, ends):
            path.append(x[:WATCHED])
    return [
        Run(seed, score, name, t, steps, start, end, torch.stack(path), *_distances(end, w, n))
        for name, start, end, path in zip(names, starts, ends, paths)
    ]


def _distances(x, w: World, n: int):
    return metrics.sliced_w2(x, w.test[:n], projections=100, repeats=3), metrics.memorisation(x, w.train, w.test)


def average(runs: list[Run]) -> Row:
    """Mean and standard error over the seeds of otherwise equal runs."""

    return Row(
        runs[0].score, runs[0].prior, runs[0].t, runs[0].steps, len(runs),
        over_seeds(r.sliced.value for r in runs), mean(r.sliced.floor for r in runs),
        *(over_seeds(getattr(r.near, key) for r in runs) for key in ("value", "to_train", "to_test")),
        mean(r.near.test_to_train for r in runs),
    )  # fmt: skip


def rows(runs: list[Run]) -> tuple[Row, ...]:
    """One row for each score, prior, start time and number of steps."""
    key = attrgetter("score", "prior", "t", "steps")
    return tuple(average([r for r in runs if key(r) == k]) for k in dict.fromkeys(map(key, runs)))


def runs(
    times: tuple[float, ...] = (100, 200, 400, 1000), seeds: tuple[int, ...] = (0, 1, 2), n: int = 400, steps: int = 12
) -> Results:
    """Every prior at every start time under both scores, for several splits of the data."""
    expect(len(times) > 0 and len(seeds) > 0, "times, seeds", "at least one of each", (times, seeds))
    flat = [r for score in SCORES for t in times for seed in seeds for r in compare(score, t, seed, n=n, steps=steps)]
    worlds = tuple(world(seed) for seed in seeds)
    copies = [
        Run(w.seed, "none", "training images", 0, 0, *(w.train[:n],) * 2, w.train[None, :WATCHED], *_distances(w.train[:n], w, n))
        for w in worlds
    ]
    return Results(worlds, tuple(flat), rows(flat), average(copies))


def few_calls(calls: tuple[int, ...] = (3, 6), seeds: tuple[int, ...] = (0, 1, 2), n: int = 400) -> tuple[Row, ...]:
    """The smooth score under small budgets of denoiser calls: the standard prior from 1000, every prior from 200."""
    starts = ((1000, ("standard",)), (200, PRIORS))
    points = [(t, names, k, seed) for t, names in starts for k in calls for seed in seeds]
    return rows([r for t, names, k, seed in points for r in compare("smooth", t, seed, names, n, k)])
