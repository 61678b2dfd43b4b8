"""The curves of a run for TensorBoard: the loss of every step and the samples a second, written while the run goes on."""

import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import count, optional
from .loop import State


def recorded(states: Iterator[State], folder, batch: int) -> Iterator[State]:
    """The same states; each leaves its loss and the speed in event files in `folder`, under "loss" and "samples_a_second".

    batch: samples a step. A run that goes on where it was stopped replaces the points after that step. Needs the extra
    `tensorboard`, which `tensorboard --logdir FOLDER` of the same package then draws.
    """
    optional("tensorboard", "tensorboard")
    return _written(states, Path(folder), count(batch, "batch"))


def _written(states, folder, batch):
    from torch.utils.tensorboard import SummaryWriter

    writer, before = None, time.perf_counter()
    try:
        for state in states:
            writer = writer or SummaryWriter(str(folder), purge_step=state.step)
            now = time.perf_counter()
            writer.add_scalar("loss", state.loss, state.step)
            writer.add_scalar("samples_a_second", batch / (now - before), state.step)
            before = now
            yield state
    finally:
        if writer is not None:
            writer.close()
