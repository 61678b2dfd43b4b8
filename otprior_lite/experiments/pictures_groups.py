"""Nine groups from one network: pictures of emoji32 by classifier-free guidance, and how often a classifier agrees.

    D = D_plain + guidance (D_told - D_plain)

The network was told the group in training, at times not; `weights/emoji32` holds it. All settings start from the same codes
z ~ N(0, I) at T. Guidance trades variety for obedience; 1 is no guidance. The judge is the shipped classifier, which is
itself wrong on a quarter of the held-out pictures: their share stands beside. Chapter 12 shows the pictures.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from .. import data, features
from ..randomness import normal, seeded
from ..samplers import sample
from ..score import LearnedDenoiser
from ..train import load_model
from .pictures import METHOD

GUIDANCE = (1.0, 2.0, 4.0)
CALLS = 20
"""Steps; a guided one asks the network twice."""


@torch.no_grad()
def drawn(each: int, seed: int = 0) -> torch.Tensor:
    """Pictures (guidance, group, each, 3, 32, 32) in [-1, 1], drawn now."""
    learned = load_model(data.path("weights/emoji32"))[1]
    classes = len(data.load("emoji32").classes)
    z = normal((each, 3, 32, 32), seeded(seed)).repeat(classes, 1, 1, 1)
    label = torch.arange(classes).repeat_interleave(each)
    denoisers = [LearnedDenoiser(learned.network, learned.schedule, label, guidance) for guidance in GUIDANCE]
    ends = [sample(denoiser, learned.schedule, z, steps=CALLS, method=METHOD) for denoiser in denoisers]
    return torch.stack(ends).reshape(len(GUIDANCE), classes, each, *z.shape[1:])


@dataclass(frozen=True, eq=False)
class Groups:
    """outputs: (guidance, group, k, 3, 32, 32) in [-1, 1]. names: of the groups. right: share that the classifier puts into the
    group that was told, by guidance. held_out: the same of held-out pictures, every group with equal weight."""

    outputs: torch.Tensor
    names: tuple[str, ...]
    right: tuple[float, ...]
    held_out: float


@cache
def groups() -> Groups:
    """The pictures that `python data/build/atlas.py groups` made, and what the classifier says of them."""
    with np.load(data.path("results/groups_atlas"), allow_pickle=False) as archive:
        outputs = torch.from_numpy(archive["outputs"]).float() / 127.5 - 1
    classifier, held = features.load("emoji32"), features.split("emoji32")[1]
    told = torch.arange(outputs.shape[1]).repeat_interleave(outputs.shape[2])
    said = [classifier.probabilities(pictures.flatten(0, 1)).argmax(1) for pictures in outputs]
    hits = (classifier.probabilities(held.x).argmax(1) == held.y).double()
    by_group = [float(hits[held.y == group].mean()) for group in range(len(held.classes))]
    right = tuple(float((answer == told).double().mean()) for answer in said)
    return Groups(outputs, held.classes, right, sum(by_group) / len(by_group))
