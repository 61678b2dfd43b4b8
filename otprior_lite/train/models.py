"""A trained model on disk: the weights of a denoiser and the few words that build its network again.

A `Design` is those words: size, shape of one sample, classes, what is predicted, under which schedule. One safetensors
file holds both, so that `load_model` needs nothing else, and says so when the two do not fit.
"""

import json
from dataclasses import asdict, dataclass

import torch

from ..archive import read, read_own, same_fields
from ..errors import expect, known, real_tensor
from ..randomness import seeded
from ..schedules import named
from ..score import LearnedDenoiser
from .files import fill, save_weights
from .images import SIZES, unet
from .networks import PREDICTS, Preconditioned, mlp

POINTS = {"tiny": (64, 3), "small": (128, 3), "base": (256, 4)}  # width and depth of `mlp`, for samples that are vectors
_KEY = "otprior_model"


@dataclass(frozen=True)
class Design:
    """What a network is before it has weights.

    size: "tiny", "small" or "base". shape: of one sample; (d,) makes an `mlp`, (channels, height, width) a `unet`. classes: 0
    for none. predicts: see `Preconditioned`. schedule: one of `schedules.NAMES`.
    """

    size: str
    shape: tuple[int, ...]
    classes: int = 0
    predicts: str = "edm"
    schedule: str = "ddpm_linear"

    def __post_init__(self):
        known(self.size, tuple(SIZES), "size")
        known(self.predicts, PREDICTS, "predicts")
        named(self.schedule, "schedule")
        object.__setattr__(self, "shape", tuple(self.shape))
        expect(len(self.shape) in (1, 3), "shape", "(d,) or (channels, height, width)", self.shape)
        expect(self.classes == 0 or len(self.shape) == 3, "classes", "0 for samples that are vectors", self.classes)

    def network(self, points, generator: torch.Generator) -> Preconditioned:
        """The untrained network, its frame fitted to the mean and spread of points (N, *shape)."""
        points = real_tensor(points, "points")
        fits = points.shape[1:] == self.shape and len(points) > 0
        expect(fits, "points", f"shape (N, {', '.join(map(str, self.shape))})", f"shape {tuple(points.shape)}")
        std = float(points.double().var(0, correction=0).mean().sqrt())
        expect(std > 0, "points", "at least two different points", "one point")
        frame = {"mean": points.mean(0), "std": std, "predicts": self.predicts, "generator": generator}
        if len(self.shape) == 3:
            return unet(self.size, self.shape, classes=self.classes, **frame)
        width, depth = POINTS[self.size]
        return mlp(*self.shape, width, depth, **frame)


def save_model(design: Design, network: Preconditioned, file, dtype: torch.dtype = torch.float32) -> None:
    """Weights, rounded to `dtype`, and design to one safetensors file, atomically; torch.float16 halves the file."""
    save_weights(network, file, dtype, {_KEY: json.dumps(asdict(design))})


def load_model(file) -> tuple[Design, LearnedDenoiser]:
    """What `save_model` wrote, on the CPU; ValueError for another file or weights that do not fit its design."""
    tensors, words = read_own(file, _KEY, "save_model")
    design = Design(**same_fields(words, Design, file))
    two = torch.stack([torch.zeros(design.shape), torch.ones(design.shape)])
    network = design.network(two, seeded())  # mean and std are among the weights
    fill(network, tensors, str(file))
    return design, LearnedDenoiser(network, named(design.schedule))


def averaged(network: Preconditioned, checkpoint) -> Preconditioned:
    """Fill `network` with the running average of a checkpoint of `train`. Returns the network."""
    own = {key: value for key, value in read(checkpoint)[0].items() if key.startswith("average.")}
    fill(network, {key.removeprefix("average."): value for key, value in own.items()}, str(checkpoint))
    return network
