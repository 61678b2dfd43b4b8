"""A whole run of the reverse process: a start, a grid of times, one method."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..errors import expect, known, within
from ..randomness import check_generator
from ..schedules import Schedule
from . import adaptive
from . import steps as step
from .grid import time_grid

METHODS = ("ddim", "euler", "heun", "dpmpp2m", "adaptive", "em", "ddpm")


@dataclass(frozen=True)
class State:
    """Where a run is: the samples x at time t after `step` of `steps` steps and `calls` calls of the denoiser."""

    step: int
    steps: int
    t: float
    x: torch.Tensor
    calls: int


def trajectory(
    denoiser, schedule: Schedule, x: torch.Tensor, *, steps: int = 50, t_start=None, t_end=0.0, method: str = "ddim",
    spacing: str = "log_snr", eta: float = 0.0, tolerance: float = 1e-5, generator: torch.Generator | None = None,
) -> Iterator[State]:  # fmt: skip
    """Yield every state of the reverse process, the start included. Arguments as in `sample`."""
    known(method, METHODS, "method")
    within(eta, 0.0, 1.0, "eta")
    expect(eta == 0 or method == "ddim", "eta", f"0 with method {method!r}", eta)
    within(tolerance, 0.0, 1.0, "tolerance", open_low=True)
    eta = 1.0 if method == "ddpm" else eta
    if method == "em" or eta > 0:
        check_generator(generator)
    expect(isinstance(x, torch.Tensor) and x.is_floating_point(), "x", "a floating tensor (n, ...)", type(x).__name__)
    grid = time_grid(schedule, steps, t_start, t_end, spacing).tolist()
    if method == "em":
        expect(math.isfinite(float(schedule.diffusion_squared(grid[0]))), "t_start", "a time with finite g^2 (SNR > 0)", grid[0])
    yield State(0, steps, grid[0], x, 0)
    if method == "adaptive":
        for k, (x, calls) in enumerate(adaptive.flow(denoiser, schedule, x, grid, tolerance)):
            yield State(k + 1, steps, grid[k + 1], x, calls)
        return
    calls, memory = 0, None
    for k, (t, s) in enumerate(zip(grid[:-1], grid[1:])):
        D, calls = denoiser(x, t), calls + 1
        if s == 0 and float(schedule.sigma(0.0)) == 0:
            x = D  # the last step to t = 0 returns E[x_0 | x_t], for every method
        elif method in ("ddim", "ddpm"):
            x = step.ddim(schedule, x, D, t, s, eta, generator)
        elif method == "euler":
            x = step.euler(schedule, x, D, t, s)
        elif method == "heun":
            x, calls = step.heun(denoiser, schedule, x, D, t, s), calls + 1
        elif method == "dpmpp2m":
            x, memory = step.dpmpp2m(schedule, x, D, t, s, memory)
        else:
            x = step.euler_maruyama(schedule, x, D, t, s, generator)
        yield State(k + 1, steps, s, x, calls)


def sample(denoiser, schedule: Schedule, x: torch.Tensor, **options) -> torch.Tensor:
    """Run the reverse process from samples x at t_start and return them at t_end.

    denoiser: callable (x, t) -> E[x_0 | x_t = x]. x: (n, ...), drawn from a prior at t_start.
    steps: steps of the grid, each one network call (heun: two but for a last step to t = 0). t_start: default T.
    t_end: default 0; a last step to t = 0 returns E[x_0 | x_t]. spacing: see `time_grid`.

    method, for the probability flow: "ddim" (the exponential integrator), "euler", "heun", "dpmpp2m", and "adaptive",
    whose solver takes the steps that `tolerance` asks for; the grid is then only where `trajectory` reports.
    For the reverse SDE, with a `generator`: "em" (Euler-Maruyama) and "ddpm", ancestral sampling from
    q(x_s | x_t, x_0 = E[x_0 | x_t]), whose variance is the smaller of the two that DDPM publishes. "ddim" with
    0 < eta < 1 lies between the flow and "ddpm", which is eta = 1 and the exponential integrator of the reverse SDE.

    Sources: Ho et al. 2020 (ddpm), Song et al. 2021 (ddim; em, adaptive), Karras et al. 2022 (heun), Lu et al. 2022 (dpmpp2m).
    """
    for state in trajectory(denoiser, schedule, x, **options):
        pass
    return state.x
