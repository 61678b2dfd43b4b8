"""Studies: measurements too slow for a page, made cell by cell, kept as one committed JSON file each.

A study has cells (what is varied, the seed included) and a function that measures one cell. A run writes each
finished cell down at once, so a killed run goes on where it stopped, and the finished file appears whole or not
at all. Pages and figures read rows with `load`; tests measure a few cells again and compare.
"""

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from .. import data
from ..atomic import write_bytes
from ..errors import count, expect
from ..provenance import about


@dataclass(frozen=True)
class Study:
    """cells(quick) lists JSON-able dicts; measure(cell) returns the cell's numbers, the same ones every time.

    Both are functions of a module, so that another process can find them. quick: few, small cells, for tests.
    """

    name: str
    cells: Callable[[bool], list[dict]]
    measure: Callable[[dict], dict]

    def row(self, cell: dict) -> dict:
        """The cell with its numbers and the seconds they took."""
        start = time.perf_counter()
        values = self.measure(dict(cell))
        return {**cell, **values, "seconds": round(time.perf_counter() - start, 3)}


@dataclass(frozen=True)
class Progress:
    """`done` of `total` cells are measured; `row` is the latest, None at the start."""

    done: int
    total: int
    row: dict | None


def run(study: Study, folder: Path, *, quick: bool = False, jobs: int = 1) -> Iterator[Progress]:
    """Measure every cell, yield after each, and write `folder/NAME.json` at the end.

    Finished cells wait in `folder/NAME.partial.jsonl`; a later run takes them up, unless the study's module has
    changed since. jobs: processes, one thread each. Raises what a cell raises; finished cells stay.
    """
    count(jobs, "jobs")
    cells = study.cells(quick)
    keys = [_key(cell) for cell in cells]
    expect(0 < len(set(keys)) == len(keys), study.name, "different cells, at least one", f"{len(keys)} with repeats")
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{study.name}.partial.jsonl"
    rows = _resume(partial, _source(study), keys)
    yield Progress(len(rows), len(cells), None)
    waiting = [cell for cell, key in zip(cells, keys) if key not in rows]
    with partial.open("a", encoding="utf-8") as notes:
        for key, row in _measure(study, waiting, jobs):
            rows[key] = row
            notes.write(json.dumps([key, row]) + "\n")
            notes.flush()
            yield Progress(len(rows), len(cells), row)
    _write(folder / f"{study.name}.json", study.name, [rows[key] for key in keys], quick)
    partial.unlink()


def load(name: str) -> list[dict]:
    """The committed rows of a study, after the file's hash was checked; `otprior experiments NAME` makes them."""
    return json.loads(data.path(f"results/{name}").read_text(encoding="utf-8"))["rows"]


def _measure(study, cells, jobs):
    """(key, row) of each cell, in the order in which they are done."""
    if jobs == 1:
        yield from ((_key(cell), study.row(cell)) for cell in cells)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {pool.submit(study.row, cell): _key(cell) for cell in cells}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _key(cell: dict) -> str:
    return json.dumps(cell, sort_keys=True)


def _source(study: Study) -> str:
    """The SHA-256 of the module that holds the measurement: other code, other numbers."""
    return hashlib.sha256(inspect.getsource(inspect.getmodule(study.measure)).encode()).hexdigest()


def _resume(partial: Path, source: str, keys: list[str]) -> dict[str, dict]:
    """Rows a killed run left, by key; a torn last line is dropped and the file is put in order."""
    rows = {}
    lines = partial.read_text(encoding="utf-8").splitlines() if partial.exists() else []
    if lines and lines[0] == source:
        for line in lines[1:]:
            try:
                key, row = json.loads(line)
            except ValueError:  # the line being written when the run was killed
                break
            if key in keys:
                rows[key] = row
    notes = [source, *(json.dumps([key, row]) for key, row in rows.items())]
    write_bytes(partial, ("\n".join(notes) + "\n").encode())
    return rows


def _write(file: Path, name: str, rows: list[dict], quick: bool) -> None:
    record = {key: value for key, value in about().items() if key != "data"}
    head = {"study": name, "quick": quick, **record, "seconds": round(sum(row["seconds"] for row in rows), 1)}
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    text = json.dumps(head, indent=1)[:-2] + ',\n "rows": [\n  ' + lines + "\n ]\n}\n"  # one row a line, for diffs
    write_bytes(file, text.encode())
    if file.parent == data.root() / "results":
        data.register(f"results/{name}", file, script=f"otprior experiments {name}")
