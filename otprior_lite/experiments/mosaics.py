"""What a start made of patches loses: all that one patch says of another.

`priors.Patched` samples the product of the patches' laws. Against p_t of the training pictures it errs by their dependence. The
part of it that a covariance shows is a formula: for the normal law with the mean and covariance of p_t,

    KL(N(m, C) | prod_p N(m_p, C_pp)) = (sum_p log det C_pp - log det C) / 2,    C = alpha^2 S + sigma^2 I,

and with X the centred pictures, log det C = d log sigma^2 + log det(I + alpha^2 X X^T / (N sigma^2)): N x N, and X X^T is
the sum of its patches'. A distance between noised samples is a poor judge here: with 351 of each the energy distance of pixels
does not tell mosaics from pictures at t = 250, while it sees repeats of stored points at once. Chapter 12 shows both.
"""

from dataclasses import dataclass

import torch

from .. import metrics
from ..errors import within
from ..priors.patches import cut, number, paste
from ..priors.prior import training_points
from ..randomness import permutation
from ..schedules import Schedule


def shared(points, schedule: Schedule, t, parts: int = 2) -> float:
    """Nats that the parts^2 patches of noised points (N, channels, *sides) say of each other, as far as a covariance knows.

    0 where they are uncorrelated; per sample, so some 1 / nats samples tell the mosaic from the picture. 0 < t <= T.
    """
    points = training_points(points).double()
    number(points.shape[1:], parts)
    within(t, 0.0, schedule.T, "t", open_low=True)
    flat = points.flatten(1)
    pieces = cut(flat - flat.mean(0), points.shape[1:], parts)
    grams = pieces @ pieces.transpose(1, 2) * float(schedule.alpha(t) / schedule.sigma(t)) ** 2 / len(points)
    eye = torch.eye(len(points), dtype=flat.dtype, device=flat.device)
    return 0.5 * float(torch.logdet(eye + grams).sum() - torch.logdet(eye + grams.sum(0)))


def mosaics(points: torch.Tensor, parts: int, generator: torch.Generator) -> torch.Tensor:
    """As many clean mosaics as points (N, channels, *sides): each patch of each picture is used once, at its own place."""
    pieces = cut(points.flatten(1), points.shape[1:], parts)
    shuffled = torch.stack([piece[permutation(len(points), generator, points.device)] for piece in pieces])
    return paste(shuffled, points.shape[1:], parts).reshape(points.shape)


@dataclass(frozen=True)
class Seams:
    """Frechet distances to held-out pictures in features: of mosaics, and of the pictures they were cut from (the floor)."""

    mosaics: float
    pictures: float


def seams(points: torch.Tensor, held_out: torch.Tensor, features, parts: int, generator: torch.Generator) -> Seams:
    """How far the clean mosaics are from pictures, where a classifier looks; features: (n, ...) -> (n, k)."""
    distance = lambda x: metrics.frechet(x, held_out, features=features, generator=generator).value
    return Seams(distance(mosaics(points, parts, generator)), distance(points))
