"""Checks of chapter 2."""

import math

import torch

from .. import gap, schedules
from ..targets import GaussianMixture
from .verdict import Verdict, compare, returned

__all__ = ["terminal_log_snr", "ou_time", "rescale", "vp_to_ve", "snr_is_not_the_gap"]


def terminal_log_snr(answer, beta_min: float = 0.1, beta_max: float = 20.0) -> Verdict:
    """The log-SNR at t = 1 of the VP schedule whose beta runs linearly from beta_min to beta_max."""
    schedule = schedules.vp(beta_min, beta_max)
    right = float(schedule.log_snr(1.0))
    slips = {
        "That is log(alpha / sigma). The SNR is a ratio of variances: square it first.": right / 2,
        "The sign is wrong: at t = 1 there is less signal than noise, so the logarithm is negative.": -right,
        "That is a base-10 logarithm. The book's lambda is a natural one.": right / math.log(10),
        "That is the SNR itself. Take its logarithm.": float(schedule.snr(1.0)),
        "That is alpha_T. The question asks for log(alpha^2 / sigma^2).": float(schedule.alpha(1.0)),
        "You used beta(1) for the whole time. Integrate beta over [0, 1]: it is the mean of its two ends.": -beta_max,
        "The integral of beta is the mean of its ends: (beta_min + beta_max)/2, plus and not minus.": -(beta_max - beta_min) / 2,
    }
    return compare(answer, right, slips)


def ou_time(answer, log_snr: float = -2.0) -> Verdict:
    """The length T of the Ornstein-Uhlenbeck process whose terminal log-SNR is log_snr."""
    right = float(schedules.ou(50.0).t_of_log_snr(log_snr))
    slips = {
        "You took sigma = 1. At this SNR sigma^2 = 1 - e^{-2T} is clearly below 1.": -log_snr / 2,
        "You lost a factor 2: alpha = e^{-T}, so the SNR has e^{-2T}.": 2 * right,
        "You lost a factor 2 and took sigma = 1. The SNR is e^{-2T} / (1 - e^{-2T}).": -log_snr,
        "That is a base-10 logarithm.": right / math.log(10),
        "That time has the opposite log-SNR. Check the sign: a longer process has a smaller SNR.": float(
            schedules.ou(50.0).t_of_log_snr(-log_snr)
        ),
        "You used sigma instead of sigma^2: solve alpha^2 / sigma^2 = SNR.": _bisect(
            lambda t: 2 * float(schedules.ou(50.0).alpha(t).log()) - float(schedules.ou(50.0).sigma(t).log()) - log_snr
        ),
        "That is the SNR, not the time.": math.exp(log_snr),
    }
    return compare(answer, right, slips)


def rescale(answer) -> Verdict:
    """A function alphas_bar (n,) -> alphas_bar (n,) that gives a discrete schedule zero terminal SNR."""
    for schedule in (schedules.scaled_linear(12, 0.01, 0.4), schedules.ddpm_linear(40, 2e-3, 0.1)):
        steps = torch.arange(1, int(schedule.T) + 1, dtype=torch.float64)
        bar = schedule.alpha(steps) ** 2
        right = schedules.zero_terminal_snr(schedule).alpha(steps) ** 2
        verdict = _compare_tensors(answer, (bar.clone(),), right, _rescaling_slips(bar))
        if not verdict:
            return verdict
    return Verdict(True, "Right: no signal at the end, and the first step is as it was.")


def _rescaling_slips(bar: torch.Tensor) -> dict[str, torch.Tensor]:
    """hint -> the alphas_bar that a known slip returns."""
    root = bar.sqrt()
    right = (root - root[-1]) * root[0] / (root[0] - root[-1])
    before_last = (root - root[-2]) * root[0] / (root[0] - root[-2])
    return {
        "You rescaled alphas_bar. The shift and the scale act on its root, alpha.": (bar - bar[-1]) * bar[0] / (bar[0] - bar[-1]),
        "That is alpha. Square it: the function returns alphas_bar.": right,
        "You shifted but did not scale back: the first step must keep its alpha.": (root - root[-1]).square(),
        "Your first step became 1: multiply by the old first alpha.": ((root - root[-1]) / (root[0] - root[-1])).square(),
        "You only set the last step to zero. That leaves a jump; shift and scale every step.": torch.cat([bar[:-1], bar[:1] * 0]),
        "You subtracted the alpha of step n - 1, not of step n.": before_last.square(),
        "Those are betas. The function returns alphas_bar, their cumulative product.": 1 - right.square() / torch.cat([bar[:1] * 0 + 1, right[:-1].square()]),
        "You returned what came in.": bar,
    }  # fmt: skip


