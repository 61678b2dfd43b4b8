"""The small laws that the checks share; everything about them is exact."""

import torch

from ...randomness import normal, seeded
from ...targets import Empirical, GaussianMixture

STANDARD = GaussianMixture([1.0], [[0.0]], [1.0])
"""N(0, 1): no diffusion changes it."""

TWO = GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [0.25, 0.25])
"""Two modes on a line, centred."""

UNEVEN = GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25])
"""Two modes on a line with a mean of 1.1."""

ATOMS = Empirical([[2.0, 0.0], [-1.0, 1.5], [-0.5, -1.0]], [0.5, 0.3, 0.2])
"""Three points of the plane, not on a line."""

COLLINEAR = Empirical([[2.0, 1.0], [0.0, 0.0], [-2.0, -1.0]], [0.5, 0.3, 0.2])
"""Three points of the plane on one line."""


def normals(n: int, d: int, seed: int = 0) -> torch.Tensor:
    """n seeded draws of N(0, I), (n, d) float64."""
    return normal((n, d), seeded(seed), dtype=torch.float64)
