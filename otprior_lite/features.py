"""Metrics of pictures without a download: a small classifier of our own, its features and its probabilities.

Distances between pixels see brightness before they see what is drawn. The last layer but one of a classifier, averaged
over the picture, sees shapes and colours; Frechet distance, precision and recall are measured there, and mode mixtures
with the probabilities of the last layer:

    seen = features.load("emoji32")
    metrics.frechet(x, y, features=seen.pooled)
    metrics.mode_mixture(x, reference, seen.probabilities)

The numbers are no FID. That name belongs to one other network (Inception v3, 2,048 features, learned on ImageNet), to
50,000 samples and to the square of the distance; values in the features of two networks do not compare. Whoever has
the weights of that network passes its features in the same way: `inception`.

Two cautions. The classifier is surer of the pictures it learned from than of new ones, and the features of the two differ
by more than the floor: compare with the held-out pictures of `split`, or copies of training data look better than fresh data. And
it is sure of things that are no picture at all: uniform noise mixes fewer modes than emoji do. Precision tells them apart.
"""

import io
import math
import re
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import nn

from . import data
from .archive import read
from .errors import expect, known, optional, real_tensor
from .randomness import check_generator
from .train import load_weights

WEIGHTS = {"emoji32": "weights/emoji32_features"}
"""The classifiers that are shipped: data they learned from, and their entry in the manifest (accuracy, chance, seed)."""

SIDE = 32
_BLOCK = 256  # pictures at a time: keeps the inner layers below 30 MB
_ALIKE = "man woman men women male female boy girl adult child person people family facing right".split()


