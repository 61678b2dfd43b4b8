"""What a semi-discrete solve costs at any size, from measurements; what breaks first; what one would use there.

The rows of the study `cost` give the rates of `cost_model`; predictions carry the spread of whole solves around the model,
two of whose numbers (`Costs.more_draws`, `more_seconds`) are fitted to these solves. Seconds on a GPU, and anything on more
than two processes, are arithmetic from stated rates: no such machine was measured here.

The committed rows come from a quiet machine (`Costs.busy` is 1). CPU seconds leave neighbours out, but not what they take
of the caches: on a busy machine the same core is somewhat slower.

Chapter 12: blocks that a fit never saw, the largest included, are predicted within a small factor (`Fitted.spread`). Time
grows like N^2 d and memory like N d: `limits` says what gives out first, on one core and on one GPU. At 10^9 an exact map
takes hundreds of years of a GPU, but rounding to float32 still does no harm (`rounding`). `instead` lists what one would
use there; the last line has the law of a map solved exactly, at any N, for nothing.
"""

import math
from dataclasses import dataclass

from ..semidiscrete.plan import check_size
from ..semidiscrete.sampling import default_shifts
from .cost_model import Costs, costs, draws, peak_bytes, sampler_bytes

__all__ = ["costs", "predict", "limits", "instead", "speed_up", "communication_limit"]

Z = 1.96
"""Half-width of an interval in units of the spread."""
DAY, YEAR = 86_400.0, 31_557_600.0


# ---- other machines: arithmetic


@dataclass(frozen=True)
class Machine:
    """A device by its maker's numbers. flops: float32 operations/s; bandwidth: bytes/s of its memory; memory: bytes.

    link: bytes/s between devices, one way. reached: shares of these rates that real code may reach: assumed.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float
    link: float
    reached: tuple[float, float] = (0.4, 0.9)


H100 = Machine("H100 SXM", 67e12, 3.35e12, 80e9, 450e9)
"""NVIDIA's data sheet: float32 without tensor cores, 80 GB HBM3, NVLink."""

SCORE_BYTES = 16
"""A score that is summed, written, read again and compared, four bytes each time."""


def gpu_seconds(machine: Machine, count: float, N: int, d: int, shifts: int) -> tuple[float, float]:
    """Arithmetic: seconds of `count` draws at the best and the worst share of the stated rates."""
    seconds = count * N * (2 * d / machine.flops + (1 + 2 * shifts) * SCORE_BYTES / machine.bandwidth)
    low, high = machine.reached
    return seconds / high, seconds / low


@dataclass(frozen=True)
class Prediction:
    """A solve of N atoms: draws, CPU seconds of one core and GPU seconds as (least, most), bytes.

    least: the closed-form start is perfect, and only its check is paid; most: it is worth nothing. Both widened by Z spreads
    of the measured solves.
    at_worst: bytes at the solve's peak. For 2 N > d; fewer atoms are solved in their span, for less.
    """

    N: int
    d: int
    tolerance: float
    draws: tuple[float, float]
    cpu: tuple[float, float]
    gpu: tuple[float, float]
    bytes: int
    at_worst: float


def predict(found: Costs, N: int, d: int = 3072, tolerance: float = 0.05, machine: Machine = H100) -> Prediction:
    """What a solve of N atoms needs, with the model's uncertainty; the GPU's seconds are arithmetic."""
    shifts, block = default_shifts(d), found.rates.seconds(N, d)
    counts = [found.more_draws * draws(N, tolerance, found.gain, start, shifts) for start in (0.0, None)]
    wide = math.exp(Z * found.draws_spread)
    low, high = counts[0] / wide, counts[1] * wide
    middle, more = found.more_seconds * block / 64, math.exp(Z * found.seconds_spread)
    cpu = (counts[0] * middle / more, counts[1] * middle * more)
    gpu = (gpu_seconds(machine, low, N, d, shifts)[0], gpu_seconds(machine, high, N, d, shifts)[1])
    return Prediction(N, d, tolerance, (low, high), cpu, gpu, sampler_bytes(N, d), peak_bytes(N, d))


@dataclass(frozen=True)
class Limit:
    """N at which something gives out. measured: whether it follows from rates measured here; otherwise arithmetic."""

    what: str
    N: float
    measured: bool


