"""Random draws that touch no global state.

Every draw takes a `torch.Generator`. Numbers are drawn on the generator's device and moved, so the
same seed gives the same samples whatever device the computation uses.
"""

import torch

from .errors import expect


def check_generator(generator) -> torch.Generator:
    """`generator` if it is a torch.Generator; otherwise an error that shows how to make one."""
    how = "a torch.Generator, e.g. torch.Generator().manual_seed(0)"
    expect(isinstance(generator, torch.Generator), "generator", how, type(generator).__name__)
    return generator


def seeded(seed: int = 0) -> torch.Generator:
    """A fresh CPU generator with a fixed seed: the default of deterministic estimators."""
    return torch.Generator().manual_seed(seed)


def normal(shape, generator, *, dtype=torch.float32, device="cpu") -> torch.Tensor:
    """Independent N(0, 1) entries of the given shape."""
    draw = torch.randn(tuple(shape), generator=check_generator(generator), dtype=dtype, device=generator.device)
    return draw.to(device)


def categorical(weights: torch.Tensor, n: int, generator) -> torch.Tensor:
    """n indices drawn independently with probabilities `weights` (K,), by inverting the running sum."""
    uniform = torch.rand(n, generator=check_generator(generator), dtype=torch.float64, device=generator.device)
    running = weights.double().cumsum(0)
    index = torch.searchsorted(running, uniform.to(weights.device) * running[-1], right=True)
    return index.clamp_(max=len(weights) - 1)


def permutation(n: int, generator, device="cpu") -> torch.Tensor:
    """A uniform permutation of 0..n-1."""
    return torch.randperm(n, generator=check_generator(generator), device=generator.device).to(device)
