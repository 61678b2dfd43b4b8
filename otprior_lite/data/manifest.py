"""The list of the data: `MANIFEST.json` holds file, SHA-256, source, licence and script of each entry.

An entry without a file is data of an installed package (digits) or, where it has a url, of a download (cifar10).
"""

import json
import os
from functools import cache
from pathlib import Path

from ..atomic import write_bytes
from ..errors import expect, known
from .files import check, digest


def root() -> Path:
    """The data folder: $OTPRIOR_DATA_DIR, else `data/` beside the package, else the installed copy."""
    if "OTPRIOR_DATA_DIR" in os.environ:
        return Path(os.environ["OTPRIOR_DATA_DIR"])
    beside = Path(__file__).resolve().parents[2] / "data"
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


def entry_of(name: str) -> dict:
    """The manifest's entry of that name, or an error that suggests the nearest."""
    manifest = _manifest(root())
    return manifest[known(name, tuple(manifest), "name")]


def path(name: str) -> Path:
    """The path of a shipped file, after its hash was checked; raises ValueError with both hashes if it differs."""
    entry = entry_of(name)
    expect(entry["file"] is not None, name, "a shipped file", "data of an installed package or a download: use load")
    file = root() / entry["file"]
    if not file.exists():
        raise FileNotFoundError(f"{name}: {file} is missing; restore it from the repository")
    check(name, digest(file.read_bytes()), entry["sha256"])
    return file


def register(name: str, file: Path, *, script: str, source: str = "this project", licence: str = "CC BY 4.0", **facts) -> None:
    """Enter a file of the data folder into the manifest, or its new hash.

    script: what makes it. facts: what else is measured of it, such as the seed and the accuracy of trained weights.
    """
    manifest = json.loads((root() / "MANIFEST.json").read_text(encoding="utf-8"))
    entry = {"file": file.relative_to(root()).as_posix(), "sha256": digest(file.read_bytes())}
    manifest[name] = {**entry, "source": source, "licence": licence, "script": script, **facts}
    write_bytes(root() / "MANIFEST.json", (json.dumps(manifest, indent=2) + "\n").encode())
    _manifest.cache_clear()


def table(name: str) -> list[dict]:
    """A shipped JSON table, as a list of rows."""
    return json.loads(path(name).read_text(encoding="utf-8"))
