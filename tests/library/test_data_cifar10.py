"""CIFAR-10: parsed exactly, fetched once and whole, or not at all. No test leaves this machine.

A small dataset in the official layout stands in for the real one: a private manifest holds its address and its hashes.
"""

import errno
import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from otprior_book import ROOT
from otprior_lite import cli, data
from otprior_lite.data import cifar10

FILES = tuple(json.loads((data.root() / "MANIFEST.json").read_text())["cifar10"]["members"])
EXACT = ROOT.parent / "shared" / "data" / "cifar10_lossless_5k.npz"
sha = lambda content: hashlib.sha256(content).hexdigest()


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The official layout, from (n, 32, 32, 3): label, red plane, green plane, blue plane."""
    return b"".join(bytes([label]) + image.transpose(2, 0, 1).tobytes() for image, label in zip(images, labels))


def tar_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Six files of 8 pictures: a manifest that expects them, and an empty cache."""
    random = np.random.default_rng(3)
    make = lambda: records(random.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, 8))
    return Small(tmp_path, monkeypatch, {name: make() for name in FILES})


class Small:
    """A stand-in for the dataset; `archive` is what the server would send."""

    def __init__(self, folder: Path, monkeypatch, members: dict[str, bytes]):
        self.folder, self.cache, self.members = folder, folder / "cache", members
        self.archive = tar_of({f"cifar-10-batches-bin/{name}": content for name, content in members.items()})
        monkeypatch.setenv("OTPRIOR_CACHE_DIR", str(self.cache))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(pooch.get_logger(), "disabled", True)  # it writes to the stream of an earlier test
        self.monkeypatch = monkeypatch
        self.expect()

    def expect(self, url: str = "http://127.0.0.1:1/cifar-10-binary.tar.gz", archive: bytes | None = None) -> None:
        """Write a manifest that names this address, into a folder of its own, for manifests are read once."""
        manifest = json.loads((ROOT / "data" / "MANIFEST.json").read_text())
        members = {name: sha(content) for name, content in self.members.items()}
        manifest["cifar10"] |= {"url": url, "sha256": sha(archive or self.archive), "members": members}
        folder = self.folder / f"data{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        (folder / "MANIFEST.json").write_text(json.dumps(manifest))
        self.monkeypatch.setenv("OTPRIOR_DATA_DIR", str(folder))

    def put_by_hand(self, archive: bytes | None = None) -> Path:
        self.cache.mkdir(exist_ok=True)
        file = self.cache / "cifar-10-binary.tar.gz"
        file.write_bytes(self.archive if archive is None else archive)
        return file

    def there(self) -> set[str]:
        """Every file under the cache."""
        return {file.relative_to(self.cache).as_posix() for file in self.cache.rglob("*") if file.is_file()}


WHOLE = {f"cifar-10-batches-bin/{name}" for name in FILES}


@pytest.fixture
def serve():
    """`serve(send)` answers every request with `send(handler)`; gives the address, and counts what was asked."""
    servers = []

    def start(send):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.asked += 1
                send(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.daemon_threads = 0, True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        server.url = f"http://127.0.0.1:{server.server_address[1]}/cifar-10-binary.tar.gz"
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(content: bytes, promised: int | None = None):
    def send(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if promised is None else promised))
        handler.end_headers()
        handler.wfile.write(content)

    return send


# ---- the parser


def test_exact_images_in_the_official_layout(tmp_path, monkeypatch):
    """The first 4,000 training and 1,000 test images, bit for bit: one wrong plane, row or label would show."""
    if not EXACT.exists():
        pytest.skip(f"needs {EXACT}: CIFAR pixels are not shipped")
    with np.load(EXACT, allow_pickle=False) as archive:
        exact = {key: archive[key] for key in archive.files}
    parts = np.split(np.arange(4000), 5)
    members = {f"data_batch_{i + 1}.bin": records(exact["x_train"][rows], exact["y_train"][rows]) for i, rows in enumerate(parts)}
    members["test_batch.bin"] = records(exact["x_test"], exact["y_test"])
    stand_in = Small(tmp_path, monkeypatch, members)
    stand_in.put_by_hand()
    data.fetch("cifar10")
    for name, part in (("cifar10", "train"), ("cifar10_test", "test")):
        loaded = data.load(name)
        pixels, labels = exact[f"x_{part}"], exact[f"y_{part}"]
        assert loaded.x.shape == (len(pixels), 3, 32, 32) and loaded.x.dtype == torch.float32
        back = ((loaded.x + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        np.testing.assert_array_equal(back, pixels)
        np.testing.assert_array_equal(loaded.y, labels)
        assert loaded.classes == tuple(exact["classes"].tolist())


def test_a_red_a_green_and_a_blue_picture():
    """By hand: label, then 1,024 bytes each of red, green, blue, row by row."""
    red, ramp = bytes([3]) + b"\xff" * 1024 + b"\0" * 2048, bytes([9]) + bytes(range(256)) * 12
    x, y = cifar10.parse(red + ramp)
    assert x.shape == (2, 3, 32, 32) and y.tolist() == [3, 9]
    assert (x[0, 0] == 255).all() and (x[0, 1:] == 0).all()
    assert x[1, 2, 0, :5].tolist() == [0, 1, 2, 3, 4] and x[1, 0, 1, 0] == 32 and x[1, 0, 8, 0] == 0


@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 3072, b"\0" * 6147])
def test_wrong_lengths(content):
    with pytest.raises(ValueError, match="^a.bin: expected records of 3,073 bytes, got"):
        cifar10.parse(content, "a.bin")


