"""data/build/cifar_scale.py, the script of all that needs a GPU: a rehearsal on the CPU, killed in the middle.

CIFAR-10's pictures are not shipped; emoji in the same kind of JPEG store stand in for them.
"""

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from forks import free_port
from safetensors.torch import load_file
from zoo import rng

from otprior_lite import data, schedules
from otprior_lite.archive import read
from otprior_lite.experiments.pictures import scores
from otprior_lite.experiments.smileys import STARTS, smileys
from otprior_lite.priors import Potential
from otprior_lite.processes import joined
from otprior_lite.train import load_model
from otprior_lite.train.images import unet_config

pytest.importorskip("diffusers")
image = pytest.importorskip("PIL.Image")
SHIPPED = data.root()
SCRIPT = SHIPPED / "build" / "cifar_scale.py"


def store(pictures, y, n_train, file):
    """Pictures (n, 32, 32, 3) as the store of JPEG files: one header, payloads end to end, no end markers."""
    files = []
    for picture in pictures:
        stream = io.BytesIO()
        image.fromarray(picture).save(stream, "JPEG", quality=75)
        files.append(stream.getvalue())
    header = os.path.commonprefix(files)
    payloads = [content[len(header) : -2] for content in files]
    assert all(content.endswith(b"\xff\xd9") for content in files) and len(header) > 100
    bytes_of = lambda content: np.frombuffer(content, dtype=np.uint8)
    length = np.array([len(payload) for payload in payloads], dtype=np.uint16)
    np.savez(file, header=bytes_of(header), payload=bytes_of(b"".join(payloads)), length=length, y=y, n_train=n_train)
    return [np.asarray(image.open(io.BytesIO(content))) for content in files]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the data that the script reads, and a store of 44 pictures, 36 of them for training."""
    place = tmp_path_factory.mktemp("scale")
    (place / "data").mkdir()
    for name in ("MANIFEST.json", "emoji32.npz"):
        shutil.copy(data.root() / name, place / "data" / name)
    with np.load(data.path("emoji32"), allow_pickle=False) as archive:
        store(archive["x"][:44], (np.arange(44) % 10).astype("uint8"), 36, place / "cifar.npz")
    return place


def words(place):
    return ["--toy", "--cifar", str(place / "cifar.npz"), "--work", str(place / "work"), "--device", "cpu"]


@pytest.fixture
def script(place, monkeypatch):
    """The script as a module, on the copied data; it does nothing unless `main` is called."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("OTPRIOR_DATA_DIR", str(place / "data"))
    import cifar_scale

    return cifar_scale


