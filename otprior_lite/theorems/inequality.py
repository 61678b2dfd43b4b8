"""One inequality on one example: its sides, its slack, and what was assumed.

An inequality holds on an example if left <= right up to the sampling error of the left side,

    left - 2 error <= right.

That says nothing when an assumption fails, so the assumptions travel with the numbers. The page on the paper's claims
teaches how to read it.
"""

import math
from dataclasses import dataclass

from ..estimate import Estimate


@dataclass(frozen=True)
class Inequality:
    """lower <= left <= right on an example (lower is 0 for a one-sided statement).

    left: the measured quantity. right: the bound. terms: named ingredients, e.g. the amplification factor.
    assumptions: each with "checked", "proved", "given", "assumed" or "unknown". assumptions_met: none of them is known to fail,
    and every constant in `right` is proved or given; False when a constant is unknown or only estimated.
    """

    name: str
    left: Estimate
    right: float
    assumptions: tuple[str, ...]
    assumptions_met: bool
    terms: tuple[tuple[str, float], ...] = ()
    lower: float = 0.0

    @property
    def slack(self) -> float:
        """right - left."""
        return self.right - self.left.value

    @property
    def holds(self) -> bool:
        """lower <= left <= right, up to two standard errors of left and rounding."""
        error = 2 * self.left.error if math.isfinite(self.left.error) else 0.0
        room = error + 1e-9 * max(1.0, abs(self.left.value))
        return self.lower - room <= self.left.value <= self.right + room

    def term(self, name: str) -> float:
        """The ingredient called `name`."""
        return dict(self.terms)[name]
