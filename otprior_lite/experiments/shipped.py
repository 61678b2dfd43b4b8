"""The noise levels in DPM-OT's published configurations, replayed on digits; and arithmetic on reported tables.

DPM-OT starts a few Langevin steps from dataset images with noise of standard deviation .0139 (pixels in [0, 1], its CIFAR-10
configuration). Which of its published results used these settings is unknown to us. Chapter 13.
"""

import math
from dataclasses import dataclass

import torch

from .. import metrics, schedules
from ..forward import denoiser_score
from ..randomness import normal, seeded
from ..score import ExactDenoiser
from . import claims, digits, floors
from .tracing import SHIPPED

CIFAR = SHIPPED[0]
STEP = 0.062
"""Langevin step in units of sigma^2: our choice."""


@dataclass(frozen=True, eq=False)
class Replay:
    """images: where the atoms come from; atoms: the same with noise; outputs: after the sampler;
    nearest: the image nearest to each output; all (n, 64), in [-1, 1].

    same: share of outputs whose nearest image of the set of atoms is their own. moved: median distance from the output to
    that image. fresh: median distance of a held-out digit to its nearest neighbour in the set. sigma: noise in [0, 1].
    """

    sigma: float
    images: torch.Tensor
    atoms: torch.Tensor
    outputs: torch.Tensor
    nearest: torch.Tensor
    same: float
    moved: float
    fresh: float


def replay(sigma: float | None = None, n: int = 300, seed: int = 0) -> Replay:
    """Atoms from held-out digits, annealed Langevin with the smooth score of the training half, a denoising step.

    sigma: noise of the atoms, for pixels in [0, 1]; default the shipped one. A larger one starts as many levels earlier.
    """
    world, generator = digits.world(seed), seeded(seed)
    sigma = CIFAR.atoms if sigma is None else sigma
    images = world.test[:n]
    atoms = images + 2 * sigma * normal(images.shape, generator)
    ladder = [CIFAR.sampler, CIFAR.last] if sigma == CIFAR.atoms else _ladder(sigma)
    schedule = schedules.edm()
    score, x = ExactDenoiser(world.mixture, schedule), atoms
    for s in ladder:
        for _ in range(CIFAR.inner):
            h = STEP * (2 * s) ** 2  # pixels run from -1 to 1 here
            x = x + h * denoiser_score(score(x, 2 * s), schedule, x, 2 * s) + math.sqrt(2 * h) * normal(x.shape, generator)
    outputs = score(x, 2 * ladder[-1])
    index = torch.cdist(outputs, images).argmin(1)
    moved = metrics.nearest_distance(outputs, images)
    fresh = metrics.nearest_distance(world.test[n:], images)
    same = float((index == torch.arange(len(images))).double().mean())
    return Replay(sigma, images, atoms, outputs, images[index], same, float(moved.median()), float(fresh.median()))


def _ladder(sigma: float, levels: int = 12) -> list[float]:
    """Levels from sigma down to the smallest, geometric."""
    return [sigma * (CIFAR.last / sigma) ** (k / (levels - 1)) for k in range(levels)]


def sheet() -> tuple[Replay, Replay]:
    """The shipped noise, and twenty times as much, where the sampler has something to do."""
    return replay(), replay(20 * CIFAR.atoms)


@dataclass(frozen=True)
class Flag:
    """One line of arithmetic: `left` stands beside `right`; what: their names; reading: what follows, and what does not."""

    what: str
    left: float
    right: float
    reading: str


REPORTED_ID = {"T = 500": 0.19, "T = 1000": 0.0087}
"""Distance of N(0, I) on CIFAR-10 in tables 2 and 3, as one report on version 2 quotes them: unverified."""


def flags() -> list[Flag]:
    """Reported numbers of the paper against elementary bounds. None of them is verified by us; none is an accusation."""
    unit = claims.reported.units()[0]
    distance, quality = claims.reported.columns()
    least = floors.least_floor(50_000, 3072)
    ddpm = schedules.ddpm_linear()
    ratio = float(ddpm.alpha(500) / ddpm.alpha(1000))
    reported = REPORTED_ID["T = 500"] / REPORTED_ID["T = 1000"]
    return [
        Flag("mean image alone, DDPM at T = 1000, pixels in [-1, 1]; reported W2", unit.value, unit.reference,
             "another unit or estimator; do not compare absolute values"),
        Flag("least sample W2 of two sets of 50,000 in 3,072 dimensions; reported W2", least, unit.reference,
             "not a sample W2 of raw pixels"),
        Flag("reported W2 at T = 500 over that at T = 1000; the same ratio of alpha", reported, ratio,
             "the two tables may use different settings"),
        Flag("reported W2, smoothed at T' = 50; DDPM", distance.value, distance.reference, "larger distance"),
        Flag("reported FID of the same two", quality.value, quality.reference, "better FID: the distance does not explain it"),
    ]  # fmt: skip