class Classifier(nn.Module):
    """A residual network for pictures (n, 3, 32, 32) in [-1, 1]: 32 -> 16 -> 8 -> 4 pixels a side, then their average.

    classes: how many. widths: channels at each size; the last is the number of features. Weights start as in He et al.
    2015, drawn from the generator. float32; `pooled` and `probabilities` return the input's dtype and device.
    """

    def __init__(self, classes: int, widths: tuple[int, ...] = (24, 32, 64, 96), *, generator: torch.Generator):
        super().__init__()
        self.stem, self.norm = _convolution(3, widths[0], 3), nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(*(_Halving(a, b) for a, b in pairwise(widths)))
        self.head = nn.utils.skip_init(nn.Linear, widths[-1], classes)
        _start(self, check_generator(generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes); what training fits."""
        return self.head(self._pool(x))

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, k) of pictures (n, 3, 32, 32): for `features=` of the metrics."""
        return self._in_blocks(self._pool, x)

    def probabilities(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities (n, classes) of pictures (n, 3, 32, 32): for `classes` of `mode_mixture`."""
        return self._in_blocks(lambda block: self(block).softmax(1), x)

    def _pool(self, x):
        return self.blocks(torch.relu(self.norm(self.stem(x)))).mean((2, 3))

    @torch.no_grad()
    def _in_blocks(self, function, x):
        x = real_tensor(x, "x")
        fits = x.ndim == 4 and len(x) > 0 and x.shape[1:] == (3, SIDE, SIDE)
        expect(fits, "x", f"pictures (n, 3, {SIDE}, {SIDE}) in [-1, 1]", f"shape {tuple(x.shape)}")
        expect(not self.training, "network", "evaluation mode: call .eval()", "training mode")
        return torch.cat([function(block.to(self.head.weight)) for block in x.split(_BLOCK)]).to(x)


class _Halving(nn.Module):
    """Two convolutions, the first with stride 2, beside a shortcut that averages 2 x 2 pixels. Source: He et al. 2016."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first, self.norm_first = _convolution(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs)
        self.second, self.norm_second = _convolution(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut = _convolution(inputs, outputs, 1)

    def forward(self, x):
        """(n, inputs, h, h) -> (n, outputs, h / 2, h / 2)."""
        h = torch.relu(self.norm_first(self.first(x)))
        return torch.relu(self.norm_second(self.second(h)) + self.shortcut(nn.functional.avg_pool2d(x, 2)))


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.utils.skip_init(nn.Conv2d, inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


@torch.no_grad()
def _start(network: nn.Module, generator) -> None:
    """N(0, 2 / inputs) for convolutions, N(0, 1 / inputs) for the head: torch's own start draws from the global state."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()), generator=generator)
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0, math.sqrt(1 / module.in_features), generator=generator)
            module.bias.zero_()


def load(name: str) -> Classifier:
    """The shipped classifier of a dataset's classes: "emoji32", nine Unicode groups. Its weights were rounded to float16.

    The manifest says how often it is right on held-out names, over all and by group (flags are easy, activities and food
    are hard), and how often a guess of the largest group would be. Made by `python data/build/features.py`. Raises
    ValueError for an unknown name or a wrong hash.
    """
    entry = WEIGHTS[known(name, tuple(WEIGHTS), "name")]
    classes = len(data.load(name).classes)
    network = Classifier(classes, generator=torch.Generator())
    return load_weights(network, data.path(entry)).eval().requires_grad_(False)


def split(name: str) -> tuple[data.Dataset, data.Dataset]:
    """The pictures that the classifier learned from, and the held-out ones: a quarter of the names of emoji32.

    A name goes to one side with all its vendors, and with names that differ by a number, a gender or a direction only
    (`man_running_facing_right` and `woman-running`). The side is read off the name's SHA-256, so no seed is
    involved. A picture that equals a held-out one under another name is in neither part.
    """
    emoji = data.load(known(name, tuple(WEIGHTS), "name"))
    with np.load(data.path(name), allow_pickle=False) as archive:
        names = [word.decode() for word in archive["name"].tolist()]
    held = torch.tensor([sha256(_kin(word).encode()).digest()[0] < 64 for word in names])
    digests = [sha256(picture).digest() for picture in emoji.flat.numpy()]
    held_digests = {digest for digest, out in zip(digests, held.tolist()) if out}
    repeated = torch.tensor([digest in held_digests for digest in digests])
    return emoji.rows(~held & ~repeated), emoji.rows(held)


def _kin(name: str) -> str:
    """What names of nearly equal drawings share: `running` for `man_running_facing_right`."""
    words = (word.rstrip("0123456789") for word in re.split("[-_]", name))
    return " ".join(word for word in words if word and word not in _ALIKE)


def inception(weights, device="cpu") -> Callable[[torch.Tensor], torch.Tensor]:
    """The features (n, 2048) of pictures (n, 3, h, w) in [-1, 1] that FID is made of: for `features=` of `frechet`.

    weights: a file with the weights of Inception v3 as torch-fidelity takes them (its converted "inception-2015-12-05", Apache
    2.0), .pth or .safetensors; nothing is downloaded and nothing in the file is executed. device: where the network computes;
    features return to the device and dtype of the pictures. Values beyond [-1, 1] are clipped and rounded to 8 bits, as in a
    picture file; the network then enlarges them to 299 x 299 as TensorFlow 1 did (bilinear, no antialiasing), and scales
    (byte - 128) / 128. With it, and only with it,

        FID = metrics.frechet(x, y, features=features.inception(weights), repeats=1).value ** 2

    for 50,000 samples x and the training set y; fewer samples read higher. Needs the extra `fid`.
    Source: Heusel et al. 2017; Obukhov et al. 2020 (torch-fidelity).
    """
    kind = optional("torch_fidelity", "fid").FeatureExtractorInceptionV3
    if not Path(weights).exists():
        raise FileNotFoundError(f"no such file: {weights}")
    try:
        network = kind("inception", ["2048"], feature_extractor_weights_path=_tensors_only(weights))
    except (RuntimeError, ValueError, TypeError, EOFError, AttributeError, UnpicklingError) as error:
        raise ValueError(f"{weights}: expected the weights of Inception v3 for torch-fidelity, got {str(error)[:300]}") from error
    network.to(device)

    @torch.no_grad()
    def pooled(x):
        x = real_tensor(x, "x")
        fits = x.ndim == 4 and len(x) > 0 and x.shape[1] == 3
        expect(fits, "x", "pictures (n, 3, height, width) in [-1, 1]", f"shape {tuple(x.shape)}")
        pixels = lambda block: ((block.clamp(-1, 1) + 1) * 127.5).round().to(device, torch.uint8)
        return torch.cat([network(pixels(block))[0] for block in x.split(_BLOCK // 4)]).to(x)

    return pooled


def _tensors_only(weights) -> io.BytesIO:
    """The tensors of a file, read without executing what a pickle may hold, as torch-fidelity wants to read them."""
    if str(weights).endswith(".safetensors"):
        tensors = read(weights)[0]
    else:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    buffer.seek(0)
    return buffer