def test_wrong_labels():
    with pytest.raises(ValueError, match="^content: expected labels 0..9, got label 10"):
        cifar10.parse(bytes([10]) + bytes(3072))


# ---- fetching


def test_nothing_is_fetched_behind_your_back(small, serve):
    """`load` says what to do; `state` and the list do not ask either."""
    server = serve(answer(small.archive))
    small.expect(server.url)
    for name in ("cifar10", "cifar10_test"):
        with pytest.raises(FileNotFoundError, match="`otprior data cifar10` downloads the dataset"):
            data.load(name)
    assert data.state("cifar10") == "not downloaded" and server.asked == 0 and not small.cache.exists()


def test_fetch_load_fetch(small, serve, capfd):
    """One request; only the six files stay; the second fetch asks nobody. The order is the official one."""
    server = serve(answer(small.archive))
    small.expect(server.url)
    data.fetch("cifar10")
    assert small.there() == WHOLE and data.state("cifar10") == "downloaded"
    assert "100%" in capfd.readouterr().err  # the progress bar
    data.fetch("cifar10")
    assert server.asked == 1
    train, test = data.load("cifar10"), data.load("cifar10_test")
    stored = b"".join(small.members[f"data_batch_{i}.bin"] for i in range(1, 6))
    back = ((train.x + 1) * 127.5).round().byte().flatten(1).numpy()
    assert b"".join(bytes([y]) + row.tobytes() for y, row in zip(train.y.tolist(), back)) == stored
    assert len(test.x) == 8 and test.y.tolist() == [small.members["test_batch.bin"][3073 * i] for i in range(8)]
    assert (train.name, test.name) == ("cifar10_train", "cifar10_test") and "Krizhevsky" in train.source


def test_an_archive_put_there_by_hand_needs_no_network(small):
    """It is used and kept; the address is a port where nobody listens."""
    by_hand = small.put_by_hand()
    data.fetch("cifar10")
    assert small.there() == WHOLE | {by_hand.name} and by_hand.read_bytes() == small.archive


def test_files_put_there_by_hand_need_no_fetch(small):
    (small.cache / "cifar-10-batches-bin").mkdir(parents=True)
    for name, content in small.members.items():
        (small.cache / "cifar-10-batches-bin" / name).write_bytes(content)
    assert data.state("cifar10") == "downloaded" and len(data.load("cifar10").x) == 40
    data.verify("cifar10")


def test_a_corrupt_file_is_refused_and_repaired(small):
    small.put_by_hand()
    data.fetch("cifar10")
    broken = small.cache / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = bytearray(broken.read_bytes())
    content[5000] ^= 1
    broken.write_bytes(content)
    for call in (data.load, data.verify):
        with pytest.raises(ValueError) as refusal:
            call("cifar10")
        assert sha(bytes(content)) in str(refusal.value) and sha(small.members["data_batch_3.bin"]) in str(refusal.value)
    assert len(data.load("cifar10_test").x) == 8
    data.fetch("cifar10")
    data.verify("cifar10")


