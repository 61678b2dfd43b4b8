"""What two moments cost and what they see: points to fit them, the spectrum of the mismatch, brightness and offset noise.

Everything here is Gaussian, so every distance is a formula. Chapter 5 shows the results.
"""

import math
from dataclasses import dataclass

import torch

from .. import data, priors, schedules
from ..linalg import power, squared_distances
from ..randomness import normal, seeded
from ..schedules import Schedule
from ..transport import gaussian_map


def gaussian_w2(m1, S1, m2, S2) -> float:
    """W2 between two Gaussians by the cost of the affine map, sqrt(E|T(x) - x|^2): no differences of large numbers."""
    move = gaussian_map(m1, S1, m2, S2).matrix - torch.eye(len(m1), dtype=S1.dtype)
    return math.sqrt(float((m1 - m2).square().sum() + torch.trace(move @ S1 @ move)))


# ---- how many points

FORMS = ("full", "diagonal", "low-rank")
"""Of `MomentMatched`, in the order of the fields of `Fitting`."""


def expected_error(spectrum: torch.Tensor, alpha: float, sigma: float, n: int) -> tuple[float, float]:
    """E W2^2 between the fitted and the true N(m_T, Sigma_T) for n Gaussian data points: mean part, covariance part.

    alpha^2 tr Sigma / n and alpha^4 / (2n) sum_ij lambda_i lambda_j (1 + delta_ij) / (a_i + a_j), a = alpha^2 lambda + sigma^2.
    The second is first order in 1/n. Derived here.
    """
    a = alpha**2 * spectrum + sigma**2
    products = torch.outer(spectrum, spectrum) + spectrum.square().diag()
    return alpha**2 * float(spectrum.sum()) / n, alpha**4 / (2 * n) * float((products / (a[:, None] + a)).sum())


@dataclass(frozen=True, eq=False)
class Fitting:
    """Root mean square W2 from fitted Gaussian priors to the true one, for n data points, over repeats.

    full, diagonal, low_rank: which covariance is kept. predicted: `expected_error` for the full one. nothing: N(0, I).
    nearest: root mean square distance from a fresh draw of p_T to the nearest of n noised points, which no prior that
    sits on those points can undercut.
    """

    d: int
    t: float
    rank: int
    n: tuple[int, ...]
    full: torch.Tensor
    diagonal: torch.Tensor
    low_rank: torch.Tensor
    predicted: torch.Tensor
    nothing: float
    nearest: torch.Tensor


def digits_moments() -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (64,) and covariance (64, 64) of the digits, float64."""
    x = data.load("digits").flat.double()
    return x.mean(0), torch.cov(x.T, correction=0)


def covariance(prior: priors.MomentMatched) -> torch.Tensor:
    """Its covariance as one (d, d) matrix, whatever its form."""
    matrix = prior.covariance if prior.covariance.ndim == 2 else prior.covariance.diag()
    return matrix if prior.factor is None else matrix + prior.factor @ prior.factor.T


def fitting(
    sizes=(4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048), t: float = 400, rank: int = 8, repeats: int = 3, seed: int = 0
) -> Fitting:
    """Fit the prior to n draws of the Gaussian with the digits' moments, under DDPM's linear schedule at t."""
    (m, S), schedule, generator = digits_moments(), schedules.ddpm_linear(1000), seeded(seed)
    alpha, sigma, d = float(schedule.alpha(t)), float(schedule.sigma(t)), len(m)
    true_m, true_S = alpha * m, alpha**2 * S + sigma**2 * torch.eye(d, dtype=S.dtype)
    root, spectrum = power(S, 0.5), torch.linalg.eigvalsh(S).clamp_min(0)
    draw = lambda n: normal((n, d), generator, dtype=S.dtype)
    fresh, rows = true_m + draw(500) @ power(true_S, 0.5), []
    for n in sizes:
        for _ in range(repeats):
            points = m + draw(n) @ root
            fits = [priors.MomentMatched.fit(points, schedule, t, form=form, rank=rank) for form in FORMS]
            noised = alpha * points + sigma * draw(n)
            rows.append(
                [gaussian_w2(true_m, true_S, fit.mean, covariance(fit)) ** 2 for fit in fits]
                + [float(squared_distances(fresh, noised).amin(1).mean())]
            )
    table = torch.tensor(rows, dtype=torch.float64).reshape(len(sizes), repeats, 4).mean(1).sqrt().T
    predicted = torch.tensor([sum(expected_error(spectrum, alpha, sigma, n)) for n in sizes]).sqrt()
    nothing = gaussian_w2(true_m, true_S, torch.zeros_like(m), torch.eye(d, dtype=S.dtype))
    return Fitting(d, t, rank, sizes, *table[:3], predicted, nothing, table[3])


# ---- which components mismatch


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Variances of p_t along the digits' principal components, for three schedules.

    variances: lambda_k of the clean digits. alpha_middle, alpha_end: by schedule, at half time and at T. mean: norm of the digits' mean.
    resolution: the spacing of float32 numbers at 1.
    """

    variances: torch.Tensor
    mean: float
    alpha_middle: dict[str, float]
    alpha_end: dict[str, float]
    resolution: float

    def variance(self, alpha: float) -> torch.Tensor:
        """alpha^2 lambda_k + 1 - alpha^2."""
        return 1 + self.excess(alpha)

    def excess(self, alpha: float) -> torch.Tensor:
        """alpha^2 (lambda_k - 1): the variance of p_t minus that of the prior, also where the variance rounds to 1."""
        return alpha**2 * (self.variances - 1)


