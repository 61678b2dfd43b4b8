"""How long a start remembers the training point it was made from, and the noise in which DPM-OT starts.

A noised point alpha x_i + sigma eps is traced back when alpha x_i is still the nearest of all. A pair i, j is confused
with probability Phi(-alpha |x_i - x_j| / (2 sigma)) and pairs add up at most, so at least a share

    1 - (1/N) sum_i min(1, sum_{j != i} Phi(-alpha |x_i - x_j| / (2 sigma)))

is traced back. A start that can be traced tells the reverse process which point to return. Chapter 8 shows it.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch

from ..forward import noise
from ..linalg import squared_distances
from ..randomness import categorical, normal, seeded
from .late_start import SCHEDULE
from .worlds import world


@dataclass(frozen=True)
class Traces:
    """Noised training points: the share still nearest to the point they came from, measured, and its lower bound, by time.

    measured: (mean, standard error). floor: 1/N, a guess.
    """

    world: str
    times: tuple[float, ...]
    measured: list[tuple[float, float]]
    bound: list[float]
    floor: float


@cache
def traces(
    times: tuple[float, ...] = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0), n: int = 1000, seed: int = 0
) -> list[Traces]:
    """Measured on n noised training points; the bound is over all of them: see `trace_bound`."""
    found = []
    for name in ("ring", "digits"):
        points, generator = world(name, seed).train.double(), seeded(seed)
        measured, bound = [], []
        for t in times:
            alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
            index = categorical(torch.ones(len(points)), n, generator)
            x = noise(points[index], SCHEDULE, t, generator)
            share = float((squared_distances(x, alpha * points).argmin(1) == index).double().mean())
            measured.append((share, math.sqrt(max(share * (1 - share), 1 / n) / n)))
            bound.append(trace_bound(points, alpha, sigma))
        found.append(Traces(name, times, measured, bound, 1 / len(points)))
    return found


def trace_bound(points: torch.Tensor, alpha: float, sigma: float) -> float:
    """1 - (1/N) sum_i min(1, sum_{j != i} Phi(-alpha |x_i - x_j| / (2 sigma))): at most the share that is traced back."""
    pairs = torch.special.ndtr(-alpha * squared_distances(points, points).sqrt() / (2 * sigma))
    return 1 - float((pairs.sum(1) - pairs.diagonal()).clamp_max(1).mean())


# ---- DPM-OT's noise levels


@dataclass(frozen=True)
class Shipped:
    """A published setting of DPM-OT: a geometric ladder of noise levels, and where its atoms and its sampler stand.

    atoms: standard deviation of the noise on the atoms, pixels in [0, 1]; grey: the same in grey levels of 255.
    sampler: level at which Langevin dynamics begins.
    """

    data: str
    levels: int
    first: float
    last: float
    back: int
    inner: int

    def level(self, index: int) -> float:
        """sigma_index of the ladder, index 0 .. levels - 1."""
        return self.first * (self.last / self.first) ** (index / (self.levels - 1))

    @property
    def atoms(self) -> float:
        """sigma of the atoms."""
        return self.level(self.levels - self.back)

    @property
    def sampler(self) -> float:
        """sigma at which the sampler begins: `back` steps from the end, `inner` of them for each level."""
        return self.level(self.levels - math.ceil(self.back / self.inner))

    @property
    def grey(self) -> float:
        """sigma of the atoms in grey levels of 255."""
        return 255 * self.atoms


SHIPPED = (
    Shipped("CIFAR-10", 232, 50.0, 0.01, 10, 5),
    Shipped("CelebA", 500, 90.0, 0.01, 20, 5),
    Shipped("FFHQ", 2311, 348.0, 0.01, 20, 3),
)
"""The configurations in the public repository of Li et al. 2023."""


def copies_at(level: float) -> tuple[float, float]:
    """Digits noised with standard deviation `level` (pixels in [0, 1]): share traced back, and its lower bound."""
    points, generator = world("digits", 0).train.double() / 2, seeded(0)  # [-1, 1] has length 2
    x = points + level * normal(points.shape, generator, dtype=points.dtype)
    share = float((squared_distances(x, points).argmin(1) == torch.arange(len(points))).double().mean())
    return share, trace_bound(points, 1.0, level)
