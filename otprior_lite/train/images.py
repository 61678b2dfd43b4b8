"""A U-Net as the raw network: diffusers' `UNet2DModel`, which counts noise in steps, told the log-SNR instead.

A table holds the log-SNR of steps 0, 1, 2, ..., and a level between two steps is a step between them. New networks use a
table of their own, the same for every schedule, so one network serves them all; a pretrained one (`pretrained`) brings
its schedule's. A network with K classes has a class K + 1 that means "not told": guidance needs both answers.
"""

import math

import torch
from torch import nn

from ..errors import count, expect, known, optional
from ..randomness import check_generator
from .networks import PREDICTS, Preconditioned

SIZES = {"tiny": ((32, 64, 64), 1), "small": ((64, 128, 128), 2), "base": ((128, 256, 256, 256), 2)}  # channels, layers a level
_TABLE = (25.0, -25.0, 1001)  # log-SNR of the first and the last step, and their number


class StepNetwork(nn.Module):
    """F(x, log_snr, label): a `UNet2DModel` called with the step whose log-SNR is `log_snr` (n,).

    log_snrs: (steps,), decreasing; levels beyond its ends are told as its ends. classes: of label (n,); -1 or None is "not told".
    """

    def __init__(self, unet: nn.Module, log_snrs: torch.Tensor, classes: int = 0):
        super().__init__()
        self.unet, self.classes = unet, classes
        self.register_buffer("rising", -log_snrs.float(), persistent=False)

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        """F, shape of x (n, channels, height, width)."""
        label = self._class(label, x)
        return self.unet(x, self.step(log_snr), class_labels=label).sample

    def step(self, log_snr: torch.Tensor) -> torch.Tensor:
        """The steps (n,), not whole in general, with this log-SNR."""
        level = (-log_snr).clamp(self.rising[0], self.rising[-1])
        k = torch.searchsorted(self.rising, level).clamp(1, len(self.rising) - 1)
        low, high = self.rising[k - 1], self.rising[k]
        return k - 1 + (level - low) / (high - low)

    def _class(self, label, x):
        if not self.classes:
            return None
        if label is None:
            return torch.full((len(x),), self.classes, device=x.device)
        return torch.where(label < 0, self.classes, label)


def unet_config(size: str, shape: tuple[int, int, int], classes: int = 0) -> dict:
    """What `diffusers.UNet2DModel` is called with for images (channels, height, width).

    "tiny" has about 1 M weights, "small" 6 M; "base" is the 35.7 M network of DDPM for CIFAR-10 (Ho et al. 2020). Attention at
    half the resolution and in the middle.
    """
    channels, layers = SIZES[known(size, tuple(SIZES), "size")]
    expect(len(shape) == 3, "shape", "(channels, height, width)", tuple(shape))
    for side in shape:
        count(side, "shape")
    levels, unit = len(channels), 2 ** (len(channels) - 1)
    expect(shape[1] % unit == 0 and shape[2] % unit == 0, "shape", f"sides that are multiples of {unit} for size {size!r}", shape)
    blocks = lambda kind: [f"{'Attn' if level == 1 else ''}{kind}Block2D" for level in range(levels)]
    return {
        "sample_size": tuple(shape[1:]), "in_channels": shape[0], "out_channels": shape[0],
        "block_out_channels": channels, "layers_per_block": layers,
        "down_block_types": tuple(blocks("Down")), "up_block_types": tuple(blocks("Up")[::-1]),
        "attention_head_dim": None, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6,
        "num_class_embeds": classes + 1 if classes else None,
    }  # fmt: skip


def unet(
    size: str, shape: tuple[int, int, int], *, classes: int = 0, predicts: str = "edm", mean=0.0, std: float = 1.0,
    generator: torch.Generator,
) -> Preconditioned:  # fmt: skip
    """A denoiser of images (n, channels, height, width) in [-1, 1]: `unet_config` and `Preconditioned` say what it is.

    classes: how many labels it can be told, 0 for none. The last layer starts at zero, so an "edm" network starts as the exact
    denoiser of N(mean, std^2 I). float32, on the CPU. Needs the extra `images`.
    """
    config = unet_config(size, shape, count(classes, "classes", 0))
    known(predicts, PREDICTS, "predicts")
    check_generator(generator)
    model = optional("diffusers", "images").UNet2DModel
    with torch.device("meta"):  # no draw from the global state
        empty = model(**config)
    network = empty.to_empty(device="cpu")
    _start(network, generator)
    low_to_high = torch.linspace(*_TABLE)
    return Preconditioned(StepNetwork(network, low_to_high, classes), mean, std, predicts)


@torch.no_grad()
def _start(network: nn.Module, generator: torch.Generator) -> None:
    """torch's usual starts, drawn from the generator; zero for the last layer."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for tensor in module.parameters(recurse=False):
                tensor.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(generator=generator)
        elif isinstance(module, nn.GroupNorm):
            module.reset_parameters()
        else:
            expect(not list(module.parameters(recurse=False)), "unet", "layers with a known start", type(module).__name__)
    for tensor in network.conv_out.parameters():
        tensor.zero_()
