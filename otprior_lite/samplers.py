"""Samplers: run the reverse process from any start, at any time t_start, with any denoiser.

The probability flow dx = v(x, t) dt and the reverse SDE dx = (f x - g^2 score) dt + g dB have the same
marginals when both start from p_t. They differ in what they do with a wrong start: the flow keeps it, the
SDE forgets part of it. One step of DDIM from t to s is exact while the denoised point stays put:

    x_s = alpha_s D + sigma_s (x_t - alpha_t D) / sigma_t,    D = E[x_0 | x_t].

Chapters 1, 4 and 8 teach this module.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from .errors import count, expect, known
from .forward import denoiser_velocity
from .randomness import check_generator, normal
from .schedules import Schedule

METHODS = ("ddim", "euler", "heun", "dpmpp2m", "em")
SPACINGS = ("log_snr", "time")
_CLEAN = 2 * math.log(500)  # log-SNR at which a log-SNR grid stops before t = 0: sigma/alpha = 0.002


@dataclass(frozen=True)
class State:
    """Where a run is: the samples x at time t after `step` of `steps` steps."""

    step: int
    steps: int
    t: float
    x: torch.Tensor


def time_grid(schedule: Schedule, steps: int, t_start=None, t_end=0.0, spacing: str = "log_snr") -> torch.Tensor:
    """steps + 1 decreasing times from t_start (default T) to t_end, float64.

    "log_snr": equal steps in log-SNR; where an end is infinite (t = 0, or zero terminal SNR) the grid stops at
    sigma/alpha = 0.002 or 500 and the last or first step bridges the rest. "time": equal steps in t.
    """
    count(steps, "steps")
    known(spacing, SPACINGS, "spacing")
    t_start, t_end = (schedule.T if t_start is None else float(t_start)), float(t_end)
    ordered = 0 <= t_end < t_start <= schedule.T
    expect(ordered, "t_start, t_end", f"0 <= t_end < t_start <= {schedule.T:g}", (t_start, t_end))
    if spacing == "time" or steps == 1:
        return torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
    first, last = (float(schedule.log_snr(t)) for t in (t_start, t_end))
    low, high = max(first, -_CLEAN), min(last, _CLEAN)
    if low >= high:  # both ends beyond the same limit: nothing to space in log-SNR
        return torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
    bridges = int(low > first) + int(high < last)
    if steps <= bridges:
        return torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
    inside = schedule.t_of_log_snr(torch.linspace(low, high, steps + 1 - bridges, dtype=torch.float64))
    head = [t_start] if low > first else []
    tail = [t_end] if high < last else []
    ends = torch.tensor(head, dtype=torch.float64), torch.tensor(tail, dtype=torch.float64)
    grid = torch.cat([ends[0], inside, ends[1]])
    grid[0], grid[-1] = t_start, t_end
    return grid


def trajectory(
    denoiser, schedule: Schedule, x: torch.Tensor, *, steps: int = 50, t_start=None, t_end=0.0,
    method: str = "ddim", spacing: str = "log_snr", generator: torch.Generator | None = None,
) -> Iterator[State]:  # fmt: skip
    """Yield every state of the reverse process, the start included. Arguments as in `sample`."""
    known(method, METHODS, "method")
    if method == "em":
        check_generator(generator)
    expect(isinstance(x, torch.Tensor) and x.is_floating_point(), "x", "a floating tensor (n, ...)", type(x).__name__)
    grid = time_grid(schedule, steps, t_start, t_end, spacing).tolist()
    if method == "em":
        expect(math.isfinite(float(schedule.diffusion_squared(grid[0]))), "t_start", "a time with finite g^2 (SNR > 0)", grid[0])
    yield State(0, steps, grid[0], x)
    memory = None
    for k, (t, s) in enumerate(zip(grid[:-1], grid[1:])):
        D = denoiser(x, t)
        if s == 0 and float(schedule.sigma(0.0)) == 0:
            x = D  # the last step to t = 0 returns E[x_0 | x_t], for every method
        elif method == "ddim":
            x = _ddim(schedule, x, D, t, s)
        elif method == "euler":
            x = x + (s - t) * denoiser_velocity(D, schedule, x, t)
        elif method == "heun":
            x = _heun(denoiser, schedule, x, D, t, s)
        elif method == "dpmpp2m":
            x, memory = _dpmpp2m(schedule, x, D, t, s, memory)
        else:
            x = _euler_maruyama(schedule, x, D, t, s, generator)
        yield State(k + 1, steps, s, x)


def sample(denoiser, schedule: Schedule, x: torch.Tensor, **options) -> torch.Tensor:
    """Run the reverse process from samples x at t_start and return them at t_end.

    denoiser: callable (x, t) -> E[x_0 | x_t = x]. x: (n, ...), drawn from a prior at t_start.
    steps: network calls (heun: two per step but the last). t_start: default T. t_end: default 0.
    method: "ddim", "euler", "heun", "dpmpp2m" follow the probability flow; "em" the reverse SDE by
    Euler-Maruyama (needs `generator`). A last step to t = 0 returns E[x_0 | x_t]. spacing: see `time_grid`.
    Sources: Song et al. 2021 (ddim, em), Karras et al. 2022 (heun), Lu et al. 2022 (dpmpp2m).
    """
    for state in trajectory(denoiser, schedule, x, **options):
        pass
    return state.x


def _ddim(schedule, x, D, t, s):
    ratio = float(schedule.sigma(s)) / float(schedule.sigma(t))
    return (float(schedule.alpha(s)) - ratio * float(schedule.alpha(t))) * D + ratio * x


def _heun(denoiser, schedule, x, D, t, s):
    v = denoiser_velocity(D, schedule, x, t)
    guess = x + (s - t) * v
    return x + (s - t) / 2 * (v + denoiser_velocity(denoiser(guess, s), schedule, guess, s))


def _dpmpp2m(schedule, x, D, t, s, memory):
    """DDIM on a denoised point extrapolated in log(alpha/sigma); the first step, and one from zero SNR, is DDIM."""
    half = float(schedule.log_snr(t)) / 2
    h = float(schedule.log_snr(s)) / 2 - half
    extrapolated = D
    if memory is not None:
        previous_D, previous_h = memory
        extrapolated = D + h / (2 * previous_h) * (D - previous_D)
    return _ddim(schedule, x, extrapolated, t, s), (D, h) if math.isfinite(h) else None


def _euler_maruyama(schedule, x, D, t, s, generator):
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    f, g2 = float(schedule.drift(t)), float(schedule.diffusion_squared(t))
    reverse_drift = f * x - g2 * (alpha * D - x) / sigma**2
    fresh = normal(x.shape, generator, dtype=x.dtype, device=x.device)
    return x + (s - t) * reverse_drift + math.sqrt(g2 * (t - s)) * fresh
