"""What a table of scores costs: time and memory against the rows that are held at a time.

Finding the cells of n draws among N atoms needs n N scores. Nobody needs them together: a row gives one index and can
go. Each measurement runs in a process of its own, which reports how far its memory rose above what the draws and the
atoms take. Chapter 11.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch

from ..randomness import normal, seeded
from ..semidiscrete.scores import argmax_rows
from .study import Study

DIGITS = {"atoms": 899, "d": 64, "draws": 2**16}
CIFAR = {"atoms": 50_000, "d": 3072, "draws": 512}
"""The size of CIFAR-10's training set; the atoms themselves are draws of N(0, I)."""


def cells(quick: bool) -> list[dict]:
    """Both sizes, from one row to all of them; quick: few draws."""
    if quick:
        return [DIGITS | {"draws": 2**14, "rows": rows} for rows in (64, 2**14)]
    digits = [DIGITS | {"rows": rows} for rows in (1, 16, 128, 2048, 2**16)]
    return digits + [CIFAR | {"rows": rows} for rows in (8, 64, 512)]


def measure(cell: dict) -> dict:
    """megabytes: the rise of the process's peak; microseconds: per draw, best of three, the processor's own clock."""
    code = f"from {__name__} import report; report({cell['atoms']}, {cell['d']}, {cell['draws']}, {cell['rows']})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    megabytes, microseconds = map(float, out.split())
    return {"megabytes": megabytes, "microseconds": microseconds}


def report(atoms: int, d: int, draws: int, rows: int) -> None:
    """Print the two numbers of `measure` for this process. The peak of a process never falls: call it in a fresh one."""
    torch.set_num_threads(1)
    generator = seeded(0)
    points, x, heights = normal((atoms, d), generator), normal((draws, d), generator), torch.zeros(atoms)
    index = torch.empty(draws, dtype=torch.long)
    in_blocks(x[:8], points, heights, 1, index)  # the matrix product's own buffers
    before, seconds = _peak(), []
    for _ in range(3):
        start = time.process_time()
        in_blocks(x, points, heights, rows, index)
        seconds.append(time.process_time() - start)
    print(round(_peak() - before, 2), round(1e6 * min(seconds) / draws, 3))


def in_blocks(x, points, heights, rows: int, out) -> None:
    """Write the cell of each x (n, d) into out (n,), with `rows` rows of scores in memory at a time."""
    for start in range(0, len(x), rows):
        out[start : start + rows] = argmax_rows(torch.addmm(heights, x[start : start + rows], points.T))


def _peak() -> float:
    """Megabytes (2^20 bytes) at the peak of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose getrusage starts at the peak of the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource  # not on Windows, where only the committed rows can be read

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


STUDY = Study("blocks", cells, measure)
