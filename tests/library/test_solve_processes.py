"""`otprior solve` killed, shared, and used: in processes of its own."""

import numpy as np
import pytest
import torch
from forks import finished, free_port, killed, started

from otprior_lite import cli, data, priors, schedules
from otprior_lite.randomness import seeded
from otprior_lite.train import Design, save_model


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    file = tmp_path_factory.mktemp("points") / "noise.npz"
    np.savez(file, x=np.random.default_rng(0).uniform(-1, 1, (150, 3, 8, 8)).astype("float32"))
    return file


def command(data, out, **options):
    """The arguments of a solve that keeps heights and saves its state after every step."""
    options = {"data": data, "out": out, "t": 500, "tolerance": 0.03, "every": 0, "device": "cpu"} | options
    return ["solve", "--heights", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]


def same(first, second):
    a, b = (priors.Potential.load(file) for file in (first, second))
    return torch.equal(a.heights, b.heights) and a.error == b.error and a.samples == b.samples and a.points == b.points


def test_killed_and_resumed_gives_the_same_bits(points, tmp_path):
    """SIGKILL at random moments of the solve, also before its first state: the heights, their error and the count of samples are
    those of a run that nobody touched, and nothing else is left in the folder."""
    whole, out = tmp_path / "whole" / "h.safetensors", tmp_path / "killed" / "h.safetensors"
    file = out.with_name("h.safetensors.state")
    untouched = started(command(points, whole))
    assert killed(command(points, out), file, lives=6, young=1, longest=0.05, seed=1) == 6
    assert file.exists() and not out.exists()
    finished(started(command(points, out)))
    finished(untouched)
    assert same(whole, out) and [left.name for left in out.parent.iterdir()] == ["h.safetensors"]


def test_two_processes_solve_what_one_does(points, tmp_path):
    """As under torchrun: two processes (gloo) share the samples, one of them writes, and the file is that of one process. Told to
    write elsewhere, after every step as the first one, the second leaves no file there, which nobody would have removed."""
    finished(started(command(points, tmp_path / "one.safetensors")))
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    outs = {"0": tmp_path / "two.safetensors", "1": tmp_path / "second" / "two.safetensors"}
    ranks = [started(command(points, outs[r]), {"RANK": r, "LOCAL_RANK": r, **world}) for r in "01"]
    for process in ranks:
        finished(process)
    assert not any(left.is_file() for left in (tmp_path / "second").rglob("*"))
    one, two = (priors.Potential.load(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    torch.testing.assert_close(one.heights, two.heights, rtol=0, atol=1e-5)
    assert one.samples == two.samples and one.error.n == two.error.n
    assert one.error.l1.value == pytest.approx(two.error.l1.value, abs=1e-6)


def test_heights_are_enough_to_sample(points, tmp_path, capsys):
    """`sample --prior` with heights and --data draws what it draws with the whole prior, and refuses what they are not of."""
    x = data.load(str(points)).x
    design = Design("tiny", tuple(x.shape[1:]))
    save_model(design, design.network(x, seeded(0)), tmp_path / "model.safetensors")
    run = lambda name, *words: cli.main([name, *map(str, words)])
    solve = lambda *words: run("solve", "--data", points, "--t", 500, "--tolerance", 0.1, *words)
    assert solve("--out", tmp_path / "whole.safetensors") == 0
    assert solve("--out", tmp_path / "heights.safetensors", "--heights") == 0
    shown = capsys.readouterr()
    assert "150 atoms at t = 500" in shown.out and "error=0." in shown.err and "100%" in shown.err
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "heights")]
    assert sizes[0] > 150 * 193 * 4 and sizes[1] < 4 * 150 + 3000
    sample = lambda prior, out, *words: run(
        "sample", "--model", tmp_path / "model.safetensors", "--prior", tmp_path / f"{prior}.safetensors",
        "--n", 3, "--steps", 2, "--out", tmp_path / out, *words,
    )  # fmt: skip
    assert sample("whole", "a.npz", "--t", 500) == sample("heights", "b.npz", "--t", 500, "--data", points) == 0
    assert sample("heights", "c.npz", "--data", points) == 0  # the heights know their time
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b, np.load(tmp_path / "c.npz") as c:
        np.testing.assert_array_equal(a["x"], b["x"])
        np.testing.assert_array_equal(a["x"], c["x"])
    np.savez(tmp_path / "other.npz", x=x.numpy()[1:])
    for words, said in (
        (["--t", 500], "--data: expected the data that the prior"),
        (
            ["--t", 400, "--data", points],
            f"--t: expected 500, which {tmp_path / 'heights.safetensors'} is of (or no --t), got 400",
        ),
        (["--t", 500, "--data", tmp_path / "other.npz"], "points: expected the points that the heights were solved for"),
    ):
        assert sample("heights", "c.npz", *words) == 2 and said in capsys.readouterr().err
    cosine = Design("tiny", tuple(x.shape[1:]), schedule=schedules.cosine().name.split("(")[0])
    save_model(cosine, cosine.network(x, seeded(0)), tmp_path / "model.safetensors")
    assert sample("heights", "c.npz", "--t", 500, "--data", points) == 2
    assert "--prior: expected a start for the model's schedule" in capsys.readouterr().err


def test_other_settings_do_not_go_on(points, tmp_path, capsys):
    """The state of a killed solve is not taken for that of another: status 2, what differs, and the file as it was."""
    out = tmp_path / "h.safetensors"
    state = tmp_path / "h.safetensors.state"
    x, settings = data.load(str(points)).x, {"tolerance": 0.03, "checkpoint": state, "every": 0}
    next(iter(priors.potential_steps(x, schedules.ddpm_linear(), 500, **settings)))
    kept = state.read_bytes()
    changes = (({"tolerance": 0.1}, "tolerance"), ({"seed": 2}, "seed"), ({"t": 499}, "problem"), ({"copies": 2}, "problem"))
    for change, said in changes:
        assert cli.main(command(points, out, **change)) == 2
        shown = capsys.readouterr().err
        assert "h.safetensors.state: expected the state of a solve with" in shown and said in shown
        assert state.read_bytes() == kept and not out.exists()
