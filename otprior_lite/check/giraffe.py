"""Checks of chapter 1."""

import torch

from .. import schedules, targets
from ..experiments import league
from ..forward import marginal
from ..gap import gelbrich
from ..samplers import sample
from ..score import ExactDenoiser
from .verdict import Verdict, compare

__all__ = ["worst_default", "signal_kept", "start_law", "giraffe_gap", "exact_start"]


def signal_kept(answer, n: int = 50) -> Verdict:
    """alpha_T of DDPM's linear betas (1e-4 to 0.02) in n steps."""
    schedule = schedules.ddpm_linear(n)
    alpha = float(schedule.alpha(n))
    slips = {
        "That is alpha_T squared. The signal is multiplied by alpha_T, its root.": alpha**2,
        "That is sigma_T, the share of noise.": float(schedule.sigma(n)),
        "That is the SNR. The question asks for alpha_T.": float(schedule.snr(n)),
        "You used n - 1 of the n steps.": float(schedule.alpha(n - 1)),
        "You used the last beta alone: multiply (1 - beta) over all steps, then take the root.": 0.98**0.5,
        "You multiplied the betas by n without the product: 1 - sum(beta) is only its first-order term.": max(
            0.0, 1 - float(schedule.betas.sum())
        ),
    }
    return compare(answer, alpha, slips)


def worst_default(answer: str) -> Verdict:
    """The row of the league table that leaves the largest prior gap for the giraffe."""
    rows = sorted(league.table(), key=lambda row: -row.gap)
    names = [row.where for row in rows]
    found = [name for name in names if str(answer).strip().lower() in name.lower()]
    if len(found) != 1:
        return Verdict(False, f"Name one row of the table: {'; '.join(names)}.")
    rank = names.index(found[0]) + 1
    if rank == 1:
        return Verdict(True, f"Right: its gap is {rows[0].gap:.2f}.")
    return Verdict(
        False,
        f"That one is number {rank} of {len(names)} by gap. Which row keeps the most signal, and whose data spread is far from 1?",
    )


def start_law(answer) -> Verdict:
    """The covariance matrix that x_T of the giraffe has under ddpm_linear(50)."""
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(50)
    right = marginal(target, schedule, schedule.T).covariance
    try:
        matrix = torch.as_tensor(answer, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return Verdict(False, "Expected a 2 x 2 matrix of numbers.")
    if matrix.shape != (2, 2):
        return Verdict(False, f"Expected a 2 x 2 matrix, got shape {tuple(matrix.shape)}.")
    alpha2 = float(schedule.alpha(schedule.T)) ** 2
    eye = torch.eye(2, dtype=torch.float64)
    slips = {
        "You scaled the covariance by alpha. It scales by alpha squared.": alpha2**0.5 * target.covariance + (1 - alpha2) * eye,
        "You forgot the noise: add sigma^2 I.": alpha2 * target.covariance,
        "You added sigma I. Variances add: sigma^2 I.": alpha2 * target.covariance + (1 - alpha2) ** 0.5 * eye,
        "That is the covariance of the data.": target.covariance,
        "That is the covariance of the prior, which is what a sampler assumes.": eye,
    }
    if torch.allclose(matrix, right, rtol=1e-3, atol=1e-3):
        return Verdict(True, "Right: alpha^2 Cov(x_0) + sigma^2 I.")
    for hint, wrong in slips.items():
        if torch.allclose(matrix, wrong, rtol=1e-3, atol=1e-3):
            return Verdict(False, hint)
    return Verdict(False, "Not yet. x_T = alpha x_0 + sigma eps with independent terms: add their covariances.")


def giraffe_gap(answer, n: int = 50) -> Verdict:
    """The Gaussian part of the giraffe's prior gap under ddpm_linear(n)."""
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(n)
    right = gelbrich(target, schedule, schedule.T)
    spectrum = torch.linalg.eigvalsh(marginal(target, schedule, schedule.T).covariance)
    slips = {
        "That is the square of the gap: take the root.": right**2,
        "You compared variances. W2 compares standard deviations: sqrt(lambda) - 1.": float((spectrum - 1).norm()),
        "You added the two parts. Their squares add.": float((spectrum.sqrt() - 1).abs().sum()),
        "That is the gap of the data themselves: diffuse them first.": float(
            (torch.linalg.eigvalsh(target.covariance).sqrt() - 1).norm()
        ),
    }
    return compare(answer, right, slips)


def exact_start(answer) -> Verdict:
    """A function (n, generator) -> x_T that gives the giraffe its head back under ddpm_linear(50)."""
    target, schedule = targets.toy("giraffe"), schedules.ddpm_linear(50)
    generator = torch.Generator().manual_seed(3)
    if not callable(answer):
        return Verdict(False, "Expected a function of (n, generator) that returns n starting points, shape (n, 2).")
    start = answer(400, generator)
    if not isinstance(start, torch.Tensor) or start.shape != (400, 2):
        return Verdict(False, f"Expected a tensor of shape (400, 2), got {getattr(start, 'shape', type(start).__name__)}.")
    std = start.std(0)
    goal = marginal(target, schedule, schedule.T).covariance.diagonal().sqrt()
    if bool((std - 1).abs().max() < 0.15):
        return Verdict(False, "Your start has unit spread: that is N(0, I), the start that lost the head.")
    if bool(((std - goal).abs() > 0.25).any()):
        return Verdict(
            False, f"Your start spreads by {std.tolist()}, p_T by {goal.tolist()}. Diffuse the data to T, do not copy them."
        )
    end = sample(ExactDenoiser(target, schedule), schedule, start.double(), steps=12, method="dpmpp2m")
    head = float((end[:, 1] > 3.0).double().mean())
    truth = float((target.sample(20_000, generator)[:, 1] > 3.0).double().mean())
    if head < 0.5 * truth:
        return Verdict(
            False, f"Only {head:.1%} of your samples reach the head, of {truth:.1%}. Does your law have p_T's covariance?"
        )
    return Verdict(True, f"Right: {head:.1%} of your samples reach the head; the data have {truth:.1%} there.")
