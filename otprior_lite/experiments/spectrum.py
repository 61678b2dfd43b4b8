"""The gap direction by direction at the scale of pictures, and what N pictures can tell about it.

Along the principal direction k of the data p_t has variance a_k = alpha^2 lam_k + sigma^2, whatever the shape of the data.
Against N(0, I) that direction costs (sqrt(a_k) - 1)^2, and with the mean these costs add up to Gelbrich's bound:

    gelbrich^2 = |alpha m|^2 + sum_k (sqrt(a_k) - 1)^2.

The floor is the spectrum of as many draws of exactly N(0, I). In d dimensions N draws spread it over Marchenko and
Pastur's interval, (1 - sqrt(d/N))^2 to (1 + sqrt(d/N))^2, and one direction stands out of N noised pictures only if its
variance exceeds 1 + sqrt(d/N) (Baik, Ben Arous and Peche 2005). The formula needs no noised pictures: its error is
alpha^2 times that of lam_k.

Chapter 12: at the end of a schedule the mean and a handful of wide directions carry the gap; at a late start thousands of
narrow ones do, each too small to be seen; looked for in noised pictures, nearly all of it hides below the floor.
"""

import math
from dataclasses import dataclass

import torch

from .. import data, features
from ..errors import within
from ..randomness import normal, seeded
from .moments import three_schedules

TIMES = (1000, 500, 250)
"""The end of the schedules, and two late starts."""


@dataclass(frozen=True, eq=False)
class Start:
    """p_t against N(0, I) for one schedule: alpha; mean = |alpha m|; excess (d,), a_k - 1, widest direction first."""

    schedule: str
    t: float
    alpha: float
    mean: float
    excess: torch.Tensor

    @property
    def costs(self) -> torch.Tensor:
        """(sqrt(a_k) - 1)^2, shape (d,), without cancellation where a_k rounds to 1."""
        return _costs(self.excess)

    @property
    def covariance(self) -> float:
        """sqrt(sum_k (sqrt(a_k) - 1)^2)."""
        return math.sqrt(float(self.costs.sum()))

    @property
    def gelbrich(self) -> float:
        """Lower bound on W2(p_t, N(0, I)): mean and covariance together."""
        return math.hypot(self.mean, self.covariance)

    @property
    def synchronous(self) -> float:
        """Upper bound sqrt(alpha^2 E|x_0|^2 + (1 - sigma)^2 d) on W2(p_t, N(0, I)): the same noise in both."""
        signal = self.mean**2 + float((self.excess + self.alpha**2).sum())  # excess + alpha^2 = alpha^2 lam_k
        return math.sqrt(signal + (1 - math.sqrt(1 - self.alpha**2)) ** 2 * len(self.excess))

    @property
    def mean_share(self) -> float:
        """Part of gelbrich^2 that the mean alone carries."""
        return (self.mean / self.gelbrich) ** 2

    @property
    def narrow_share(self) -> float:
        """Part of covariance^2 that directions narrower than the prior carry."""
        return float(self.costs[self.excess < 0].sum()) / self.covariance**2

    def directions(self, share: float) -> int:
        """How many principal directions, costliest first, carry `share` of covariance^2."""
        within(share, 0, 1, "share", open_low=True)
        sums = self.costs.sort(descending=True).values.cumsum(0)
        return int((sums < share * sums[-1] * (1 - 1e-12)).sum()) + 1

    def off(self, tolerance: float) -> int:
        """Directions whose standard deviation differs from the prior's by more than `tolerance`."""
        return int((self.costs > tolerance**2).sum())


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One data set. variances (d,): lam_k, largest first; floor (d,): the same of n draws of exactly N(0, I)."""

    name: str
    n: int
    variances: torch.Tensor
    floor: torch.Tensor
    starts: tuple[Start, ...]

    @property
    def edges(self) -> tuple[float, float]:
        """Marchenko and Pastur's interval for n draws in d dimensions."""
        root = math.sqrt(len(self.floor) / self.n)
        return (1 - root) ** 2 if root < 1 else 0.0, (1 + root) ** 2

    @property
    def threshold(self) -> float:
        """Variance above which a direction stands out of n draws: 1 + sqrt(d / n)."""
        return 1 + math.sqrt(len(self.floor) / self.n)

    @property
    def floor_gap(self) -> float:
        """Covariance part of the gap that n draws of the prior itself would show: its exact value is 0."""
        return math.sqrt(float(_costs(self.floor - 1).sum()))

    def start(self, schedule: str, t: float) -> Start:
        """The start of one schedule at t."""
        return next(s for s in self.starts if (s.schedule, s.t) == (schedule, t))

    def seen(self, start: Start) -> int:
        """Directions of a start that n noised pictures would show: variance above `threshold`."""
        return int((1 + start.excess > self.threshold).sum())


def spectrum(name: str = "emoji32", times: tuple[float, ...] = TIMES, seed: int = 0) -> Spectrum:
    """The spectrum of a data set for three schedules at `times`: "emoji32" (distinct training pictures), "digits", "cifar10"."""
    found = features.split(name)[0] if name in features.WEIGHTS else data.load(name)
    return of_points(name, found.distinct().flat, times, seed)


def of_points(name: str, points: torch.Tensor, times: tuple[float, ...] = TIMES, seed: int = 0) -> Spectrum:
    """The same of points (n, d)."""
    generator, (n, d) = seeded(seed), points.shape
    variances, length = eigenvalues(points), float(points.double().mean(0).norm())
    starts = []
    for label, schedule in three_schedules().items():
        for t in times:
            alpha = float(schedule.alpha(t))
            excess = alpha**2 * (variances - 1)  # alpha^2 + sigma^2 = 1 for all three
            starts.append(Start(label, t, alpha, alpha * length, excess))
    return Spectrum(name, n, variances, eigenvalues(normal((n, d), generator)), tuple(starts))


def pair() -> tuple[Spectrum, Spectrum]:
    """Pictures of 3,072 numbers, and digits of 64 for contrast."""
    return spectrum("emoji32"), spectrum("digits")


def eigenvalues(points: torch.Tensor) -> torch.Tensor:
    """Of the covariance of points (n, d), around their mean: (d,) float64, largest first.

    The smaller of the two Gram matrices is enough; the other eigenvalues are zero.
    """
    n, d = points.shape
    mean = points.double().mean(0)
    if n < d:
        x = points.double() - mean
        found = torch.linalg.eigvalsh(x @ x.T / n)
    else:
        gram = sum(((block := part.double() - mean).T @ block for part in points.split(8192)), torch.zeros(d, d).double())
        found = torch.linalg.eigvalsh(gram / n)
    return torch.nn.functional.pad(found.flip(0).clamp_min(0), (0, d - len(found)))


def _costs(excess: torch.Tensor) -> torch.Tensor:
    """(sqrt(1 + x) - 1)^2 for x >= -1."""
    return (excess / (1 + (1 + excess).clamp_min(0).sqrt())).square()
