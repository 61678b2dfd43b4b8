"""Shipped weights and potentials that are damaged, swapped, or written to a full disk: a clear error, and nothing lost."""

import errno
import json
import resource
import shutil

import pytest
import torch
from zoo import rng

from otprior_lite import data, priors, schedules
from otprior_lite.data.manifest import entry_of
from otprior_lite.train import Design, load_model, load_weights, mlp, save_model

SHIPPED = [name for name in data.names() if name.startswith(("weights/", "potentials/"))]
DDPM = schedules.ddpm_linear()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the data folder whose weights and potentials may be harmed."""
    folder = tmp_path / "data"
    for name in SHIPPED:
        file = entry_of(name)["file"]
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data.root() / file, folder / file)
    shutil.copy(data.root() / "MANIFEST.json", folder / "MANIFEST.json")
    monkeypatch.setenv("OTPRIOR_DATA_DIR", str(folder))
    return folder


def test_there_are_both_kinds():
    assert {name.split("/")[0] for name in SHIPPED} == {"weights", "potentials"}


def test_one_wrong_bit_a_lost_end_or_another_file_is_refused(copied):
    """Before anything is read, with both hashes; the file stays as it is."""
    for k, name in enumerate(SHIPPED):
        file = copied / entry_of(name)["file"]
        whole = file.read_bytes()
        assert data.path(name) == file
        flipped = whole[:-1] + bytes([whole[-1] ^ 1])
        other = (copied / entry_of(SHIPPED[k - 1])["file"]).read_bytes()
        for content in (flipped, whole[: len(whole) // 2], b"", other):
            file.write_bytes(content)
            with pytest.raises(ValueError, match=f"^{name}: expected SHA-256 {entry_of(name)['sha256']}, got .{{64}}; .*corrupt"):
                data.path(name)
            assert file.read_bytes() == content
        file.write_bytes(whole)
        file.unlink()
        with pytest.raises(FileNotFoundError, match=f"^{name}: .* is missing"):
            data.path(name)
        file.write_bytes(whole)


@pytest.fixture(scope="module")
def potential():
    x = torch.randn(12, 1, 4, 4, generator=rng())
    for state in priors.potential_steps(x, DDPM, 500, tolerance=0.4):
        pass
    return priors.Potential.of(state, x, DDPM, 500)


def test_no_file_is_taken_for_one_of_another_kind(potential, tmp_path):
    """Model, weights, potential, prior, map: each reader names what it expected."""
    network = mlp(2, 64, 3, generator=rng())
    save_model(Design("tiny", (2,)), network, tmp_path / "model")
    potential.save(tmp_path / "potential")
    priors.Standard(DDPM, 2).save(tmp_path / "prior")
    with pytest.raises(ValueError, match="potential: expected a model written by save_model"):
        load_model(tmp_path / "potential")
    with pytest.raises(ValueError, match="potential: expected the tensors of this network"):
        load_weights(network, tmp_path / "potential")
    for other in ("model", "prior"):
        with pytest.raises(ValueError, match="path: expected a file written by (Potential|Prior).save"):
            priors.Potential.load(tmp_path / other)


@pytest.mark.parametrize("kind", ["model", "potential"])
def test_a_full_disk_keeps_the_old_file(kind, potential, tmp_path):
    """A write that stops in the middle, at the process's limit on file sizes: the reason, and the file that was there."""
    file = tmp_path / kind
    network = mlp(2, 64, 3, generator=rng())
    save = {"model": lambda: save_model(Design("tiny", (2,)), network, file), "potential": lambda: potential.save(file)}[kind]
    save()
    whole = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        with pytest.raises(OSError, match=f"could not write .*{kind}: .*unchanged") as caught:
            save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG and file.read_bytes() == whole
    assert [left.name for left in tmp_path.iterdir()] == [kind]


def test_the_manifest_survives_a_full_disk(copied):
    """A result that cannot be registered leaves the list as it was."""
    manifest = copied / "MANIFEST.json"
    whole = manifest.read_bytes()
    file = copied / entry_of(SHIPPED[0])["file"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match="could not write .*MANIFEST.json"):
            data.register("weights/new", file, script="none")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert manifest.read_bytes() == whole and "weights/new" not in json.loads(whole)
