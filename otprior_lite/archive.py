"""Tensors and a few words about them in a safetensors file, written whole or not at all, read without executing anything.

Weights, checkpoints, maps, priors and potentials are kept this way. What kind of file it is stands in its metadata, under a
key of its writer, so that no reader takes another's file for its own. Beside it stands a hash of all that is in the file, so
that a disk that lost a bit is noticed. A fingerprint says which tensors something belongs to.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path

import torch

from .atomic import write_bytes
from .errors import expect

KEY = "otprior_sha256"


def write(tensors: dict[str, torch.Tensor], file, metadata: dict[str, str] | None = None) -> None:
    """Tensors to a safetensors file, atomically; equal contents are equal files."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data, metadata = save(tensors), metadata or {}
    end = 8 + int.from_bytes(data[:8], "little")
    words = {"__metadata__": {KEY: _contents(tensors, metadata), **metadata}, **json.loads(data[8:end])}
    header = json.dumps(words, separators=(",", ":")).encode()  # here, because `save` writes metadata in a random order
    header += b" " * (-len(header) % 8)
    write_bytes(file, len(header).to_bytes(8, "little") + header + data[end:])


def read(file) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; ValueError when it is not one, or not what `write` put there."""
    from safetensors import SafetensorError, safe_open

    if not Path(file).exists():
        raise FileNotFoundError(f"no such file: {file}")
    expect(not Path(file).is_dir(), str(file), "a safetensors file", "a folder")
    try:
        with safe_open(file, "pt") as archive:
            tensors, metadata = {name: archive.get_tensor(name) for name in archive.keys()}, archive.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file}: expected a safetensors file, got {error}") from error
    written = metadata.pop(KEY, None)
    came = _contents(tensors, metadata) if written else None  # older files and those of others have no hash
    expect(came == written, str(file), f"contents with SHA-256 {written}", f"{came}: the file is damaged")
    return tensors, metadata


def read_own(file, key: str, writer: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and the JSON under `key` of a file that `writer` wrote; ValueError for any other file, or none."""
    try:
        tensors, metadata = read(file)
        words = json.loads(metadata.get(key, "null"))
    except (ValueError, OSError) as error:
        raise ValueError(f"path: expected a file written by {writer}, got {file} ({error})") from error
    expect(words is not None, "path", f"a file written by {writer}", str(file))
    return tensors, words


def same_names(came, names: Collection[str], file, whole: str, optional: Collection[str] = ()) -> dict:
    """The dict `came` if it has these names; else ValueError: what a newer writer, or another, means by its own is not guessed."""
    fits = isinstance(came, dict) and set(names) - set(optional) <= came.keys() <= set(names)
    expect(fits, str(file), f"{whole} with {', '.join(names)}", ", ".join(came) if isinstance(came, dict) else came)
    return came


def same_fields(came, kind: type, file) -> dict:
    """The dict `came` if its names are the fields of a dataclass, of which those with a default may be missing; else ValueError."""
    names = {f.name: f.default for f in fields(kind)}
    return same_names(came, names, file, f"a {kind.__name__}", [name for name in names if names[name] is not MISSING])


def same_settings(began: dict, settings: dict, file, run: str) -> None:
    """Raise ValueError with what differs unless a run that left `file` began with these settings."""
    differ = sorted(key for key in began.keys() | settings.keys() if began.get(key) != settings.get(key))
    shown = lambda values: {key: values[key] for key in differ if key in values}
    expect(not differ, str(file), f"{run} with {shown(settings)}", shown(began))


@contextmanager
def resuming() -> Iterator[None]:
    """To go on from a file that a run left: a refusal of it says the way out, too."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error}; use another file, or remove this one to start again") from error


def fingerprint(*tensors: torch.Tensor) -> str:
    """SHA-256 of shapes and bytes, in hexadecimal: equal for equal tensors, wherever they are."""
    digest = hashlib.sha256(str([tuple(tensor.shape) for tensor in tensors]).encode())
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _contents(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 of names, types, shapes, bytes and metadata, whatever their order."""
    names = sorted(tensors)
    words = repr([(name, str(tensors[name].dtype)) for name in names] + sorted(metadata.items()))
    return fingerprint(torch.tensor(list(words.encode()), dtype=torch.uint8), *(tensors[name] for name in names))
