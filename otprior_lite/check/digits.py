"""Checks of chapter 11."""

import torch

from .. import data, metrics, schedules
from ..experiments import digits
from ..gap import gelbrich
from ..score import EmpiricalDenoiser
from ..targets import Empirical
from .verdict import Verdict, compare

__all__ = ["narrow_components", "digits_gap", "empirical_denoiser", "sliced_shift", "copying_sampler"]


def narrow_components(answer) -> Verdict:
    """How many of the 64 principal components of p_t are narrower than N(0, I) at t = 400 of ddpm_linear(1000)."""
    spectrum = digits.gaps(times=(400,), n=2).spectrum
    right = int((spectrum < 1).sum())
    slips = {
        "That is the number of components that are too wide. The question asks for the narrow ones.": len(spectrum) - right,
        "You kept grey levels from 0 to 16. Here they run from -1 to 1, so variances are 64 times smaller.": int(
            (spectrum * 64 < 1).sum()
        ),
        "All of them? Look at the first few components: alpha^2 lambda + sigma^2 exceeds 1 exactly where lambda does.": len(
            spectrum
        ),
        "You compared alpha^2 lambda with sigma^2. Add them, and compare with 1.": int(
            (spectrum * float(schedules.ddpm_linear(1000).snr(400)) < 1).sum()
        ),
    }
    return compare(answer, right, {hint: wrong for hint, wrong in slips.items() if wrong != right}, rtol=1e-9)


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
