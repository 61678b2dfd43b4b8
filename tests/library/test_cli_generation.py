"""`otprior train`, `solve`, `sample`, `evaluate`: one path from data to numbers, each file what the library would have made."""

import json

import numpy as np
import pytest
import torch

from otprior_lite import cli, data, features, metrics, priors, samplers, schedules
from otprior_lite.figures.sheet import sheet
from otprior_lite.randomness import permutation, seeded
from otprior_lite.train import load_model, save_model

pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with data, a model and a solved prior, all made by the command line."""
    folder = tmp_path_factory.mktemp("run")
    y = np.arange(12) % 2
    x = (2.0 * y[:, None, None, None] - 1) * np.random.default_rng(0).uniform(0.5, 1, (12, 1, 4, 4))
    np.savez(folder / "data.npz", x=x.astype("float32"), y=y)
    assert run("train", data=folder / "data.npz", out=folder / "model", steps=3, batch=4, predicts="v", conditional=None) == 0
    assert run("solve", data=folder / "data.npz", out=folder / "prior.safetensors", t=500, seed=3) == 0
    assert run("solve", data=folder / "data.npz", out=folder / "cosine.safetensors", t=500, seed=3, schedule="cosine") == 0
    return folder


def run(command, **options):
    words = [[f"--{key.replace('_', '-')}"] + ([] if value is None else [str(value)]) for key, value in options.items()]
    return cli.main([command, *sum(words, [])])


def arrays(file):
    with np.load(file) as archive:
        return {key: archive[key] for key in archive.files}


def test_the_model_is_the_average_of_the_run(folder):
    design, denoiser = load_model(folder / "model" / "model.safetensors")
    assert (design.size, design.shape, design.classes, design.predicts) == ("tiny", (1, 4, 4), 2, "v")
    assert denoiser.schedule.name == schedules.ddpm_linear().name
    points = data.load(str(folder / "data.npz")).x
    torch.testing.assert_close(denoiser.network.mean, points.mean(0))
    assert bool(denoiser.network.raw.unet.conv_out.weight.ne(0).any())  # it started at zero


def test_solve_keeps_the_potentials(folder):
    """The file is the library's own prior: heights for each atom, cells of equal mass."""
    prior, schedule = priors.load(folder / "prior.safetensors"), schedules.ddpm_linear()
    points = data.load(str(folder / "data.npz")).x
    again = priors.SemiDiscrete.fit(points, schedule, 500.0, tolerance=0.05, generator=seeded(3))
    assert torch.equal(prior.map.heights, again.map.heights) and prior.shape == (1, 4, 4)
    cells = prior.map.cell(prior.codes(20_000, seeded(5)))
    mass = torch.bincount(cells, minlength=12) / 20_000
    assert float((mass - 1 / 12).abs().sum()) < 0.05 + 12 * 0.8 * (1 / 12 / 20_000) ** 0.5  # tolerance and sampling noise


def test_sample_writes_what_the_library_draws(folder, capsys):
    """Samples from the solved prior equal the library's; the sheet is a picture of 3 by 3."""
    out = folder / "samples.npz"
    options = {
        "model": folder / "model",
        "prior": folder / "prior.safetensors",
        "t": 500,
        "n": 7,
        "batch": 7,
        "steps": 5,
        "seed": 4,
    }
    assert run("sample", **options, out=out) == 0
    found = arrays(out)
    assert found.keys() == {"x"} and found["x"].shape == (7, 1, 4, 4)
    generator, (_, denoiser) = seeded(4), load_model(folder / "model" / "model.safetensors")
    start = priors.load(folder / "prior.safetensors").sample(7, generator)
    expected = samplers.sample(denoiser, denoiser.schedule, start, steps=5, t_start=500.0)
    torch.testing.assert_close(torch.from_numpy(found["x"]), expected, rtol=1e-4, atol=1e-5)
    from PIL import Image

    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.size == ((3 * 6 + 2) * 3,) * 2
        pixels = np.asarray(sheet.convert("RGB"), dtype=float)
    first = pixels[6:18:3, 6:18:3, 0] / 127.5 - 1
    np.testing.assert_allclose(first, found["x"][0, 0].clip(-1, 1), atol=0.01)
    assert "samples.npz" in capsys.readouterr().out


def test_a_start_on_disk_begins_at_its_own_time(folder):
    """The whole map and its heights alone: without --t, the samples are those of the time that they were solved for."""
    files = {"whole": folder / "prior.safetensors", "heights": folder / "heights.safetensors"}
    assert run("solve", data=folder / "data.npz", out=files["heights"], t=500, seed=3, heights=None) == 0
    options = {"model": folder / "model", "data": folder / "data.npz", "n": 4, "steps": 3, "seed": 5}
    assert run("sample", prior=files["whole"], t=500, out=folder / "told.npz", **options) == 0
    for name, file in files.items():
        assert run("sample", prior=file, out=folder / f"{name}.npz", **options) == 0
        assert np.array_equal(arrays(folder / f"{name}.npz")["x"], arrays(folder / "told.npz")["x"])


