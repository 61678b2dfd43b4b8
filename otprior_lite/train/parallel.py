"""Several processes, one run: each takes its share of every batch, and all take the same step.

Every process draws the whole batch from the same generator and keeps each `world`-th sample; gradients are averaged,

    g = (1 / W) sum_w g_w,

so W processes walk the path of one, up to the order of a sum. Started by `torchrun`; without it a world of one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from ..errors import expect


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, and yield the device of this one: its own GPU where there are GPUs."""
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def place() -> tuple[int, int]:
    """(rank, world): which process this is, and of how many."""
    together = dist.is_available() and dist.is_initialized()
    return (dist.get_rank(), dist.get_world_size()) if together else (0, 1)


def share(batch: int) -> slice:
    """The rows of a batch that this process works on; ValueError if they cannot be shared equally."""
    rank, world = place()
    expect(batch % world == 0, "batch", f"a multiple of the {world} processes", batch)
    return slice(rank, None, world)


def average(tensors: list[torch.Tensor]) -> None:
    """Replace tensors of one dtype by their mean over all processes, in one message."""
    _, world = place()
    if world == 1:
        return
    message = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(message)
    for tensor, mean in zip(tensors, (message / world).split([tensor.numel() for tensor in tensors])):
        tensor.copy_(mean.view_as(tensor))
