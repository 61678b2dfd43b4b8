"""Learned denoisers: a network, the one loss it needs, and a loop that can stop and go on.

The network D(x, alpha, sigma) is fitted by regression; its minimiser is the denoiser itself,

    min_D E w |D(alpha x_0 + sigma eps, alpha, sigma) - x_0|^2    at    D = E[x_0 | x].

`mlp` is a small network for points, `unet` diffusers' network for images; `train` yields its state at every step, and
`recorded` keeps their curves for TensorBoard. `LearnedDenoiser` of `score` makes a denoiser of the result. A `Design` and
`save_model` keep it; `pretrained` reads a diffusers checkpoint instead. Chapter 10 teaches this package.
"""

from . import parallel
from .board import recorded
from .files import load_weights, save_weights
from .images import unet
from .loop import State, train
from .models import Design, averaged, load_model, save_model
from .networks import Preconditioned, mlp
from .pretrained import adapted, latents, pretrained

__all__ = [
    "train", "State", "mlp", "unet", "Preconditioned", "save_weights", "load_weights", "Design", "save_model", "load_model",
    "averaged", "pretrained", "adapted", "latents", "parallel", "recorded",
]  # fmt: skip
