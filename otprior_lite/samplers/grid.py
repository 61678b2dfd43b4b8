"""The times a run visits.

Even steps in log-SNR suit the samplers: a step of DDIM or DPM-Solver depends on t only through log-SNR. Discrete
schedules are published with two grids of whole steps. "trailing" counts down from the last step; "leading" counts up
from the first one and so never visits T: its start is fed a law of an earlier time, and no error message says so.
"""

import math

import torch

from ..errors import count, expect, known
from ..schedules import Schedule

SPACINGS = ("log_snr", "time", "trailing", "leading")
CLEAN = 2 * math.log(500)  # log-SNR at which a run counts as clean: sigma/alpha = 0.002


def time_grid(schedule: Schedule, steps: int, t_start=None, t_end=0.0, spacing: str = "log_snr") -> torch.Tensor:
    """steps + 1 decreasing times from t_start (default T) to t_end, float64.

    "log_snr": equal steps in log-SNR; where an end is infinite (t = 0, or zero terminal SNR) the grid stops at
    sigma/alpha = 0.002 or 500 and the last or first step bridges the rest. "time": equal steps in t.
    "trailing", "leading": whole steps of a discrete schedule and then t_end = 0. With n = t_start, "trailing" visits
    n - k n/steps, rounded; "leading" visits 1 + k floor(n/steps), so it begins before t_start (at 981 of 1000 in 50
    steps). Source: Lin et al. 2024, table 2.
    """
    count(steps, "steps")
    known(spacing, SPACINGS, "spacing")
    t_start, t_end = (schedule.T if t_start is None else float(t_start)), float(t_end)
    ordered = 0 <= t_end < t_start <= schedule.T
    expect(ordered, "t_start, t_end", f"0 <= t_end < t_start <= {schedule.T:g}", (t_start, t_end))
    if spacing in ("trailing", "leading"):
        return _whole_steps(schedule, steps, t_start, t_end, spacing)
    even = torch.linspace(t_start, t_end, steps + 1, dtype=torch.float64)
    if spacing == "time":
        return even
    first, last = (float(schedule.log_snr(t)) for t in (t_start, t_end))
    low, high = max(first, -CLEAN), min(last, CLEAN)
    bridges = int(low > first) + int(high < last)
    if low >= high or steps <= max(1, bridges):  # beyond the same limit, or all bridges: nothing to space in log-SNR
        return even
    inside = schedule.t_of_log_snr(torch.linspace(low, high, steps + 1 - bridges, dtype=torch.float64))
    head = even[:1] if low > first else even[:0]
    tail = even[-1:] if high < last else even[:0]
    grid = torch.cat([head, inside, tail])
    grid[0], grid[-1] = t_start, t_end
    return grid


def _whole_steps(schedule, steps: int, t_start: float, t_end: float, spacing: str) -> torch.Tensor:
    discrete = schedule.betas is not None
    expect(discrete, "spacing", '"log_snr" or "time" for a continuous schedule', f"{spacing!r} for {schedule.name}")
    expect(t_start.is_integer(), "t_start", f"a whole step with spacing {spacing!r}", t_start)
    expect(t_end == 0, "t_end", f"0 with spacing {spacing!r}", t_end)
    expect(steps <= t_start, "steps", f"at most t_start = {t_start:g} with spacing {spacing!r}", steps)
    k = torch.arange(steps, dtype=torch.float64)
    visited = t_start - k * t_start / steps if spacing == "trailing" else 1 + k.flip(0) * (t_start // steps)
    return torch.cat([visited.round(), torch.zeros(1, dtype=torch.float64)])
