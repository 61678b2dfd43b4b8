"""Checks of chapter 5."""

import math

import torch

from .. import schedules, targets
from ..experiments.free_fix import laws
from ..forward import marginal
from ..gap import hermite_asymptotics, moment_matched_gap, prior_gap
from ..linalg import power
from ..targets import GaussianMixture
from .verdict import Verdict, compare

__all__ = ["offset_gap", "affine_start", "nothing_to_win", "enough_points", "moments_from_points"]


def offset_gap(answer, eta: float = 0.1, pixels: int = 4096) -> Verdict:
    """W2 from N(0, I) to offset noise eps + eta xi (1, ..., 1) on one channel of `pixels` pixels."""
    variance = 1 + eta**2 * pixels
    slips = {
        "That is the extra variance along the constant direction. W2 compares standard deviations.": variance - 1,
        "That is the variance along the constant direction: take the root, then subtract the prior's 1.": variance,
        "That is the standard deviation along the constant direction: subtract the prior's 1.": math.sqrt(variance),
        "That is the offset alone. The ordinary noise along that direction adds its variance 1.": math.sqrt(variance - 1) - 1,
        "One pixel at a time the change is tiny. All pixels share xi: use the unit vector (1, ..., 1)/sqrt(P).": math.sqrt(
            1 + eta**2
        )
        - 1,
        "You added the change of every single pixel. All pixels share xi: only one direction changes.": math.sqrt(pixels)
        * (math.sqrt(1 + eta**2) - 1),
    }
    return compare(answer, math.sqrt(variance) - 1, slips)


def affine_start(matrix, shift) -> Verdict:
    """The optimal map z -> matrix z + shift from N(0, I) to N(m_T, Sigma_T) of `two_modes` at OU time 0.5."""
    target, clock = targets.toy("two_modes"), schedules.ou(0.5)
    law = marginal(target, clock, 0.5)
    try:
        A, b = (torch.as_tensor(value, dtype=torch.float64) for value in (matrix, shift))
    except (TypeError, ValueError, RuntimeError):
        return Verdict(False, "Expected a 2 x 2 matrix and a vector of 2 numbers.")
    if A.shape != (2, 2) or b.shape != (2,):
        return Verdict(False, f"Expected shapes (2, 2) and (2,), got {tuple(A.shape)} and {tuple(b.shape)}.")
    near = lambda x, y: torch.allclose(x, y, rtol=1e-3, atol=1e-4)
    if near(b, target.mean):
        return Verdict(False, "Your shift is the mean of the data. That of p_T is alpha times as long.")
    if not near(b, law.mean):
        return Verdict(False, "The shift should be the mean of p_T: z = 0 goes there.")
    if near(A, law.covariance):
        return Verdict(False, "Your matrix is Sigma_T. A z then has covariance Sigma_T squared: take the root.")
    if near(A, power(target.covariance, 0.5)):
        return Verdict(False, "That is the root of the data's covariance. Diffuse it first: alpha^2 Sigma + sigma^2 I.")
    if near(A, law.covariance.diagonal().sqrt().diag()):
        return Verdict(False, "You scaled each axis on its own. Sigma_T is not diagonal.")
    if not near(A @ A.T, law.covariance):
        return Verdict(False, "A A^T is not Sigma_T, so A z + shift does not have the covariance of p_T.")
    if not near(A, A.T):
        return Verdict(False, "The law is right, the map is not optimal: its matrix is not symmetric, so it is no gradient.")
    if bool((torch.linalg.eigvalsh(A) < 0).any()):
        return Verdict(False, "Symmetric, and a root. But a negative eigenvalue flips an axis: the quadratic is not convex.")
    return Verdict(True, "Right: symmetric, positive, and A A = Sigma_T.")


