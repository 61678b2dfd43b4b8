"""To diffusers and back: its checkpoints as denoisers of ours, our priors as the noise its pipelines start from.

A diffusers model answers eps, x_0 or v at whole steps k = 0, 1, ..., n - 1, whose channel is that of our time k + 1,

    alpha^2 = prod_{j <= k} (1 - beta_j),    sigma^2 = 1 - alpha^2,

so a `Preconditioned` frame with m = 0 and s = 1 is all it needs.
"""

import re
from pathlib import Path

import torch

from ..errors import expect, known, optional
from ..schedules import Schedule, from_betas
from ..score import LearnedDenoiser
from .images import StepNetwork
from .networks import Preconditioned

_KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}


def pretrained(name) -> LearnedDenoiser:
    """A pipeline of an unconditional UNet2DModel, such as "google/ddpm-cifar10-32", as a denoiser with its own schedule.

    name: a folder written by `save_pretrained`, or OWNER/NAME of a checkpoint, fetched by diffusers. Needs the extra `images`.
    The pipeline may clip its x_0 to [-1, 1]; this denoiser does not. ValueError if it is neither, or cannot be loaded.
    """
    either, name = "a model that is here, or OWNER/NAME of a checkpoint for diffusers to fetch", str(name)
    expect(Path(name).exists() or re.fullmatch(r"[\w.-]*\w[\w.-]*/[\w.-]+", name) is not None, "model", either, repr(name))
    try:
        pipeline = optional("diffusers", "images").DiffusionPipeline.from_pretrained(name, low_cpu_mem_usage=False)
    except OSError as error:
        reason = "diffusers cannot read what is here" if Path(name).exists() else "not here, and diffusers could not fetch it"
        raise ValueError(f"model: expected {either}, got {name!r}: {reason}") from error
    return adapted(pipeline.unet, pipeline.scheduler)


def adapted(unet: torch.nn.Module, scheduler) -> LearnedDenoiser:
    """A UNet2DModel and the diffusers scheduler that it was trained with, as a denoiser."""
    config = unet.config
    expect(config.in_channels == config.out_channels, "unet", "as many channels out as in", config.out_channels)
    expect(unet.class_embedding is None, "unet", "a model without classes", f"one with {config.num_class_embeds}")
    kind = known(scheduler.config.prediction_type, tuple(_KINDS), "prediction_type")
    schedule = from_betas(f"{type(scheduler).__name__}({len(scheduler.betas)})", scheduler.betas)
    steps = torch.arange(1, len(scheduler.betas) + 1, dtype=torch.float64)
    table = schedule.log_snr(steps).clamp_min(-25.0)  # a last step of zero SNR
    return LearnedDenoiser(Preconditioned(StepNetwork(unet, table), predicts=_KINDS[kind]), schedule)


def latents(prior, n: int, schedule: Schedule, t, scheduler, generator: torch.Generator) -> torch.Tensor:
    """n samples of a prior at time t of `schedule`, as the `latents` of a diffusers pipeline with this scheduler.

    Pipelines multiply latents by `init_noise_sigma`. Where that is 1 the scheduler's variable is our x; otherwise (Euler,
    Heun, LMS, consistency models) it is x / alpha. Call `scheduler.set_timesteps` first; its first step must be the one of t.
    Without a `latents` argument (DDIMPipeline, DDPMPipeline), start the scheduler's own loop from init_noise_sigma * latents.
    """
    scale = float(scheduler.init_noise_sigma)
    x = prior.sample(n, generator)
    if scale == 1:
        return x
    alpha = float(schedule.alpha(t))
    expect(alpha > 0, "t", "a time with alpha > 0 for a scheduler in x / alpha", t)
    return x / (alpha * scale)
