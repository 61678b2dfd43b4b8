"""Checks of chapter 11."""

import math

import torch

from .. import data, metrics, schedules
from ..experiments import digits
from ..experiments.occupancy import scored
from ..gap import gelbrich
from ..randomness import normal, seeded
from ..score import EmpiricalDenoiser
from ..targets import Empirical
from .verdict import Verdict, compare

__all__ = [
    "samples_needed", "digits_gap", "empirical_denoiser", "sliced_shift", "rebalanced", "stable_cells", "copying_sampler",
]  # fmt: skip


def samples_needed(answer, d: int = 64, distance: float = 1.5) -> Verdict:
    """log n at which sqrt(2 d - 2 sqrt(2 d log n)), the least floor of sample W2, has come down to `distance`."""
    right = (2 * d - distance**2) ** 2 / (8 * d)
    slips = {
        "That is the logarithm to base 10. The bound has the natural one.": right / math.log(10),
        "That is n to base 2, in bits. The bound has the natural logarithm.": right / math.log(2),
        "That is n. The question asks for log n, which fits on a page in any dimension.": math.exp(min(right, 700)),
        "Square the distance: the bound under the root is on W2 squared.": (2 * d - distance) ** 2 / (8 * d),
        "You dropped one square: 2 sqrt(2 d log n) = 2 d - distance^2, and both sides are squared.": (2 * d - distance**2)
        / (8 * d),
        "The factor before the inner root is 2: squared it gives 4, times the 2 d below the root.": (2 * d - distance**2) ** 2
        / (2 * d),
        "That is where the bound reaches 0, log n = d / 2. It has to come down to the distance only.": d / 2,
    }
    praise = f"Right: log n = {right:.1f}, about 1e{right / math.log(10):.0f} samples. It grows like d / 2."
    return compare(answer, right, slips, rtol=1e-3, praise=praise)


def digits_gap(answer, t: float = 400) -> Verdict:
    """The Gaussian part of the digits' prior gap at step t of ddpm_linear(1000)."""
    target, schedule = Empirical(data.load("digits").flat.double()), schedules.ddpm_linear(1000)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    spectrum = torch.linalg.eigvalsh(target.covariance).clamp_min(0)
    noised = alpha**2 * spectrum + sigma**2
    mean, spread = alpha * float(target.mean.norm()), float((noised.sqrt() - 1).norm())
    slips = {
        "That is the mean's part alone. The covariance adds its square.": mean,
        "That is the covariance's part alone. The mean adds its square.": spread,
        "You added the two parts. Their squares add.": mean + spread,
        "That is the square of the gap: take the root.": mean**2 + spread**2,
        "You compared variances. W2 compares standard deviations: sqrt(lambda) - 1.": (mean**2 + float((noised - 1).norm()) ** 2)
        ** 0.5,
        "You forgot to shrink the mean by alpha.": (mean**2 / alpha**2 + spread**2) ** 0.5,
        "That is the gap of the clean digits: diffuse them to t first.": (
            mean**2 / alpha**2 + float((spectrum.sqrt() - 1).norm()) ** 2
        )
        ** 0.5,
    }
    return compare(answer, gelbrich(target, schedule, t), slips)


def empirical_denoiser(answer) -> Verdict:
    """A function (x, points, alpha, sigma) -> E[x_0 | x_t = x] of the uniform law on `points`; x (n, d), points (N, d)."""
    if not callable(answer):
        return Verdict(False, "Expected a function of (x, points, alpha, sigma).")
    schedule, generator = schedules.ddpm_linear(1000), torch.Generator().manual_seed(0)
    points = data.load("digits").flat[:50]
    for t in (200, 20):  # the second is where exponentials underflow
        alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
        x = alpha * points[:7] + sigma * torch.randn(7, 64, generator=generator)
        right = EmpiricalDenoiser(points, schedule)(x, t)
        try:
            came = answer(x, points, alpha, sigma)
        except Exception as error:
            return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
        if not isinstance(came, torch.Tensor) or came.shape != right.shape:
            return Verdict(
                False,
                f"Expected a tensor of shape {tuple(right.shape)}, got {tuple(getattr(came, 'shape', ())) or type(came).__name__}.",
            )
        if bool(torch.isnan(came).any()):
            return Verdict(
                False,
                "NaN at small sigma: every exponential underflowed to 0. Use softmax, which subtracts the largest exponent first.",
            )
        if torch.allclose(came, right, atol=1e-3):
            continue
        for hint, wrong in _denoiser_slips(x, points, alpha, sigma).items():
            if torch.allclose(came, wrong, atol=1e-3):
                return Verdict(False, hint)
        return Verdict(False, f"Not yet: at t = {t} you are off by {float((came - right).abs().max()):.2g} in some pixel.")
    return Verdict(
        True, "Right, and it does not underflow. This is all that a network can learn from 50 images if it fits them perfectly."
    )


