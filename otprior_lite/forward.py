"""The forward channel: the exact law at time t, noised samples, and the probability-flow velocity.

p_t is the law of alpha_t x_0 + sigma_t eps. The probability flow transports p_s to p_t along

    v(x, t) = alpha' E[x_0 | x_t = x] + sigma' E[eps | x_t = x],

which stays finite where alpha = 0 and equals f x - (g^2/2) score elsewhere. Chapter 2 teaches it.
"""

import torch

from .errors import expect, real_tensor, within
from .randomness import normal
from .schedules import Schedule


def marginal(target, schedule: Schedule, t):
    """p_t, the law of alpha_t x_0 + sigma_t eps for x_0 from `target`, as a distribution of the same kind."""
    t = float(t)
    return target.diffuse(float(schedule.alpha(t)), float(schedule.sigma(t)))


def noise(x0: torch.Tensor, schedule: Schedule, t, generator: torch.Generator) -> torch.Tensor:
    """alpha_t x_0 + sigma_t eps with fresh noise, for x0 of any shape (n, ...)."""
    x0 = real_tensor(x0, "x0")
    return float(schedule.alpha(t)) * x0 + float(schedule.sigma(t)) * normal(
        x0.shape, generator, dtype=x0.dtype, device=x0.device
    )


def denoiser_velocity(x0_hat: torch.Tensor, schedule: Schedule, x: torch.Tensor, t) -> torch.Tensor:
    """v(x, t) from a denoised x0_hat = E[x_0 | x_t = x]; E[eps | x] = (x - alpha x0_hat) / sigma."""
    within(t, 0.0, schedule.T, "t", open_low=float(schedule.sigma(0.0)) == 0)
    t = float(t)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    eps_hat = (x - alpha * x0_hat) / sigma
    return float(schedule.alpha_dot(t)) * x0_hat + float(schedule.sigma_dot(t)) * eps_hat


def denoiser_score(x0_hat: torch.Tensor, schedule: Schedule, x: torch.Tensor, t) -> torch.Tensor:
    """grad log p_t(x) = (alpha x0_hat - x) / sigma^2 from a denoised x0_hat = E[x_0 | x_t = x], for t with sigma_t > 0."""
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    within(sigma, 0.0, float("inf"), "sigma_t", open_low=True)
    return (alpha * x0_hat - x) / sigma**2


def velocity(target, schedule: Schedule, x, t) -> torch.Tensor:
    """Probability-flow velocity v(x, t) of `target` under `schedule`, for x (n, d) and 0 < t <= T."""
    x = real_tensor(x, "x")
    expect(x.ndim == 2, "x", "shape (n, d)", f"shape {tuple(x.shape)}")
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    return denoiser_velocity(target.posterior_mean(x, alpha, sigma), schedule, x, t)
