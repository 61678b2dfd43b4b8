"""Files are read after their hash was checked, and written whole or not at all."""

import hashlib
import os
from pathlib import Path

from ..errors import expect


def digest(content: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check(name: str, came: str, expected: str) -> None:
    """Raise ValueError with both hashes unless they are equal."""
    expect(came == expected, name, f"SHA-256 {expected}", f"{came}; the data are corrupt or changed, nothing was loaded")


def replace(file: Path, content: bytes) -> None:
    """Write `content` to `file`. A full disk or a killed process leaves the old file, or none, under that name.

    The bytes go to a draft in the same folder; renaming it is one step for the file system.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