def test_the_store_of_pictures_is_read(script, tmp_path):
    """Every picture, its class and its side come back; bytes as Pillow decodes them."""
    pictures = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    from cifar_pictures import unpack

    decoded = store(pictures, np.arange(7, dtype=np.uint8), 5, tmp_path / "store.npz")
    rows, held_out = unpack(tmp_path / "store.npz")
    assert (len(rows.x), len(held_out.x)) == (5, 2) and rows.y.tolist() + held_out.y.tolist() == list(range(7))
    found = ((torch.cat([rows.x, held_out.x]) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(found, decoded)
    np.savez(tmp_path / "other.npz", x=pictures)
    with pytest.raises(ValueError, match="other.npz: expected arrays header, payload, length, y, n_train, got"):
        unpack(tmp_path / "other.npz")


def test_all_stages_killed_once_and_gone_on(place, script, capsys):
    """SIGKILL while a network trains; the second run goes on from the checkpoint and makes everything; a third makes nothing."""
    checkpoint = place / "work" / "toy" / "cifar10_jpeg75_small.safetensors"
    quiet, patience = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}, time.monotonic() + 900
    command = [sys.executable, str(SCRIPT), *words(place), "--stages", "train"]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **quiet)
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    step = int(read(checkpoint)[0]["step"])
    assert 0 < step < 8 and not (place / "data" / "weights").exists()
    assert script.main(words(place)) == 0
    output = capsys.readouterr().out
    assert "modes: is there" in output and "train_cifar10_jpeg75_small: is there" not in output
    assert int(read(checkpoint)[0]["step"]) == 8

    data_folder = place / "data"
    manifest = json.loads((data_folder / "MANIFEST.json").read_text())
    weights = ["weights/cifar10_jpeg75_small", "weights/emoji32_small"]
    potentials = [f"potentials/cifar10_jpeg75_t{t}" for t in (250, 500, 1000)]
    made = set(manifest) - set(json.loads((SHIPPED / "MANIFEST.json").read_text()))
    assert made <= {*weights, *potentials, "results/cifar_scale"}
    entry = manifest[weights[0]]
    assert entry["label"] == "CIFAR-10 (JPEG q75)" and entry["pictures"] == 32 and "CPU" in entry["device"]
    for name in weights:
        file = data_folder / manifest[name]["file"]
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.float16}
        design, denoiser = load_model(file)
        x = torch.randn(2, *design.shape, generator=rng())
        assert design.shape == (3, 32, 32) and bool(denoiser(x, 500.0).isfinite().all())

    record = json.loads((data_folder / "results" / "cifar_scale.json").read_text(), parse_constant=pytest.fail)
    stages = record["stages"]
    assert record["toy"] and stages["tests"]["exit"] == 0 and "skipped" in stages["tests"]["summary"]
    assert set(stages["modes"]["pictures_a_second"]) == {"float32", "bfloat16"} and not stages["modes"]["failed"]
    for name in ("cifar10_jpeg75_small", "emoji32_small"):
        assert min(stages[f"train_{name}"]["rms_error"]["held_out"]) > 0 and stages[f"sampling_{name}"]["pictures_a_second"] > 0
        assert (place / "work" / "toy" / f"{name}.png").exists()
    for t in (250, 500, 1000):
        table = stages[f"starts_cifar10_jpeg75_t{t}"]
        of = lambda name: [row[table["columns"].index(name)] for row in table["rows"]]
        assert list(zip(of("start"), of("calls"))) == [(start, calls) for start in STARTS for calls in (1, 2)]
        assert min(of("to_train")) > 0 and set(of("inception")) == {None}
    assert not list((place / "work" / "toy").glob("*.state")) and not list(data_folder.rglob("*.new"))

    unchanged = {file: file.stat().st_mtime_ns for file in data_folder.rglob("*.safetensors")}
    assert script.main(words(place)) == 0
    assert capsys.readouterr().out.count(": is there") == len(stages) == 12
    assert unchanged == {file: file.stat().st_mtime_ns for file in data_folder.rglob("*.safetensors")}
    replayed(place, potentials, manifest)


def test_what_failed_is_not_taken_for_done(place, script, monkeypatch, tmp_path):
    """A GPU test that failed and a way to train that did not work are written down, and tried again by the next command; what
    went well is kept, until the code that the tests are about changes."""
    made = []
    answers = {"gpu_tests": {"exit": 1}, "modes": {"failed": {"compiled": "no"}, "dtype": "torch.float32"}}
    for name in answers:
        monkeypatch.setattr(script, name, lambda *_, name=name, **__: made.append(name) or answers[name])
    run = lambda: script.main([*words(place)[:3], "--work", str(tmp_path), "--device", "cpu", "--stages", "tests"])
    assert run() == run() == 1 and made == 2 * ["gpu_tests", "modes"]
    answers.update(gpu_tests={"exit": 5}, modes={"failed": {}, "dtype": "torch.float32"})
    assert run() == run() == 0 and made == 3 * ["gpu_tests", "modes"]
    monkeypatch.setattr(script, "sources", lambda: "of another day")
    assert run() == 0 and made[6:] == ["gpu_tests"]