def nothing_to_win(law) -> Verdict:
    """A law of the line that is not Gaussian and whose gap at OU time 1 the affine prior does not reduce at all."""
    if not isinstance(law, GaussianMixture) or law.d != 1:
        return Verdict(False, "Expected a one-dimensional targets.GaussianMixture.")
    mean, variance = float(law.mean), float(law.covariance)
    if abs(mean) > 1e-6:
        return Verdict(False, f"Its mean is {mean:.3g}: the shift wins that part of the gap.")
    if abs(variance - 1) > 1e-6:
        change = (
            "shrinks"
            if moment_matched_gap(law, schedules.ou(1.0)).value < prior_gap(law, schedules.ou(1.0)).total.value
            else "grows"
        )
        return Verdict(False, f"Its variance is {variance:.3g}, so the scale changes the gap: here it {change}.")
    clock = schedules.ou(1.0)
    if moment_matched_gap(law, clock).value < 1e-9:
        return Verdict(False, "There is no gap at all: this law is N(0, 1). Take one that is not Gaussian.")
    order = hermite_asymptotics(law, clock).order
    tail = f"the first cumulant that is left has order {order}" if order else "its first four cumulants are Gaussian"
    return Verdict(True, f"Right: mean 0, variance 1, gap {moment_matched_gap(law, clock).value:.3g}; {tail}.")


def enough_points(answer) -> Verdict:
    """Points after which the fitted mean of the skewed law at OU time 1 errs less (root mean square) than what the fix leaves."""
    law, clock = laws()["skewed"], schedules.ou(1.0)
    alpha, left = float(clock.alpha(1.0)), moment_matched_gap(law, clock).value
    variance = float(law.covariance)
    right = alpha**2 * variance / left**2
    slips = {
        "That is for the mean of the data. The mean of p_T is alpha times that, and its error too.": variance / left**2,
        "You scaled the variance by alpha. It scales by alpha squared.": alpha * variance / left**2,
        "You used the variance of p_T. The noise is not estimated: sigma is known.": float(marginal(law, clock, 1.0).covariance)
        / left**2,
        "You used the standard deviation: the square of the error is variance / n.": alpha * variance**0.5 / left,
        "You compared with the gap of N(0, 1). The question is what the free fix leaves.": alpha**2
        * variance
        / prior_gap(law, clock).total.value ** 2,
    }
    praise = f"Right: {math.ceil(right)} points. After that more data do not help; a better shape would."
    if isinstance(answer, int) and answer == math.ceil(right):
        return Verdict(True, praise)
    return compare(answer, right, slips, rtol=1.5 / right, praise=praise)


def moments_from_points(fit) -> Verdict:
    """A function (points, alpha, sigma) -> (mean, covariance) of p_T that is right and never singular, even for one point."""
    if not callable(fit):
        return Verdict(False, f"Expected a function of (points, alpha, sigma), got {type(fit).__name__}.")
    generator = torch.Generator().manual_seed(0)
    alpha, sigma = 0.6, 0.8
    for n, d in ((400, 3), (5, 8), (1, 4)):
        points = 0.5 + torch.randn(n, d, generator=generator, dtype=torch.float64)
        try:
            mean, S = (torch.as_tensor(value, dtype=torch.float64) for value in fit(points, alpha, sigma))
        except Exception as error:  # the reader's code may fail in any way
            return Verdict(False, f"With {n} points in {d} dimensions your function raised {type(error).__name__}: {error}")
        if mean.shape != (d,) or S.shape != (d, d):
            return Verdict(False, f"Expected shapes ({d},) and ({d}, {d}), got {tuple(mean.shape)} and {tuple(S.shape)}.")
        if not bool(S.isfinite().all()):
            return Verdict(False, f"With {n} point the covariance is not finite: something divides by n - 1 = 0.")
        if not torch.allclose(mean, alpha * points.mean(0), atol=1e-6):
            return Verdict(False, "The mean should be alpha times the mean of the points, without fresh noise.")
        centred = points - points.mean(0)
        spread = alpha**2 * centred.T @ centred
        if float(torch.linalg.eigvalsh(S)[0]) < 1e-6:
            return Verdict(
                False,
                f"With {n} points in {d} dimensions it is singular. The noise part is known: add sigma^2 I, do not sample it.",
            )
        biased, unbiased = (spread / m + sigma**2 * torch.eye(d) for m in (n, max(1, n - 1)))
        if not (torch.allclose(S, biased, atol=1e-6) or torch.allclose(S, unbiased, atol=1e-6)):
            return Verdict(
                False, "Not the covariance of p_T: alpha^2 times that of the points, plus sigma^2 I, and no other ridge."
            )
    return Verdict(True, "Right: no noise was sampled, and sigma^2 I keeps every direction open.")
