"""What every prior is: a law to start the reverse process from, and what it costs.

A prior is a frozen dataclass. Its constructor takes parameters, its `fit(points, schedule, t, *, generator)` data;
it draws with `sample`, states its `cost`, moves with `to`, and is kept with `save` and `priors.load`. Chapter 5
teaches this module.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..errors import count, expect, real_tensor


@dataclass(frozen=True)
class Cost:
    """What a prior costs: seconds to build, multiply-adds per sample, bytes kept, network calls per sample."""

    solve_seconds: float
    sample_flops: float
    memory_bytes: int
    network_calls: int = 0


class Prior(ABC):
    """A law to start from. name: for figures and tables."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """See `Cost`."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """n independent draws, shape (n, *shape of one sample), in the dtype and on the device of the prior."""

    def to(self, device) -> "Prior":
        """The same prior on another device."""
        from .storage import move

        return move(self, torch.device(device))

    def save(self, path) -> None:
        """Write to a safetensors file, for `priors.load`. Of a schedule it keeps the one time that the prior uses."""
        from .storage import save

        save(self, path)


def training_points(points) -> torch.Tensor:
    """`points` as a finite floating tensor (N, ...) with N >= 1."""
    points = real_tensor(points, "points")
    expect(points.ndim >= 2 and points.numel() > 0, "points", "shape (N, ...) with N >= 1", f"shape {tuple(points.shape)}")
    return points


def sample_shape(shape) -> tuple[int, ...]:
    """The shape of one sample as a tuple; one number means a vector."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in shape:
        count(size, "shape")
    return shape
