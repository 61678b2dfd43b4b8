"""Runs that are killed, shared or out of disk: the command in processes of its own."""

import errno
import os
import resource
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import FORKS, finished, free_port, killed, started
from safetensors.torch import load_file
from zoo import rng

from otprior_lite import cli, processes, schedules
from otprior_lite.archive import read
from otprior_lite.atomic import clean, ready, replacing, write_bytes
from otprior_lite.train import mlp, parallel, train

pytest.importorskip("diffusers")


def command(data, out, steps, every, batch=4):
    """The arguments of a run."""
    options = {"data": data, "out": out, "size": "tiny", "steps": steps, "every": every, "batch": batch, "device": "cpu"}
    return ["train", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "noise.npz"
    np.savez(file, x=np.random.default_rng(0).uniform(-1, 1, (12, 1, 4, 4)).astype("float32"))
    return file


def same(first: Path, second: Path):
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_killed_ten_times_and_resumed_gives_the_same_bits(tmp_path):
    """SIGKILL at random moments, also before the first checkpoint and while one is written: weights, average, Adam's memory and
    the generator end as those of a run that nobody touched, and nothing else is left in the folder. The pictures, the network and
    the 200 steps are a reader's; only the batch is small."""
    file = tmp_path / "killed" / "checkpoint.safetensors"
    arguments = lambda out: command("emoji32", tmp_path / out, 200, 5, batch=2)

    def whole_file():
        assert not file.exists() or int(read(file)[0]["step"]) % 5 == 0

    whole = started(arguments("whole"))
    assert killed(arguments("killed"), file, lives=10, young=2, longest=0.4, seed=0, after=whole_file) == 10
    finished(started(arguments("killed")))
    finished(whole)
    names = ("checkpoint.safetensors", "model.safetensors")
    assert all(same(tmp_path / "whole" / name, tmp_path / "killed" / name) for name in names)
    assert sorted(left.name for left in file.parent.iterdir()) == sorted(names)


def test_two_processes_take_the_gradients_of_one(images, tmp_path):
    """Adam's running mean of the gradients after two steps on two processes (gloo) is that of one process; only the first of
    them writes, as a folder of its own for the second shows."""
    finished(started(command(images, tmp_path / "one", 2, 2)))
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    outs = {"0": tmp_path / "two", "1": tmp_path / "second"}
    ranks = [started(command(images, outs[r], 2, 2), {"RANK": r, "LOCAL_RANK": r, **world}) for r in "01"]
    for process in ranks:
        finished(process)
    assert not any(left.is_file() for left in (tmp_path / "second").rglob("*"))
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys() and torch.equal(one["generator"], two["generator"])
    means = [key for key in one if key.endswith("exp_avg")]
    mean = lambda run: torch.cat([run[key].flatten() for key in means])
    assert len(means) > 50 and float((mean(one) - mean(two)).norm()) < 1e-4 * float(mean(one).norm())
    half = parallel.share(4)
    assert (half.start, half.step) == (0, 1)  # this process is a world of one


def test_the_others_wait_for_hours(monkeypatch):
    """The first process may write, measure and test alone for longer than the ten minutes that torch gives a message."""
    monkeypatch.setenv("LOCAL_RANK", "0")
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", free_port())):
        monkeypatch.setenv(name, value)
    with processes.joined(torch.device("cpu")):
        limit = torch.distributed.group.WORLD._get_backend(torch.device("cpu")).options._timeout
    assert limit >= timedelta(hours=6)


def test_batches_that_cannot_be_shared_are_refused(monkeypatch):
    monkeypatch.setattr(parallel, "place", lambda: (1, 3))
    assert list(range(6))[parallel.share(6)] == [1, 4]
    with pytest.raises(ValueError, match="batch: expected a multiple of the 3 processes, got 4"):
        parallel.share(4)


def test_a_full_disk_loses_nothing(tmp_path):
    """A write that stops in the middle (here at the process's limit on file sizes): a clear error, the last checkpoint whole, and
    the run goes on from it to the same bits."""
    file, points = tmp_path / "run", torch.randn(20, 2, generator=rng())
    run = lambda file: train(
        mlp(2, 16, 1, generator=rng()), points, schedules.ou(), steps=6, batch=8, checkpoint=file, every=2, generator=rng(1)
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    states = run(file)
    try:
        with pytest.raises(OSError, match="could not write .*run: .*unchanged") as caught:
            for state in states:
                if state.step == 3:
                    whole = file.read_bytes()
                    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert file.read_bytes() == whole and [left.name for left in tmp_path.iterdir()] == ["run"]
    for start in (file, tmp_path / "again"):
        for state in run(start):
            pass
    assert same(file, tmp_path / "again")


def test_checkpoints_that_cannot_be_used_are_refused_and_kept(images, tmp_path, capsys):
    """Cut short, of another network, of other settings, or no checkpoint at all: status 2, the reason, and the same file."""
    assert cli.main(command(images, tmp_path, 1, 1)) == 0
    file = tmp_path / "checkpoint.safetensors"
    good = file.read_bytes()
    half = len(good) // 2
    for content, arguments, words in (
        (good[:half], [], f"got {file} ({file}: expected a safetensors file, got "),
        (b"", [], f"got {file} ({file}: expected a safetensors file, got "),
        (good[:half] + bytes([good[half] ^ 1]) + good[half + 1 :], [], ": the file is damaged)"),
        (good, ["--steps", "2"], f"{file}: expected a run with {{'steps': 2}}, got {{'steps': 1}};"),
        (good, ["--seed", "77"], f"{file}: expected a run with {{'seed': 77}}, got {{'seed': 0}};"),
        (good, ["--schedule", "cosine"], f"{file}: expected a run with {{'log_snr': "),
        (good, ["--size", "small"], f"{file}: expected the tensors of this network"),
        ((tmp_path / "model.safetensors").read_bytes(), [], f"path: expected a file written by train, got {file};"),
    ):
        file.write_bytes(content)
        capsys.readouterr()
        assert cli.main([*command(images, tmp_path, 1, 1), *arguments]) == 2
        shown = capsys.readouterr().err
        assert words in shown and shown.endswith("; use another file, or remove this one to start again\n")
        assert file.read_bytes() == content
    file.unlink()
    file.mkdir()
    assert cli.main(command(images, tmp_path, 1, 1)) == 2
    assert f"{file}: expected a safetensors file, got a folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(OSError, match="could not write .*here"), replacing(tmp_path / "here"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_only_the_dead_leave_things_behind(tmp_path):
    """A killed writer's file goes, and an earlier one of this process; that of a living process stays, it may be writing."""
    dead = FORKS.Process(target=abs, args=(1,))
    dead.start()
    dead.join()
    file, number = tmp_path / "out", {"dead": dead.pid, "own": os.getpid(), "alive": os.getppid()}
    for pid in (*number.values(), "words"):
        file.with_name(f"out.{pid}.new").touch()
    clean(file)
    assert [left.name for left in tmp_path.iterdir()] == [f"out.{number['alive']}.new"]


@pytest.mark.parametrize("act", [ready, lambda file: write_bytes(file, b"words")], ids=["ready", "write"])
def test_a_place_that_cannot_be_written_is_named(act, tmp_path):
    """A file where a folder should be, at either depth, and a folder where the file should be; nothing is left in any of them."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    for name, reason in (("file/out", "File exists"), ("file/deep/out", "Not a directory"), ("folder", "Is a directory")):
        with pytest.raises(OSError) as caught:
            act(tmp_path / name)
        assert caught.value.strerror == f"could not write {tmp_path / name}: {reason}"
    with pytest.raises(OSError, match="could not write /proc/out: No such file"):  # a folder of Linux that takes no files
        act("/proc/out")
    assert (tmp_path / "file").read_bytes() == b"old" and not list((tmp_path / "folder").iterdir())
    act(tmp_path / "a" / "b" / "out")
    ready(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [left.name for left in (tmp_path / "a" / "b").iterdir()] == (["out"] if act is not ready else [])
