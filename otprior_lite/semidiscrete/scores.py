"""Scores and their argmax, in blocks of bounded memory.

Everything an MC solver does is one question asked often: which atom j maximises the score

    s_j(x) = <x, y_j> + h_j ?

One matrix product gives a block of rows of scores; numpy's argmax reads them on a CPU (torch's is ten times
slower there), torch's on a GPU. Chapter 7 teaches this module.
"""

import numpy as np
import torch


def block_rows(atoms: int, device: torch.device) -> int:
    """Rows of scores per block: about 512 KB on a CPU (its second-level cache), 256 MB on a GPU."""
    numbers = 2**26 if device.type == "cuda" else 2**17
    return int(min(max(numbers // atoms, 8), 2**16))


def argmax_rows(scores: torch.Tensor) -> torch.Tensor:
    """For each row of scores (n, N) the index of its maximum, on the same device."""
    if scores.device.type == "cpu":
        return torch.from_numpy(np.argmax(scores.numpy(), axis=1))
    return scores.argmax(1)


def best_cells(x: torch.Tensor, points: torch.Tensor, heights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each row of x (n, d) the winning atom (n,) and its score (n,), atoms (N, d), heights (N,)."""
    cells = torch.empty(len(x), dtype=torch.long, device=points.device)
    values = torch.empty(len(x), dtype=points.dtype, device=points.device)
    rows = block_rows(len(points), points.device)
    for start in range(0, len(x), rows):
        scores = torch.addmm(heights, x[start : start + rows], points.T)
        index = argmax_rows(scores)
        cells[start : start + rows] = index
        values[start : start + rows] = scores.gather(1, index[:, None])[:, 0]
    return cells, values
