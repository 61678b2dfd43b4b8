"""Learned denoisers: a network, the one loss it needs, and a loop that can stop and go on.

The network D(x, alpha, sigma) is fitted by regression; its minimiser is the denoiser itself,

    min_D E w |D(alpha x_0 + sigma eps, alpha, sigma) - x_0|^2    at    D = E[x_0 | x].

`mlp` is a small network for points; `train` yields its state at every step; `LearnedDenoiser` of `score` makes a
denoiser of the result. Chapter 10 teaches this package.
"""

from .files import load_weights, save_weights
from .loop import State, train
from .networks import Preconditioned, mlp

__all__ = ["train", "State", "mlp", "Preconditioned", "save_weights", "load_weights"]