def _denoiser_slips(x, points, alpha, sigma) -> dict[str, torch.Tensor]:
    squared = torch.cdist(x, alpha * points).square()
    average = lambda exponents: exponents.softmax(1) @ points
    return {
        "You forgot the factor 1/2 in the exponent.": average(-squared / sigma**2),
        "You divided by sigma. The variance is sigma squared.": average(-squared / (2 * sigma)),
        "You compared x with the clean images. Given image i, x_t is centred at alpha times it.": average(
            -torch.cdist(x, points).square() / (2 * sigma**2)
        ),
        "You used distances. The exponent has squared distances.": average(-torch.cdist(x, alpha * points) / (2 * sigma**2)),
        "You returned the nearest image. The posterior mean is a weighted average of all of them.": points[squared.argmin(1)],
        "You returned alpha times the posterior mean, which is the mean of the signal part of x_t.": alpha
        * average(-squared / (2 * sigma**2)),
    }


def sliced_shift(answer, d: int = 64, shift: float = 1.0) -> Verdict:
    """Sliced W2 (root mean square over directions) between N(0, I_d) and N(m, I_d) with |m| = shift."""
    slips = {
        "That is W2 itself. A random direction sees only a part of the shift.": shift,
        "That is the square, the mean of (theta . m)^2. Take the root.": shift**2 / d,
        "Divide by the root of d, not by d: the squares average.": shift / d,
        "The mean of (theta . m)^2 is |m|^2 / d, without a factor 2.": shift * (2 / d) ** 0.5,
    }
    return compare(answer, shift / d**0.5, {hint: v for hint, v in slips.items() if v != shift / d**0.5})


def rebalanced(heights, points, tolerance: float = 0.1) -> Verdict:
    """Heights (N,) for points (N, d): are the cells of argmax_j <z, y_j> + h_j equally full, on draws of N(0, I) made here?"""
    N, d = points.shape
    if not isinstance(heights, torch.Tensor) or heights.shape != (N,):
        return Verdict(
            False, f"Expected a tensor of {N} heights, got {tuple(getattr(heights, 'shape', ())) or type(heights).__name__}."
        )
    if not bool(torch.isfinite(heights).all()):
        return Verdict(False, "Some heights are not finite. Are the steps too long?")
    points, heights = points.double(), heights.double()
    z = normal((500 * N, d), seeded(20_11), dtype=torch.float64)
    share = lambda h: torch.bincount(scored(z, points, h), minlength=N).double() / len(z)
    found, before = share(heights), share(torch.zeros_like(heights))
    l1, start, floor = (
        float(v) for v in ((found - 1 / N).abs().sum(), (before - 1 / N).abs().sum(), math.sqrt(2 * N / math.pi / len(z)))
    )
    said = f"sum |share - 1/N| = {l1:.3f} on fresh draws (noise alone: {floor:.3f}; heights 0: {start:.3f})"
    if l1 <= tolerance:
        return Verdict(True, f"Right: {said}. The fullest cell holds {float(found.max()) * N:.2f} fair shares.")
    empty = int((found == 0).sum())
    if float(heights.std()) == 0:
        return Verdict(False, f"These heights are all equal, so nothing has moved: {said}.")
    if torch.allclose(
        heights - heights.mean(), -(points.square().sum(1) - points.square().sum(1).mean()) / 2, rtol=1e-3, atol=1e-3
    ):
        return Verdict(False, f"Those are the cells of the nearest atom: {said}. They know nothing of the masses.")
    if l1 > start:
        return Verdict(
            False,
            f"{said}: worse than no heights at all, and {empty} cells are empty. Is a cell that is too full lowered? "
            "Are the steps too long?",
        )
    return Verdict(False, f"{said}, above {tolerance:g}. More steps, shorter towards the end, with fresh draws in each.")