def limits(found: Costs, d: int = 3072, tolerance: float = 0.05, host: float = 24e9, machine: Machine = H100) -> list[Limit]:
    """What gives out as N grows, the first first. Times are the upper ends of `predict`; host: bytes of this machine."""
    preparing = lambda N: 4 * N * d + peak_bytes(round(N), d)
    upper = lambda part: lambda N: getattr(predict(found, round(N), d, tolerance, machine), part)[1]
    rows = [
        ("a day of one core", upper("cpu"), DAY, True), ("a year of one core", upper("cpu"), YEAR, True),
        (f"memory of this machine ({host / 1e9:.0f} GB), preparing", preparing, host, True),
        (f"a day of one {machine.name}", upper("gpu"), DAY, False), (f"a year of one {machine.name}", upper("gpu"), YEAR, False),
        (f"memory of one {machine.name}, preparing", preparing, machine.memory, False),
        (f"memory of one {machine.name}, sampling", lambda N: sampler_bytes(round(N), d, base=1024), machine.memory, False),
    ]  # fmt: skip
    return sorted((Limit(what, _reached(f, most), measured) for what, f, most, measured in rows), key=lambda limit: limit.N)


def _reached(function, most: float) -> float:
    """N where an increasing function of N reaches `most`."""
    from scipy.optimize import brentq

    return math.exp(brentq(lambda x: math.log(function(math.exp(x)) / most), math.log(10), math.log(1e14)))


def check_draws(found: Costs, N: int, tolerance: float = 0.05) -> tuple[float, float]:
    """Base draws of one check, which any solver owes whoever must trust its map; and how often each atom is hit in it."""
    rows = check_size(N, tolerance)[0]
    return rows / found.gain, rows / N


def rounding(found: Costs, N: int, d: int) -> float:
    """E (error)_+ / gap, for errors with the measured size and exponential gaps of mean |y| / z_N, for atoms N(0, I)."""
    from scipy.special import ndtri

    measured = max(found.ties, key=lambda row: row["N"])
    level = lambda n: -float(ndtri(1 / n))
    gap = measured["gap"] * level(measured["N"]) / level(N) * math.sqrt(d / measured["d"])
    return measured["error"] / math.sqrt(2 * math.pi) / gap


@dataclass(frozen=True)
class Instead:
    """Another way to start at N atoms. prepare: CPU seconds of one core; per_draw: the same, afterwards; bytes kept."""

    name: str
    prepare: float
    per_draw: float
    bytes: float
    gives_up: str


def instead(found: Costs, N: int, d: int = 3072, tolerance: float = 0.05) -> list[Instead]:
    """Arithmetic with the measured rates, in the middle (geometric) of what `predict` says of the map itself.

    Two levels: ten rounds of k-means into sqrt N groups, one map onto the groups and one in each, 2 sqrt N scores a draw.
    The network is as large as DDPM's, 35.7 million weights at 16 bytes in training; its time is not predicted here.
    Noising: d Gaussian numbers a draw.
    """
    plan, f, root = predict(found, N, d, tolerance), found.rates.flop, math.sqrt(N)
    solve, noise, one = math.sqrt(plan.cpu[0] * plan.cpu[1]), d * found.normal, 2 * d * f
    clusters = 10 * N * root * 2 * d * f
    return [
        Instead("the map itself", solve, N * one + noise, 4 * N * (d + 1), "nothing"),
        Instead("two levels", clusters + solve * 2 / root, 2 * root * one + noise, 4 * N * (d + 1), "optimality across groups"),
        Instead("a network for the dual", math.nan, math.nan, 16 * 35.7e6, "any certificate of the masses"),
        Instead("noise on a training point", 0.0, noise, 4 * N * d, "the coupling"),
    ]


# ---- several devices


def speed_up(found: Costs, processes: int, N: int, d: int = 3072, blocks: int = 64) -> float:
    """Times faster than one process: each draws all Gaussian numbers, scores its share, and adds its N counts to the others'.

    The all-reduce is that of two processes on one machine, twice (p - 1) / p of N numbers through each.
    """
    block, noise = found.rates.seconds(N, d), 64 * d * found.normal
    fixed, per_atom = found.reduction
    reduce = (fixed + per_atom * N * 2 * (processes - 1) / processes) if processes > 1 else 0.0
    share = math.ceil(blocks / processes) * (block - min(noise, block)) + blocks * min(noise, block)
    return blocks * block / (share + reduce)


def communication_limit(found: Costs, blocks: int = 1, d: int = 3072, machine: Machine = H100) -> tuple[float, float]:
    """Devices beyond which an all-reduce takes longer than a device's share of a call: processes as measured, and GPUs.

    Work and traffic both grow like N, so N cancels: `blocks` blocks of work an atom (of 1,024 draws on a GPU) against 16
    bytes an atom. The GPUs' number is arithmetic.
    """
    N, shifts = 10**6, default_shifts(d)
    here = blocks * found.rates.seconds(N, d) / (2 * found.reduction[1] * N)
    work = blocks * gpu_seconds(machine, 1024, N, d, shifts)[0] / N
    return here, work * machine.link / 16
