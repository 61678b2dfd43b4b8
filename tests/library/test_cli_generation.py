"""`otprior train`, `solve`, `sample`, `evaluate`: one path from data to numbers, each file what the library would have made."""

import json

import numpy as np
import pytest
import torch

from otprior_lite import cli, data, metrics, priors, samplers, schedules
from otprior_lite.figures.sheet import sheet
from otprior_lite.randomness import permutation, seeded
from otprior_lite.train import load_model

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
    assert 0 <= found["memorisation"]["value"] <= 1 and found["samples"] == 50


@pytest.mark.parametrize(
    ("command", "options", "word"),
    [
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "size": "tinny"}, "did you mean 'tiny'"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 0}, "steps: expected"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "schedule": "cosin"}, "did you mean 'cosine'"),
        ("train", {"data": "DATA", "out": "OUT", "steps": 1, "device": "gpu9"}, "--device: expected a device"),
        ("solve", {"data": "DATA", "out": "OUT", "t": -1}, "t: expected"),
        ("sample", {"model": "OUT/none.safetensors", "out": "OUT"}, "no such file"),
        ("sample", {"model": "OUT", "out": "OUT"}, "no such file"),
        ("sample", {"model": "MODEL", "prior": "moment-matched", "out": "OUT"}, "--data: expected"),
        ("sample", {"model": "MODEL", "prior": "standart", "out": "OUT"}, "did you mean 'standard'"),
        ("sample", {"model": "MODEL", "label": 2, "out": "OUT"}, "label: expected"),
        ("sample", {"model": "MODEL", "guidance": 2, "out": "OUT"}, "guidance: expected"),
        ("evaluate", {"samples": "OUT/none.npz", "data": "DATA"}, "no such file"),
    ],
)
def test_a_refusal_says_why(command, options, word, folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {"DATA": folder / "data.npz", "MODEL": folder / "model", "OUT": tmp_path / "empty"}
    fill = lambda v: str(v).replace("OUT/", f"{places['OUT']}/") if "/" in str(v) else places.get(v, v)
    assert run(command, **{key: fill(value) for key, value in options.items()}) == 2
    assert word in capsys.readouterr().err