def vp_to_ve(answer) -> Verdict:
    """A function (x, alpha, sigma) -> (y, s) that turns x = alpha x_0 + sigma eps into y = x_0 + s eps."""
    if not callable(answer):
        return Verdict(False, f"Expected a function, got {type(answer).__name__}.")
    x = torch.tensor([[0.3, -1.2], [2.0, 0.7]], dtype=torch.float64)
    schedule = schedules.vp()
    for t in (0.35, 0.8):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        right, slips = (x / alpha, sigma / alpha), {
            "s is still sigma. Dividing x by alpha divides its noise by alpha, too.": (x / alpha, sigma),
            "You gave the variance (sigma/alpha)^2. s is a standard deviation.": (x / alpha, (sigma / alpha) ** 2),
            "s = 1/alpha is the VP prior seen in VE units. The noise in x_t has standard deviation sigma, not 1.": (x / alpha, 1 / alpha),
            "You multiplied by alpha. To bring the coefficient of x_0 to 1, divide.": (x * alpha, sigma * alpha),
            "You divided by alpha^2. The coefficient of x_0 is alpha.": (x / alpha**2, sigma / alpha**2),
            "You divided by sigma. That makes the noise standard, not the signal.": (x / sigma, alpha / sigma),
            "s is right, x is not divided by alpha yet.": (x, sigma / alpha),
        }  # fmt: skip
        flat = {hint: _flat(pair) for hint, pair in slips.items()}
        verdict = _compare_tensors(lambda *a: _flat(answer(*a)), (x.clone(), alpha, sigma), _flat(right), flat)  # noqa: B023
        if not verdict:
            return verdict
    return Verdict(True, "Right: one division turns the one channel into the other.")


def snr_is_not_the_gap(loud: GaussianMixture, quiet: GaussianMixture) -> Verdict:
    """Two laws: `loud` has a gap above 1 at a tiny terminal SNR, `quiet` none at a large one.

    loud goes through ddpm_linear(1000), quiet through ddpm_linear(50). Both are mixtures in one dimension.
    """
    for name, law in (("loud", loud), ("quiet", quiet)):
        if not isinstance(law, GaussianMixture) or law.d != 1:
            return Verdict(False, f"{name}: expected a GaussianMixture in one dimension.")
    long, short = schedules.ddpm_linear(1000), schedules.ddpm_linear(50)
    loudness, quietness = gap.gelbrich(loud, long, long.T), gap.prior_gap(quiet, short).total.value
    if loudness <= 1:
        alpha = float(long.alpha(long.T))
        return Verdict(
            False,
            f"loud: its gap is at least {loudness:.3g}, not above 1. The mean arrives times {alpha:.2g}: how far out must it sit?",
        )
    if quietness < 1e-6:
        return Verdict(True, f"Right: gaps {loudness:.2g} and {quietness:.1g}, with the small SNR on the loud side.")
    if abs(float(quiet.mean)) > 1e-6:
        return Verdict(False, f"quiet: its mean is {float(quiet.mean):.3g}. A shifted law arrives shifted; the prior is centred.")
    if abs(float(quiet.covariance) - 1) > 1e-6:
        return Verdict(
            False, f"quiet: its variance is {float(quiet.covariance):.3g}. Which variance v solves alpha^2 v + sigma^2 = 1?"
        )
    return Verdict(False, f"quiet: mean and variance are right, yet the gap is {quietness:.2g}. What is left is the shape.")


def _flat(pair) -> torch.Tensor:
    """(y, s) as one vector; anything else raises what `_compare_tensors` reports."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError("expected a pair (y, s)")
    y, s = pair
    return torch.cat([torch.as_tensor(y, dtype=torch.float64).reshape(-1), torch.as_tensor(s, dtype=torch.float64).reshape(-1)])


def _compare_tensors(function, arguments: tuple, right: torch.Tensor, slips: dict[str, torch.Tensor]) -> Verdict:
    """Call the reader's function and compare what it returns with the right tensor and with those of known slips."""
    value = returned(function, arguments, right.shape)
    if isinstance(value, Verdict):
        return value
    if bool(value.isnan().any()):
        return Verdict(False, "There is a NaN: look for 0/0 or the root of a negative number.")
    near = lambda other: torch.allclose(value, other, rtol=1e-6, atol=1e-9)
    if near(right):
        return Verdict(True, "Right.")
    for hint, wrong in slips.items():
        if near(wrong):
            return Verdict(False, hint)
    worst = int((value - right).abs().argmax())
    return Verdict(
        False, f"Not yet: entry {worst} is {float(value.reshape(-1)[worst]):.6g}, expected {float(right.reshape(-1)[worst]):.6g}."
    )


def _bisect(decreasing, low: float = 1e-9, high: float = 40.0) -> float:
    """The zero of a decreasing function."""
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if decreasing(middle) > 0 else (low, middle)
    return (low + high) / 2
