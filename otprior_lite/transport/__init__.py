"""Optimal transport with a closed form or a finite plan.

Between Gaussians the optimal map is affine (`gaussian_map`). Between finite samples the optimal plan is a linear
program (`plan`), and with an entropy term a fixed point (`sinkhorn`); POT solves both. A plan carries its dual
potentials, which prove how good it is. `cyclical_monotonicity` asks of any pairing whether a better one exists.
Chapters 5 and 6 teach this module.
"""

from .affine import AffineMap, gaussian_map
from .coupling import Plan, barycentric_map, plan, sample_plan, sinkhorn
from .monotone import Rearrangement, cyclical_monotonicity

__all__ = [
    "AffineMap", "gaussian_map", "Plan", "plan", "sinkhorn", "barycentric_map", "sample_plan",
    "Rearrangement", "cyclical_monotonicity",
]  # fmt: skip
