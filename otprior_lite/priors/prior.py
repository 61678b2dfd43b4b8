"""What every prior is: a law to start the reverse process from, and what it costs. Chapter 5 teaches this module."""

from dataclasses import dataclass

import torch

from ..errors import expect, real_tensor


@dataclass(frozen=True)
class Cost:
    """What a prior costs: seconds to build, multiply-adds per sample, bytes kept."""

    solve_seconds: float
    sample_flops: float
    memory_bytes: int


def training_points(points) -> torch.Tensor:
    """`points` as a finite floating tensor (N, ...) with N >= 1."""
    points = real_tensor(points, "points")
    expect(points.ndim >= 2 and len(points) > 0, "points", "shape (N, ...) with N >= 1", f"shape {tuple(points.shape)}")
    return points
