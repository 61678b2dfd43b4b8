"""When must the notebooks run again? When their text changes, and when what they import or read changes.

jupyter-cache sees only the text. This hash of the library, the data, the widgets, this package and the pinned versions is
part of the cache's path, so that editing one of them re-executes the book and nothing else does.
"""

import hashlib
import shutil

from . import ROOT

INPUTS = ("otprior_lite", "data", "book/widgets", "book/_ext/otprior_book", "book/_toc.yml", "constraints.txt")
"""What a notebook's outputs depend on besides its own text."""

_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


def fingerprint(root=ROOT):
    """16 hexadecimal digits that change when a file of `INPUTS` is edited, added, renamed or removed."""
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()[:16]


def cache_path(build, root=ROOT, keep=2):
    """The folder of `build` for this fingerprint's outputs; of the older ones only the newest `keep - 1` stay."""
    here = build / ".jupyter_cache" / fingerprint(root)
    here.mkdir(parents=True, exist_ok=True)
    others = sorted((path for path in here.parent.iterdir() if path != here), key=lambda path: path.stat().st_mtime)
    for old in others[: len(others) - (keep - 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return here


def _files(root):
    """Every input file, in an order that does not depend on the disk."""
    found = []
    for name in INPUTS:
        path = root / name
        found += [path] if path.is_file() else path.rglob("*")
    return sorted(path for path in found if path.is_file() and not _IGNORED & set(path.relative_to(root).parts))
