"""The optimal map between Gaussians: affine, T(x) = m2 + A (x - m1) with the symmetric

    A = S1^{-1/2} (S1^{1/2} S2 S1^{1/2})^{1/2} S1^{-1/2},    A S1 A = S2.

It is the gradient of a convex quadratic, so Brenier's theorem makes it optimal. Chapters 5 and 6 teach it.
"""

from dataclasses import dataclass

import torch

from ..errors import expect, point_cloud, real_tensor
from ..linalg import check_spd, power


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
