"""Files that are damaged, swapped, of another version, or written to a full disk: a clear error, and nothing lost."""

import errno
import json
import re
import resource
import shutil
import sys

import pytest
import torch
from zoo import rng

from otprior_lite import archive, data, priors, schedules
from otprior_lite.data.manifest import entry_of
from otprior_lite.semidiscrete import BrenierMap, State
from otprior_lite.train import Design, averaged, load_model, load_weights, mlp, save_model, save_weights, train

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
    with pytest.raises(ValueError, match="path: expected a file written by save_model, got .*potential$"):
        load_model(tmp_path / "potential")
    with pytest.raises(ValueError, match="potential: expected the tensors of this network"):
        load_weights(network, tmp_path / "potential")
    for other in ("model", "prior"):
        with pytest.raises(ValueError, match="path: expected a file written by (Potential|Prior).save"):
            priors.Potential.load(tmp_path / other)


# ---- files that no manifest knows


def train_two(file, generator):
    """A run of two steps."""
    points = torch.randn(9, 2, generator=rng(1))
    return list(train(mlp(2, 64, 3, generator=rng()), points, DDPM, steps=2, batch=4, checkpoint=file, generator=generator))


def solve_on(file):
    """A solve that goes on from its state."""
    return list(priors.potential_steps(torch.randn(40, 1, 4, 4, generator=rng()), DDPM, 500, tolerance=0.1, checkpoint=file))


@pytest.fixture
def written(potential, tmp_path):
    """One file of each kind, and what reads it: (the file, the readers)."""
    network, x, file = mlp(2, 64, 3, generator=rng()), torch.randn(40, 1, 4, 4, generator=rng()), lambda kind: tmp_path / kind
    save_model(Design("tiny", (2,)), network, file("model"))
    save_weights(network, file("weights"))
    train_two(file("checkpoint"), rng())
    next(iter(priors.potential_steps(x, DDPM, 500, tolerance=0.1, checkpoint=file("state"), every=0)))
    BrenierMap(torch.randn(5, 2, generator=rng()), torch.zeros(5)).save(file("map"))
    priors.DataInitialised.fit(x, DDPM, 500).save(file("prior"))
    potential.save(file("potential"))
    return {
        "model": (file("model"), [load_model]),
        "weights": (file("weights"), [lambda file: load_weights(network, file)]),
        "checkpoint": (file("checkpoint"), [lambda file: train_two(file, rng()), lambda file: averaged(network, file)]),
        "state": (file("state"), [State.load, solve_on]),
        "map": (file("map"), [BrenierMap.load]),
        "prior": (file("prior"), [priors.load]),
        "potential": (file("potential"), [priors.load, priors.Potential.load]),
    }


KINDS = ["model", "weights", "checkpoint", "state", "map", "prior", "potential"]


def size_of_header(content):
    return 8 + int.from_bytes(content[:8], "little")


@pytest.mark.parametrize("kind", KINDS)
def test_two_lost_bytes_are_seen_by_every_reader(kind, written):
    """In the first tensor, the last, or the words: SHA-256 of what was written and of what came, and the name of the file."""
    file, readers = written[kind]
    whole = file.read_bytes()
    start = size_of_header(whole)
    for read in readers:
        read(file)
        for place in (start, len(whole) - 2):
            content = bytearray(whole)
            content[place] ^= 64
            content[place + 1] ^= 64
            file.write_bytes(content)
            hashes = r"expected contents with SHA-256 (\w{64}), got (\w{64}): the file is damaged"
            with pytest.raises(ValueError, match=f"{re.escape(str(file))}: {hashes}") as caught:
                read(file)
            wanted, came = re.search(hashes, str(caught.value)).groups()
            assert wanted != came and wanted.encode() in whole
        file.write_bytes(whole)
    words = json.loads(whole[8:start])["__metadata__"]
    if len(words) > 1:  # one letter of the words, where JSON stays JSON
        key = next(key for key in words if key != archive.KEY)
        at = whole.index(
            next(letter for letter in re.findall("[a-z]{3}", words[key])).encode(), whole.index(key.encode()) + len(key)
        )
        file.write_bytes(whole[:at] + b"q" + whole[at + 1 :])
        with pytest.raises(ValueError, match="the file is damaged"):
            readers[0](file)


@pytest.mark.parametrize("kind", KINDS)
def test_files_without_a_hash_still_load(kind, written):
    """What was written before there was one, or by others."""
    from safetensors.torch import save_file

    file, readers = written[kind]
    tensors, metadata = archive.read(file)
    save_file(tensors, file, metadata)
    assert archive.KEY.encode() not in file.read_bytes()
    for read in readers:
        read(file)


