"""Exact propagation of the prior error for Gaussian data.

For data N(m, Sigma) the probability flow from T to 0 scales each eigendirection by sqrt(lambda / lambda_T),
lambda_T = alpha^2 lambda + sigma^2. It carries a prior error without loss: KL(p_0 || q_0) = KL(p_T || q_T).
The reverse SDE forgets part of the start: it keeps the share a = alpha lambda / lambda_T of x_T and adds the
posterior noise, so its KL can only fall. K steps of DDIM scale by prod cos(phi_{k+1} - phi_k) instead of 1, relative to
the flow, with phi = atan(sigma / (alpha sqrt(lambda))). Chapters 4 and 10 teach this module.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import count, expect, known, real_tensor
from ..schedules import Schedule


@dataclass(frozen=True)
class GaussianError:
    """Prior error of a Gaussian target before and after the reverse process, W2 and KL (nats)."""

    w2_T: float
    w2_0: float
    kl_T: float
    kl_0: float


def gaussian_error(kind: str, target, schedule: Schedule, T=None, *, steps: int | None = None, times=None) -> GaussianError:
    """Exact prior error at T and at 0 for the Gaussian with the target's moments, started from N(0, s^2 I).

    kind: "ode" (probability flow) or "sde" (reverse SDE), both with the exact score and no discretisation; or "ddim",
    with the exact score and either `steps` steps of equal length in t or the decreasing `times` from T to its end.
    Per eigendirection the output is Gaussian with mean m + a (0 - m_T) and variance
    lambda s^2 / lambda_T (ode), a^2 s^2 (ddim), or lambda + a^2 (s^2 - lambda_T) (sde). T defaults to the schedule's end; the
    other end is the clean data, also for `ve`, whose t = 0 keeps the noise sigma_min.
    Source: Pierret and Galerne 2025, propositions 3 and 4; the DDIM product is derived here.
    """
    known(kind, ("ode", "sde", "ddim"), "kind")
    wanted = "steps or times for ddim, neither for ode and sde"
    expect((steps is not None) + (times is not None) == (kind == "ddim"), "steps, times", wanted, (kind, steps, times))
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    alpha, sigma, s = (float(f(T)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
    spectrum, axes = torch.linalg.eigh(target.covariance.double())
    spectrum = spectrum.clamp_min(0)
    mean = axes.T @ target.mean.double()
    mean_T, spectrum_T = alpha * mean, alpha**2 * spectrum + sigma**2
    if kind == "ode":
        gain = (spectrum / spectrum_T).sqrt()
        spectrum_0 = gain.square() * s**2
    elif kind == "ddim":
        gain = _ddim_gain(schedule, spectrum, _grid(schedule, T, steps, times))
        spectrum_0 = gain.square() * s**2
    else:
        gain = alpha * spectrum / spectrum_T
        spectrum_0 = spectrum + gain.square() * (s**2 - spectrum_T)
    start = torch.zeros_like(mean_T), torch.full_like(spectrum_T, s**2)
    end = mean - gain * mean_T, spectrum_0
    return GaussianError(
        _w2((mean_T, spectrum_T), start), _w2((mean, spectrum), end),
        _kl((mean_T, spectrum_T), start), _kl((mean, spectrum), end),
    )  # fmt: skip


def _grid(schedule: Schedule, T: float, steps, times) -> torch.Tensor:
    """Decreasing times from T."""
    if times is None:
        return torch.linspace(T, 0.0, count(steps, "steps") + 1, dtype=torch.float64)
    grid = real_tensor(times, "times").to(torch.float64)
    ordered = grid.ndim == 1 and len(grid) > 1 and bool((grid.diff() < 0).all()) and abs(float(grid[0]) - T) < 1e-9 * (1 + T)
    expect(ordered, "times", f"at least two decreasing times from T = {T:g}", times)
    return grid


def _ddim_gain(schedule: Schedule, spectrum: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """prod <v_s, v_t> / |v_t|^2 over the steps t -> s, v = (alpha sqrt(lambda), sigma), the last step to clean data if it ends at 0."""
    alphas, sigmas = schedule.alpha(grid), schedule.sigma(grid)
    if float(grid[-1]) == 0:
        alphas, sigmas = alphas.clone(), sigmas.clone()
        alphas[-1], sigmas[-1] = 1.0, 0.0
    v = torch.stack([alphas[:, None] * spectrum.sqrt(), sigmas[:, None].expand(-1, len(spectrum))])
    return ((v[:, 1:] * v[:, :-1]).sum(0) / v[:, :-1].square().sum(0)).prod(0)


def _w2(p, q) -> float:
    """W2 of Gaussians with common axes, each given as (mean, variances)."""
    return float(((p[0] - q[0]).square() + (p[1].sqrt() - q[1].sqrt()).square()).sum().sqrt())


def _kl(p, q) -> float:
    """KL(p || q) of the same; infinite where p or q is degenerate."""
    if bool((q[1] <= 0).any()) or bool((p[1] <= 0).any()):
        return math.inf
    ratio = p[1] / q[1]
    return float(0.5 * ((p[0] - q[0]).square() / q[1] + ratio - 1 - ratio.log()).sum())
