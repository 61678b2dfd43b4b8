"""Networks whose output is E[x_0 | x], whatever the noise level.

A raw network F sees an input of unit size and a log-SNR; the frame around it makes a denoiser of it,

    D(x, alpha, sigma) = m + c_skip (x - alpha m) + c_out F((x - alpha m) / r, log-SNR),
    r^2 = alpha^2 s^2 + sigma^2,    c_skip = alpha s^2 / r^2,    c_out = s sigma / r,

with m and s the mean and the standard deviation of the data. F = 0 gives the best denoiser of N(m, s^2 I), and the
target of F has unit size at every noise level. Chapter 10 teaches this module.
"""

import math

import torch
from torch import nn

from ..errors import count, expect, real_tensor, within
from ..randomness import normal

_EXTREME = 25.0  # |log-SNR| beyond this is told to the network as this: alpha or sigma is 0 to six digits


class Preconditioned(nn.Module):
    """The denoiser D around a raw network F(x of unit size, log_snr (n,)) -> shape of x.

    mean: the shape of one sample, or a number. std: a positive number. Call it with x (n, ...) and alpha, sigma numbers or (n,).
    Source: Karras et al. 2022, table 1, carried from alpha = 1 to any channel; the mean is ours.
    """

    def __init__(self, raw: nn.Module, mean=0.0, std: float = 1.0):
        super().__init__()
        expect(isinstance(raw, nn.Module), "raw", "a torch.nn.Module", type(raw).__name__)
        within(std, 0.0, math.inf, "std", open_low=True)
        self.raw = raw
        self.register_buffer("mean", real_tensor(mean, "mean").float())
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, x: torch.Tensor, alpha, sigma) -> torch.Tensor:
        """E[x_0 | x], shape of x."""
        shape = (-1, *[1] * (x.ndim - 1))
        alpha, sigma = (torch.as_tensor(v).to(x).expand(len(x)).reshape(shape) for v in (alpha, sigma))
        r = ((alpha * self.std).square() + sigma.square()).sqrt()
        centred = x - alpha * self.mean
        log_snr = (2 * (alpha.log() - sigma.log())).clamp(-_EXTREME, _EXTREME).flatten()
        skip = alpha * self.std.square() / r.square() * centred
        return self.mean + skip + self.out_scale(alpha, sigma) * self.raw(centred / r, log_snr)

    def out_scale(self, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """c_out: the size of what the raw network has to explain at (alpha, sigma)."""
        return self.std * sigma / ((alpha * self.std).square() + sigma.square()).sqrt()


class _Perceptron(nn.Module):
    """x and sines of the log-SNR, through `depth` hidden layers; the last layer starts at zero, so F starts at zero."""

    def __init__(self, d: int, width: int, depth: int, frequencies: int, generator):
        super().__init__()
        self.register_buffer("frequencies", math.pi / _EXTREME * torch.arange(1, frequencies + 1), persistent=False)
        sizes = [d + 1 + 2 * frequencies] + depth * [width]
        self.layers = nn.ModuleList(_linear(a, b, math.sqrt(2 / a), generator) for a, b in zip(sizes[:-1], sizes[1:]))
        self.last = _linear(width, d, 0.0, generator)

    def forward(self, x, log_snr):
        """F(x, log_snr), shape (n, d)."""
        angle = log_snr[:, None] * self.frequencies
        h = torch.cat([x, log_snr[:, None] / _EXTREME, angle.sin(), angle.cos()], 1)
        for layer in self.layers:
            h = nn.functional.silu(layer(h))
        return self.last(h)


def _linear(inputs: int, outputs: int, scale: float, generator) -> nn.Linear:
    """A linear layer with N(0, scale^2) weights from the generator (torch's own start draws from the global state)."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(scale * normal(layer.weight.shape, generator))
        layer.bias.zero_()
    return layer


def mlp(
    d: int, width: int = 64, depth: int = 3, *, mean=0.0, std: float = 1.0, frequencies: int = 8, generator: torch.Generator
) -> Preconditioned:
    """A small denoiser of points (n, d): `depth` hidden layers of `width` units, sines of the log-SNR at `frequencies` rates.

    mean, std: of the data, see `Preconditioned`. Before training it is the exact denoiser of N(mean, std^2 I). float32.
    """
    for name, value in (("d", d), ("width", width), ("depth", depth), ("frequencies", frequencies)):
        count(value, name)
    mean = real_tensor(mean, "mean")
    expect(mean.ndim == 0 or mean.shape == (d,), "mean", f"a number or shape ({d},)", f"shape {tuple(mean.shape)}")
    return Preconditioned(_Perceptron(d, width, depth, frequencies, generator), mean.expand(d).clone(), std)