def failures(archive: bytes) -> dict:
    """How a server can fail: what it sends."""
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 1
    return {
        "error": lambda handler: handler.send_error(503),
        "not found": lambda handler: handler.send_error(404),
        "truncated": answer(archive[: len(archive) // 2], promised=len(archive)),
        "short": answer(archive[: len(archive) // 2]),
        "flipped": answer(bytes(flipped)),
        "a page": answer(b"<html>log in first</html>"),
        "nothing": answer(b""),
    }


@pytest.mark.parametrize("how", failures(b"12"))
def test_a_failed_download_leaves_nothing_and_says_what_to_do(how, small, serve):
    server = serve(failures(small.archive)[how])
    small.expect(server.url)
    with pytest.raises(OSError) as refusal:
        data.fetch("cifar10")
    message = str(refusal.value)
    assert message.startswith("the download failed: ") and f"put the file {server.url} into {small.cache}" in message
    assert small.there() == set() and list(small.cache.iterdir()) == [] and server.asked == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/cifar-10-binary.tar.gz", "gopher://127.0.0.1/cifar-10-binary.tar.gz"])
def test_nobody_there_and_unknown_schemes(url, small, capsys):
    """The command prints the reason and returns 2."""
    small.expect(url)
    assert cli.main(["data", "cifar10"]) == 2
    printed = capsys.readouterr().err
    assert "otprior data: the download failed" in printed and "By hand" in printed and "Traceback" not in printed
    assert list(small.cache.iterdir()) == []


def test_a_failed_download_keeps_the_good_files(small, serve):
    small.put_by_hand()
    data.fetch("cifar10")
    (small.cache / "cifar-10-binary.tar.gz").unlink()
    (small.cache / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    small.expect(serve(answer(b"no")).url)
    with pytest.raises(OSError, match="the download failed"):
        data.fetch("cifar10")
    assert small.there() == WHOLE - {"cifar-10-batches-bin/test_batch.bin"} and len(data.load("cifar10").x) == 40


def test_an_interrupt_leaves_nothing(small, monkeypatch):
    def interrupted(url, known_hash, path, progressbar):
        (Path(path) / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch, "retrieve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.fetch("cifar10")
    assert list(small.cache.iterdir()) == []


def test_a_killed_download_leaves_nothing_under_its_name(small, serve):
    """kill -9 in mid-transfer: no file of the dataset is there, the next fetch works, and clears up after a day."""
    half_sent = threading.Event()

    def half(handler):
        answer(small.archive[: len(small.archive) // 2], promised=len(small.archive))(handler)
        handler.wfile.flush()
        half_sent.set()
        time.sleep(20)

    small.expect(serve(half).url)
    code = "from otprior_lite.data import cifar10; cifar10.fetch()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert half_sent.wait(60)
        (draft,) = waited(lambda: list(small.cache.glob(".download-*")))
    finally:
        process.kill()
        process.wait()
    assert not (small.there() & WHOLE) and not (small.cache / "cifar-10-binary.tar.gz").exists()
    assert data.state("cifar10") == "not downloaded"
    old = time.time() - 2 * 24 * 3600
    os.utime(draft, (old, old))
    small.expect(serve(answer(small.archive)).url)
    data.fetch("cifar10")
    assert small.there() == WHOLE and not draft.exists()


def waited(look, seconds: float = 10):
    """What `look()` finds as soon as it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_without_pooch_the_message_names_the_extra(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"otprior-lite\[images\]"):
        data.fetch("cifar10")


# ---- the archive


def test_a_wrong_archive_by_hand_is_refused_and_kept(small):
    file = small.put_by_hand(b"something else")
    with pytest.raises(ValueError, match=f"expected SHA-256 {sha(small.archive)}, got {sha(b'something else')}"):
        data.fetch("cifar10")
    assert small.there() == {file.name}


def hostile(small) -> dict[str, bytes]:
    """Archives that have the expected hash, as if the manifest were fooled, but not the six plain files."""
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in small.members.items()}
    first = "cifar-10-batches-bin/data_batch_1.bin"
    rest = {name: content for name, content in inside.items() if name != first}

    def linked(kind: bytes, target: str) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            member = tarfile.TarInfo(first)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        return stream.getvalue()

    whole = tar_of(inside)
    return {
        "parent": tar_of({f"../{first}": inside[first], **rest}),
        "absolute": tar_of({f"{small.folder}/{first}": inside[first], **rest}),
        "parent inside": tar_of({"cifar-10-batches-bin/../../data_batch_1.bin": inside[first], **rest}),
        "symlink": linked(tarfile.SYMTYPE, "../../outside"),
        "hard link": linked(tarfile.LNKTYPE, "/etc/hostname"),
        "folder": linked(tarfile.DIRTYPE, ""),
        "device": linked(tarfile.CHRTYPE, ""),
        "other pixels": tar_of({**inside, first: inside[first][::-1]}),
        "cut": whole[: len(whole) // 2],
        "text": b"not an archive",
        "empty": b"",
    }


@pytest.mark.parametrize("how", [
    "parent", "absolute", "parent inside", "symlink", "hard link", "folder", "device", "other pixels", "cut", "text", "empty",
])  # fmt: skip
def test_hostile_and_broken_archives(how, small):
    """Refused with ValueError; nothing is written outside the dataset's folder, and nothing wrong inside it."""
    archive = hostile(small)[how]
    file = small.put_by_hand(archive)
    manifest = {"sha256": sha(archive), "members": {name: sha(content) for name, content in small.members.items()}}
    before = {entry for entry in small.folder.rglob("*")}
    with pytest.raises(ValueError, match="expected"):
        cifar10.extract(file, manifest)
    new = {entry for entry in small.folder.rglob("*")} - before
    assert all(small.cache / "cifar-10-batches-bin" in (entry, entry.parent) for entry in new)
    assert all(sha(entry.read_bytes()) == manifest["members"][entry.name] for entry in new if entry.is_file())


def test_other_members_are_not_extracted(small):
    """The six and a file that wants to go up: the six come, the other is nowhere."""
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in small.members.items()}
    archive = tar_of({"../evil": b"evil", **inside, "cifar-10-batches-bin/readme.html": b"hello", "/tmp/evil_otprior": b"evil"})
    small.expect(archive=archive)
    small.put_by_hand(archive)
    data.fetch("cifar10")
    assert small.there() == WHOLE | {"cifar-10-binary.tar.gz"}
    assert not list(small.folder.rglob("evil")) and not Path("/tmp/evil_otprior").exists()


# ---- the disk


def full(path: Path, content: bytes) -> None:
    """A disk that is full after half of the bytes."""
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_disk_leaves_the_old_files(small, monkeypatch):
    small.put_by_hand()
    data.fetch("cifar10")
    broken = small.cache / "cifar-10-batches-bin" / "data_batch_1.bin"
    broken.write_bytes(b"old and wrong")
    before = {name: (small.cache / name).read_bytes() for name in small.there()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        data.fetch("cifar10")
    assert {name: (small.cache / name).read_bytes() for name in small.there()} == before


def test_a_disk_full_during_the_download(small, monkeypatch, capsys):
    monkeypatch.setattr(pooch, "retrieve", lambda url, known_hash, path, progressbar: full(Path(path) / "half", b"12"))
    assert cli.main(["data", "cifar10"]) == 2
    assert "No space left on device" in capsys.readouterr().err and list(small.cache.iterdir()) == []


def test_a_manifest_survives_a_full_disk(small, monkeypatch):
    """`register` writes the whole list or leaves the old one."""
    manifest = data.root() / "MANIFEST.json"
    made = data.root() / "new.json"
    made.write_text("[]")
    before = manifest.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            data.register("new", made, script="this test")
    assert manifest.read_bytes() == before and {file.name for file in data.root().iterdir()} == {"MANIFEST.json", "new.json"}
    data.register("new", made, script="this test")
    assert data.table("new") == [] and json.loads(manifest.read_text())["digits"] == json.loads(before)["digits"]


# ---- the command


def test_the_list(small, capsys):
    """One line each: in an empty data folder the shipped files are missing, which --check refuses."""
    assert cli.main(["data"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["digits"] == "installed" and lines["cifar10"] == "not downloaded" and lines["emoji32"] == "missing"
    assert set(lines) == set(data.names())
    assert cli.main(["data", "--check"]) == 2
    shown = capsys.readouterr()
    assert "emoji32.npz is missing" in shown.err and "digits                     installed, whole" in shown.out
    assert cli.main(["data", "--check", "digits"]) == 0


def test_fetch_and_check_by_command(small, serve, capsys):
    small.expect(serve(answer(small.archive)).url)
    assert cli.main(["data", "--check", "cifar10"]) == 0 and "not downloaded" in capsys.readouterr().out
    assert cli.main(["data", "cifar10"]) == 0 and "cifar10                    downloaded" in capsys.readouterr().out
    assert cli.main(["data", "cifar10", "--check"]) == 0 and "downloaded, whole" in capsys.readouterr().out
    (small.cache / "cifar-10-batches-bin" / "data_batch_5.bin").write_bytes(b"")
    assert cli.main(["data", "cifar10", "--check"]) == 2
    shown = capsys.readouterr()
    assert "downloaded, refused" in shown.out and sha(b"") in shown.err


def test_the_command_suggests_names(small, capsys):
    assert cli.main(["data", "cifar"]) == 2
    assert "did you mean 'cifar10'" in capsys.readouterr().err


def test_the_repository_is_whole(capsys):
    """`otprior data --check` on what is shipped."""
    assert cli.main(["data", "--check"]) == 0
    assert "refused" not in capsys.readouterr().out


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("OTPRIOR_CACHE_DIR", str(tmp_path))
    assert data.cache() == tmp_path
    monkeypatch.delenv("OTPRIOR_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert data.cache() == tmp_path / ".cache" / "otprior_lite"


def test_the_address_stands_in_one_place():
    """The manifest names the dataset's own page; no other file of the library or the data names a host for it."""
    (url,) = [entry["url"] for entry in json.loads((ROOT / "data" / "MANIFEST.json").read_text()).values() if "url" in entry]
    host = url.split("/")[2]
    sources = [*(ROOT / "otprior_lite").rglob("*.py"), *(ROOT / "data").rglob("*.py"), ROOT / "NOTICE"]
    assert not [file for file in sources if host in file.read_text(encoding="utf-8")]
