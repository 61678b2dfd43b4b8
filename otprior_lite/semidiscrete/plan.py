"""How large a check must be, and what it can promise.

A check of n rows sees an L1 error of size e through noise of size floor = sqrt(2 N / (pi n)). A small check is
cheap but forces the solver to aim far below the tolerance, so that the upper end of the interval still passes;
a large one is exact but costs more than the solve. The best size minimises the sum of both.

    sd(L1^2) = 2 sqrt(e^2 + floor^2) sqrt(1/n),   aim^2 = tolerance^2 - 1.96 sd.

Chapter 7 teaches this module.
"""

import math

from .evaluate import UPPER


def iid_floor(atoms: int, tolerance: float) -> float:
    """S = 2 N / (pi tolerance^2): the independent samples whose own noise reads as `tolerance` in L1."""
    return 2 * atoms / (math.pi * tolerance**2)


def check_size(atoms: int, tolerance: float) -> tuple[float, float]:
    """(rows, aim): effective rows of a check and the L1 error at which the solver should ask for it."""
    best = (math.inf, 0.0, 0.0)
    for exponent in range(-4, 25):
        share = 2 ** (exponent / 2)  # rows / S
        sd = 2 * math.sqrt((1 + 1 / share) / share) * 0.95 * math.sqrt(math.pi / 2 / atoms)
        aim = (1 - UPPER * sd - 0.05) / (1 + 0.53 * UPPER / math.sqrt(atoms))
        if aim > 0:
            best = min(best, (share + 1 / aim, share, aim))
    return best[1] * iid_floor(atoms, tolerance), math.sqrt(best[2]) * tolerance
