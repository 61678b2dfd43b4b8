"""CIFAR-10 in its official binary version: fetched once when you ask for it, then read from your disk.

Downloads live in `cache()`. The six files of the dataset lie there in `cifar-10-batches-bin/`, as in the official
archive; you may put them, or the archive itself, there by hand, and no network is needed. The manifest holds the address
and the SHA-256 of the archive and of each file. Source: Krizhevsky, Learning Multiple Layers of Features from Tiny
Images, 2009.
"""

import os
import shutil
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import torch

from ..atomic import write_bytes
from ..errors import expect, optional
from .dataset import Dataset
from .files import check, digest
from .manifest import entry_of
from .pixels import unit

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RECORD = 1 + 3 * 32 * 32  # a label, then the red, the green and the blue plane, row by row
_FOLDER = "cifar-10-batches-bin"
_DRAFT = ".download-"


def cache() -> Path:
    """The folder of downloads: $OTPRIOR_CACHE_DIR, else `~/.cache/otprior_lite`."""
    return Path(os.environ.get("OTPRIOR_CACHE_DIR") or Path.home() / ".cache" / "otprior_lite")


def missing() -> list[str]:
    """Names of the dataset's files that are not in the cache."""
    return [name for name in entry_of("cifar10")["members"] if not (cache() / _FOLDER / name).is_file()]


def verify() -> None:
    """Raise unless all six files are there and have the hashes of the manifest."""
    for name in entry_of("cifar10")["members"]:
        _read(name)


def fetch() -> Path:
    """The folder of the six files. What is missing or corrupt comes from the archive in the cache, or is downloaded (170 MB).

    Raises OSError, saying how to do it by hand, if the download fails. A download that is cut short or killed leaves no
    file under its final name.
    """
    if not _whole():
        _restore(entry_of("cifar10"))
    return cache() / _FOLDER


def _whole() -> bool:
    try:
        verify()
    except (ValueError, FileNotFoundError):
        return False
    return True


def _restore(entry: dict) -> None:
    by_hand = cache() / entry["url"].rpartition("/")[2]
    if by_hand.exists():
        extract(by_hand, entry)
        return
    cache().mkdir(parents=True, exist_ok=True)
    for old in cache().glob(f"{_DRAFT}*"):  # of a process that was killed
        if time.time() - old.stat().st_mtime > 24 * 3600:
            shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=_DRAFT) as draft:
        extract(_download(entry, Path(draft)), entry)


def _download(entry: dict, folder: Path) -> Path:
    pooch = optional("pooch", "images")
    try:
        return Path(pooch.retrieve(entry["url"], f"sha256:{entry['sha256']}", path=folder, progressbar=True))
    except (OSError, ValueError) as error:
        raise OSError(
            f"the download failed: {error}. By hand: put the file {entry['url']} into {cache()} and run `otprior data cifar10`"
        ) from error


def extract(archive: Path, entry: dict) -> None:
    """Take the six named files out of the official archive, each after its hash was checked; nothing else is written.

    The names on the disk are the manifest's, never the archive's, so an archive cannot write elsewhere.
    """
    check(f"cifar10: {archive}", digest(archive.read_bytes()), entry["sha256"])
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for name, expected in entry["members"].items():
                member = tar.getmember(f"{_FOLDER}/{name}")
                expect(member.isreg(), f"{archive}: {member.name}", "a plain file", "a link, a folder or a device")
                content = tar.extractfile(member).read()
                check(f"cifar10: {name}", digest(content), expected)
                write_bytes(cache() / _FOLDER / name, content)
    except (tarfile.TarError, zlib.error, EOFError, KeyError) as error:
        raise ValueError(f"{archive}: expected the archive of CIFAR-10, got {error}") from error


def parse(content: bytes, name: str = "content") -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 3, 32, 32) and labels (n,), unsigned bytes, of a file in the binary layout."""
    whole = len(content) > 0 and len(content) % _RECORD == 0
    expect(whole, name, f"records of {_RECORD:,} bytes", f"{len(content):,} bytes")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0]
    expect(int(labels.max()) < len(CLASSES), name, "labels 0..9", f"label {labels.max()}")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def load(part: str) -> Dataset:
    """The 50,000 pictures of part "train" (614 MB in memory) or the 10,000 of part "test", in the official order."""
    entry = entry_of("cifar10")
    names = [name for name in entry["members"] if name.startswith("test") == (part == "test")]
    pictures, labels = zip(*(parse(_read(name), name) for name in names))
    y = torch.from_numpy(np.concatenate(labels).astype("int64"))
    return Dataset(f"cifar10_{part}", unit(np.concatenate(pictures)), y, CLASSES, entry["source"], entry["licence"])


def _read(name: str) -> bytes:
    file = cache() / _FOLDER / name
    if not file.is_file():
        raise FileNotFoundError(f"cifar10: no {file}; `otprior data cifar10` downloads the dataset (170 MB, once)")
    content = file.read_bytes()
    check(f"cifar10: {file}", digest(content), entry_of("cifar10")["members"][name])
    return content
