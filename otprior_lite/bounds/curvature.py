"""How fast neighbouring paths of the reverse flow separate: the largest eigenvalue of Hess log p.

The reverse flow stretches where log p curves upwards, between the modes. For a Gaussian mixture smoothed by N(0, tau^2 I)

    Hess log p = -sum_k r_k C_k^{-1} + Cov_r(C_k^{-1}(mu_k - x)),    C_k = S_k + tau^2 I,

and its supremum over x is the one-sided Lipschitz constant that bounds need. A search finds points where it is large:
a proven lower bound of the supremum at that point, never an upper one. Chapter 4 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..flow.field import Field

_NEAR = 6.0  # the search stays within this many standard deviations of some component, axis by axis


@dataclass(frozen=True, eq=False)
class Curvature:
    """The largest eigenvalue of Hess log p that a search has met, and the point x (d,) where it is reached."""

    value: float
    x: np.ndarray


def curvatures(field: Field, tau: float, x: np.ndarray) -> np.ndarray:
    """Eigenvalues, ascending, of Hess log(p_0 * N(0, tau^2 I)) at x (n, d): shape (n, d)."""
    # The same law in OU coordinates: z = x / rho with rho^2 = 1 + tau^2, where the Hessian is -I - Dv.
    rho2 = 1 + tau**2
    _, gradient = field.velocity_and_gradient(0.5 * math.log1p(tau**2), x / math.sqrt(rho2))
    return (-1 - np.linalg.eigvalsh(gradient)[:, ::-1]) / rho2


def largest_curvature(target, tau: float, *, starts: np.ndarray | None = None, seed: int = 0) -> Curvature:
    """A lower estimate of sup_x lambda_max(Hess log(p_0 * N(0, tau^2 I))) by a seeded search; O(K^2) starts.

    Starts are points between pairs of means, means, and random points; the best are refined by shrinking random steps.
    """
    field = target if isinstance(target, Field) else Field.of(target)
    rng = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=rng, dtype=torch.float64).numpy()
    means = field.means if field.axes is None else np.einsum("ke,kde->kd", field.means, field.axes)
    std = np.sqrt(field.spectra.max(1) + tau**2)
    low, high = (means - _NEAR * std[:, None]).min(0), (means + _NEAR * std[:, None]).max(0)
    i, j = np.triu_indices(len(means), 1)
    if len(i) > 60:
        near = np.argsort(((means[i] - means[j]) ** 2).sum(1))[:: max(1, len(i) // 60)]
        i, j = i[near], j[near]
    share = np.linspace(0.05, 0.95, 19)[:, None, None]
    between = (share * means[i] + (1 - share) * means[j]).reshape(-1, means.shape[1])
    scattered = means[np.arange(64) % len(means)] + 2 * std[np.arange(64) % len(means), None] * draw(64, means.shape[1])
    x = np.concatenate([between, means[:200], scattered] + ([] if starts is None else [starts]))
    value = curvatures(field, tau, x)[:, -1]
    best = np.argsort(-value)[:6]
    x, value, radius = x[best], value[best], float(std.min())
    for _ in range(22):
        trial = np.clip(x[:, None] + radius * draw(len(x), 12, x.shape[1]), low, high)
        trial = np.concatenate([x[:, None], trial], 1)
        found = curvatures(field, tau, trial.reshape(-1, x.shape[1]))[:, -1].reshape(len(x), -1)
        pick = found.argmax(1)
        x, value = trial[np.arange(len(x)), pick], found[np.arange(len(x)), pick]
        radius *= 0.65
    top = int(value.argmax())
    return Curvature(float(value[top]), x[top])
