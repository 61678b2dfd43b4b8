"""The command line: what it prints is what the library computes, and a refusal says why and returns 2."""

import json
import math

import numpy as np
import pytest
import torch

from otprior_lite import cli, figures, schedules
from otprior_lite.gap import gelbrich
from otprior_lite.targets import Empirical


def strict(text: str) -> dict:
    """JSON without NaN or infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def cloud(tmp_path):
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1
    np.savez(tmp_path / "cloud.npz", x=x.numpy())
    return tmp_path / "cloud.npz", x


def test_gap_of_my_data_as_json(cloud, capsys):
    file, x = cloud
    assert cli.main(["gap", "--data", str(file), "--schedule", "ou", "--t", "0.7", "--samples", "60", "--json"]) == 0
    printed = strict(capsys.readouterr().out)
    alpha = math.exp(-0.7)
    assert printed["mean"] == pytest.approx(alpha * float(x.mean(0).norm()), rel=1e-6)
    assert printed["lower"] == pytest.approx(gelbrich(Empirical(x.float().double()), schedules.ou(), 0.7), rel=1e-9)
    assert printed["total"]["value"] >= printed["lower"]


def test_gap_in_words(cloud, capsys):
    assert cli.main(["gap", "--data", str(cloud[0]), "--schedule", "edm", "--samples", "60"]) == 0
    printed = capsys.readouterr().out
    assert "300 points in dimension 3" in printed and "N(0, 80^2 I)" in printed


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["gap", "--data", "digit"], "did you mean 'digits'"),
        (["gap", "--data", "nowhere.npz"], "no such file"),
        (["gap", "--data", "digits", "--schedule", "cosin"], "did you mean 'cosine'"),
        (["gap", "--data", "digits", "--t", "-1"], "t: expected"),
        (["gap", "--data", "digits", "--samples", "0"], "--samples: expected an integer >= 2"),
        (["figures", "log_sn"], "did you mean 'log_snr'"),
        (["figures", "log_snr", "--theme", "drak"], "did you mean 'dark'"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert word in capsys.readouterr().err


def test_about_names_versions_and_hashes(capsys):
    assert cli.main(["about"]) == 0
    printed = strict(capsys.readouterr().out)
    assert printed["versions"]["torch"] == torch.__version__
    assert len(printed["data"]["digits"]) == 64


def test_figures_writes_the_picture_and_its_record(tmp_path, capsys):
    assert cli.main(["figures", "zero_snr", "--out", str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {f"zero_snr.{kind}" for kind in ("pdf", "svg", "png", "json")}
    record = strict((tmp_path / "zero_snr.json").read_text())
    assert record["figure"] == "zero_snr" and record["seconds"] > 0
    assert (tmp_path / "zero_snr.pdf").read_bytes().startswith(b"%PDF")


def test_the_cover_in_the_readme_is_a_figure_by_name():
    assert "cover" in figures.names()
