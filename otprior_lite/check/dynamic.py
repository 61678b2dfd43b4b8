"""Checks of chapter 9."""

import math

import torch

from ..experiments.dynamic import through_noise
from ..linalg import check_spd
from ..randomness import normal, seeded
from ..transport import gaussian_map
from .verdict import Verdict, compare, returned

__all__ = ["flow_stretch", "detour", "curl", "antisymmetry_slope"]


def flow_stretch(answer, variance: float = 4.0, t: float = math.log(2)) -> Verdict:
    """Derivative of the OU probability flow from time 0 to t, for data N(0, variance) in one dimension."""
    a2 = math.exp(-2 * t)
    later = a2 * variance + 1 - a2
    right = math.sqrt(later / variance)
    slips = {
        "That is the ratio of the variances. A map scales standard deviations: take the root.": later / variance,
        "That is the way back, from t to 0. The question goes from 0 to t.": 1 / right,
        "That is e^{-t}, the drift alone. The noise adds 1 - e^{-2t} to the variance.": math.exp(-t),
        "That is the standard deviation at time t. Divide by the one at time 0.": math.sqrt(later),
        "That is the map to t = infinity. Stop at t.": 1 / math.sqrt(variance),
        "You used e^{-t} where the variance needs e^{-2t}.": math.sqrt((math.exp(-t) * variance + 1 - math.exp(-t)) / variance),
    }
    return compare(answer, right, slips)


def detour(S1, S2) -> Verdict:
    """Covariances (2, 2) for which the detour N(0, S1) -> N(0, I) -> N(0, S2) costs at least 5 % more than the optimal map."""
    try:
        S1, S2 = (torch.as_tensor(v, dtype=torch.float64) for v in (S1, S2))
    except (TypeError, ValueError) as error:
        return Verdict(False, f"Expected two 2 x 2 matrices: {error}")
    if S1.shape != (2, 2) or S2.shape != (2, 2):
        return Verdict(False, f"Expected two 2 x 2 matrices, got shapes {tuple(S1.shape)} and {tuple(S2.shape)}.")
    try:
        check_spd(S1, "S1")
        check_spd(S2, "S2")
    except ValueError as error:
        return Verdict(False, f"{error}: a covariance is symmetric and positive definite.")
    if float((S1 @ S2 - S2 @ S1).abs().max()) < 1e-9 * float(S1.abs().max() * S2.abs().max()):
        return Verdict(False, "S1 and S2 commute, so the detour is optimal. Turn the axes of one against the other.")
    zero, cost = torch.zeros(2, dtype=torch.float64), lambda M: float(torch.trace((M - torch.eye(2)) @ S1 @ (M - torch.eye(2)).T))
    longer, best = cost(through_noise(S1, S2)), cost(gaussian_map(zero, S1, zero, S2).matrix)
    excess = longer / best - 1
    if excess < 0.05:
        only = f"the detour costs only {100 * excess:.2g} % more"
        return Verdict(False, f"They do not commute, but {only}. Make both longer and turn them further.")
    return Verdict(True, f"Right: optimal {best:.3f}, through the noise {longer:.3f}, {100 * excess:.0f} % more.")


def curl(answer) -> Verdict:
    """A function (f, x, h) -> A_12 of the map f at points x (n, 2) by central differences with step h, shape (n,)."""
    x = normal((5, 2), seeded(3), dtype=torch.float64)
    shear = lambda v: torch.stack([v[:, 0] + v[:, 1] ** 3, v[:, 1] + 0.5 * v[:, 0]], 1)
    right = (3 * x[:, 1] ** 2 - 0.5) / 2
    found = returned(answer, (shear, x.clone(), 1e-3), (5,))
    if isinstance(found, Verdict):
        return found
    near = lambda other, tolerance=1e-5: bool(((found - other).abs() < tolerance).all())
    if near(right):
        return Verdict(True, "Right: for (x1 + x2^3, x2 + x1/2) it is (3 x2^2 - 1/2)/2.")
    if near(-right):
        return Verdict(False, "The sign is turned: A_12 is (d f_1 / d x_2 - d f_2 / d x_1) / 2.")
    if near(2 * right) or near(-2 * right):
        return Verdict(False, "That is the curl. The antisymmetric part has half of it: A = (J - J^T)/2.")
    if near(right + 0.5):
        return Verdict(False, "That is the symmetric part, (J_12 + J_21)/2.")
    if near(right, 0.02):
        return Verdict(False, "Close, with an error of order h: use (f(x + h e) - f(x - h e)) / (2h).")
    if near(2 * right, 0.04) or near(4 * right, 0.04):
        return Verdict(False, "Too large by a constant factor: a central difference divides by 2h, and A has the factor 1/2.")
    return Verdict(False, "Not yet. Move the points by h along one axis at a time and keep all rows of x.")


_SLOPES = {
    "three atoms": (-5.0, "kappa_3 is there: the first term decides"),
    "four atoms": (-6.0, "kappa_3 = 0 by symmetry, the second term decides"),
    "triangle": (-7.0, "both brackets vanish, and the pair (3, 4) comes with e^{-7T}"),
    "two atoms": (-math.inf, "two atoms are collinear, the part is exactly zero"),
}


def antisymmetry_slope(answer, law: str = "four atoms") -> Verdict:
    """Slope of log rms A_12 against T at late T. law: "three atoms", "four atoms", "triangle" (equilateral) or "two atoms"."""
    if law not in _SLOPES:
        return Verdict(False, f"law: expected one of {', '.join(_SLOPES)}, got {law!r}.")
    right, why = _SLOPES[law]
    if right == -math.inf:
        zero = answer in (-math.inf, None)
        hint = "Look at where the atoms lie. Answer -inf for a part that is exactly zero."
        return Verdict(zero, f"Right: {why}." if zero else hint)
    slips = {
        "The size falls as T grows: the slope is negative.": -right,
        "That is how fast the map tends to the identity. Its antisymmetric part is much smaller.": -2.0,
        "That is the slope with a third cumulant. Is kappa_3 there, and does it matter?": -5.0,
        "That is the slope of the second term. Is its bracket [Sigma - I, .] zero?": -6.0,
        "That is the third-cumulant wave alone. The bracket needs two waves: their exponents add.": -3.0,
        "That is the fourth-cumulant wave alone. The bracket needs two waves: their exponents add.": -4.0,
        "That pair of waves commutes here, or a slower pair does not.": -8.0,
    }
    slips = {hint: value for hint, value in slips.items() if value != right}
    return compare(answer, right, slips, praise=f"Right: {why}.")
