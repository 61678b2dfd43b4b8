"""Digits judged in features: the Frechet distance of pixels, of a classifier's hidden layer, and of random features.

The judge is a small network (64 -> 32 -> 10, scikit-learn) that has learned to read one part of the held-out digits. The
reference is the other part, so the judge has seen neither it nor the training half. Random features have the same shape, with
weights that nobody trained: what they see, the training did not add. Chapter 11.
"""

import warnings
from dataclasses import dataclass
from functools import cache

import torch

from .. import data, metrics
from ..estimate import Estimate, over_seeds
from ..linalg import power
from ..randomness import normal, seeded
from .digits import Results, world

REFERENCE = 400
"""The first held-out digits are the reference; the judge learns from the rest."""
HIDDEN = 32
MEASURES = ("pixels", "features", "random features", "sliced W2")
STARTS = ("standard", "moment-matched", "semi-discrete", "oracle")


@dataclass(frozen=True, eq=False)
class Judge:
    """Features x (n, 64) -> relu(x W + b), trained and random, and the judge's accuracy on the reference."""

    weight: torch.Tensor
    bias: torch.Tensor
    random: torch.Tensor
    accuracy: float

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The hidden layer, (n, HIDDEN), float64."""
        return (x.double() @ self.weight + self.bias).relu()

    def random_features(self, x: torch.Tensor) -> torch.Tensor:
        """The same layer with N(0, 1/64) weights and no bias."""
        return (x.double() @ self.random).relu()


@dataclass(frozen=True)
class Grade:
    """One set of images: for each of MEASURES the ratio value / floor, mean and standard error over splits; and one Estimate."""

    name: str
    ratios: dict[str, tuple[float, float]]
    first: dict[str, Estimate]


@cache
def judge(seed: int) -> Judge:
    """The judge of `digits.world(seed)`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    _, test = _halves(seed)
    x, y = test.flat.double().numpy(), test.y.numpy()
    network = MLPClassifier((HIDDEN,), random_state=seed, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 passes read 95 % of new digits, which is enough here
        network.fit(x[REFERENCE:], y[REFERENCE:])
    weight, bias = (torch.from_numpy(v[0]) for v in (network.coefs_, network.intercepts_))
    random = normal((64, HIDDEN), seeded(seed), dtype=torch.float64) / 8
    return Judge(weight, bias, random, float(network.score(x[:REFERENCE], y[:REFERENCE])))


def _halves(seed: int):
    digits = data.load("digits")
    return digits.split(len(digits.x) // 2, seeded(seed))


def controls(seed: int, n: int = 400) -> dict[str, torch.Tensor]:
    """Sets of n images whose quality is known: real digits, and real digits spoiled in one way; no digits at all."""
    train, _ = _halves(seed)
    real = train.flat[:n]
    moved = torch.full_like(real.view(-1, 8, 8), -1)
    moved[:, :, 1:] = real.view(-1, 8, 8)[:, :, :-1]
    root = power(torch.cov(train.flat.T), 0.5)
    gaussian = train.flat.mean(0) + normal((n, 64), seeded(seed + 50)) @ root
    return {
        "training images": real, "only 0 to 4": train.flat[train.y < 5][:n], "one pixel to the right": moved.flatten(1),
        "paler ink": 0.8 * real - 0.2, "Gaussian, same moments": gaussian,
    }  # fmt: skip


def grade(x: torch.Tensor, seed: int) -> dict[str, Estimate]:
    """MEASURES of images x (n, 64) against the reference."""
    by, reference = judge(seed), world(seed).test[:REFERENCE]
    found = [metrics.frechet(x, reference, features=f, repeats=3) for f in (None, by.features, by.random_features)]
    return dict(zip(MEASURES, (*found, metrics.sliced_w2(x, reference, projections=100, repeats=3))))


def grades(results: Results, t: float = 100) -> tuple[Grade, ...]:
    """Every control, and what the smooth score made of four starts at t, averaged over the splits of `results`."""
    seeds = [w.seed for w in results.worlds]
    sets = {seed: controls(seed) for seed in seeds}
    for r in results.runs:
        if (r.score, r.t) == ("smooth", t) and r.prior in STARTS:
            sets[r.seed][f"{r.prior} start"] = r.samples
    found = []
    for name in sets[seeds[0]]:
        graded = [grade(sets[seed][name], seed) for seed in seeds]
        ratios = {key: over_seeds(g[key].value / g[key].floor for g in graded) for key in MEASURES}
        found.append(Grade(name, ratios, graded[0]))
    return tuple(found)
