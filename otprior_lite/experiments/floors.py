"""What samples can say about the gap: the floor of every estimator, in every dimension. Chapter 3."""

import math
from dataclasses import dataclass

import torch

from .. import gap, metrics, schedules
from ..discrete import assignment_cost
from ..randomness import normal, seeded
from ..schedules import Schedule
from ..targets import GaussianMixture
from .gaps import two_bumps


@dataclass(frozen=True, eq=False)
class Floor:
    """Mean distance between two samples of N(0, I_d) of size n each, and its spread from draw to draw.

    least: what the mean cannot fall below, sqrt(2 d - 2 sqrt(2 d log n)), or 0.
    """

    d: int
    n: tuple[int, ...]
    w2: torch.Tensor
    spread: torch.Tensor
    least: torch.Tensor


def least_floor(n: int, d: int) -> float:
    """Lower bound sqrt(2 d - 2 sqrt(2 d log n)) on the root mean W2^2 between two samples of N(0, I_d)."""
    return math.sqrt(max(0.0, 2 * d - 2 * math.sqrt(2 * d * math.log(n))))


def floors(
    dimensions: tuple[int, ...] = (1, 2, 8, 64, 3072), sizes: tuple[int, ...] = (100, 250, 600),
    line: tuple[int, ...] = (100, 250, 600, 2500, 10_000), repeats: int = 3, seed: int = 0,
) -> list[Floor]:  # fmt: skip
    """Sample W2 between equal laws: by sorting on the line (sizes `line`), by a linear program otherwise."""
    generator, results = seeded(seed), []
    for d in dimensions:
        n_values, times = (line, 10 * repeats) if d == 1 else (sizes, repeats)
        table = torch.tensor([[_two_samples(n, d, generator) for _ in range(times)] for n in n_values], dtype=torch.float64)
        least = torch.tensor([least_floor(n, d) for n in n_values], dtype=torch.float64)
        results.append(Floor(d, n_values, table.mean(1), table.std(1), least))
    return results


def _two_samples(n: int, d: int, generator) -> float:
    x, y = (normal((n, d), generator, dtype=torch.float64) for _ in range(2))
    if d == 1:  # one projection of the line is the line
        return metrics.sliced_w2(x, y, projections=1, repeats=1).value
    return math.sqrt(assignment_cost(x, y))


@dataclass(frozen=True, eq=False)
class Truth:
    """The true gap of data N(0, std^2 I_d) under one schedule, for each d."""

    label: str
    d: torch.Tensor
    w2: torch.Tensor


def truths(std: float = 0.5, dimensions: tuple[int, ...] = (1, 2, 8, 64, 3072)) -> list[Truth]:
    """Data with the standard deviation of typical pixels, under three defaults: every coordinate adds the same square."""
    named: dict[str, Schedule] = {
        "250 linear steps": schedules.ddpm_linear(250),
        "Stable Diffusion": schedules.scaled_linear(1000),
        "DDPM linear": schedules.ddpm_linear(1000),
    }
    one, d = GaussianMixture([1.0], [[0.0]], [std**2]), torch.tensor(dimensions, dtype=torch.float64)
    return [Truth(label, d, d.sqrt() * gap.gelbrich(one, schedule, schedule.T)) for label, schedule in named.items()]


def floors_and_truths(**options) -> tuple[list[Floor], list[Truth]]:
    """`floors(**options)` and `truths()`: the two halves of one figure."""
    return floors(**options), truths()


# ---- who sees what


@dataclass(frozen=True)
class Sight:
    """One estimator on n samples in d dimensions: its mean value per law, its floor, the floor's spread, and scores.

    scores: (value - floor) / spread. Below 2 the estimator cannot tell the law from N(0, I) by one measurement.
    """

    estimator: str
    values: dict[str, float]
    floor: float
    spread: float
    scores: dict[str, float]


def hidden(size: float = 0.5, d: int = 64) -> dict[str, GaussianMixture]:
    """Three laws at W2 = `size` from N(0, I_d), all of it on the first axis: shifted, stretched, split in two."""
    low, high = 0.5, 0.9999  # the separation at which two standardised bumps are `size` away from N(0, 1)
    for _ in range(40):
        middle = (low + high) / 2
        far = gap.prior_gap(two_bumps(separation=middle, share=0.5), schedules.ou(1.0), 0.0).total.value > size
        low, high = (low, middle) if far else (middle, high)
    bumps = two_bumps(separation=low, share=0.5)

    def on_first_axis(weights, places, variance):
        means = torch.zeros(len(weights), d, dtype=torch.float64)
        covariances = torch.eye(d, dtype=torch.float64).repeat(len(weights), 1, 1)
        means[:, 0], covariances[:, 0, 0] = torch.as_tensor(places, dtype=torch.float64), variance
        return GaussianMixture(weights, means, covariances)

    return {
        "shifted": on_first_axis([1.0], [size], 1.0),
        "stretched": on_first_axis([1.0], [0.0], (1 + size) ** 2),
        "split": on_first_axis([0.5, 0.5], bumps.means[:, 0], float(bumps.covariances[0])),
    }


def sight(n: int = 400, d: int = 64, size: float = 0.5, repeats: int = 12, seed: int = 0) -> list[Sight]:
    """Five estimators on samples of the three hidden laws against samples of N(0, I_d); the last is told where to look."""
    laws, generator = hidden(size, d), seeded(seed)
    estimators = {
        "W2 of samples": lambda x, y: math.sqrt(assignment_cost(x, y)),
        "sliced W2": lambda x, y: metrics.sliced_w2(x, y, repeats=1, generator=seeded(1)).value,
        "energy distance": lambda x, y: metrics.energy(x, y, repeats=1).value,
        "mean and covariance": lambda x, y: _gaussian_part(x),
        "W2 along the right axis": lambda x, y: metrics.sliced_w2(x[:, :1], y[:, :1], projections=1, repeats=1).value,
    }
    draws = {name: [] for name in ("nothing", *laws)}
    for _ in range(repeats):
        y = normal((n, d), generator, dtype=torch.float64)
        fresh = normal((n, d), generator, dtype=torch.float64)
        draws["nothing"].append((fresh, y))
        for name, law in laws.items():
            draws[name].append((law.sample(n, generator), y))
    results = []
    for label, estimate in estimators.items():
        measured = {name: torch.tensor([estimate(x, y) for x, y in pairs], dtype=torch.float64) for name, pairs in draws.items()}
        floor, spread = float(measured["nothing"].mean()), float(measured["nothing"].std())
        values = {name: float(measured[name].mean()) for name in laws}
        results.append(Sight(label, values, floor, spread, {name: (value - floor) / spread for name, value in values.items()}))
    return results


def _gaussian_part(x: torch.Tensor) -> float:
    """Gelbrich's bound with the mean and covariance of the sample."""
    spectrum = torch.linalg.eigvalsh(x.T.cov()).clamp_min(0)
    return float((x.mean(0).square().sum() + (spectrum.sqrt() - 1).square().sum()).sqrt())
