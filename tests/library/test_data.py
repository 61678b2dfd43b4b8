"""Data by name: what is loaded is what was hashed, and everything else is refused before it is read."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from zoo import rng

from otprior_lite import data


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A private copy of the data folder, used instead of the repository's."""
    folder = tmp_path / "data"
    shutil.copytree(data.root(), folder)
    monkeypatch.setenv("OTPRIOR_DATA_DIR", str(folder))
    return folder


def test_digits_are_scikit_learns():
    """1,797 images of 8 x 8, grey levels 0..16 to [-1, 1], float32, with their labels."""
    digits, bunch = data.load("digits"), load_digits()
    assert digits.x.shape == (1797, 1, 8, 8) and digits.x.dtype == torch.float32
    np.testing.assert_array_equal(digits.x[:, 0], bunch.images.astype("float32") / 8 - 1)
    np.testing.assert_array_equal(digits.y, bunch.target)
    assert (float(digits.x.min()), float(digits.x.max())) == (-1, 1)
    assert digits.flat.shape == (1797, 64) and digits.classes == tuple("0123456789")
    assert digits.licence and digits.source and digits.name == "digits"


def test_split_is_a_partition():
    digits = data.load("digits")
    train, test = digits.split(300, rng(1))
    assert (len(train.x), len(test.x), len(train.y), len(test.y)) == (1497, 300, 1497, 300)
    key = lambda part: sorted(map(bytes, torch.cat([part.flat, part.y[:, None].float()], 1).numpy()))
    assert sorted(key(train) + key(test)) == key(digits)
    assert torch.equal(digits.split(300, rng(1))[1].x, test.x) and not torch.equal(digits.split(300, rng(2))[1].x, test.x)


def test_every_shipped_file_has_an_entry_and_its_hash():
    """MANIFEST.json: SHA-256, source, licence and script of every file, recomputed here; no file without an entry."""
    manifest = json.loads((data.root() / "MANIFEST.json").read_text())
    for name, entry in manifest.items():
        assert set(entry) >= {"file", "sha256", "source", "licence", "script"} and all(
            entry[key] for key in ("sha256", "source", "licence", "script")
        ), name
        if entry["file"] is not None:
            content = (data.root() / entry["file"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry["sha256"] == data.hashes()[name]
            assert data.path(name).read_bytes() == content
    listed = {entry["file"] for entry in manifest.values()} | {"MANIFEST.json"}
    present = {str(f.relative_to(data.root())) for f in data.root().rglob("*") if f.is_file()}
    loose = {f for f in present - listed if not f.startswith(("build/", "licences/"))}
    loose = {f for f in loose if not f.endswith((".md", ".partial.jsonl"))}  # what a study under way has found
    assert loose == set()


def test_a_flipped_byte_is_refused_with_both_hashes(copied):
    """The message holds the expected and the found SHA-256, and nothing is returned."""
    file = copied / "schedules_in_the_wild.json"
    assert len(data.table("schedules_in_the_wild")) > 5
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    for call in (data.path, data.table):
        with pytest.raises(ValueError) as refusal:
            call("schedules_in_the_wild")
        message = str(refusal.value)
        assert message.startswith("schedules_in_the_wild: expected") and expected in message and found in message


def test_digits_that_differ_are_refused_with_both_hashes(copied, monkeypatch):
    """One changed pixel in what scikit-learn returns: refused."""
    import sklearn.datasets

    bunch = load_digits()
    bunch.images[7, 3, 3] += 1
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: bunch)
    pixels = bunch.images.astype("uint8").tobytes() + bunch.target.astype("uint8").tobytes()
    with pytest.raises(ValueError) as refusal:
        data.load("digits")
    assert hashlib.sha256(pixels).hexdigest() in str(refusal.value) and data.hashes()["digits"] in str(refusal.value)


def test_a_missing_file_is_named(copied):
    (copied / "schedules_in_the_wild.json").unlink()
    with pytest.raises(FileNotFoundError, match="schedules_in_the_wild.*is missing"):
        data.path("schedules_in_the_wild")


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="name: expected .*got 'digit'; did you mean 'digits'"):
        data.load("digit")
    for nothing in (None, 3, ["digits"]):
        with pytest.raises(ValueError, match="^name: expected the name of a dataset, or a path, got"):
            data.load(nothing)
    with pytest.raises(ValueError, match="did you mean 'schedules_in_the_wild'"):
        data.path("schedule_in_the_wild")
    with pytest.raises(ValueError, match="^digits: expected a shipped file, got"):
        data.path("digits")


# ---- your own file


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_own_npz(tmp_path):
    x, y = np.random.default_rng(1).normal(size=(6, 3, 2)), np.array([2, 0, 2, 1, 1, 0])
    found = data.load(write(tmp_path / "mine.npz", x=x, y=y))
    assert found.name == "mine" and found.x.dtype == torch.float32 and found.classes == ("0", "1", "2")
    np.testing.assert_array_equal(found.x, x.astype("float32"))
    np.testing.assert_array_equal(found.y, y)
    gaps = data.load(write(tmp_path / "gaps.npz", x=x, y=np.array([40, -3, 40, 7, 7, -3], dtype=np.int8)))
    assert gaps.classes == ("-3", "7", "40") and gaps.y.tolist() == [2, 0, 2, 1, 1, 0] and gaps.y.dtype == torch.int64
    bare = data.load(str(write(tmp_path / "bare.npz", x=x.astype("int64"))))
    assert bare.y is None and bare.classes == () and bare.split(2, rng())[1].y is None


@pytest.mark.parametrize("what, arrays", [
    ("an array named x", {"z": np.zeros((3, 2))}),
    (r"shape \(n, ...\)", {"x": np.zeros(3)}),
    (r"shape \(n, ...\)", {"x": np.zeros((0, 2))}),
    ("finite numbers", {"x": np.array([[0.0, np.nan]])}),
    ("numbers", {"x": np.array([["a", "b"]])}),
    (r"shape \(3,\)", {"x": np.zeros((3, 2)), "y": np.zeros(2, dtype=int)}),
    ("integer", {"x": np.zeros((3, 2)), "y": np.array([0.5, 1.0, 2.0])}),
    ("integer", {"x": np.zeros((3, 2)), "y": np.array(["a", "b", "c"])}),
    ("without pickled objects", {"x": np.array([[{}, 1]], dtype=object)}),
])  # fmt: skip
def test_own_npz_refusals(tmp_path, what, arrays):
    file = write(tmp_path / "mine.npz", **arrays)
    with pytest.raises(ValueError, match=rf"mine\.npz.*expected .*{what}.*got"):
        data.load(file)


def test_files_that_are_no_archive_are_refused(tmp_path):
    """Text, an empty file, a truncated archive and a bare .npy under the wrong name: ValueError that names the file."""
    whole = write(tmp_path / "whole.npz", x=np.zeros((50, 50))).read_bytes()
    np.save(tmp_path / "array.npy", np.zeros((2, 2)))
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 255
    contents = {
        "text": b"not an archive", "empty": b"", "cut": whole[: len(whole) // 2],
        "broken": bytes(broken), "array": (tmp_path / "array.npy").read_bytes(),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.npz: expected .*got"):
            data.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        data.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("test", [0, 1797, -3, 5000])
def test_split_refuses(test):
    with pytest.raises(ValueError, match="^test: expected .+got"):
        data.load("digits").split(test, rng())


def test_split_needs_a_generator():
    with pytest.raises(ValueError, match="^generator: expected a torch.Generator"):
        data.load("digits").split(10, None)
