"""Curves for TensorBoard: what is written, step by step, and what is said where the package is missing."""

import sys
import types

import numpy as np
import pytest
import torch
from zoo import rng

from otprior_lite import cli, schedules
from otprior_lite.train import mlp, recorded, train


def run(steps, checkpoint):
    points = torch.randn(20, 2, generator=rng())
    options = {"steps": steps, "batch": 8, "checkpoint": checkpoint, "every": 2, "generator": rng(2)}
    return train(mlp(2, 8, 1, generator=rng(1)), points, schedules.ou(2.0), **options)


def broken_off_and_gone_on(folder):
    """Watch 3 of 6 steps, break off, and watch the run go on from the checkpoint of step 2: all states that were yielded."""
    seen = []
    for state in recorded(run(6, folder / "run"), folder / "curves", 8):
        seen.append(state)
        if state.step == 3:
            break
    return seen + list(recorded(run(6, folder / "run"), folder / "curves", 8))


def test_every_step_is_written_and_none_is_changed(tmp_path, monkeypatch):
    """With a stand-in for the writer: the points, what a second life replaces, and that the files are closed."""
    calls = []

    class Writer:
        def __init__(self, folder, purge_step):
            calls.append(("open", folder, purge_step))

        def add_scalar(self, name, value, step):
            calls.append((name, value, step))

        def close(self):
            calls.append(("close",))

    board = types.ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    seen = broken_off_and_gone_on(tmp_path)
    assert [state.step for state in seen] == [1, 2, 3, 3, 4, 5, 6]
    assert [call[1:] for call in calls if call[0] == "open"] == [(str(tmp_path / "curves"), 1), (str(tmp_path / "curves"), 3)]
    assert [call[1:] for call in calls if call[0] == "loss"] == [(state.loss, state.step) for state in seen]
    assert all(call[1] > 0 for call in calls if call[0] == "samples_a_second") and calls.count(("close",)) == 2
    plain = list(run(6, None))
    assert [state.loss for state in seen[:3]] == [state.loss for state in plain[:3]]


def test_tensorboard_reads_the_curve_back(tmp_path):
    pytest.importorskip("tensorboard", reason="no tensorboard: it is in the extra of its name, not in that of the tests")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = broken_off_and_gone_on(tmp_path)
    board = EventAccumulator(str(tmp_path / "curves"))
    board.Reload()
    curve = board.Scalars("loss")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5, 6]  # the first life's step 3 is replaced
    values = {state.step: state.loss for state in seen}
    np.testing.assert_allclose([point.value for point in curve], [values[step] for step in range(1, 7)], rtol=1e-6)
    assert len(board.Scalars("samples_a_second")) == 6


def test_without_the_package_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    np.savez(tmp_path / "points.npz", x=np.random.default_rng(0).normal(size=(30, 2)))
    words = ["--data", str(tmp_path / "points.npz"), "--out", str(tmp_path), "--steps", "2", "--batch", "8", "--device", "cpu"]
    assert cli.main(["train", *words, "--tensorboard", str(tmp_path / "curves")]) == 2
    assert 'pip install "otprior-lite[tensorboard]"' in capsys.readouterr().err
    assert not (tmp_path / "curves").exists()
    with pytest.raises(ValueError, match="batch: expected an integer >= 1, got 0"):
        monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
        recorded(iter(()), tmp_path, 0)
