"""Networks whose output is E[x_0 | x], whatever the noise level.

A raw network F sees an input of unit size and a log-SNR; the frame around it makes a denoiser of it,

    D(x, alpha, sigma) = m + c_skip (x - alpha m) + c_out F((x - alpha m) / r, log-SNR),
    r^2 = alpha^2 s^2 + sigma^2,    c_skip = alpha s^2 / r^2,    c_out = s sigma / r,

with m and s the mean and the standard deviation of the data. F = 0 gives the best denoiser of N(m, s^2 I), and the
target of F has unit size at every noise level. Networks that predict the noise, the data or the velocity differ in
c_skip and c_out only, so they wear the same frame. Chapter 10 teaches this module.
"""

import math

import torch
from torch import nn

from ..errors import count, expect, known, real_tensor, within
from ..randomness import normal

PREDICTS = ("edm", "eps", "x0", "v")
_EXTREME = 25.0  # |log-SNR| beyond this is told to the network as this: alpha or sigma is 0 to six digits


class Preconditioned(nn.Module):
    """The denoiser D around a raw network F(x of unit size, log_snr (n,)) -> shape of x.

    mean: the shape of one sample, or a number. std: a positive number. Call it with x (n, ...) and alpha, sigma numbers or (n,).
    predicts: what F is, for data centred at m,

        "edm"  the rest after the best linear denoiser, in units of its size; the frame above
        "eps"  the noise (x - alpha x_0) / sigma:   c_skip = 1 / alpha,   c_out = -sigma / alpha;  needs alpha > 0
        "x0"   the data x_0 / s:                    c_skip = 0,           c_out = s
        "v"    the velocity alpha eps - sigma x_0:  c_skip = alpha / (alpha^2 + sigma^2),  c_out = -sigma / (alpha^2 + sigma^2)

    A raw network with an attribute `classes` > 0 also takes label (n,), whole numbers below it, -1 for no class.
    Sources: Karras et al. 2022, table 1, carried from alpha = 1 to any channel (the mean is ours); Ho et al. 2020 (eps);
    Salimans and Ho 2022 (v).
    """

    def __init__(self, raw: nn.Module, mean=0.0, std: float = 1.0, predicts: str = "edm"):
        super().__init__()
        expect(isinstance(raw, nn.Module), "raw", "a torch.nn.Module", type(raw).__name__)
        within(std, 0.0, math.inf, "std", open_low=True)
        self.raw = raw
        self.predicts = known(predicts, PREDICTS, "predicts")
        self.register_buffer("mean", real_tensor(mean, "mean").float())
        self.register_buffer("std", torch.tensor(float(std)))

    @property
    def classes(self) -> int:
        """Number of classes that the raw network can be told; 0 for a network without labels."""
        return getattr(self.raw, "classes", 0)

    def forward(self, x: torch.Tensor, alpha, sigma, label=None) -> torch.Tensor:
        """E[x_0 | x], or E[x_0 | x, label], shape of x."""
        shape = (-1, *[1] * (x.ndim - 1))
        alpha, sigma = (torch.as_tensor(v, dtype=x.dtype, device=x.device).expand(len(x)).reshape(shape) for v in (alpha, sigma))
        r = ((alpha * self.std).square() + sigma.square()).sqrt()
        centred = x - alpha * self.mean
        log_snr = (2 * (alpha.log() - sigma.log())).clamp(-_EXTREME, _EXTREME).flatten()
        skip = self._skip(alpha, sigma, r) * centred
        told = () if label is None else (self._label(label, x),)
        return self.mean + skip + self.out_scale(alpha, sigma) * self.raw(centred / r, log_snr, *told)

    def out_scale(self, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """c_out: the size of what the raw network has to explain at (alpha, sigma)."""
        if self.predicts == "eps":
            expect(bool((alpha > 0).all()), "alpha", "positive values: at zero SNR the noise says nothing of x_0", 0.0)
            return -sigma / alpha
        if self.predicts == "x0":
            return self.std.expand_as(alpha)
        if self.predicts == "v":
            return -sigma / (alpha.square() + sigma.square())
        return self.std * sigma / ((alpha * self.std).square() + sigma.square()).sqrt()

    def _skip(self, alpha, sigma, r) -> torch.Tensor:
        if self.predicts == "edm":
            return alpha * self.std.square() / r.square()
        if self.predicts == "v":
            return alpha / (alpha.square() + sigma.square())
        return 1 / alpha if self.predicts == "eps" else torch.zeros_like(alpha)

    def _label(self, label, x) -> torch.Tensor:
        expect(self.classes > 0, "label", "None: this network knows no classes", "a label")
        label = torch.as_tensor(label, device=x.device).expand(len(x))
        whole = not (label.is_floating_point() or label.is_complex() or label.dtype == torch.bool)
        fits = whole and bool(((label >= -1) & (label < self.classes)).all())
        expect(fits, "label", f"whole numbers from 0 to {self.classes - 1}, or -1 for no class", label.unique().tolist()[:10])
        return label


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
    d: int, width: int = 64, depth: int = 3, *, mean=0.0, std: float = 1.0, frequencies: int = 8, predicts: str = "edm",
    generator: torch.Generator,
) -> Preconditioned:  # fmt: skip
    """A small denoiser of points (n, d): `depth` hidden layers of `width` units, sines of the log-SNR at `frequencies` rates.

    mean, std: of the data; predicts: what the layers put out, see `Preconditioned`. Before training an "edm" network is the
    exact denoiser of N(mean, std^2 I). float32.
    """
    for name, value in (("d", d), ("width", width), ("depth", depth), ("frequencies", frequencies)):
        count(value, name)
    mean = real_tensor(mean, "mean")
    expect(mean.ndim == 0 or mean.shape == (d,), "mean", f"a number or shape ({d},)", f"shape {tuple(mean.shape)}")
    return Preconditioned(_Perceptron(d, width, depth, frequencies, generator), mean.expand(d).clone(), std, predicts)
