"""The notation page is true: every code name exists, every public symbol of a schedule is listed once."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from otprior_lite import schedules, targets
from otprior_lite.semidiscrete import BrenierMap

PAGE = Path(__file__).parents[2] / "book" / "notation.md"
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split("|")] for line in PAGE.read_text().splitlines() if line.startswith("| $")
]
PLAIN = {"target", "t", "n", "tau", "len(points)"}  # names of arguments, not attributes


def _resolve(name: str):
    """The object called `name`, where `schedule.`, `target.` and `BrenierMap.` stand for instances."""
    head, _, rest = name.partition(".")
    here = {"schedule": schedules.ddpm_linear(10), "target": targets.toy("ring"), "BrenierMap": BrenierMap}.get(head)
    if here is None:
        here = import_module(f"otprior_lite.{head}")
    for part in filter(None, rest.split(".")):
        fields = getattr(here, "__dataclass_fields__", {})
        here = fields[part] if part in fields and isinstance(here, type) else getattr(here, part)
    return here


NAMES = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])} - PLAIN)


def test_the_table_was_read():
    assert len(ROWS) > 20 and all(len(row) == 3 and all(row) for row in ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_code_name_exists(name):
    assert _resolve(name) is not None


def test_no_symbol_has_two_meanings():
    symbols = [symbol for row in ROWS for symbol in row[0].strip("$").split("$, $")]
    assert len(symbols) == len(set(symbols)), sorted({s for s in symbols if symbols.count(s) > 1})


def test_every_method_of_a_schedule_is_in_the_table():
    public = {name for name in dir(schedules.Schedule) if not name.startswith("_")} - {"alpha_dot", "sigma_dot", "reference_std"}
    listed = {name.split(".")[1] for name in NAMES if name.startswith("schedule.")}
    assert public <= listed, public - listed
