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
from ..errors import count, expect
from ..estimate import Estimate, over_seeds
from ..gap import Gap, prior_gap
from ..linalg import power
from ..randomness import normal, seeded
from ..samplers import sample
from ..schedules import Schedule, ddpm_linear
from ..score import EmpiricalDenoiser, ExactDenoiser
from ..targets import Empirical, GaussianMixture

PRIORS = ("standard", "moment-matched", "semi-discrete", "data-initialised", "oracle")
SCORES = ("smooth", "empirical")
RIDGE = 0.01
"""Variance added to every pixel of every component: a deviation of 0.1, a little below one grey level (0.125)."""
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
    """What one prior at time t became under one score; `sliced` and `near` compare it with held-out digits."""

    seed: int
    score: str
    prior: str
    t: float
    steps: int
    start: torch.Tensor
    samples: torch.Tensor
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


@dataclass(frozen=True)
class Estimators:
    """Estimates of one known distance in d dimensions from n samples, and the truth behind each."""

    d: int
    n: int
    w2: Estimate
    true_w2: float
    sliced: Estimate
    true_sliced: float


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


def estimators(d: int, n: int, t: float = 500, seed: int = 0) -> Estimators:
    """Sample W2 and sliced W2 between N(0, I_d) and a Gaussian at a known distance from it.

    The Gaussian has the mean and covariance of noised digits at t, in their first d principal components.
    """
    digits, schedule, generator = Empirical(data.load("digits").flat), ddpm_linear(1000), seeded(seed)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    axes = torch.linalg.eigh(digits.covariance)[1].flip(1)[:, :d]
    shift = alpha * digits.mean @ axes
    covariance = alpha**2 * axes.T @ digits.covariance @ axes + sigma**2 * torch.eye(d)
    draws = [normal((count(n), d), generator) for _ in range(2)]
    x, z = shift + draws[0] @ power(covariance, 0.5), draws[1]
    stds = torch.linalg.eigvalsh(covariance).sqrt()
    truth = float((shift.square().sum() + (stds - 1).square().sum()).sqrt())
    lines = torch.nn.functional.normalize(normal((d, 4000), generator), dim=0)
    line_stds = (lines * (covariance @ lines)).sum(0).sqrt()
    true_sliced = float(((shift @ lines).square() + (line_stds - 1).square()).mean().sqrt())
    return Estimators(d, n, metrics.w2(x, z), truth, metrics.sliced_w2(x, z), true_sliced)


@cache
def prior(name: str, seed: int, t: float):
    """The prior called `name` at time t of `world(seed)`, fitted to its training images."""
    w = world(seed)
    if name == "oracle":
        return priors.Oracle(w.mixture, w.schedule, t)
    kind = next(k for k in (priors.Standard, priors.MomentMatched, priors.SemiDiscrete, priors.DataInitialised) if k.name == name)
    options = {"tolerance": TOLERANCE} if kind is priors.SemiDiscrete else {}
    return kind.fit(w.train, w.schedule, t, generator=torch.Generator().manual_seed(1000 + seed), **options)


def compare(score: str, t: float, seed: int = 0, names: tuple[str, ...] = PRIORS, n: int = 400, steps: int = 12) -> list[Run]:
    """n samples from each prior at t under one score, by `steps` steps of DPM-Solver++(2M).

    Every prior sees the same seed, so the three that map N(0, I) forward see the same noise.
    """
    w = world(seed)
    starts = [prior(name, seed, t).sample(n, torch.Generator().manual_seed(2000 + seed)) for name in names]
    denoiser = ExactDenoiser(w.mixture, w.schedule) if score == "smooth" else EmpiricalDenoiser(w.train, w.schedule)
    ends = sample(denoiser, w.schedule, torch.cat(starts), t_start=t, steps=steps, method="dpmpp2m").split(n)
    return [Run(seed, score, name, t, steps, *x, *_distances(x[1], w, n)) for name, *x in zip(names, starts, ends)]


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
        Run(w.seed, "none", "training images", 0, 0, w.train[:n], w.train[:n], *_distances(w.train[:n], w, n)) for w in worlds
    ]
    return Results(worlds, tuple(flat), rows(flat), average(copies))


def few_calls(calls: tuple[int, ...] = (3, 6), seeds: tuple[int, ...] = (0, 1, 2), n: int = 400) -> tuple[Row, ...]:
    """The smooth score under small budgets of denoiser calls: the standard prior from 1000, every prior from 200."""
    starts = ((1000, ("standard",)), (200, PRIORS))
    points = [(t, names, k, seed) for t, names in starts for k in calls for seed in seeds]
    return rows([r for t, names, k, seed in points for r in compare("smooth", t, seed, names, n, k)])


def code(image: torch.Tensor) -> str:
    """An 8 x 8 image in [-1, 1] as 64 characters, one of 17 grey levels each: "0" to "9", then "a" to "g"."""
    levels = ((image.reshape(64) + 1) * 8).round().clamp(0, 16).int().tolist()
    return "".join("0123456789abcdefg"[level] for level in levels)


def album(results: Results, each: int = 8) -> dict:
    """What the live figure shows, for the first seed: coded images, and the averages over seeds beside them.

    Keys of `shown` are "score prior t". Starts are halved, so that their greys run from -2 to 2.
    """
    w = results.worlds[0]
    shown, starts, numbers = {}, {}, {}
    for r in (r for r in results.runs if r.seed == w.seed):
        shown[f"{r.score} {r.prior} {r.t:g}"] = [code(image) for image in r.samples[:each]]
        starts[f"{r.prior} {r.t:g}"] = [code(image / 2) for image in r.start[:each]]
    for row in results.rows:
        values = (row.sliced[0], row.floor, row.to_train[0], row.to_test[0], row.test_to_train, row.share[0])
        numbers[f"{row.score} {row.prior} {row.t:g}"] = [round(value, 4) for value in values]
    return {
        "times": sorted({row.t for row in results.rows}), "shown": shown, "starts": starts, "numbers": numbers,
        "train": [code(image) for image in w.train], "test": [code(image) for image in w.test],
    }  # fmt: skip
