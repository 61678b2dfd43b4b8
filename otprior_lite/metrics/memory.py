"""Memorisation: are samples as new to the training set as fresh data are?

Low error is worth little if the samples are stored points. Two questions, each answered by fresh data as the floor:
are samples nearer to the training set than to a test set of the same size, and how many are copies of one point? The second
searches the whole training set, however small the test set is: a part of it would hide the copies of the rest.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import within
from ..estimate import Estimate
from ..linalg import squared_distances
from .samples import pair, share


@dataclass(frozen=True)
class Memorisation:
    """Nearest-train against nearest-test distances of samples.

    value: the share of samples whose nearest neighbour is a training point, train and test cut to the same
    number. floor: 1/2, by symmetry, when the samples are as new to the training set as to the test set.
    error: binomial, under that hypothesis. The distances are medians, to all points of the set; test_to_train is that of
    fresh data. duplicates: the share of samples that are copies of one training point; its floor is the share of test points.
    """

    value: float
    floor: float
    n: int
    error: float
    to_train: float
    to_test: float
    test_to_train: float
    duplicates: Estimate


def memorisation(x, train, test, *, ratio: float = 1 / 3) -> Memorisation:
    """Are samples x (n, ...) nearer to `train` than to `test`, two sets of fresh data of the same law?

    A sample counts as a duplicate if its nearest training point is at most `ratio` times as far as the second nearest.
    In d dimensions and a dense training set that happens to a share ratio^d of fresh data. Source: Yoon et al. 2023.
    """
    (_, test), (x, train) = pair(x, test, "test"), pair(x, train, "train")
    within(ratio, 0.0, 1.0, "ratio", open_low=True)
    m = min(len(train), len(test))
    a, b = (nearest_distance(x, points[:m]) for points in (train, test))
    near, fresh = nearest(x, train, 2)[0], nearest(test, train, 2)[0]
    medians = (float(d.median()) for d in (near[:, 0], nearest_distance(x, test), fresh[:, 0]))
    copied, by_chance = (d[:, 0] <= ratio * d[:, 1] for d in (near, fresh))
    nearer = float(((a < b).double() + 0.5 * (a == b).double()).mean())
    return Memorisation(nearer, 0.5, len(x), 0.5 / math.sqrt(len(x)), *medians, share(copied, float(by_chance.double().mean())))


def nearest_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Distance from each row of x (n, d) to the nearest row of y (m, d), recomputed by differences."""
    return nearest(x, y, 1)[0][:, 0]


def nearest(x: torch.Tensor, y: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (n, k), increasing, from each row of x (n, d) to its k nearest rows of y (m, d), and which rows these are (n, k).

    Found by scalar products, recomputed by differences.
    """
    rows = torch.cat([squared_distances(block, y).topk(k, largest=False).indices for block in x.split(1024)])
    distances, order = torch.stack([(x - y[i]).norm(dim=1) for i in rows.T], 1).sort(dim=1, stable=True)
    return distances, rows.gather(1, order)
