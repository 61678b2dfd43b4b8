"""Studies: every cell once, nothing lost to a kill, nothing half-written, the same numbers from one process or two."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from otprior_lite import cli, data, experiments
from otprior_lite.experiments.study import Progress, Study, load, run

CALLS = []


def cells(quick):
    return [{"seed": seed, "n": 3} for seed in range(2 if quick else 5)]


def measure(cell):
    CALLS.append(cell["seed"])
    return {"value": cell["seed"] ** 2 + cell["n"]}


def fails_at_three(cell):
    if cell["seed"] == 3:
        raise RuntimeError("cell 3")
    return measure(cell)


SQUARES = Study("squares", cells, measure)


@pytest.fixture(autouse=True)
def calls():
    CALLS.clear()


def test_a_run_writes_all_rows_in_order_and_yields_progress(tmp_path):
    seen = list(run(SQUARES, tmp_path))
    assert [p.done for p in seen] == [0, 1, 2, 3, 4, 5] and {p.total for p in seen} == {5}
    assert seen[0] == Progress(0, 5, None) and seen[2].row["value"] == 4
    record = json.loads((tmp_path / "squares.json").read_text())
    assert [row["value"] for row in record["rows"]] == [3, 4, 7, 12, 19]
    assert [row["seed"] for row in record["rows"]] == [0, 1, 2, 3, 4] and record["quick"] is False
    assert record["versions"]["torch"] and record["device"] and record["seconds"] >= 0
    assert [f.name for f in tmp_path.iterdir()] == ["squares.json"]  # nothing else stays


def test_a_failed_cell_keeps_the_finished_ones(tmp_path):
    """The cell's own error comes out; the next run measures only what is missing."""
    with pytest.raises(RuntimeError, match="cell 3"):
        list(run(Study("squares", cells, fails_at_three), tmp_path))
    assert not (tmp_path / "squares.json").exists() and CALLS == [0, 1, 2]
    CALLS.clear()
    list(run(SQUARES, tmp_path))
    assert CALLS == [3, 4]
    assert [row["value"] for row in json.loads((tmp_path / "squares.json").read_text())["rows"]] == [3, 4, 7, 12, 19]


def test_a_torn_line_is_measured_again(tmp_path):
    with pytest.raises(RuntimeError):
        list(run(Study("squares", cells, fails_at_three), tmp_path))
    partial = tmp_path / "squares.partial.jsonl"
    partial.write_text(partial.read_text()[:-9])
    CALLS.clear()
    list(run(SQUARES, tmp_path))
    assert CALLS == [2, 3, 4]


def test_rows_of_other_code_are_not_mixed_in(tmp_path):
    with pytest.raises(RuntimeError):
        list(run(Study("squares", cells, fails_at_three), tmp_path))
    partial = tmp_path / "squares.partial.jsonl"
    partial.write_text("another hash\n" + partial.read_text().split("\n", 1)[1])
    CALLS.clear()
    list(run(SQUARES, tmp_path))
    assert CALLS == [0, 1, 2, 3, 4]


def test_cells_must_differ(tmp_path):
    with pytest.raises(ValueError, match="twice: expected different cells"):
        list(run(Study("twice", lambda quick: [{"seed": 0}, {"seed": 0}], measure), tmp_path))
    with pytest.raises(ValueError, match="jobs: expected an integer >= 1"):
        list(run(SQUARES, tmp_path, jobs=0))


def test_two_processes_give_the_same_rows(tmp_path):
    list(run(SQUARES, tmp_path / "one", quick=True))
    list(run(SQUARES, tmp_path / "two", quick=True, jobs=2))
    one, two = (json.loads((tmp_path / name / "squares.json").read_text())["rows"] for name in ("one", "two"))
    assert [{**row, "seconds": 0} for row in one] == [{**row, "seconds": 0} for row in two]


SLOW = """
import sys, time
from pathlib import Path
from otprior_lite.experiments.study import Study, run

def cells(quick):
    return [{"seed": seed} for seed in range(6)]

def measure(cell):
    time.sleep(float(sys.argv[2]))
    print("cell", cell["seed"], flush=True)
    return {"value": 2 * cell["seed"]}

for progress in run(Study("slow", cells, measure), Path(sys.argv[1])):
    pass
"""


def test_a_killed_run_goes_on(tmp_path):
    """SIGKILL in the middle; the second run measures the rest, no cell is lost and none is measured twice."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script), str(tmp_path / "out")]
    victim = subprocess.Popen([*command, "0.3"], stdout=subprocess.PIPE, text=True)
    seen = [victim.stdout.readline() for _ in range(2)]
    deadline = time.monotonic() + 10
    partial = tmp_path / "out" / "slow.partial.jsonl"
    while len(partial.read_text().splitlines()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    kept = len(partial.read_text().splitlines()) - 1
    assert seen == ["cell 0\n", "cell 1\n"] and 2 <= kept < 6 and not (tmp_path / "out" / "slow.json").exists()
    again = subprocess.run([*command, "0"], capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == [f"cell {k}" for k in range(kept, 6)]
    rows = json.loads((tmp_path / "out" / "slow.json").read_text())["rows"]
    assert [row["value"] for row in rows] == [0, 2, 4, 6, 8, 10]


def test_results_in_the_data_folder_enter_the_manifest(tmp_path, monkeypatch):
    """A finished study is registered with its hash; `load` reads it back and refuses it once a byte has changed."""
    monkeypatch.setenv("OTPRIOR_DATA_DIR", str(tmp_path))
    (tmp_path / "MANIFEST.json").write_text("{}")
    list(run(SQUARES, tmp_path / "results", quick=True))
    assert [row["value"] for row in load("squares")] == [3, 4]
    entry = json.loads((tmp_path / "MANIFEST.json").read_text())["results/squares"]
    assert entry["script"] == "otprior experiments squares" and entry["file"] == "results/squares.json"
    file = tmp_path / "results" / "squares.json"
    file.write_text(file.read_text().replace('"value": 4', '"value": 5'))
    with pytest.raises(ValueError, match="results/squares: expected SHA-256"):
        load("squares")
    list(run(SQUARES, tmp_path / "results", quick=True))
    assert [row["value"] for row in load("squares")] == [3, 4]


@pytest.mark.parametrize("name", experiments.names())
def test_every_study_is_committed_whole(name):
    """The committed file has one row per cell of the full study, made by the full study."""
    study, rows = experiments.find(name), load(name)
    assert study.name == name
    keys = [set(cell) for cell in study.cells(False)]
    assert [{k: row[k] for k in key} for key, row in zip(keys, rows)] == study.cells(False) and len(rows) == len(keys)
    assert json.loads(data.path(f"results/{name}").read_text())["quick"] is False


def test_the_command_runs_a_study(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "names", lambda: ("squares",))
    monkeypatch.setattr(experiments, "find", lambda name: SQUARES)
    assert cli.main(["experiments", "squares", "--quick", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "squares.json")
    assert len(json.loads((tmp_path / "squares.json").read_text())["rows"]) == 2


def test_an_unknown_study_is_refused(capsys):
    assert cli.main(["experiments", "nothing", "--quick"]) == 2
    assert "otprior experiments: name: expected" in capsys.readouterr().err
