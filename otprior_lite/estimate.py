"""A number that knows how far it can be trusted.

An estimate from samples has a floor: what the estimator returns when there is nothing to find. A claim
smaller than the floor is no claim. Every estimator of this package returns both, and every figure draws both.
"""

from dataclasses import dataclass


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
