"""Several processes, one run: each takes its share of every batch, and all take the same step.

Every process draws the whole batch from the same generator and keeps each `world`-th sample; gradients are averaged,

    g = (1 / W) sum_w g_w,

so W processes walk the path of one, up to the order of a sum. `processes.joined` makes a world of them.
"""

import torch
import torch.distributed as dist

from ..errors import expect
from ..processes import place


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
