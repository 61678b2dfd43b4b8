"""Files appear whole or not at all: write to a new file in the same folder, which then takes the old one's name.

Renaming is one step for the file system, so a full disk or a killed process leaves the old file, or none.
"""

import errno
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A name of this process in the folder of `file`, which is made; what is left under it at the end goes."""
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            yield new
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        kept = "; the file that was there is unchanged" if os.path.isfile(file) else ""
        raise OSError(error.errno, f"could not write {file}: {error.strerror or error}{kept}") from error


@contextmanager
def replacing(file) -> Iterator[Path]:
    """A new file to write to, which then takes the name of `file`; OSError (a full disk, no rights) leaves the old one there."""
    with _beside(Path(file)) as new:
        yield new
        with new.open("rb+") as stream:
            os.fsync(stream.fileno())  # the bytes are on the disk before they take the name
        os.replace(new, file)


def ready(file) -> None:
    """Make the folder of `file` and a first empty file in it, before hours of work that end there; OSError when that fails."""
    with _beside(Path(file)) as new:
        new.touch()


def write_bytes(file, content: bytes) -> None:
    """`content` to `file`."""
    with replacing(file) as new:
        new.write_bytes(content)


def clean(file: Path) -> None:
    """Remove what writers of `file` left behind when they were killed; another process that lives may be writing still."""
    for left in file.parent.glob(f"{glob.escape(file.name)}.*.new"):
        if not _other(left.suffixes[-2][1:]):
            left.unlink(missing_ok=True)


def _other(pid: str) -> bool:
    """Whether another process of this machine has this number."""
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)  # sends nothing
    except OSError as error:
        return error.errno == errno.EPERM
    return True
