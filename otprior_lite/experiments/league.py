"""The league table: how much signal public defaults leave at T, and what that costs the giraffe. Chapter 1."""

from dataclasses import dataclass

from .. import data, schedules, targets
from ..gap import gelbrich


@dataclass(frozen=True)
class WildSchedule:
    """One row of the league table: a public default, its terminal SNR, and the giraffe's gap under it."""

    where: str
    schedule: str
    t: float
    alpha_bar: float
    signal: float
    gap: float
    source: str


def table() -> list[WildSchedule]:
    """Defaults found in public code, largest signal at T first.

    signal: alpha_T / sqrt(alpha_T^2 + sigma_T^2), the share of an x_T of unit-variance data that is signal.
    gap: Gelbrich's lower bound on W2(p_T, prior) of the giraffe, in units of the prior's standard deviation.
    """
    target, rows = targets.toy("giraffe"), []
    for row in data.table("schedules_in_the_wild"):
        schedule = getattr(schedules, row["schedule"])(**row["arguments"])
        alpha, sigma = float(schedule.alpha(row["t"])), float(schedule.sigma(row["t"]))
        share = alpha**2 / (alpha**2 + sigma**2)
        gap = gelbrich(target, schedule, row["t"]) / float(schedule.reference_std(row["t"]))
        rows.append(WildSchedule(row["where"], schedule.name, row["t"], share, share**0.5, gap, row["source"]))
    return sorted(rows, key=lambda row: -row.signal)