def test_the_hash_of_the_sources_is_of_library_and_tests(script, monkeypatch, tmp_path):
    for name in ("otprior_lite/a/b.py", "tests/c.py", "book/d.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("1")
    cifar_stages = sys.modules[script.sources.__module__]
    monkeypatch.setattr(cifar_stages, "ROOT", tmp_path)
    found = [script.sources()]
    for name in ("otprior_lite/a/b.py", "tests/c.py", "book/d.py"):
        (tmp_path / name).write_text("2")
        found.append(script.sources())
    (tmp_path / "tests/c.py").rename(tmp_path / "tests/e.py")
    found.append(script.sources())
    assert len(set(found)) == 4 and found[2] == found[3]


def two_ways(rank, port, pipe):
    """What each of two processes does: time two ways to train, of which bfloat16 fails in the second process."""
    os.environ.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    sys.path.insert(0, str(SCRIPT.parent))
    torch.set_num_threads(1)
    import cifar_stages
    from cifar_pictures import RECIPES, Pictures
    from cifar_run import TOY, Run

    def trained(*_, dtype, **__):
        if rank == "1" and dtype == torch.bfloat16:
            raise RuntimeError("not here")
        return None, None, 1.0 if dtype == torch.float32 else 2.0

    cifar_stages.trained = trained
    with joined(torch.device("cpu")) as here:
        pictures = Pictures("", "", RECIPES["emoji32"], None, None)
        pipe.send(cifar_stages.modes(Run(None, here, TOY), pictures, True, False))


def test_a_way_to_train_counts_if_it_works_everywhere():
    """One process of two cannot do it: neither does, and no one waits for the other."""
    port = free_port()
    spawn = multiprocessing.get_context("spawn")
    pipes = [spawn.Pipe(False) for _ in "01"]
    ranks = [spawn.Process(target=two_ways, args=(rank, port, pipes[int(rank)][1]), daemon=True) for rank in "01"]
    for process in ranks:
        process.start()
    found = [pipe.recv() for pipe, _ in pipes if pipe.poll(60)]
    for process in ranks:
        process.join(10)
        process.kill()
    assert len(found) == 2 and found[0] == found[1]
    assert found[0]["failed"] == {"bfloat16": "RuntimeError: not here"} and found[0]["best"] == "float32"


def test_the_starts_of_the_script_say_what_chapter_12_says(monkeypatch):
    """On the smileys, where a study is committed: far from data is N(0, I), near the training pictures are the map's, and the
    control beside it; the oracle is neither."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from cifar_starts import Grid, measured

    train, held_out = smileys()
    potential = Potential.load(SHIPPED / "potentials" / "smileys_t250.safetensors")
    grid = Grid((0,), (5,), 40, 40, 0.1)
    table = measured(SHIPPED / "weights" / "smileys.safetensors", potential, train, held_out, grid, torch.device("cpu"))
    found = {row[0]: dict(zip(table["columns"], row)) for row in table["rows"]}
    assert set(found) == set(STARTS) and found["standard"]["energy"] > 10 * found["oracle"]["energy"]
    for name in ("semi-discrete", "data-initialised", "fresh-noise"):
        assert found[name]["closer"] > found["oracle"]["closer"] + 0.1 and found[name]["nearer"] > 0.9
    committed = scores()["oracle", 250, 5]
    assert found["oracle"]["to_train"] == pytest.approx(committed.of("to_train")[0], rel=0.15)


def replayed(place, potentials, manifest):
    """The kept heights replay on the pictures of the store, and hold their tolerance on a fresh sample."""
    from cifar_pictures import unpack

    points = unpack(place / "cifar.npz")[0].distinct().x[:32]
    for name in potentials:
        potential = Potential.load(place / "data" / manifest[name]["file"])
        error = potential.verify(points, schedules.ddpm_linear(), n=20_000, generator=rng(1))
        assert potential.heights.shape == (32,) and error.interval[1] < potential.tolerance == 0.4
        assert f"t{potential.t:g}" in name and manifest[name]["label"] == "CIFAR-10 (JPEG q75)"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_stages_run_on_a_gpu(place, script):
    """Its own name in the results; weights and potentials that a CPU reads."""
    work = place / "gpu"
    stages = ["--no-compile", "--stages", "train", "solve", "sampling", "starts"]
    assert script.main(["--toy", "--cifar", str(place / "cifar.npz"), "--work", str(work), "--device", "cuda", *stages]) == 0
    record = json.loads((place / "data" / "results" / "cifar_scale.json").read_text())
    assert record["device"] == torch.cuda.get_device_name() and not record["stages"]["modes"]["failed"]
    manifest = json.loads((place / "data" / "MANIFEST.json").read_text())
    replayed(place, [name for name in manifest if name.startswith("potentials/cifar10")], manifest)
    denoiser = load_model(place / "data" / manifest["weights/cifar10_jpeg75_small"]["file"])[1]
    assert bool(denoiser(torch.randn(2, 3, 32, 32, generator=rng()), 500.0).isfinite().all())


def test_the_network_fits_a_shipped_file():
    """ "small", told ten classes, in float16: below the 16 MB of a file that is shipped."""
    diffusers = pytest.importorskip("diffusers")
    with torch.device("meta"):
        model = diffusers.UNet2DModel(**unet_config("small", (3, 32, 32), 10))
    assert 12e6 < 2 * sum(p.numel() for p in model.parameters()) < 15e6


def test_without_a_gpu_it_says_so(place, script):
    """Not silently for weeks: no GPU, no --toy."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ValueError, match="--device: expected a GPU, --toy, or --device cpu and weeks, got no GPU here"):
        script.main(["--work", str(place / "none")])
    assert not (place / "none").exists()