def test_equal_contents_are_equal_files(tmp_path):
    """Whatever the order of the tensors; types, values that are not finite, and words in any script come back."""
    tensors = {
        "a": torch.tensor([1.5, float("nan")]),
        "b": torch.ones(2, 3).T,
        "c": torch.tensor(True),
        "d": torch.zeros(0).half(),
    }
    words = {str(k): 'é " \n' for k in range(9)}
    archive.write(tensors, tmp_path / "one", words)
    archive.write(dict(reversed(tensors.items())), tmp_path / "two", words)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found, metadata = archive.read(tmp_path / "one")
    assert metadata == words and found.keys() == tensors.keys()
    assert all(torch.equal(found[key].nan_to_num(), tensors[key].nan_to_num()) for key in "abcd")
    assert [found[key].dtype for key in "abcd"] == [tensors[key].dtype for key in "abcd"]
    assert size_of_header((tmp_path / "one").read_bytes()) % 8 == 0


# each: the kind, what is done to the JSON of its words, and what is said of it
CHANGES = {
    "a model with one word more": (
        "model",
        lambda w: w.update(flavour=1),
        "a Design with size, shape, .*schedule, got .*, flavour$",
    ),
    "a model with one less": ("model", lambda w: w.pop("size"), "a Design with size, shape, .*, got shape, classes"),
    "heights without a seed": (
        "potential",
        lambda w: w["fields"].pop("seed"),
        "a Potential with .*seed.*, got .*copies, tolerance",
    ),
    "heights of more": ("potential", lambda w: w["fields"].update(new=1), "a Potential with .*device, got .*device, new$"),
    "a wrong part": ("potential", lambda w: w["fields"]["at"]["fields"].pop("at"), "an? Instant with name, t, .*at, got name, t"),
    "a tensor that is not there": ("prior", lambda w: w["fields"]["points"].update(tensor="x"), "a tensor x, got only points"),
    "a law of the future": (
        "prior",
        lambda w: w.update({"class": "Oracle2"}),
        "a prior made of .*Standard, got Oracle2$|Oracle2",
    ),
    "a state of other words": ("state", lambda w: w.pop("about"), "a state with settings, about, got settings$"),
    "a state of more": ("state", lambda w: w["about"].update(mood="good"), "a state with method, .*history, got .*, mood$"),
    "a state of less": ("state", lambda w: w["about"].pop("history"), "a state with method, .*history, got method, .*numbers$"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_of_other_versions_say_what_is_missing(change, written):
    kind, act, said = CHANGES[change]
    file, readers = written[kind]
    tensors, metadata = archive.read(file)
    (key, text), = metadata.items()  # fmt: skip
    words = json.loads(text)
    act(words)
    archive.write(tensors, file, {key: json.dumps(words)})
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))}: expected {said}"):
        readers[0](file)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [("checkpoint", "generator", "a checkpoint with generator, step, got step;"),
     ("checkpoint", "step", "a checkpoint with generator, step, got generator;"),
     ("state", "heights", "a state with heights, position, got position$"),
     ("map", "heights", "a BrenierMap with points, heights, got points$")],
)  # fmt: skip
def test_a_tensor_that_is_missing_is_named(kind, name, said, written):
    file, readers = written[kind]
    tensors, metadata = archive.read(file)
    del tensors[name]
    archive.write(tensors, file, metadata)
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))}: expected {said}"):
        readers[0](file)


def test_a_state_that_cannot_be_used_says_the_way_out(written):
    """Cut short, of another solve, or a folder: `solve_steps` adds what to do; the file stays as it is."""
    file, _ = written["state"]
    whole = file.read_bytes()
    for content, said in (
        (whole[:-8], f"path: expected a file written by State.save, got {file} ({file}: expected a safetensors file, got "),
        (written["model"][0].read_bytes(), f"path: expected a file written by State.save, got {file}"),
        (written["checkpoint"][0].read_bytes(), f"path: expected a file written by State.save, got {file}"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            solve_on(file)
        shown = str(caught.value)
        assert shown.startswith(said) and shown.endswith("; use another file, or remove this one to start again")
        assert file.read_bytes() == content
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match=f"{file}: expected a safetensors file, got a folder.*; use another file"):
        solve_on(file)


@pytest.mark.parametrize("work", [lambda file: train_two(file, rng()), solve_on], ids=["train", "solve"])
def test_a_place_that_cannot_be_written_is_found_before_the_work(work, tmp_path, monkeypatch):
    """A file where the folder should be: refused before the first step of a run or a solve."""
    (tmp_path / "file").touch()
    for module, step in (("train.loop", "_loss"), ("semidiscrete.solve", "newton_steps")):
        monkeypatch.setattr(sys.modules[f"otprior_lite.{module}"], step, lambda *_: pytest.fail("worked before it looked"))
    with pytest.raises(OSError, match="could not write .*file/out: (File exists|Not a directory)"):
        work(tmp_path / "file" / "out")


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
