"""Weights and checkpoints on disk: safetensors only, each written whole or not at all.

A run that dies while writing leaves the last complete file. A checkpoint is exact: reading it back gives every bit that
the next step depends on. Chapter 10 ships the weights that its page reads.
"""

import torch

from ..archive import read, write
from ..errors import expect


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
