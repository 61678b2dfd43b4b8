"""Our solver on the same clock, and how fast its scores are made.

Two times are told apart. `run` follows the heights of one solve and lets the judge say when they were good enough:
that is what the peers are timed by. `certified` is the whole call `solve(points, tolerance=...)`, which does not
stop before its own check on fresh samples says so: the peers give no such promise, so it is shown beside.
"""

import time

import torch
from peers import Point

from otprior_lite import semidiscrete
from otprior_lite.semidiscrete.sampling import Sampler


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def warm_up(points):
    """What a first call loads must not be timed."""
    semidiscrete.solve(points, tolerance=1.0, generator=_generator(99), max_samples=1)


def run(cloud, tolerance: float, seed: int, seconds: float, device="cpu"):
    """Points of one solve to `tolerance`, at most `seconds` long: the time grows by a sixth from one to the next."""
    points = cloud.points()
    warm_up(points)
    clock = _gpu_seconds if device == "cuda" else time.process_time
    before, mark = clock(), 0.0
    for state in semidiscrete.solve_steps(points, tolerance=tolerance, generator=_generator(seed), device=device):
        used = clock() - before
        last = state.fit is not None or used > seconds
        if used >= mark or last:
            heights = state.tensors.get("mean", state.heights) if state.numbers.get("averaging") else state.heights
            yield Point(used, state.samples, heights.double().cpu().numpy())
            mark = used * 7 / 6
        if last:
            return


def _gpu_seconds():
    torch.cuda.synchronize()
    return time.perf_counter()


def certified(cloud, tolerance: float, seed: int, device="cpu") -> tuple[Point, bool]:
    """One call of `solve`: its time and answer, and whether it says that it converged."""
    points = cloud.points()
    warm_up(points)
    clock = _gpu_seconds if device == "cuda" else time.process_time
    before = clock()
    fit = semidiscrete.solve(points, tolerance=tolerance, generator=_generator(seed), device=device)
    return Point(clock() - before, fit.samples, fit.heights.double().cpu().numpy()), fit.converged


def score_rates(cloud, repeats: int) -> dict:
    """GFLOP/s, each the best of five: `machine`, the best float32 matrix product found here; `product`, the engine's
    score product alone; `plain`, drawing, product, heights, argmax and count together; `recycled`, the same with
    rotation recycling, counting a product for each row of scores it delivers."""
    points = cloud.points().float()
    N, d = points.shape
    block = 2 * 64 * N * d

    def rate(call, flops):
        call()
        times = []
        for _ in range(5):
            before = time.process_time()
            for _ in range(repeats):
                call()
            times.append(time.process_time() - before)
        return repeats * flops / min(times) / 1e9

    def product(rows, inner, columns):
        a, b, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
        return rate(lambda: torch.mm(a, b, out=out), 2 * rows * inner * columns)

    heights, generator = torch.zeros(N), _generator(0)
    plain, recycling = Sampler(points, 0), Sampler(points)
    return {
        "product": product(64, d, N),
        "plain": rate(lambda: plain.counts(heights, 1, generator), block),
        "recycled": rate(lambda: recycling.counts(heights, 1, generator), block * recycling.rows / recycling.base),
        "machine": max(product(*shape) for shape in ((64, d, N), (512, 512, 512), (256, 1024, 1024), (64, 768, 2500))),
    }
