"""Data by name, checked by hash, never fetched behind your back.

`MANIFEST.json` lists every shipped file with its SHA-256, source, licence and the script that made it. A file
whose hash differs is refused before anything is read from it. Images are float32 (n, channels, height, width)
in [-1, 1]. Chapter 11 uses the digits.
"""

import hashlib
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from .errors import expect, known, real_tensor
from .randomness import permutation


@dataclass(frozen=True, eq=False)
class Dataset:
    """x: (n, ...) float32. y: (n,) int64 labels or None. classes: their names."""

    name: str
    x: torch.Tensor
    y: torch.Tensor | None
    classes: tuple[str, ...]
    source: str
    licence: str

    @property
    def flat(self) -> torch.Tensor:
        """x as (n, d)."""
        return self.x.flatten(1)

    def split(self, test: int, generator: torch.Generator) -> tuple["Dataset", "Dataset"]:
        """A random split into training data and `test` held-out rows."""
        expect(0 < test < len(self.x), "test", f"between 1 and {len(self.x) - 1} rows", test)
        order = permutation(len(self.x), generator, self.x.device)
        pick = lambda rows: Dataset(
            self.name, self.x[rows], None if self.y is None else self.y[rows], self.classes, self.source, self.licence
        )
        return pick(order[test:]), pick(order[:test])


def root() -> Path:
    """The data folder: $OTPRIOR_DATA_DIR, else `data/` beside the package, else the installed copy."""
    if "OTPRIOR_DATA_DIR" in os.environ:
        return Path(os.environ["OTPRIOR_DATA_DIR"])
    beside = Path(__file__).resolve().parents[1] / "data"
    if (beside / "MANIFEST.json").exists():
        return beside
    import otprior_lite_data

    return Path(next(iter(otprior_lite_data.__path__)))


@cache
def _manifest(folder: Path) -> dict:
    return json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))


def hashes() -> dict[str, str]:
    """SHA-256 of every entry of the manifest, by name."""
    return {name: entry["sha256"] for name, entry in _manifest(root()).items()}


def path(name: str) -> Path:
    """The path of a shipped file, after its hash was checked; raises ValueError with both hashes if it differs."""
    entry = _entry(name)
    expect(entry["file"] is not None, name, "a shipped file", "data of an installed package: use load")
    file = root() / entry["file"]
    if not file.exists():
        raise FileNotFoundError(f"{name}: {file} is missing; restore it from the repository")
    _check(name, hashlib.sha256(file.read_bytes()).hexdigest(), entry["sha256"])
    return file


def _entry(name: str) -> dict:
    manifest = _manifest(root())
    return manifest[known(name, tuple(manifest), "name")]


def _check(name: str, came: str, expected: str) -> None:
    expect(came == expected, name, f"SHA-256 {expected}", f"{came}; the data are corrupt or changed, nothing was loaded")


def register(name: str, file: Path, *, script: str, source: str = "this project", licence: str = "CC BY 4.0") -> None:
    """Enter a file of the data folder into the manifest, or its new hash; `script` is what makes it."""
    manifest = json.loads((root() / "MANIFEST.json").read_text(encoding="utf-8"))
    entry = {"file": str(file.relative_to(root())), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    manifest[name] = {**entry, "source": source, "licence": licence, "script": script}
    draft = root() / "MANIFEST.json.new"
    draft.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, root() / "MANIFEST.json")
    _manifest.cache_clear()


def table(name: str) -> list[dict]:
    """A shipped JSON table, as a list of rows."""
    return json.loads(path(name).read_text(encoding="utf-8"))


def load(name: str) -> Dataset:
    """A dataset by name ("digits"), or from your own `.npz` with arrays x (n, ...) and optionally y (n,)."""
    if str(name).endswith(".npz"):
        return _own_file(Path(name))
    return {"digits": _digits}[known(name, ("digits",), "name")]()


def _digits() -> Dataset:
    """1,797 handwritten digits, 8 x 8, from scikit-learn; grey levels 0..16 become [-1, 1]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, labels = bunch.images.astype("uint8"), bunch.target.astype("uint8")
    entry = _entry("digits")
    _check("digits", hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(), entry["sha256"])
    x = torch.from_numpy(images).to(torch.float32)[:, None] / 8 - 1
    classes = tuple(str(c) for c in range(10))
    return Dataset("digits", x, torch.from_numpy(labels).long(), classes, entry["source"], entry["licence"])


def _own_file(file: Path) -> Dataset:
    import numpy as np

    if not file.exists():
        raise FileNotFoundError(f"no such file: {file}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file}: expected a NumPy .npz archive without pickled objects, got {error}") from error
    expect("x" in arrays, str(file), "an array named x", f"arrays {sorted(arrays)}")
    x = real_tensor(arrays["x"], f"{file}: x").to(torch.float32)
    expect(x.ndim >= 2 and len(x) > 0, f"{file}: x", "shape (n, ...)", f"shape {tuple(x.shape)}")
    if "y" in arrays:
        expect(arrays["y"].dtype.kind in "iu", f"{file}: y", "integer labels", arrays["y"].dtype)
    y = torch.from_numpy(arrays["y"].astype("int64")) if "y" in arrays else None
    expect(y is None or y.shape == x.shape[:1], f"{file}: y", f"shape ({len(x)},)", None if y is None else tuple(y.shape))
    classes = () if y is None else tuple(str(c) for c in sorted(set(y.tolist())))
    return Dataset(file.stem, x, y, classes, str(file), "yours")
