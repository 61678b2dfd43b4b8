"""The peers, each called as its own documentation says, with a rate in units that suit every cloud.

`rate` is relative: 1 would correct a cell of wrong mass in one step, by the mean-field slope of the mass. OTT-JAX and
POT work with g, the potential for the cost |x - y|^2, where our score <x, y> + h has h = (g - |y|^2) / 2. Both start
from g = 0; OTT-JAX also from our closed form. Compilation and the first call are not timed.

A runner takes (points, setting, seed, seconds) and yields `Point`s: seconds used, draws used, heights (N,).
"""

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from otprior_lite.semidiscrete.start import mean_field


@dataclass(frozen=True, eq=False)
class Point:
    """One moment of a run: CPU seconds, source samples drawn, and the answer at that time, heights (N,)."""

    seconds: float
    samples: int
    heights: np.ndarray


def closed_form(points):
    """Our start h and the median slope dh/dw, the unit of the rates."""
    heights, slope = mean_field(points, torch.full((len(points),), 1 / len(points), dtype=torch.float64))
    return heights.numpy(), float(slope.median())


def heights_of(g, points):
    return (np.asarray(g, dtype=np.float64) - points.double().square().sum(1).numpy()) / 2


def potential_of(heights, points):
    return 2 * heights + points.double().square().sum(1).numpy()


@lru_cache(maxsize=16)
def _ott(cloud, batch, steps):
    """OTT-JAX's solver compiled for this many steps, f(key, start, rate) -> g: SGD, cosine schedule to zero."""
    import jax
    import optax
    from ott.geometry.semidiscrete_pointcloud import SemidiscretePointCloud
    from ott.problems.linear.semidiscrete_linear_problem import SemidiscreteLinearProblem
    from ott.solvers.linear.semidiscrete import SemidiscreteSolver

    geometry = SemidiscretePointCloud(jax.random.normal, jax.numpy.asarray(cloud.points().float().numpy()), epsilon=0.0)

    def solve(problem, key, start, rate):
        optimizer = optax.sgd(optax.cosine_decay_schedule(rate, steps))
        solver = SemidiscreteSolver(
            num_iterations=steps, batch_size=batch, optimizer=optimizer, error_eval_every=steps, error_num_repeats=2
        )
        return solver(key, problem, start).g

    problem, start = SemidiscreteLinearProblem(geometry), jax.numpy.zeros(cloud.atoms)
    compiled = jax.jit(solve).lower(problem, jax.random.key(0), start, jax.numpy.float32(1)).compile()
    return lambda *arguments: compiled(problem, *arguments).block_until_ready()


@lru_cache(maxsize=32)
def _ott_step(cloud, batch):
    """Seconds of one OTT-JAX step."""
    import jax

    call, start, rate, times = _ott(cloud, batch, 40), jax.numpy.zeros(cloud.atoms), jax.numpy.float32(0.01), []
    for seed in range(3):
        before = time.process_time()
        call(jax.random.key(seed), start, rate)
        times.append(time.process_time() - before)
    return min(times) / 42


def ott(cloud, setting, seed, seconds, warm=False):
    """OTT-JAX's SemidiscreteSolver, one run whose schedule ends at `seconds`."""
    import jax

    points, batch = cloud.points().float(), setting["batch"]
    closed, unit = closed_form(points)
    steps = max(10, round(seconds / _ott_step(cloud, batch)))
    rate = jax.numpy.float32(2 * unit * setting["rate"] * math.sqrt(setting["tuned"] / seconds))
    start = potential_of(closed, points) if warm else np.zeros(len(points))
    start = jax.numpy.asarray(start - start.mean(), dtype="float32")
    call = _ott(cloud, batch, steps)
    before = time.process_time()
    g = np.asarray(call(jax.random.key(seed), start, rate))
    yield Point(time.process_time() - before, steps * batch, heights_of(g, points))


def ott_warm(cloud, setting, seed, seconds):
    """The same from our closed-form start."""
    return ott(cloud, setting, seed, seconds, warm=True)


def pot(cloud, setting, seed, seconds):
    """POT's solve_semidiscrete: averaged SGD, steps lr0 / t^exponent, one run of about `seconds`."""
    from ot.semidiscrete import solve_semidiscrete

    points = cloud.points().float()
    Y, generator, batch = points.numpy(), np.random.default_rng(seed), setting["batch"]
    draw = lambda n: generator.standard_normal((n, Y.shape[1]), dtype=np.float32)
    # rate is that of the step after N samples, whatever the exponent
    exponent, unit = setting["exponent"], 2 * closed_form(points)[1]
    rate = setting["rate"] * unit * (len(Y) / batch) ** exponent
    run = lambda steps: solve_semidiscrete(
        Y, draw, max_iter=steps, batch_size=batch, lr0=np.float32(rate), lr_exponent=exponent, decreasing_reg=False
    )
    run(3)
    before = time.process_time()
    run(20)
    steps = max(20, round(20 * seconds / (time.process_time() - before)))
    before = time.process_time()
    g = run(steps)
    yield Point(time.process_time() - before, steps * batch, heights_of(g, points))


def adam(cloud, setting, seed, seconds):
    """Adam as in AE-OT and DPM-OT: heights from 0; |g| is its own measure of the best heights and of progress; after
    50 steps without any, twice the samples and 0.8 times the rate, three times at most; it ends at |g| < 8e-4."""
    points = cloud.points().float()
    N, d = points.shape
    generator, columns = torch.Generator().manual_seed(seed), points.T.contiguous()
    draws, rate = setting["draws"] * N, setting["rate"] * closed_form(points)[1] / N
    h, m, v = (torch.zeros(N) for _ in range(3))
    best, best_norm, bad, doublings, step, samples, mark = h, math.inf, 0, 0, 0, 0, seconds / 16
    before = time.process_time()
    while (used := time.process_time() - before) < seconds:
        if used > mark:
            yield Point(used, samples, best.double().numpy())
            mark *= 2**0.5
        counts = np.zeros(N)
        for start in range(0, draws, 64):
            scores = torch.addmm(h, torch.randn(min(64, draws - start), d, generator=generator), columns)
            counts += np.bincount(scores.numpy().argmax(1), minlength=N)
        g = torch.from_numpy(counts / draws - 1 / N).float()
        norm, step, samples = float(g.norm()), step + 1, samples + draws
        best, best_norm, bad = (h, norm, 0) if norm < best_norm else (best, best_norm, bad + 1)
        if norm < 8e-4:
            break
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.square()
        h = h - rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
        if bad >= 50 and doublings < 3:
            draws, rate, bad, doublings, best_norm = 2 * draws, 0.8 * rate, 0, doublings + 1, math.inf
    yield Point(time.process_time() - before, samples, best.double().numpy())
