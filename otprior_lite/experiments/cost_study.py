"""What a semi-discrete solve costs on this machine: blocks of the sampler, whole solves, memory, rounding, processes.

Times are CPU seconds of one thread, so other jobs do not count, though they share caches and memory. Each row says how
busy the machine was: `busy`, wall seconds over CPU seconds, is 1 on a free core, and `reference` is the rate (flop/s) of one
fixed matrix product right then. Counts repeat exactly; times do not. `experiments.cost` fits a model to the rows.
"""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch

from .. import data, semidiscrete
from ..errors import known
from ..forward import noise
from ..randomness import normal, permutation, seeded
from ..schedules import ddpm_linear
from ..semidiscrete.sampling import Sampler
from .study import Study

SIZES = {"N": (1000, 4000, 16_000), "d": (64, 768, 3072), "base": (16, 64, 256), "shifts": (0, 8)}
"""Blocks that are timed: every combination."""

HELD_OUT = {"kind": "block", "N": 50_000, "d": 3072, "base": 64, "shifts": 8}
"""One block at the size of CIFAR-10, which no fit sees."""

SOLVES = (
    ("digits", 500, 0, 0.05), ("digits", 1500, 0, 0.1), ("digits", 1500, 0, 0.05), ("digits", 1500, 0, 0.03),
    ("digits", 1500, 500, 0.05), ("emoji16", 1000, 0, 0.1), ("emoji16", 2000, 0, 0.1), ("emoji16", 2000, 250, 0.1),
    ("emoji16", 4000, 500, 0.1), ("emoji32", 2000, 0, 0.1), ("emoji32", 2000, 250, 0.1), ("emoji32", 4000, 500, 0.1),
)  # fmt: skip
"""Solves: pictures, N, the time of ddpm_linear at which they are noised, tolerance. emoji16: 16 x 16 x 3.

Always 2 N > d: fewer atoms are solved in their span, which is another problem."""

LEAST = 0.06
"""CPU seconds for which a block is repeated, three times at least."""


def cells(quick: bool) -> list[dict]:
    """Everything that is measured, what is timed last; quick: small ones, of every kind but processes."""
    if quick:
        blocks = [dict(zip(SIZES, sizes), kind="block") for sizes in product((200, 400), (16, 64), (64,), (0, 4))]
        solves = [{"kind": "solve", "pictures": "digits", "N": 200, "t": 500, "tolerance": 0.2}]
        return [*blocks, *solves, {"kind": "memory", "N": 500, "d": 768}, {"kind": "ties", "N": 500, "d": 64}]
    blocks = [dict(zip(SIZES, sizes), kind="block") for sizes in product(*SIZES.values())]
    solves = [dict(zip(("pictures", "N", "t", "tolerance"), solve), kind="solve") for solve in SOLVES]
    memory = [{"kind": "memory", "N": N, "d": d} for N, d in ((6000, 3072), (12_000, 1536))]
    ties = [{"kind": "ties", "N": N, "d": 3072} for N in (1000, 4000, 16_000)]
    processes = [{"kind": "processes", "world": world, "N": 4000, "d": 3072} for world in (1, 2)]
    reductions = [{"kind": "reduction", "world": 2, "N": N} for N in (1000, 10_000, 100_000, 1_000_000, 10_000_000)]
    draws = {"kind": "draw", "d": 3072, "base": 64}
    return [*ties, *memory, *solves, draws, *blocks, HELD_OUT, *processes, *reductions]


def measure(cell: dict) -> dict:
    """Numbers of one cell, one thread, with how busy the machine was."""
    kinds = {
        "block": block, "draw": draw, "solve": solve, "memory": memory, "ties": ties,
        "processes": processes, "reduction": processes,
    }  # fmt: skip
    function = kinds[known(cell.pop("kind"), tuple(kinds), "kind")]
    with one_thread():
        a = torch.ones(1024, 1024)
        product_seconds = timed(lambda: a @ a, least=0.03)["cpu"]
        return {**function(**cell), "reference": float(f"{2 * 1024**3 / product_seconds:.3g}")}


