"""The samplers against diffusers' schedulers, step by step, and against their own grids. Nothing is downloaded."""

import numpy as np
import pytest
import torch
from zoo import f64, gaussian, rng, triangle

from otprior_lite import samplers, schedules
from otprior_lite.samplers import steps
from otprior_lite.score import ExactDenoiser

diffusers = pytest.importorskip("diffusers")

COMMON = {"num_train_timesteps": 1000, "prediction_type": "sample"}
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
BETAS = {"ddpm_linear": (schedules.ddpm_linear(), LINEAR), "scaled_linear": (schedules.scaled_linear(), SCALED)}


def peer(kind, config, **options):
    """A scheduler whose network predicts x_0."""
    return getattr(diffusers, kind)(**COMMON, **config, **options)


def compare(schedule, scheduler, spacing, *, n_steps=20, scale=None, seed=None, **options):
    """Feed both the same start and network; at every state the two agree to 1e-5.

    The peer's state k belongs to our time timesteps[k] + 1. `scale(t)` is what its x must be multiplied by (default 1).
    """
    exact = ExactDenoiser(triangle(), schedule)
    scale = scale or (lambda t: 1.0)
    start = torch.randn(6, 2, generator=rng(3), dtype=f64)
    generator = None if seed is None else rng(seed)
    ours = list(samplers.trajectory(exact, schedule, start, steps=n_steps, spacing=spacing, generator=generator, **options))
    scheduler.set_timesteps(n_steps)
    assert [state.t for state in ours[:-1]] == [float(t) + 1 for t in scheduler.timesteps]
    theirs, noise = start / scale(ours[0].t), {"generator": rng(seed)} if seed is not None else {}
    if "eta" in options:
        noise["eta"] = options["eta"]
    for state, now, k in zip(ours, ours[1:], scheduler.timesteps):
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(theirs, k)
        D = exact(theirs * scale(state.t), state.t)
        theirs = scheduler.step(D, k, theirs, **noise).prev_sample
        torch.testing.assert_close(theirs * scale(now.t), now.x, rtol=1e-5, atol=1e-5, check_dtype=False)
    assert len(ours) == n_steps + 1


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(name, spacing, eta):
    schedule, config = BETAS[name]
    scheduler = peer("DDIMScheduler", config, timestep_spacing=spacing, clip_sample=False)
    compare(schedule, scheduler, spacing, method="ddim", eta=eta, seed=4 if eta else None)


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddpm(name, spacing):
    schedule, config = BETAS[name]
    scheduler = peer("DDPMScheduler", config, timestep_spacing=spacing, clip_sample=False, variance_type="fixed_small")
    compare(schedule, scheduler, spacing, method="ddpm", seed=5)


@pytest.mark.parametrize("name", BETAS)
def test_dpm_solver(name):
    schedule, config = BETAS[name]
    options = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint", "final_sigmas_type": "zero"}
    scheduler = peer("DPMSolverMultistepScheduler", config, timestep_spacing="trailing", **options)
    compare(schedule, scheduler, "trailing", method="dpmpp2m")


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_euler_in_sigma_is_ddim(spacing):
    """Karras' coordinates x/alpha: an Euler step in sigma/alpha is a step of DDIM in every channel."""
    schedule, config = BETAS["scaled_linear"]
    scheduler = peer("EulerDiscreteScheduler", config, timestep_spacing=spacing)
    compare(schedule, scheduler, spacing, method="ddim", scale=lambda t: float(schedule.alpha(t)))


def test_heun_in_sigma():
    """HeunDiscreteScheduler in x/alpha is our Heun step in the channel alpha = 1, sigma = t."""
    schedule, config = BETAS["scaled_linear"]
    scheduler = peer("HeunDiscreteScheduler", config, timestep_spacing="trailing")
    scheduler.set_timesteps(12)
    edm = schedules.edm(200.0)
    exact = ExactDenoiser(triangle(), edm)
    grid = torch.unique(scheduler.sigmas.double()).flip(0).tolist()  # every inner sigma is listed twice
    np.testing.assert_allclose(grid[0], float(schedule.sigma(1000.0) / schedule.alpha(1000.0)), rtol=1e-5)
    x = theirs = grid[0] * torch.randn(6, 2, generator=rng(3), dtype=f64)
    clock = iter(scheduler.timesteps)
    for k, (t, s) in enumerate(zip(grid[:-1], grid[1:])):
        last = s == 0
        x = exact(x, t) if last else steps.heun(exact, edm, x, exact(x, t), t, s)
        for now in (t,) if last else (t, s):
            theirs = scheduler.step(exact(theirs, now), next(clock), theirs).prev_sample
        torch.testing.assert_close(theirs, x, rtol=1e-5, atol=1e-5, check_dtype=False)
    assert next(clock, None) is None


# ---- what "leading" does


def brightness(spacing: str) -> float:
    """Mean of 50-step samples of the data N(-16, 6.4^2) in a channel of zero terminal SNR, started from N(0, 1)."""
    schedule = schedules.zero_terminal_snr(schedules.scaled_linear())
    exact = ExactDenoiser(gaussian((6.4**2,), (-16.0,)), schedule)
    start = torch.linspace(-2, 2, 9, dtype=f64)[:, None]
    return float(samplers.sample(exact, schedule, start, steps=50, spacing=spacing, method="dpmpp2m").mean())


def test_leading_keeps_the_mismatch_silently():
    """A zero terminal SNR removes the gap at T, and only a grid that visits T profits; "leading" starts at 981.

    From there the flow keeps the start's missing mean, alpha m in units of p_t's width: the samples end too bright.
    """
    schedule = schedules.zero_terminal_snr(schedules.scaled_linear())
    first = {spacing: float(samplers.time_grid(schedule, 50, spacing=spacing)[0]) for spacing in ("leading", "trailing")}
    assert first == {"leading": 981.0, "trailing": 1000.0}
    alpha, sigma = float(schedule.alpha(981.0)), float(schedule.sigma(981.0))
    assert float(schedule.alpha(1000.0)) == 0 < alpha
    lost = 6.4 * alpha * 16.0 / np.hypot(6.4 * alpha, sigma)
    assert brightness("trailing") == pytest.approx(-16.0, abs=1e-6)
    assert brightness("leading") + 16.0 == pytest.approx(lost, rel=0.03) and lost > 0.5


@pytest.mark.parametrize("n, steps_, leading, trailing", [
    (1000, 4, [751, 501, 251, 1, 0], [1000, 750, 500, 250, 0]),
    (50, 7, [43, 36, 29, 22, 15, 8, 1, 0], [50, 43, 36, 29, 21, 14, 7, 0]),
    (5, 5, [5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0]),
])  # fmt: skip
def test_whole_step_grids(n, steps_, leading, trailing):
    """By hand; numpy's rounding in the middle case: 50 - 50 k / 7. From t_start = n < T the grid is that of n steps."""
    schedule = schedules.ddpm_linear()
    grid = lambda spacing: samplers.time_grid(schedule, steps_, float(n), spacing=spacing).tolist()
    assert grid("leading") == leading and grid("trailing") == trailing
