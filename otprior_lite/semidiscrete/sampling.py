"""Cells hit by Gaussian samples: plain draws, and more for the price of one by rotation recycling.

If x and x' are independent N(0, I) then so are (x + x')/sqrt 2 and (x - x')/sqrt 2. Scores are linear in x,
so the scores of these new points are sums of rows already computed: one addition and one argmax instead of a
matrix product. Each block of base draws is compared with K shifted copies of itself; a block stays independent
of every other block, and its counts are exact draws of the cell masses.

    s((x +- x')/sqrt 2) = ((<x, y_j> + sqrt 2 h_j) +- <x', y_j>) / sqrt 2.

Chapter 7 teaches this module.
"""

import torch
import torch.distributed as dist

from ..processes import place
from ..randomness import normal


class Sampler:
    """Draws Gaussian points and counts the cells they fall into, for fixed atoms (N, d).

    base: Gaussian draws per block; shifts: K, so that a block yields base * (1 + 2 K) rows of scores. With
    torch.distributed every process draws the same stream and scores its share of the blocks, and all receive the
    sum: the result does not depend on their number.
    """

    def __init__(self, points: torch.Tensor, shifts: int | None = None, base: int | None = None):
        N, d = points.shape
        self.points, self.columns = points, points.T.contiguous()
        self.shifts = default_shifts(d) if shifts is None else shifts
        self.base = (1024 if points.device.type == "cuda" else 64) if base is None else base
        self.rows = self.base * (1 + 2 * self.shifts)
        self._plain = points.new_empty((self.base + self.shifts, N))  # the first rows are repeated at the end
        self._raised, self._sums = (points.new_empty((self.base, N)) for _ in range(2))
        self._winners = torch.empty((1 + 2 * self.shifts, self.base), dtype=torch.long, device=points.device)
        self._pairs = [self._plain[k : k + self.base] for k in range(1, self.shifts + 1)]
        self._argmax = [_argmax_into(self._sums, row) for row in self._winners]

    def counts(self, heights: torch.Tensor, blocks: int, generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts (N,) float64 of `blocks` blocks, and per block the mean of u = max score over its base draws."""
        rank, world = place()
        heights = heights.to(self.points)
        counts = torch.zeros(len(heights), dtype=torch.float64, device=heights.device)
        tops = torch.zeros(blocks, dtype=torch.float64, device=heights.device)
        for i in range(blocks):
            x = normal((self.base, self.points.shape[1]), generator, dtype=heights.dtype, device=heights.device)
            if i % world == rank:
                tops[i] = self._count(x, heights, counts)
        if world > 1:
            dist.all_reduce(counts)
            dist.all_reduce(tops)
        return counts, tops

    def _count(self, x, heights, counts):
        """Add the winners of one block to `counts`; return the mean of u."""
        plain, raised, sums = self._plain[: self.base], self._raised, self._sums
        torch.mm(x, self.columns, out=plain)
        torch.add(plain, heights, out=sums)
        self._argmax[0]()
        top = sums.gather(1, self._winners[0][:, None]).double().mean()
        if self.shifts:
            torch.add(plain, heights, alpha=2**0.5, out=raised)
            self._plain[self.base :] = plain[: self.shifts]
        for k, other in enumerate(self._pairs):
            torch.add(raised, other, out=sums)
            self._argmax[2 * k + 1]()
            torch.sub(raised, other, out=sums)
            self._argmax[2 * k + 2]()
        counts += torch.bincount(self._winners.view(-1), minlength=len(counts))
        return top


def default_shifts(d: int) -> int:
    """K: more where a matrix product costs more than a sum, none in a few dimensions where rows repeat cells."""
    return 1 if d < 16 else 4 if d < 256 else 8


def _argmax_into(scores: torch.Tensor, out: torch.Tensor):
    """A function that writes the argmax of the rows of `scores` (n, N) into `out` (n,); numpy's on a CPU."""
    if scores.device.type != "cpu":
        return lambda: torch.argmax(scores, 1, out=out)
    rows, winners = scores.numpy(), out.numpy()
    return lambda: rows.argmax(1, out=winners)
