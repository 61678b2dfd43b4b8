"""A model of what a semi-discrete solve costs: six rates, a count of draws, a count of bytes.

A block of B draws is one matrix product, 1 + 2K passes over B N scores, and a fixed overhead. A solve needs a number of draws
that grows like N / tolerance^2, so its time grows like N^2 d:

    block = max(2 B N d f, 4 N d m) + (1 + 2K) B N s + c,
    draws = (check + (E / aim^2 - n_0 / S)_+) S / gain,   S = 2 N / (pi tolerance^2),
    bytes = 8 N d + buffers.

f: seconds per operation of the product; m: per byte of atoms streamed from memory (they are, beyond `STREAMED` bytes); s: per
score summed and compared, one rate for each level of memory that the buffers fit in; c: per block. The solver's own rules give
check, E and aim (`semidiscrete.plan`); gain is what rotation recycling makes of a draw, n_0 what the closed-form start is worth.

Chapter 12 draws it and uses it (`experiments.cost`).
"""

import math
from dataclasses import dataclass
from statistics import median

from ..semidiscrete.newton import EXCESS
from ..semidiscrete.plan import check_size, iid_floor
from ..semidiscrete.sampling import default_shifts
from .study import load

CACHES = 2**21, 2**24
"""Bytes of buffers up to which a core's own cache holds them (2 MB on the measured machine), and a share of the common one:
12 MB of buffers were held, 38 MB were not."""
STREAMED = 2**23
"""Atoms beyond these bytes are read from memory at every block: 3 MB were not, 12 MB were, with other jobs on the machine."""


@dataclass(frozen=True)
class Rates:
    """Seconds per operation of the product; per score in the core's cache, the common one, memory; per byte; per block."""

    flop: float
    near: float
    far: float
    memory: float
    byte: float
    block: float

    def seconds(self, N: int, d: int, base: int = 64, shifts: int | None = None) -> float:
        """CPU seconds of one block of the sampler on one thread."""
        shifts = default_shifts(d) if shifts is None else shifts
        atoms = 4 * N * d
        product = max(2 * base * N * d * self.flop, atoms * self.byte if atoms > STREAMED else 0.0)
        buffers = (12 if shifts else 8) * base * N
        score = self.near if buffers < CACHES[0] else self.far if buffers < CACHES[1] else self.memory
        return product + (1 + 2 * shifts) * base * N * score + self.block


@dataclass(frozen=True, eq=False)
class Fitted:
    """Rates by least squares of log seconds, and how far to trust them.

    rows: the blocks; left_out: each block's seconds predicted from all others. spread: root mean square of
    log(left_out / measured). held_out: the largest block, which no fit saw; extrapolated: predicted over measured for it.
    """

    rates: Rates
    rows: list[dict]
    left_out: list[float]
    spread: float
    held_out: dict
    extrapolated: float


def fit(rows: list[dict]) -> Rates:
    """The rates that explain timed blocks best, relative errors squared. rows: N, d, base, shifts, cpu."""
    from scipy.optimize import least_squares

    logs = [math.log(row["cpu"]) for row in rows]

    def residuals(p):
        rates = Rates(*map(math.exp, p))
        return [math.log(rates.seconds(*sizes(row))) - log for row, log in zip(rows, logs)]

    start = [math.log(v) for v in (1e-11, 3e-10, 6e-10, 1e-9, 1e-10, 3e-5)]
    return Rates(*map(math.exp, least_squares(residuals, start).x))


def sizes(row: dict) -> tuple[int, int, int, int]:
    """N, d, base, shifts of a row."""
    return row["N"], row["d"], row["base"], row["shifts"]


def fitted(rows: list[dict], held_out: dict) -> Fitted:
    """The fit with its leave-one-out errors, and what it says of a block that it never sees."""
    rates = fit(rows)
    left = [fit(rows[:k] + rows[k + 1 :]).seconds(*sizes(row)) for k, row in enumerate(rows)]
    spread = _rms(math.log(found / row["cpu"]) for found, row in zip(left, rows))
    return Fitted(rates, rows, left, spread, held_out, rates.seconds(*sizes(held_out)) / held_out["cpu"])


# ---- draws


def draws(N: int, tolerance: float, gain: float, start: float | None, shifts: int) -> float:
    """Base draws of a whole solve: pilot, steps and one check. start: chi2 of the closed-form heights; None: useless.

    A start of error chi2 is worth N / chi2 rows. No check fails and no fallback is needed: a lower estimate.
    """
    rows, aim = check_size(N, tolerance)
    steps = EXCESS * 2 / math.pi * N / aim**2 - (0.0 if start is None else N / max(start, 1e-12))
    pilot = 4 * N * (1 + 0.5 * shifts) / (1 + 2 * shifts)
    return pilot + (rows + max(0.0, steps)) / gain


