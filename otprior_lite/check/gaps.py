"""Checks of chapter 3."""

import math

import torch

from .. import gap, schedules
from ..discrete import assignment_cost
from ..randomness import normal, seeded
from ..targets import GaussianMixture
from .verdict import Verdict, compare

__all__ = ["gaussian_gap", "point_kl", "standardised_yet_far", "sample_floor", "talagrand_loose"]

_OU = schedules.ou(4.0)


def gaussian_gap(answer, mean=(0.6, -0.8), variances=(4.0, 0.25)) -> Verdict:
    """W2 between N(mean, diag(variances)) and N(0, I)."""
    m, v = torch.tensor(mean, dtype=torch.float64), torch.tensor(variances, dtype=torch.float64)
    shift, stds = float(m @ m), v.sqrt()
    right = math.sqrt(shift + float((stds - 1).square().sum()))
    slips = {
        "That is the square. Take its root.": right**2,
        "You compared variances. Compare standard deviations: (sqrt(v) - 1)^2.": math.sqrt(shift + float((v - 1).square().sum())),
        "The mean is missing: its square is added.": float((stds - 1).norm()),
        "Only the mean is there. The spread differs, too.": math.sqrt(shift),
        "You added the parts. Their squares add, not they.": math.sqrt(shift) + float((stds - 1).norm()),
        "You averaged over the axes. Squares of all axes add up.": right / math.sqrt(len(mean)),
        "That is KL, not W2.": float(0.5 * (shift + (v - 1 - v.log()).sum())),
    }
    return compare(answer, right, slips)


def point_kl(answer, squared_norm: float = 9.0, d: int = 3, T: float = 1.0) -> Verdict:
    """KL(p_T || N(0, I)) for data that are one point with |x|^2 = squared_norm in R^d, after OU time T."""
    if answer == math.inf:
        return Verdict(False, "At time 0 the KL is infinite. After time T the point has become a Gaussian.")
    signal = math.exp(-2 * T) * squared_norm
    variance = -math.expm1(-2 * T)
    excess = variance - 1 - math.log(variance)
    right = 0.5 * (signal + d * excess)
    slips = {
        "You forgot the factor 1/2.": 2 * right,
        "You counted one dimension. The variance differs from 1 in each.": 0.5 * (signal + excess),
        "Only the mean is there. The variance is 1 - e^{-2T}, not 1.": 0.5 * signal,
        "Only the variance is there. The mean is e^{-T} x.": 0.5 * d * excess,
        "The mean is e^{-T} x, so its square carries e^{-2T}.": 0.5 * (math.exp(-T) * squared_norm + d * excess),
        "You used sigma where sigma^2 belongs.": 0.5 * (signal + d * (math.sqrt(variance) - 1 - 0.5 * math.log(variance))),
        "The sign of the logarithm is wrong: KL has minus the log.": 0.5 * (signal + d * (excess + 2 * math.log(variance))),
        "That is KL the other way round, KL(N(0, I) || p_T).": 0.5 * ((signal + d) / variance - d + d * math.log(variance)),
    }  # fmt: skip
    return compare(answer, right, slips)


def standardised_yet_far(law, T: float = 0.5, at_least: float = 0.2) -> Verdict:
    """A law in the plane, each feature with mean 0 and variance 1, whose covariance part after OU time T is at_least large."""
    if not isinstance(law, GaussianMixture) or law.d != 2:
        return Verdict(False, "Expected a GaussianMixture in the plane.")
    if float(law.mean.abs().max()) > 1e-6:
        return Verdict(False, f"The features have means {law.mean.tolist()}. Standardised features have mean 0.")
    variances = law.covariance.diagonal()
    if float((variances - 1).abs().max()) > 1e-6:
        return Verdict(False, f"The features have variances {variances.tolist()}. Standardised features have variance 1.")
    found = gap.gelbrich(law, _OU, T)
    if found < 1e-9:
        return Verdict(False, "The covariance is I: no covariance part at all. Which entry of it is still free?")
    if found < at_least:
        return Verdict(False, f"The covariance part is {found:.3g}, not yet {at_least:g}. Correlate the features more.")
    return Verdict(
        True, f"Right: each feature is standardised, and the covariance part is {found:.3g}. Whitening would remove it."
    )


def sample_floor(answer, n: int = 150, d: int = 3) -> Verdict:
    """A function (n, d, generator) -> mean sample W2 between two samples of N(0, I_d) of size n, over several draws."""
    if not callable(answer):
        return Verdict(False, f"Expected a function of (n, d, generator), got {type(answer).__name__}.")
    try:
        value = float(answer(n, d, seeded(5)))
    except Exception as error:  # the reader's code may fail in any way
        return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
    squares, generator = [], seeded(6)
    for _ in range(20):
        x, y = (normal((n, d), generator, dtype=torch.float64) for _ in range(2))
        in_order, axis_by_axis = (x - y, x.sort(0).values - y.sort(0).values)
        squares.append((assignment_cost(x, y), *(float(v.square().sum(1).mean()) for v in (in_order, axis_by_axis))))
    roots = torch.tensor(squares, dtype=torch.float64).sqrt()
    right, unpaired, axis_by_axis = roots.mean(0).tolist()
    slips = {
        "You returned W2 squared: take the root.": right**2,
        "You paired the points in list order. Find the best matching.": unpaired,
        "You sorted each coordinate on its own. That pairs different points in different axes.": axis_by_axis,
    }
    praise = f"Right: about {right:.2f} with {n} points in {d} dimensions, and nothing to find."
    verdict = compare(value, right, slips, rtol=0.06, praise=praise)
    if not verdict and value == 0:
        return Verdict(False, "Zero: did you compare a sample with itself? Draw two.")
    return verdict


def talagrand_loose(law, factor: float = 10.0) -> Verdict:
    """A GaussianMixture on the line, as p_T, with sqrt(2 KL) at least `factor` times W2 to N(0, 1)."""
    if not isinstance(law, GaussianMixture) or law.d != 1:
        return Verdict(False, "Expected a GaussianMixture in one dimension.")
    w2 = gap.prior_gap(law, _OU, 0.0).total.value
    if w2 < 1e-9:
        return Verdict(False, "That is N(0, 1) itself: 0 over 0.")
    ratio = gap.talagrand(law, _OU, 0.0) / w2
    if ratio >= factor:
        return Verdict(True, f"Right: sqrt(2 KL) is {ratio:.3g} times W2 = {w2:.3g}.")
    if len(law.weights) == 1:
        hint = "One bump needs an absurd width. KL counts how uneven the density is, W2 how far mass must go: use many bumps."
    else:
        hint = "Same places, narrower bumps: KL grows and W2 hardly moves. Or more bumps: W2 shrinks."
    return Verdict(False, f"The ratio is {ratio:.3g}. {hint}")
