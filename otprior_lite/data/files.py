"""Files are read after their hash was checked."""

import hashlib

from ..errors import expect


def digest(content: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check(name: str, came: str, expected: str) -> None:
    """Raise ValueError with both hashes unless they are equal."""
    expect(came == expected, name, f"SHA-256 {expected}", f"{came}; the data are corrupt or changed, nothing was loaded")