def three_schedules() -> dict[str, Schedule]:
    """DDPM's linear, Nichol and Dhariwal's cosine and Stable Diffusion's schedule, 1000 steps each."""
    return {
        "linear": schedules.ddpm_linear(1000),
        "cosine": schedules.cosine(1000),
        "Stable Diffusion": schedules.scaled_linear(1000),
    }


def spectrum(middle: float = 500) -> Spectrum:
    """The digits' principal components, largest first, and alpha of the three schedules at `middle` and at T."""
    m, S = digits_moments()
    each = three_schedules()
    alphas = [{name: float(s.alpha(t)) for name, s in each.items()} for t in (middle, 1000)]
    return Spectrum(
        torch.linalg.eigvalsh(S).flip(0).clamp_min(0), float(m.norm()), *alphas, float(torch.finfo(torch.float32).eps)
    )


# ---- brightness and offset noise


@dataclass(frozen=True)
class Cast:
    """Mean brightness of a picture under one kind of training noise and one start: the gap at T and the law at time 0."""

    noise: str
    start: str
    gap: float
    brightness: float
    spread: float


def casts(brightness: float = -0.25, spread: float = 0.1, pixels: int = 4096, eta: float = 0.1) -> list[Cast]:
    """One channel of Stable Diffusion's schedule along the unit vector of constant pictures, data Gaussian along it.

    The coordinate is sqrt(pixels) times the mean brightness: N(b sqrt(P), s^2 P) in the data. Noise has variance 1 along the vector, and
    1 + eta^2 P with offset noise eps + eta xi (1, ..., 1). The flow is the affine map m + (s_0 / s_T)(x - alpha m).
    """
    schedule, unit = schedules.scaled_linear(1000), math.sqrt(pixels)
    alpha, sigma = float(schedule.alpha(schedule.T)), float(schedule.sigma(schedule.T))
    m, s_0, results = brightness * unit, spread * unit, []
    for noise, variance in (("plain", 1.0), ("offset", 1 + eta**2 * pixels)):
        s_T = math.sqrt(alpha**2 * s_0**2 + sigma**2 * variance)
        choices = {"N(0, I)": (0.0, 1.0), "noise as in training": (0.0, math.sqrt(variance)), "moment-matched": (alpha * m, s_T)}
        for start, (mean, std) in choices.items():
            if noise == "plain" and start == "noise as in training":
                continue  # that is N(0, I)
            out = m + s_0 / s_T * (mean - alpha * m)
            results.append(Cast(noise, start, math.hypot(mean - alpha * m, std - s_T), out / unit, s_0 / s_T * std / unit))
    return results
