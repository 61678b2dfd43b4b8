"""One step from t to s < t, for each method with fixed steps; D is the denoised point E[x_0 | x_t = x].

Every step freezes something. DDIM freezes D and solves the rest of the flow exactly, so it is the first-order
exponential integrator of the ODE. With eta = 1 it draws from q(x_s | x_t, x_0 = D), which is DDPM's ancestral step
and, exactly, the exponential integrator of the reverse SDE with D frozen. Euler steps freeze the whole velocity.
"""

import math

from ..forward import denoiser_velocity
from ..randomness import normal


def ddim(schedule, x, D, t, s, eta: float = 0.0, generator=None):
    """alpha_s D + sqrt(sigma_s^2 - v) (x - alpha_t D) / sigma_t + sqrt(v) xi, with v = eta^2 Var[x_s | x_t, x_0].

    Var[x_s | x_t, x_0] = sigma_s^2 (1 - (alpha_t sigma_s / (alpha_s sigma_t))^2). eta = 0 is the flow, eta = 1 DDPM,
    whose mean E[x_s | x_t] is exact for a step of any size; it lacks only the variance that D still has.
    """
    a_t, b_t, a_s, b_s = (float(f(u)) for u in (t, s) for f in (schedule.alpha, schedule.sigma))
    kept = a_t * b_s / (a_s * b_t)  # the square root of SNR_t / SNR_s
    fresh = eta**2 * b_s**2 * (1 - kept**2)
    ratio = math.sqrt(b_s**2 - fresh) / b_t
    x = (a_s - ratio * a_t) * D + ratio * x
    return x if fresh == 0 else x + math.sqrt(fresh) * normal(x.shape, generator, dtype=x.dtype, device=x.device)


def euler(schedule, x, D, t, s):
    """x + (s - t) v(x, t)."""
    return x + (s - t) * denoiser_velocity(D, schedule, x, t)


def heun(denoiser, schedule, x, D, t, s):
    """The trapezoidal rule on v, its end predicted by Euler: a second call of the denoiser."""
    v = denoiser_velocity(D, schedule, x, t)
    guess = x + (s - t) * v
    return x + (s - t) / 2 * (v + denoiser_velocity(denoiser(guess, s), schedule, guess, s))


def dpmpp2m(schedule, x, D, t, s, memory):
    """DDIM on a denoised point extrapolated in log(alpha/sigma); the first step, and one from zero SNR, is DDIM.

    Returns the new x and the memory (D, step in log(alpha/sigma)) for the next step.
    """
    half = float(schedule.log_snr(t)) / 2
    h = float(schedule.log_snr(s)) / 2 - half
    extrapolated = D
    if memory is not None:
        previous_D, previous_h = memory
        extrapolated = D + h / (2 * previous_h) * (D - previous_D)
    return ddim(schedule, x, extrapolated, t, s), (D, h) if math.isfinite(h) else None


def euler_maruyama(schedule, x, D, t, s, generator):
    """x + (s - t)(f x - g^2 score) + g sqrt(t - s) xi."""
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    f, g2 = float(schedule.drift(t)), float(schedule.diffusion_squared(t))
    reverse_drift = f * x - g2 * (alpha * D - x) / sigma**2
    fresh = normal(x.shape, generator, dtype=x.dtype, device=x.device)
    return x + (s - t) * reverse_drift + math.sqrt(g2 * (t - s)) * fresh
