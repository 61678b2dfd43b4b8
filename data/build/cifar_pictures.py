"""The pictures of `cifar_scale.py`: CIFAR-10 as a store of JPEG files or as it is published, and emoji32, each with its recipe."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from cifar_run import Scale
from networks import Recipe
from tqdm import tqdm

from otprior_lite import data, features
from otprior_lite.archive import fingerprint
from otprior_lite.data.cifar10 import CLASSES
from otprior_lite.data.pixels import unit
from otprior_lite.errors import expect, optional

RECIPES = {
    "cifar10": Recipe("cifar10", None, "small", 40_000, 256, lr=4e-4, ema=0.9995, every=1000),
    "emoji32": Recipe("emoji32", None, "small", 15_000, 256, lr=4e-4, ema=0.9995, every=1000),
}


@dataclass(frozen=True, eq=False)
class Pictures:
    """name: in file names. label: in results and titles. rows: for training; held_out: the rest."""

    name: str
    label: str
    recipe: Recipe
    rows: data.Dataset
    held_out: data.Dataset

    @property
    def digest(self) -> str:
        """SHA-256 of the training pictures and classes."""
        return fingerprint(self.rows.x, self.rows.y)


def unpack(file: Path) -> tuple[data.Dataset, data.Dataset]:
    """Training and test pictures of a store of JPEG files.

    Arrays of the .npz: header, bytes that all files begin with; payload, the rest of each without its end marker, one after
    the other; length (n,), of each in the payload; y (n,), classes; n_train, how many of the first are for training.
    """
    image = optional("PIL.Image", "images")
    with np.load(file, allow_pickle=False) as store:
        needed = ("header", "payload", "length", "y", "n_train")
        expect(set(needed) <= set(store.files), str(file), f"arrays {', '.join(needed)}", store.files)
        header, payload, length, y, n_train = (store[name] for name in needed)
    start, body = header.tobytes(), payload.tobytes()
    ends = length.astype(int).cumsum()
    files = (start + body[end - size : end] + b"\xff\xd9" for end, size in zip(ends, length.astype(int)))
    x = unit(np.stack([np.asarray(image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1) for content in files]))
    rows = data.Dataset("cifar10", x, torch.from_numpy(y.astype("int64")), CLASSES, str(file), "none stated; not shipped")
    here = torch.arange(len(x)) < int(n_train)
    return rows.rows(here), rows.rows(~here)


def collections(cifar: Path | None, scale: Scale) -> list[Pictures]:
    """CIFAR-10, where it is, and emoji32; cut and shortened to scale."""
    found = [("emoji32", "emoji32", "emoji32", *features.split("emoji32"))]
    if cifar is not None:
        found.append(("cifar10_jpeg75", "CIFAR-10 (JPEG q75)", "cifar10", *unpack(cifar)))
    elif data.state("cifar10") == "downloaded":
        found.append(("cifar10", "CIFAR-10", "cifar10", data.load("cifar10"), data.load("cifar10_test")))
    else:
        tqdm.write("no CIFAR-10 here (--cifar FILE.npz, or `otprior data cifar10`): its stages are left out")
    changes = {key: value for key in ("steps", "batch", "size", "every") if (value := getattr(scale, key)) is not None}
    some = lambda rows: rows.rows(torch.arange(min(len(rows.x), scale.pictures or len(rows.x))))
    return [
        Pictures(name, label, replace(RECIPES[recipe], **changes), some(rows.distinct()), some(held_out))
        for name, label, recipe, rows, held_out in found
    ]