@contextmanager
def one_thread():
    """One thread for torch within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def timed(function, least: float = LEAST) -> dict:
    """cpu: CPU seconds of the fastest of the repeats; median; repeats; busy: wall over CPU seconds of all of them."""
    function()
    seconds, wall = [], time.perf_counter()
    while len(seconds) < 3 or sum(seconds) < least:
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    busy = (time.perf_counter() - wall) / max(sum(seconds), 1e-9)
    middle = sorted(seconds)[len(seconds) // 2]
    return {**_digits(cpu=min(seconds), median=middle, busy=busy), "repeats": len(seconds)}


def block(N: int, d: int, base: int, shifts: int) -> dict:
    """One block of the sampler for N atoms in d dimensions, draw to counts."""
    generator = seeded(0)
    sampler, heights = Sampler(normal((N, d), generator), shifts, base), torch.zeros(N)
    return timed(lambda: sampler.counts(heights, 1, generator))


def draw(d: int, base: int) -> dict:
    """The Gaussian draws of one block: what every process repeats."""
    generator = seeded(0)
    return timed(lambda: normal((base, d), generator))


def atoms(pictures: str, N: int, t: float, seed: int = 0) -> torch.Tensor:
    """N distinct pictures (N, d) noised by ddpm_linear at t; t = 0: clean."""
    found = data.load("emoji32" if pictures.startswith("emoji") else pictures).distinct()
    x = (found.resized(16) if pictures == "emoji16" else found).flat
    generator = seeded(seed)
    return noise(x[permutation(len(x), generator)[:N]], ddpm_linear(), t, generator)


def solve(pictures: str, N: int, t: float, tolerance: float) -> dict:
    """A whole solve. gain: independent rows that one draw is worth; start: chi2 of the closed-form heights, None if far off."""
    points = atoms(pictures, N, t)
    start, states = time.process_time(), []
    wall = time.perf_counter()
    for state in semidiscrete.solve_steps(points, tolerance=tolerance, generator=seeded(1)):
        states = [*states[:1], state]
    cpu = time.process_time() - start
    fit, first = state.fit, states[0].numbers
    prior, base = first.get("prior", 0.0), Sampler(points[:1]).base
    return {
        "d": points.shape[1], "samples": fit.samples, "steps": fit.steps, "checks": len(fit.history), "converged": fit.converged,
        **_digits(cpu=cpu, busy=(time.perf_counter() - wall) / cpu, error=float(fit.error), gain=first["rows"] / base),
        "start": float(f"{N / prior:.3g}") if prior else None,
    }  # fmt: skip


def memory(N: int, d: int) -> dict:
    """Bytes that a fresh process holds at most: for the sampler's buffers, and for a whole solve, beyond the given atoms."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        sampler, whole = pool.submit(_peaks, N, d).result()
    return {"sampler": sampler, "solve": whole}


def _peaks(N: int, d: int) -> tuple[int, int]:
    torch.set_num_threads(1)
    generator = seeded(0)
    semidiscrete.solve(normal((64, 8), generator), tolerance=0.5, generator=generator)  # loads what a solve loads
    points, peaks = normal((N, d), generator), []
    use = lambda: Sampler(points.clone()).counts(torch.zeros(N), 2, generator)
    for call in (use, lambda: semidiscrete.solve(points, tolerance=0.5, generator=generator, max_samples=1)):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before = _status("VmRSS")
        call()
        peaks.append(_status("VmHWM") - before)
    return tuple(peaks)


def _status(key: str) -> int:
    """Bytes of a line of Linux's /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def ties(N: int, d: int, rows: int = 1024) -> dict:
    """Rounding of float32 scores against the distance of the two highest, for atoms N(0, I) with mean-field heights.

    error: standard deviation of the rounding of a difference of two scores; gap: mean distance of the two highest; wrong:
    share of rows whose winner differs from float64's.
    """
    from ..semidiscrete.start import mean_field

    generator = seeded(0)
    y, x = normal((N, d), generator), normal((rows, d), generator)
    heights = mean_field(y, torch.full((N,), 1 / N))[0]
    exact = torch.addmm(heights, x.double(), y.double().T)
    rounded = torch.addmm(heights.float(), x, y.T).double()
    top = exact.topk(2).values
    return {
        **_digits(error=float((rounded - exact).std()) * 2**0.5, gap=float((top[:, 0] - top[:, 1]).mean())),
        "wrong": float((rounded.argmax(1) != exact.argmax(1)).double().mean()),
    }


def processes(world: int, N: int, d: int | None = None, blocks: int = 64) -> dict:
    """wall: seconds of a call that shares its blocks among processes, or of one all-reduce of N floats where d is None.

    cpu: of each process, one thread each: on a busy machine the work that sharing saves shows here alone.
    """
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(world, mp_context=get_context("spawn")) as pool:
        members = [pool.submit(_member, rank, world, f"file://{folder}/meet", N, d, blocks) for rank in range(world)]
        times = [member.result() for member in members]
    walls, cpus = zip(*times)
    return {**_digits(wall=max(walls)), "cpu": [float(f"{cpu:.3g}") for cpu in cpus], "cores": os.cpu_count()}


def _member(rank: int, world: int, meeting: str, N: int, d: int | None, blocks: int) -> tuple[float, float]:
    """(wall, CPU) seconds of the fastest of three repeats in this process."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    try:
        if d is None:
            counts = torch.zeros(N, dtype=torch.float64)
            call = lambda: dist.all_reduce(counts)
        else:
            generator = seeded(0)
            sampler = Sampler(normal((N, d), generator))
            call = lambda: sampler.counts(torch.zeros(N), blocks, generator)
        call()
        times = []
        for _ in range(3):
            dist.barrier()
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        return min(times)
    finally:
        dist.destroy_process_group()


def _digits(**numbers: float) -> dict:
    """Four significant digits each."""
    return {key: float(f"{value:.4g}") for key, value in numbers.items()}


STUDY = Study("cost", cells, measure)
