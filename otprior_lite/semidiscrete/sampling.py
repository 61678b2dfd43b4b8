"""Cells hit by Gaussian samples: plain draws, and more for the price of one by rotation recycling.

If x and x' are independent N(0, I) then so are (x + x')/sqrt 2 and (x - x')/sqrt 2. Scores are linear in x,
so the scores of these new points are sums of rows already computed: one addition and one argmax instead of a
matrix product. Each block of m base draws is compared with K shifted copies of itself; a block stays independent
of every other block, and its counts are exact draws of the cell masses.

    s(x +- x')/sqrt 2:   sqrt 2 s = (<x, y_j> + sqrt 2 h_j) +- <x', y_j>.

Chapter 7 teaches this module.
"""

import numpy as np
import torch
import torch.distributed as dist

from ..randomness import normal
from .scores import argmax_rows

BASE = 64  # base draws per block


def default_recycling(d: int) -> int:
    """K, the number of shifts: more where a matrix product costs more (d = 64: 8, d = 768: 16)."""
    return 0 if d < 8 else 4 if d < 32 else 8 if d < 256 else 16


def draw_counts(points, heights, blocks: int, shifts: int, generator, keep: bool = False):
    """Cell counts of `blocks` blocks of 64 base draws and their recycled copies.

    points (N, d), heights (N,). Returns counts (N,) float64 summed over blocks, or (blocks, N) if `keep`, and
    per block the mean of u = max score, (blocks,). With torch.distributed every process draws the same stream,
    scores its share of the blocks and all receive the sum, so the result does not depend on their number.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    N, d = points.shape
    counts = torch.zeros((blocks if keep else 1, N), dtype=torch.float64, device=points.device)
    tops = torch.zeros(blocks, dtype=torch.float64, device=points.device)
    block = _Block(points, heights, shifts)
    for i in range(blocks):
        x = normal((BASE, d), generator, dtype=points.dtype, device=points.device)
        if i % world == rank:
            tops[i] = block.count(x, counts[i if keep else 0])
    if world > 1:
        dist.all_reduce(counts)
        dist.all_reduce(tops)
    return (counts if keep else counts[0]), tops


def rows_per_block(shifts: int) -> int:
    """Rows of scores that one block yields: 64 base draws, and two for each shift of each."""
    return BASE * (1 + 2 * shifts)


class _Block:
    """Buffers for one block of scores; `count` adds its winners to a row of counts and returns the mean of u."""

    def __init__(self, points, heights, shifts):
        self.columns, self.heights, self.shifts = points.T.contiguous(), heights, shifts
        self.lifted = heights * 2**0.5
        self.plain, self.raised, self.sums = (points.new_empty((BASE, len(points))) for _ in range(3))

    def count(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        torch.mm(x, self.columns, out=self.plain)
        winners = [argmax_rows(torch.add(self.plain, self.heights, out=self.sums))]
        top = self.sums.gather(1, winners[0][:, None]).double().mean()
        if self.shifts:
            torch.add(self.plain, self.lifted, out=self.raised)
        for k in range(1, self.shifts + 1):
            for combine in (torch.add, torch.sub):
                combine(self.raised[:-k], self.plain[k:], out=self.sums[:-k])
                combine(self.raised[-k:], self.plain[:k], out=self.sums[-k:])
                winners.append(argmax_rows(self.sums))
        counts += torch.bincount(torch.cat(winners), minlength=len(counts))
        return top
