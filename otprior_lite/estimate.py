"""A number that knows how far it can be trusted.

An estimate from samples has a floor: what the estimator returns when there is nothing to find. A claim
smaller than the floor is no claim. Every estimator of this package returns both, and every figure draws both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev


@dataclass(frozen=True)
class Estimate:
    """A measured scalar.

    value: the estimate.
    floor: what the same estimator returns on average when the two laws are equal (same n).
    n: the number of samples behind it.
    error: its standard error, where it is known; otherwise the spread of the floor.
    """

    value: float
    floor: float
    n: int
    error: float = float("nan")

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4g} (floor {self.floor:.2g}, n = {self.n})"


def over_seeds(values: Iterable[float]) -> tuple[float, float]:
    """Mean and standard error of independent repeats; the error of a single one is NaN."""
    values = list(values)
    return mean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
