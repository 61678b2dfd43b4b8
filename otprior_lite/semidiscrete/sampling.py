"""Cells hit by Gaussian samples: plain draws, and more for the price of one by rotation recycling.

If x and x' are independent N(0, I) then so are (x + x')/sqrt 2 and (x - x')/sqrt 2. Scores are linear in x,
so the scores of these new points are sums of rows already computed: one addition and one argmax instead of a
matrix product. Each block of m base draws is compared with K shifted copies of itself; a block stays independent
of every other block, and its counts are exact draws of the cell masses.

    s(x +- x')/sqrt 2:   sqrt 2 s = (<x, y_j> + sqrt 2 h_j) +- <x', y_j>.

Chapter 7 teaches this module.
"""

import torch
import torch.distributed as dist

from ..randomness import normal

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
        self.plain = points.new_empty((BASE + shifts, len(points)))  # the first `shifts` rows are repeated at the end
        self.raised, self.sums = (points.new_empty((BASE, len(points))) for _ in range(2))
        self.winners = torch.empty((1 + 2 * shifts, BASE), dtype=torch.long, device=points.device)
        self.argmax = _argmax_into(self.sums)

    def count(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        plain = self.plain[:BASE]
        torch.mm(x, self.columns, out=plain)
        torch.add(plain, self.heights, out=self.sums)
        self.argmax(self.winners[0])
        top = self.sums.gather(1, self.winners[0][:, None]).double().mean()
        if self.shifts:
            torch.add(plain, self.lifted, out=self.raised)
            self.plain[BASE:] = plain[: self.shifts]
        for k in range(1, self.shifts + 1):
            other = self.plain[k : k + BASE]
            torch.add(self.raised, other, out=self.sums)
            self.argmax(self.winners[2 * k - 1])
            torch.sub(self.raised, other, out=self.sums)
            self.argmax(self.winners[2 * k])
        counts += torch.bincount(self.winners.view(-1), minlength=len(counts))
        return top


def _argmax_into(scores: torch.Tensor):
    """A function that writes the argmax of the rows of `scores` into a vector; numpy's on a CPU."""
    if scores.device.type != "cpu":
        return lambda out: torch.argmax(scores, 1, out=out)
    rows = scores.numpy()
    return lambda out: rows.argmax(1, out=out.numpy())
