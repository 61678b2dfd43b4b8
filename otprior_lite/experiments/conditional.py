"""Digits by class: starts fitted to one class, under that class's score, and starts that forget the class.

The first version of the paper claims conditional acceleration. Here each class has a smooth exact score (a small Gaussian
mixture fitted to its training digits), every start gets the same few calls, and three questions are asked: how far from the
held-out digits of the class, does a classifier see the class, and are samples nearer to training digits than to new ones?
Chapter 13.
"""

import warnings
from dataclasses import dataclass
from functools import cache

import torch

from .. import data, metrics, priors
from ..randomness import seeded
from ..samplers import sample
from ..schedules import ou
from ..score import ExactDenoiser
from ..targets import GaussianMixture
from .digits import RIDGE
from .study import Study

TIMES = (0.25, 0.5, 1.0)
CALLS = (3, 10)
SEEDS = 6
SAMPLES = 90
"""Per class: about as many as there are held-out digits."""
COMPONENTS = 2
OWN = ("standard", "moment-matched", "semi-discrete", "data-initialised", "oracle")
POOLED = ("moment-matched, all classes", "semi-discrete, all classes")
STARTS = (*OWN[:2], POOLED[0], OWN[2], POOLED[1], *OWN[3:])
MEASURES = ("energy", "accuracy", "nearer")
SCHEDULE = ou(3.0)


@dataclass(frozen=True, eq=False)
class Class:
    """One digit: its training and its held-out images, (n, 64), and the mixture whose score is used."""

    train: torch.Tensor
    test: torch.Tensor
    law: GaussianMixture


@cache
def classes(seed: int) -> tuple[Class, ...]:
    """The ten digits, half of each held out."""
    from sklearn.mixture import GaussianMixture as Fitter

    digits = data.load("digits")
    train, test = digits.split(len(digits.x) // 2, seeded(seed))
    found = []
    for label in range(10):
        mine, new = train.flat[train.y == label], test.flat[test.y == label]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few dozen points for each component: the fit may stop early
            fit = Fitter(COMPONENTS, covariance_type="full", reg_covar=RIDGE, random_state=seed).fit(mine.double().numpy())
        parts = (torch.from_numpy(value).float() for value in (fit.weights_, fit.means_, fit.covariances_))
        found.append(Class(mine, new, GaussianMixture(*parts)))
    return tuple(found)


@cache
def classifier(seed: int):
    """Logistic regression on the held-out digits: it has seen no training digit. x (n, 64) -> labels."""
    from sklearn.linear_model import LogisticRegression

    found = classes(seed)
    x, y = torch.cat([c.test for c in found]), [k for k, c in enumerate(found) for _ in c.test]
    fit = LogisticRegression(C=0.1, max_iter=500).fit(x.double().numpy(), y)
    return lambda images: torch.from_numpy(fit.predict(images.double().numpy()))


def start(name: str, seed: int, label: int, t: float) -> priors.Prior:
    """The start called `name` for one class; those of POOLED are fitted to all classes."""
    found = classes(seed)
    if name == "oracle":
        return priors.Oracle(found[label].law, SCHEDULE, t)
    if name in POOLED:
        return _fit(name.split(",")[0], torch.cat([c.train for c in found]), seed, t)
    return _fit(name, found[label].train, seed, t)


def _fit(name: str, points: torch.Tensor, seed: int, t: float) -> priors.Prior:
    kind = next(k for k in (priors.Standard, priors.MomentMatched, priors.SemiDiscrete, priors.DataInitialised) if k.name == name)
    options = {"tolerance": 0.1} if kind is priors.SemiDiscrete else {}
    return kind.fit(points, SCHEDULE, t, generator=seeded(400 + seed), **options)


def cells(quick: bool) -> list[dict]:
    """Every seed and start time; quick: one, with two classes."""
    if quick:
        return [{"t": 0.25, "seed": 0, "labels": [0, 1]}]
    return [{"t": t, "seed": seed} for seed in range(SEEDS) for t in TIMES]


def measure(cell: dict) -> dict:
    """rows: [start, calls, *MEASURES], averaged over classes, N(0, I) at T = 3 too. training: MEASURES of the training digits."""
    seed, t, labels = cell["seed"], cell["t"], cell.get("labels", range(10))
    runs = [(name, t, calls) for name in STARTS for calls in CALLS] + [("standard", SCHEDULE.T, calls) for calls in CALLS]
    pooled = {name: start(name, seed, 0, t) for name in POOLED}
    grades = {run: [] for run in runs}
    for label in labels:
        mine = classes(seed)[label]
        score = ExactDenoiser(mine.law, SCHEDULE)
        made = {name: pooled.get(name) or start(name, seed, label, t) for name in STARTS}
        for name, at, calls in runs:
            x = made[name].sample(SAMPLES, seeded(1000 * seed + label))
            end = sample(score, SCHEDULE, x, steps=calls, t_start=at, method="dpmpp2m")
            grades[name, at, calls].append(grade(end, seed, label))
    average = lambda rows: [round(sum(column) / len(rows), 5) for column in zip(*rows)]
    copies = [grade(classes(seed)[label].train, seed, label) for label in labels]
    return {"rows": [[*run, *average(rows)] for run, rows in grades.items()], "training": average(copies)}


def grade(x: torch.Tensor, seed: int, label: int) -> list[float]:
    """MEASURES of samples x (n, 64) of one class."""
    mine = classes(seed)[label]
    near = metrics.memorisation(x, mine.train, mine.test)
    right = float((classifier(seed)(x) == label).double().mean())
    return [metrics.energy(x, mine.test, repeats=1).value, right, near.value]


STUDY = Study("conditional", cells, measure)
