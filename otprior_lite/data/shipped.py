"""The datasets that are there without a download: digits (with scikit-learn) and emoji32 (in the data folder)."""

import numpy as np
import torch

from .dataset import Dataset
from .files import check, digest
from .manifest import entry_of, path
from .pixels import unit


def digits() -> Dataset:
    """1,797 handwritten digits, 8 x 8, from scikit-learn; grey levels 0..16 become [-1, 1]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images.astype("uint8"), bunch.target.astype("uint8")
    entry = entry_of("digits")
    check("digits", digest(images.tobytes() + labels.tobytes()), entry["sha256"])
    x = torch.from_numpy(images).to(torch.float32)[:, None] / 8 - 1
    classes = tuple(str(c) for c in range(10))
    return Dataset("digits", x, torch.from_numpy(labels).long(), classes, entry["source"], entry["licence"])


def emoji32() -> Dataset:
    """5,664 emoji, 3 x 32 x 32 on white: 1,906 at most from each of 3 vendors (`origin`), in 9 Unicode groups (`y`).

    48 of them repeat an earlier one exactly: `.distinct()` leaves 5,616.
    Most country flags of the first vendor have the shapes of the second's.
    """
    entry = entry_of("emoji32")
    with np.load(path("emoji32"), allow_pickle=False) as archive:
        x = unit(archive["x"].transpose(0, 3, 1, 2))
        y, origin = (torch.from_numpy(archive[key].astype("int64")) for key in ("y", "vendor"))
        classes, origins = (tuple(archive[key].tolist()) for key in ("classes", "vendors"))
    return Dataset("emoji32", x, y, classes, entry["source"], entry["licence"], origin, origins)
