"""Weights and checkpoints on disk: safetensors only, written to a new file that then takes the old one's name.

A run that dies while writing leaves the last complete file. A checkpoint is exact: reading it back gives every bit that
the next step depends on. Chapter 10 ships the weights that its page reads.
"""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import expect


@contextmanager
def replacing(file) -> Iterator[Path]:
    """A new file to write to, which then takes the name of `file`; OSError (a full disk, no rights) leaves the old one as it was."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        yield new
        with new.open("rb+") as stream:
            os.fsync(stream.fileno())  # the bytes are on the disk before they take the name
        os.replace(new, file)
    except OSError as error:
        kept = "; the file that was there is unchanged" if file.exists() else ""
        raise OSError(error.errno, f"could not write {file}: {error.strerror or error}{kept}") from error
    finally:
        new.unlink(missing_ok=True)


def write(tensors: dict[str, torch.Tensor], file, metadata: dict[str, str] | None = None) -> None:
    """Tensors to a safetensors file, atomically."""
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    with replacing(file) as new:
        new.write_bytes(data)


def clean(file: Path) -> None:
    """Remove what writers of `file` left behind when they were killed."""
    for left in file.parent.glob(f"{glob.escape(file.name)}.*.new"):
        left.unlink(missing_ok=True)


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


def save_weights(
    network: torch.nn.Module, file, dtype: torch.dtype = torch.float32, metadata: dict[str, str] | None = None
) -> None:
    """The network's weights and buffers, rounded to `dtype` (torch.float16 halves the file), and words about them."""
    write({name: tensor.to(dtype) for name, tensor in network.state_dict().items()}, file, metadata)


def load_weights(network: torch.nn.Module, file) -> torch.nn.Module:
    """Fill `network` with weights written by `save_weights`; it keeps its dtype and device. Returns the network."""
    fill(network, read(file)[0], str(file))
    return network


def fill(network: torch.nn.Module, tensors: dict[str, torch.Tensor], name: str) -> None:
    """Copy tensors into a network of the same shapes, or say what differs."""
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    came = {key: tuple(value.shape) for key, value in tensors.items()}
    differ = sorted(key for key in own.keys() | came.keys() if own.get(key) != came.get(key))
    shown = f"{len(differ)} that differ" + "".join(f", e.g. {key}: {own.get(key)} and {came.get(key)}" for key in differ[:1])
    expect(not differ, name, "the tensors of this network", shown)
    network.load_state_dict(tensors)
