"""Tensors and a few words about them in a safetensors file, written whole or not at all, read without executing anything.

Weights, checkpoints, maps, priors and potentials are kept this way. What kind of file it is stands in its metadata, under a
key of its writer, so that no reader takes another's file for its own. A fingerprint says which tensors something belongs to.
"""

import hashlib
import json
from pathlib import Path

import torch

from .atomic import write_bytes
from .errors import expect


def write(tensors: dict[str, torch.Tensor], file, metadata: dict[str, str] | None = None) -> None:
    """Tensors to a safetensors file, atomically."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    write_bytes(file, data)


def read(file) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; ValueError when it is not one."""
    from safetensors import SafetensorError, safe_open

    if not Path(file).exists():
        raise FileNotFoundError(f"no such file: {file}")
    try:
        with safe_open(file, "pt") as archive:
            return {name: archive.get_tensor(name) for name in archive.keys()}, archive.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{file}: expected a safetensors file, got {error}") from error


def read_own(file, key: str, writer: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and the JSON under `key` of a file that `writer` wrote; ValueError for any other file, or none."""
    try:
        tensors, metadata = read(file)
    except (ValueError, OSError) as error:
        raise ValueError(f"path: expected a file written by {writer}, got {file} ({error})") from error
    expect(key in metadata, "path", f"a file written by {writer}", str(file))
    return tensors, json.loads(metadata[key])


def fingerprint(*tensors: torch.Tensor) -> str:
    """SHA-256 of shapes and bytes, in hexadecimal: equal for equal tensors, wherever they are."""
    digest = hashlib.sha256(str([tuple(tensor.shape) for tensor in tensors]).encode())
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
