"""Five estimators of a distance against the dimension, where the truth is known.

Two Gaussians are W2 = 1.5 from N(0, I_d) in every dimension: N(m, I) with |m| = 1.5, and N(0, s^2 I) with
(s - 1) sqrt(d) = 1.5. Each estimator gets n draws of a law and n of N(0, I), and is then asked for the distance of
N(0, I) to itself: its floor. All values are squares; each has its own truth,

    sliced W2^2 = 1.5^2 / d,    energy = 2 E|x - z| - E|x - x'| - E|z - z'|,    the others 1.5^2.

The debiased W2^2 subtracts what two samples of one law show: W2^2(x, z) - (W2^2(x, x') + W2^2(z, z')) / 2. Chapter 11.
"""

import math
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from scipy.special import gammaln, hyp1f1

from .. import metrics
from ..discrete import assignment_cost
from ..randomness import normal, seeded
from .study import Study, load

SIZE = 1.5
DIMENSIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 3072)
SAMPLES = (150, 600)
REPEATS = 10
LAWS = ("shift", "stretch")
ESTIMATORS = ("W2", "debiased W2", "Frechet", "sliced W2", "energy")


@dataclass(frozen=True)
class Curve:
    """One estimator on one law with n draws, along d: mean and spread of the square, its floor's, and the truth."""

    estimator: str
    law: str
    n: int
    d: tuple[int, ...]
    value: tuple[float, ...]
    spread: tuple[float, ...]
    floor: tuple[float, ...]
    floor_spread: tuple[float, ...]
    truth: tuple[float, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        """(value - floor) / spread of the floor: below 2, one measurement cannot tell the law from N(0, I)."""
        return tuple((v - f) / s for v, f, s in zip(self.value, self.floor, self.floor_spread))

    def at(self, d: int) -> dict[str, float]:
        """The numbers at one dimension, by name: distances, that is roots (0 for a negative square), and the score."""
        k, root = self.d.index(d), lambda square: math.sqrt(max(0.0, square))
        return {
            "value": root(self.value[k]), "floor": root(self.floor[k]), "truth": root(self.truth[k]), "score": self.scores[k]
        }  # fmt: skip


def law(name: str, draws: torch.Tensor) -> torch.Tensor:
    """Draws (n, d) of N(0, I) moved to the law called `name`."""
    step = SIZE / math.sqrt(draws.shape[1])
    return draws + step if name == "shift" else (1 + step) * draws


def mean_norm(d: int, std: float, shift: float = 0.0) -> float:
    """E|x| of x ~ N(m, std^2 I_d) with |m| = shift: std sqrt(2) G((d + 1)/2) / G(d/2) 1F1(-1/2; d/2; -shift^2 / 2 std^2)."""
    ratio = math.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return std * math.sqrt(2) * ratio * float(hyp1f1(-0.5, d / 2, -(shift**2) / (2 * std**2)))


def truth(estimator: str, name: str, d: int) -> float:
    """The square that `estimator` would return from infinitely many draws."""
    if estimator == "sliced W2":
        return SIZE**2 / d
    if estimator != "energy":
        return SIZE**2
    s, shift = (1.0, SIZE) if name == "shift" else (1 + SIZE / math.sqrt(d), 0.0)
    among = mean_norm(d, math.sqrt(2)) * (1 + s)  # E|z - z'| + E|x - x'|
    return 2 * mean_norm(d, math.sqrt(1 + s * s), shift) - among


def squares(x, z, other_x, other_z) -> list[float]:
    """The five squares between samples x and z (n, d); other_x, other_z: second samples of the same laws, for the debiasing."""
    plain = assignment_cost(x, z)
    own = (assignment_cost(x, other_x) + assignment_cost(z, other_z)) / 2
    return [
        plain, plain - own, metrics.frechet(x, z, repeats=1).value ** 2,
        metrics.sliced_w2(x, z, repeats=1, generator=seeded(1)).value ** 2, metrics.energy(x, z, repeats=1).value,
    ]  # fmt: skip


def cells(quick: bool) -> list[dict]:
    """Every dimension, number of draws and seed; quick: two small ones."""
    if quick:
        return [{"d": d, "n": 40, "seed": 0} for d in (2, 16)]
    return [{"d": d, "n": n, "seed": seed} for d in DIMENSIONS for n in SAMPLES for seed in range(REPEATS)]


def measure(cell: dict) -> dict:
    """The ESTIMATORS' squares for each law, and for N(0, I) itself as "nothing"."""
    d, n, generator = cell["d"], cell["n"], seeded(cell["seed"])
    z, other_z, x, other_x = (normal((n, d), generator, dtype=torch.float64) for _ in range(4))
    found = {name: squares(law(name, x), z, law(name, other_x), other_z) for name in LAWS}
    found["nothing"] = squares(x, z, other_x, other_z)
    return {name: [float(f"{value:.5g}") for value in values] for name, values in found.items()}


STUDY = Study("estimators", cells, measure)


def curves() -> list[Curve]:
    """The committed study as one curve for each estimator, law and number of draws."""
    rows, found = load("estimators"), []
    for k, estimator in enumerate(ESTIMATORS):
        for name in LAWS:
            for n in SAMPLES:
                at = [[row for row in rows if (row["d"], row["n"]) == (d, n)] for d in DIMENSIONS]
                values, floors = ([[row[key][k] for row in group] for group in at] for key in (name, "nothing"))
                summary = [tuple(map(f, part)) for part in (values, floors) for f in (mean, stdev)]
                found.append(
                    Curve(estimator, name, n, DIMENSIONS, *summary, tuple(truth(estimator, name, d) for d in DIMENSIONS))
                )
    return found