# ---- bytes


def sampler_bytes(N: int, d: int, base: int = 64, shifts: int | None = None) -> int:
    """Bytes of a Sampler: atoms and their columns, three buffers of scores, the winners."""
    shifts = default_shifts(d) if shifts is None else shifts
    return 8 * N * d + 4 * N * (3 * base + shifts) + 8 * base * (1 + 2 * shifts)


PREPARING = 6.0
"""Copies of the atoms, beyond the given ones, that a solve holds at its worst, while it looks for repeats and planes."""


def peak_bytes(N: int, d: int) -> float:
    """Bytes of a whole solve at its worst, beyond the given atoms."""
    return max(PREPARING * 4 * N * d, sampler_bytes(N, d))


# ---- the model beside everything that was measured


@dataclass(frozen=True, eq=False)
class Costs:
    """fitted: of blocks. solves: rows of whole solves, with `expected` draws, S and `expected_cpu`.

    more_draws: how many times the draws of the formula a solve used (geometric mean): checks that fail, blocks rounded up.
    more_seconds: the same of the CPU seconds of these draws: what a solve does beside its blocks. Both are in what is expected.
    gain: independent rows a draw is worth where d is largest. normal: seconds per Gaussian number. reduction: CPU seconds,
    and CPU seconds per atom, of one all-reduce between two processes, waiting left out. memory, ties, processes: rows of
    the study. busy: median of wall over CPU seconds; 1 is a quiet machine.
    """

    fitted: Fitted
    solves: list[dict]
    more_draws: float
    more_seconds: float
    gain: float
    normal: float
    reduction: tuple[float, float]
    memory: list[dict]
    ties: list[dict]
    processes: list[dict]
    busy: float

    @property
    def rates(self) -> Rates:
        """Of the fit."""
        return self.fitted.rates

    @property
    def draws_spread(self) -> float:
        """Root mean square of log(expected / used draws) over the solves."""
        return _rms(math.log(row["expected"] / row["samples"]) for row in self.solves)

    @property
    def seconds_spread(self) -> float:
        """The same of CPU seconds, draws and blocks both predicted."""
        return _rms(math.log(row["expected_cpu"] / row["cpu"]) for row in self.solves)

    @property
    def copies(self) -> float:
        """Most bytes that a solve held, over those of the given atoms: largest of the measured ones."""
        return max(row["solve"] / (4 * row["N"] * row["d"]) for row in self.memory)


def costs(rows: list[dict] | None = None) -> Costs:
    """The model fitted to the rows of the study; the largest block is held out."""
    rows = load("cost") if rows is None else rows
    of = lambda kind: [row for row in rows if row["kind"] == kind]
    blocks, solves = of("block"), of("solve")
    held = max(blocks, key=lambda row: row["N"] * row["d"])
    found = fitted([row for row in blocks if row["N"] < held["N"]], held)
    widest = max(row["d"] for row in solves)
    normal = of("draw")[0]["cpu"] / (of("draw")[0]["base"] * of("draw")[0]["d"])
    return Costs(
        found, *_beside(solves, found.rates), median(row["gain"] for row in solves if row["d"] == widest), normal,
        _line([(row["N"], max(row["cpu"])) for row in of("reduction")]), of("memory"), of("ties"), of("processes"),
        median(row["busy"] for row in rows if "busy" in row),
    )  # fmt: skip


def _beside(rows: list[dict], rates: Rates) -> tuple[list[dict], float, float]:
    """Solves beside what the model expects, which is then scaled to the rows: draws first, seconds of these draws after."""
    counts = [draws(row["N"], row["tolerance"], row["gain"], row["start"], default_shifts(row["d"])) for row in rows]
    more_draws = _scale(row["samples"] / count for row, count in zip(rows, counts))
    seconds = [more_draws * count / 64 * rates.seconds(row["N"], row["d"]) for row, count in zip(rows, counts)]
    more_seconds = _scale(row["cpu"] / cpu for row, cpu in zip(rows, seconds))
    expected = [
        {"S": iid_floor(row["N"], row["tolerance"]), "expected": more_draws * count, "expected_cpu": more_seconds * cpu}
        for row, count, cpu in zip(rows, counts, seconds)
    ]
    return [row | beside for row, beside in zip(rows, expected)], more_draws, more_seconds


def _scale(ratios) -> float:
    """Geometric mean."""
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logs) / len(logs))


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """a, b >= 0 of seconds = a + b N, relative errors squared."""
    from scipy.optimize import nnls

    a, b = nnls([[1 / seconds, N / seconds] for N, seconds in points], [1.0] * len(points))[0]
    return float(a), float(b)


def _rms(values) -> float:
    values = list(values)
    return math.sqrt(sum(v * v for v in values) / len(values))
