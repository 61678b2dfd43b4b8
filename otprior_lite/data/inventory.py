"""What is here and whether it is whole: the state of each entry of the manifest."""

from . import cifar10, shipped
from .manifest import entry_of, hashes, path, root


def names() -> tuple[str, ...]:
    """Every entry of the manifest."""
    return tuple(hashes())


def state(name: str) -> str:
    """Where the data are.

    "shipped" in the data folder, or "missing" there; "installed" with a package; "downloaded" into the cache, or
    "not downloaded".
    """
    entry = entry_of(name)
    if "url" in entry:
        return "not downloaded" if cifar10.missing() else "downloaded"
    if entry["file"] is None:
        return "installed"
    return "shipped" if (root() / entry["file"]).is_file() else "missing"


def verify(name: str) -> None:
    """Raise ValueError with both hashes, or FileNotFoundError, unless the data have the manifest's SHA-256."""
    entry = entry_of(name)
    if "url" in entry:
        cifar10.verify()
    elif entry["file"] is None:
        shipped.digits()
    else:
        path(name)


def fetch(name: str) -> None:
    """Download what the manifest gives an address for, unless it is here and whole; anything else is only verified."""
    if "url" in entry_of(name):
        cifar10.fetch()
    else:
        verify(name)
