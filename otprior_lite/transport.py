"""Optimal transport with a closed form or a finite plan.

Between Gaussians the optimal map is affine, T(x) = m2 + A (x - m1) with the symmetric

    A = S1^{-1/2} (S1^{1/2} S2 S1^{1/2})^{1/2} S1^{-1/2},    A S1 A = S2,

the gradient of a convex quadratic. Between finite samples the optimal plan is a linear program; POT solves it.
Chapters 5 and 6 teach this module.
"""

from dataclasses import dataclass

import torch

from .discrete import exact_plan
from .errors import expect, point_cloud, probability_vector, real_tensor
from .linalg import check_spd, power


@dataclass(frozen=True, eq=False)
class AffineMap:
    """x -> matrix x + shift, applied to rows of x (n, d). matrix: (d, d), shift: (d,)."""

    matrix: torch.Tensor
    shift: torch.Tensor

    def __post_init__(self):
        matrix = real_tensor(self.matrix, "matrix")
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
        expect(square, "matrix", "shape (d, d)", f"shape {tuple(matrix.shape)}")
        shift = real_tensor(self.shift, "shift").to(matrix)
        expect(shift.shape == matrix.shape[:1], "shift", f"shape ({len(matrix)},)", f"shape {tuple(shift.shape)}")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "shift", shift)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = point_cloud(x, "x", len(self.shift))
        return x @ self.matrix.to(x).T + self.shift.to(x)


def gaussian_map(m1, S1, m2, S2) -> AffineMap:
    """The optimal map from N(m1, S1) to N(m2, S2). S1 must be positive definite, S2 may be singular.

    Source: Dowson and Landau 1982; Olkin and Pukelsheim 1982.
    """
    S1 = real_tensor(S1, "S1")
    fits = S1.ndim == 2 and S1.shape[0] == S1.shape[1]
    expect(fits, "S1", "shape (d, d)", f"shape {tuple(S1.shape)}")
    m1, m2, S2 = (real_tensor(v, name).to(S1) for v, name in ((m1, "m1"), (m2, "m2"), (S2, "S2")))
    for name, value, shape in (("S2", S2, S1.shape), ("m1", m1, S1.shape[:1]), ("m2", m2, S1.shape[:1])):
        expect(value.shape == shape, name, f"shape {tuple(shape)}", f"shape {tuple(value.shape)}")
    check_spd(S1, "S1")
    check_spd(S2, "S2", semi=True)
    root, inverse_root = power(S1, 0.5), power(S1, -0.5)
    A = inverse_root @ power(root @ S2 @ root, 0.5) @ inverse_root
    A = (A + A.T) / 2
    return AffineMap(A, m2 - A @ m1)


@dataclass(frozen=True, eq=False)
class Plan:
    """An optimal coupling of two samples. matrix: (n, m) masses; cost: sum of mass times |x - y|^2."""

    matrix: torch.Tensor
    cost: float

    @property
    def assignment(self) -> torch.Tensor:
        """For each x the index of the y that receives most of its mass, shape (n,)."""
        return self.matrix.argmax(1)


def plan(x, y, weights_x=None, weights_y=None) -> Plan:
    """Exact optimal plan between samples x (n, d) and y (m, d) for the squared distance.

    Weights default to uniform. O(n^3) at worst: n = 5000 takes seconds.
    """
    x = point_cloud(x, "x")
    y = point_cloud(y, "y", x.shape[1]).to(x)
    a = probability_vector(weights_x, len(x), x, "weights_x")
    b = probability_vector(weights_y, len(y), y, "weights_y")
    matrix, cost = exact_plan(x, y, a, b)
    return Plan(torch.from_numpy(matrix).to(x), cost)
