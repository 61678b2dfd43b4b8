"""Data by name, checked by hash, never fetched behind your back.

`MANIFEST.json` lists every file with its SHA-256, source, licence and the script that made it. A file whose hash
differs is refused before anything is read from it. Images are float32 (n, channels, height, width) in [-1, 1]. What must
be downloaded, you download: `fetch("cifar10")`, or `otprior data cifar10`. Chapter 11 uses the digits.

Two folders, which two variables move: $OTPRIOR_DATA_DIR is where the shipped files and the manifest are (`root()`),
$OTPRIOR_CACHE_DIR is where downloads go, and where a copy you have already may lie (`cache()`).
"""

from pathlib import Path

from ..errors import expect, known
from . import cifar10, own, shipped
from .cifar10 import cache
from .dataset import Dataset
from .inventory import fetch, names, state, verify
from .manifest import hashes, path, register, root, table

__all__ = ["Dataset", "cache", "fetch", "hashes", "load", "names", "path", "register", "root", "state", "table", "verify"]

_BY_NAME = {
    "digits": shipped.digits,
    "emoji32": shipped.emoji32,
    "cifar10": lambda: cifar10.load("train"),
    "cifar10_test": lambda: cifar10.load("test"),
}


def load(name: str | Path, size: int | None = None) -> Dataset:
    """A dataset by name, or your own: an `.npz` file or a folder of pictures.

    Names: "digits", "emoji32", "cifar10" (the 50,000 for training), "cifar10_test" (the other 10,000). An `.npz` holds
    x (n, ...), floats or pictures in bytes, and optionally labels y (n,) (`own.from_npz`). Pictures become squares of `size`
    (a folder: 32 unless told; otherwise: as they are).

    Raises ValueError for an unknown name, wrong hashes, arrays or pictures; FileNotFoundError for what is not there.
    """
    expect(isinstance(name, str | Path), "name", "the name of a dataset, or a path", type(name).__name__)
    if str(name).endswith(".npz"):
        found = own.from_npz(Path(name))
    elif name not in _BY_NAME and Path(name).is_dir():
        return own.from_folder(Path(name), 32 if size is None else size)
    elif isinstance(name, Path) or "/" in name:
        raise FileNotFoundError(f"no such folder: {name}")
    else:
        found = _BY_NAME[known(name, tuple(_BY_NAME), "name")]()
    return found if size is None else found.resized(size)