def test_samples_that_are_not_finite_are_not_written(folder, tmp_path, capsys):
    """A network with an infinite weight."""
    design, denoiser = load_model(folder / "model" / "model.safetensors")
    denoiser.network.raw.unet.conv_out.bias.data.fill_(float("inf"))
    save_model(design, denoiser.network, tmp_path / "model.safetensors")
    assert run("sample", model=tmp_path, n=2, steps=1, out=tmp_path / "x.npz") == 2
    assert "samples: expected finite numbers" in capsys.readouterr().err and not (tmp_path / "x.npz").exists()


def test_a_sheet_of_something_else_is_refused():
    with pytest.raises(ValueError, match="images: expected shape .* got shape"):
        sheet(np.zeros((4, 2, 8, 8)))


@pytest.mark.parametrize("prior", ["standard", "moment-matched", "data-initialised"])
def test_sample_with_other_priors_labels_and_guidance(folder, prior):
    out = folder / f"{prior}.npz"
    options = {"prior": prior, "data": folder / "data.npz", "n": 5, "batch": 2, "steps": 3, "label": 1, "guidance": 2.0}
    assert run("sample", model=folder / "model" / "model.safetensors", method="ddpm", out=out, **options) == 0
    found = arrays(out)
    assert found["x"].shape == (5, 1, 4, 4) and np.isfinite(found["x"]).all() and found["y"].tolist() == [1] * 5


def test_sample_from_a_checkpoint_of_diffusers(tmp_path):
    import diffusers
    from test_train_images import CHECKPOINT, small_unet

    diffusers.DDPMPipeline(small_unet(), diffusers.DDPMScheduler(**CHECKPOINT)).save_pretrained(tmp_path / "theirs")
    assert run("sample", model=tmp_path / "theirs", n=2, steps=2, out=tmp_path / "x.npz") == 0
    assert arrays(tmp_path / "x.npz")["x"].shape == (2, 3, 8, 8) and (tmp_path / "x.png").exists()


def test_labels_may_be_any_whole_numbers(tmp_path):
    """Four labels from 3 to 6 are four classes, counted from 0."""
    x = np.random.default_rng(0).uniform(-1, 1, (8, 1, 4, 4)).astype("float32")
    np.savez(tmp_path / "data.npz", x=x, y=3 + np.arange(8) % 4)
    assert run("train", data=tmp_path / "data.npz", out=tmp_path, steps=1, batch=4, conditional=None) == 0
    assert load_model(tmp_path / "model.safetensors")[0].classes == 4
    assert run("sample", model=tmp_path, n=1, steps=1, label=3, out=tmp_path / "x.npz") == 0


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_without_its_source(tmp_path, capsys):
    """A picture that cannot be read is named as an error would be, not with a line of this library."""
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    assert run("solve", data=tmp_path, out=tmp_path / "x.safetensors", t=500, tolerance=0.5, copies=2) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(said) == 1 and said[0].startswith(f"otprior solve: {tmp_path}: 1 of 2 files left out: bad.png (")


def test_vectors_too(tmp_path):
    """Points make an mlp; there is no sheet of them."""
    np.savez(tmp_path / "points.npz", x=np.random.default_rng(0).normal(size=(30, 2)))
    assert run("train", data=tmp_path / "points.npz", out=tmp_path, steps=2, batch=8, schedule="ou") == 0
    assert run("sample", model=tmp_path, n=4, steps=2, out=tmp_path / "x.npz") == 0
    assert arrays(tmp_path / "x.npz")["x"].shape == (4, 2) and not (tmp_path / "x.png").exists()


def test_evaluate_reports_distances_with_floors(folder, tmp_path):
    """Data against shifted data: the numbers are the library's, and the shift shows above the floor."""
    generator = np.random.default_rng(1)
    for name, shift in (("data", 0.0), ("held", 0.0), ("samples", 3.0)):
        np.savez(tmp_path / f"{name}.npz", x=generator.normal(size=(60, 2)) + shift)
    files = {"samples": tmp_path / "samples.npz", "data": tmp_path / "data.npz", "held_out": tmp_path / "held.npz"}
    assert run("evaluate", **files, n=50, out=tmp_path / "numbers.json") == 0
    found = json.loads((tmp_path / "numbers.json").read_text(), parse_constant=pytest.fail)
    draw = seeded(0)
    x, y = (data.load(str(files[key])).x[permutation(60, draw)[:50]] for key in ("samples", "data"))
    assert found["sliced_w2"]["value"] == pytest.approx(metrics.sliced_w2(x, y, generator=draw).value, rel=1e-6)
    assert found["sliced_w2"]["value"] == pytest.approx(3.0, abs=0.6) and found["sliced_w2"]["floor"] < 1.5
    assert found["energy"]["p_value"] < 0.02 and found["precision_recall"]["precision"]["value"] < 0.5
    assert 0 <= found["memorisation"]["value"] <= 1 and found["samples"] == 50 and found["features"] == "pixels"