def stable_cells(answer) -> Verdict:
    """A function (z (n, d), points (N, d), heights (N,)) -> cells (n,) whose answers survive float32 far from the origin."""
    if not callable(answer):
        return Verdict(False, "Expected a function of (z, points, heights).")
    generator = seeded(12)
    near = data.load("digits").flat[:300] + 0.3 * normal((300, 64), generator)
    z, heights = normal((20_000, 64), generator), -4 * near.norm(dim=1)
    for offset in (0.0, 10_000.0):
        points = near + offset
        right = scored(z.double(), points.double(), heights.double())
        try:
            came = answer(z.clone(), points.clone(), heights.clone())
        except Exception as error:
            return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
        if not isinstance(came, torch.Tensor) or came.shape != (len(z),) or came.is_floating_point():
            return Verdict(
                False, f"Expected {len(z)} whole numbers, got {tuple(getattr(came, 'shape', ())) or type(came).__name__}."
            )
        wrong = float((came != right).double().mean())
        if wrong <= 1e-4:
            continue
        slips = {
            "The scores lack the heights.": scored(z, points - offset, torch.zeros_like(heights)),
            "That is the nearest atom, whatever the heights say.": scored(
                z, points - offset, -(points - offset).square().sum(1) / 2
            ),
            "You took the lowest score.": (z @ (points - offset).T + heights).argmin(1),
        }
        for hint, slip in slips.items():
            if float((came != slip).double().mean()) < 1e-3:
                return Verdict(False, hint)
        if offset == 0:
            return Verdict(False, f"{wrong:.1%} of the cells are wrong before anything is moved. The score is <z, y_j> + h_j.")
        return Verdict(
            False,
            f"{wrong:.2%} of the cells change when all atoms move by {offset:,.0f}. <z, c> is the same number for every atom, "
            "and it is large. Take it out first.",
        )
    return Verdict(True, "Right: what all scores share is taken out before the digits are spent on it.")


def copying_sampler(answer, n: int = 400) -> Verdict:
    """A function (train, n, generator) -> n images without any model whose sliced W2 to held-out digits is at its floor."""
    if not callable(answer):
        return Verdict(False, "Expected a function of (train, n, generator) that returns n images, shape (n, 64).")
    w = digits.world(0)
    images = answer(w.train, n, torch.Generator().manual_seed(0))
    if not isinstance(images, torch.Tensor) or images.shape != (n, 64):
        return Verdict(False, f"Expected a tensor of shape ({n}, 64), got {getattr(images, 'shape', type(images).__name__)}.")
    sliced = metrics.sliced_w2(images, w.test[:n], projections=100, repeats=3)
    near = metrics.memorisation(images, w.train, w.test)
    said = f"sliced W2 {sliced.value:.3f} (floor {sliced.floor:.3f}), memorisation share {near.value:.2f}"
    if near.to_test < 1e-6:
        return Verdict(False, f"These are held-out digits: {said}. You may only look at `train`.")
    distinct = len(torch.unique(images, dim=0))
    if sliced.value > 1.25 * sliced.floor:
        if distinct < n // 2:
            return Verdict(False, f"Only {distinct} different images: {said}. A few digits are not a law. Use more of them.")
        if near.to_train > near.test_to_train:
            return Verdict(
                False,
                f"{said}. Your images are farther from every digit than digits are from each other. Is there a simpler source of real digits?",
            )
        return Verdict(False, f"{said}. That is still above the floor.")
    if near.value < 0.9:
        return Verdict(False, f"{said}. Good numbers, and no copies: then it is a model. The exercise asks for the opposite.")
    return Verdict(True, f"Right: {said}. The distance is at its floor, and not one image is new.")