def test_evaluate_finds_every_copy_and_sees_with_the_shipped_classifier(tmp_path):
    """Copies of training pictures, fewer than there are, with a small held-out set; the distances are those of the library."""
    train, held_out = features.split("emoji32")
    for name, x in (("train", train.x[:300]), ("held", held_out.x[:40]), ("samples", train.x[:60])):
        np.savez(tmp_path / f"{name}.npz", x=x.numpy())
    files = {"samples": tmp_path / "samples.npz", "data": tmp_path / "train.npz", "held_out": tmp_path / "held.npz"}
    assert run("evaluate", **files, features="emoji32", n=50, out=tmp_path / "numbers.json") == 0
    found = json.loads((tmp_path / "numbers.json").read_text(), parse_constant=pytest.fail)
    assert found["memorisation"]["to_train"] == 0 and found["memorisation"]["duplicates"]["value"] > 0.9
    assert found["features"] == "emoji32" and 0 <= found["mode_mixture"]["value"] < 0.3
    draw = seeded(0)
    x, y = train.x[:60][permutation(60, draw)[:50]], train.x[:300][permutation(300, draw)[:50]]
    judged = metrics.frechet(x, y, features=features.load("emoji32").pooled, repeats=1).value
    assert found["frechet"]["value"] == pytest.approx(judged, rel=1e-4)


@pytest.mark.parametrize(
    ("command", "options", "word"),
    [
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "size": "tinny"}, "did you mean 'tiny'"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 0}, "steps: expected"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "schedule": "cosin"}, "did you mean 'cosine'"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "device": "gpu9"}, "--device: expected a device"),
        ("solve", {"data": "DATA", "out": "OUT/map.safetensors", "t": -1}, "t: expected"),
        ("solve", {"data": "DATA", "out": "OUT/map"}, "--out: expected a file name that ends in .safetensors"),
        ("solve", {"data": "DATA", "out": "DATA/map.safetensors"}, "could not write"),
        ("sample", {"model": "OUT/none.safetensors", "out": "OUT/x.npz"}, "no such file"),
        ("sample", {"model": "OUT", "out": "OUT/x.npz"}, "no such file"),
        ("sample", {"model": "MODEL", "out": "OUT/x.png"}, "--out: expected a file name that ends in .npz"),
        ("sample", {"model": "MODEL", "out": "DATA/x.npz"}, "could not write"),
        ("sample", {"model": "MODEL", "prior": "moment-matched", "out": "OUT/x.npz"}, "--data: expected"),
        ("sample", {"model": "MODEL", "prior": "standart", "out": "OUT/x.npz"}, "did you mean 'standard'"),
        ("sample", {"model": "MODEL", "label": 2, "out": "OUT/x.npz"}, "label: expected"),
        ("sample", {"model": "MODEL", "guidance": 2, "out": "OUT/x.npz"}, "guidance: expected"),
        ("sample", {"model": "MODEL", "prior": "PRIOR", "t": 1000, "out": "OUT/x.npz"}, "--t: expected 500, which"),
        (
            "sample",
            {"model": "MODEL", "prior": "COSINE", "out": "OUT/x.npz"},
            "--prior: expected a start for the model's schedule",
        ),
        ("evaluate", {"samples": "DATA", "data": "DATA", "features": "emoji23"}, "did you mean 'emoji32'"),
        ("evaluate", {"samples": "OUT/none.npz", "data": "DATA"}, "no such file"),
    ],
)
def test_a_refusal_says_why(command, options, word, folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {
        "DATA": folder / "data.npz",
        "MODEL": folder / "model",
        "OUT": tmp_path / "empty",
        "PRIOR": folder / "prior.safetensors",
    }
    places["COSINE"] = folder / "cosine.safetensors"

    def fill(value):
        first, *rest = str(value).split("/", 1)
        return places[first].joinpath(*rest) if first in places else value

    assert run(command, **{key: fill(value) for key, value in options.items()}) == 2
    assert word in capsys.readouterr().err
    assert not list((tmp_path / "empty").iterdir())
