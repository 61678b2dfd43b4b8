"""emoji32: the arrays are the ones that were hashed, and the script that makes them does each step it describes."""

import base64
import hashlib
import importlib.util
import io
import json
import shutil
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from otprior_lite import data, semidiscrete


@pytest.fixture(scope="module")
def emoji():
    return data.load("emoji32")


@pytest.fixture(scope="module")
def build():
    """The script data/build/emoji32.py as a module; it fetches nothing unless it is run."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec = importlib.util.spec_from_file_location("build_emoji32", data.root() / "build" / "emoji32.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def test_shapes_groups_and_vendors(emoji):
    assert emoji.x.shape == (5664, 3, 32, 32) and emoji.x.dtype == torch.float32 and emoji.x.is_contiguous()
    assert (float(emoji.x.min()), float(emoji.x.max())) == (-1, 1)
    assert emoji.y.dtype == emoji.origin.dtype == torch.int64
    assert emoji.classes[0] == "Smileys & Emotion" and len(emoji.classes) == 9
    assert emoji.y.bincount().tolist() == [504, 1133, 475, 390, 654, 255, 789, 671, 793]
    assert emoji.origin.bincount().tolist() == [1852, 1906, 1906]
    assert [name.split()[0] for name in emoji.origins] == ["fluent3d", "noto", "twemoji"]
    assert all(word in emoji.licence for word in ("MIT", "Apache-2.0", "CC BY 4.0"))


def test_x_is_the_stored_bytes(emoji):
    """Channels first; b / 127.5 - 1 exactly, so every byte comes back."""
    with np.load(data.path("emoji32"), allow_pickle=False) as archive:
        bytes_, y, vendor = archive["x"], archive["y"], archive["vendor"]
    for row in (0, 1851, 1852, 4000, 5663):
        back = ((emoji.x[row].double() + 1) * 127.5).round().byte().permute(1, 2, 0)
        np.testing.assert_array_equal(back, bytes_[row])
    np.testing.assert_array_equal(emoji.y, y)
    np.testing.assert_array_equal(emoji.origin, vendor)


def test_most_corners_are_white(emoji):
    """They were laid over white, so a transparent corner is 1, not -1."""
    assert float((emoji.x[:, :, 0, 0] > 0.99).all(1).double().mean()) > 0.9


def test_48_rows_repeat_an_earlier_one(emoji):
    """`distinct` against numpy's unique rows; the first of equal rows stays, in its order."""
    distinct = emoji.distinct()
    bytes_ = ((emoji.flat + 1) * 127.5).round().byte().numpy()
    _, first = np.unique(bytes_.view(f"V{bytes_.shape[1]}"), return_index=True)
    rows = torch.from_numpy(np.sort(first))
    assert len(emoji.x) - len(distinct.x) == 48
    assert torch.equal(distinct.x, emoji.x[rows])
    assert torch.equal(distinct.y, emoji.y[rows]) and torch.equal(distinct.origin, emoji.origin[rows])
    assert torch.equal(distinct.distinct().x, distinct.x)


def test_distinct_knows_one_zero():
    """-0.0 equals 0.0, as atoms they are one."""
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [0.0, 2.0]])
    points = data.Dataset("three", x, None, (), "here", "none").distinct().x
    assert points.tolist() == [[0, 1], [0, 2]]
    assert len(semidiscrete.solve(points, tolerance=0.1, generator=torch.Generator().manual_seed(0)).map.points) == 2


def test_rows_pick_every_column(emoji):
    noto_flags = emoji.rows((emoji.origin == 1) & (emoji.y == 8))
    assert len(noto_flags.x) == 270 and set(noto_flags.y.tolist()) == {8} and set(noto_flags.origin.tolist()) == {1}
    train, test = emoji.split(100, torch.Generator().manual_seed(0))
    assert len(test.origin) == 100 and len(train.origin) == 5564 and test.origins == emoji.origins


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_file_is_refused_with_both_hashes(damage, tmp_path, monkeypatch):
    content = bytearray((data.root() / "emoji32.npz").read_bytes())
    shutil.copy(data.root() / "MANIFEST.json", tmp_path)
    content[len(content) // 2] ^= 1
    content = {"flip": bytes(content), "cut": bytes(content[:1000]), "empty": b"", "text": b"not found"}[damage]
    (tmp_path / "emoji32.npz").write_bytes(content)
    monkeypatch.setenv("OTPRIOR_DATA_DIR", str(tmp_path))
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=f"^emoji32: expected SHA-256 966f4eea76c230a4.*got {found}"):
        data.load("emoji32")


def test_the_file_is_small_and_holds_no_pickle():
    file = data.path("emoji32")
    assert file.stat().st_size < 8_000_000
    with np.load(file, allow_pickle=False) as archive:
        assert not any(archive[key].dtype.hasobject for key in archive.files)


# ---- the script


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_a_drawing_is_laid_over_white_padded_and_scaled(build):
    """Half transparent black is grey 127 or 128; a 64 x 32 drawing gets white bars of 8 rows above and below."""
    drawing = build.picture(png(Image.new("RGBA", (64, 32), (0, 0, 0, 128))))
    assert drawing.shape == (32, 32, 3) and drawing.dtype == np.uint8
    assert (drawing[:6] == 255).all() and (drawing[-6:] == 255).all() and (abs(drawing[12:20].astype(int) - 127) <= 1).all()
    assert (build.picture(png(Image.new("RGBA", (64, 64), (9, 9, 9, 0)))) == 255).all()
    assert (build.picture(png(Image.new("LA", (64, 64), (40, 255)))) == 40).all()


def packages(build, folder):
    """The three packages in small, with their SHA-512: four emoji of which one has no drawing by the first vendor."""
    category = {"a": "Flags", "b": "Component", "c": "Symbols", "d": "Flags"}
    listing = [{"image": f"{key}.png", "short_name": f"name_{key}", "category": value} for key, value in category.items()]
    made = []
    for shade, package in enumerate(build.PACKAGES):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            content = {"package/emoji.json": json.dumps(listing).encode(), "package/other.txt": b"?"}
            keys = "ab" if shade == 0 else "abcd"
            content |= {package.picture.format(key): png(Image.new("RGB", (64, 64), (50 * shade,) * 3)) for key in keys}
            for name, value in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(value)
                tar.addfile(member, io.BytesIO(value))
        (folder / package.archive).write_bytes(stream.getvalue())
        made.append(replace(package, sha512=base64.b64encode(hashlib.sha512(stream.getvalue()).digest()).decode()))
    return tuple(made)


def test_arrays_follow_the_list_vendor_by_vendor(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "PACKAGES", packages(build, tmp_path))
    arrays = build.arrays(tmp_path)
    assert arrays["name"].tolist() == [b"name_a", *[b"name_a", b"name_c", b"name_d"] * 2]
    assert arrays["vendor"].tolist() == [0, 1, 1, 1, 2, 2, 2] and arrays["y"].tolist() == [8, 8, 7, 8, 8, 7, 8]
    assert [int(x.max()) for x in arrays["x"]] == [0, 50, 50, 50, 100, 100, 100]
    assert build.archive(arrays) == build.archive(build.arrays(tmp_path))


def test_a_package_that_differs_is_refused(build, tmp_path):
    packages(build, tmp_path)  # not the ones the script names
    with pytest.raises(ValueError, match=r"fluent-emoji-3d-1\.1\.0\.tgz: expected SHA-512 Wlq2lVSt"):
        build.arrays(tmp_path)


def test_the_shipped_arrays_pack_to_the_shipped_bytes(build):
    """The archive has no date and no machine in it. Skips where zlib packs differently: then only the arrays agree."""
    with np.load(data.path("emoji32"), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    made = build.archive(arrays)
    with np.load(io.BytesIO(made), allow_pickle=False) as again:
        assert all(np.array_equal(again[key], arrays[key]) for key in arrays)
    if len(made) != data.path("emoji32").stat().st_size:
        pytest.skip("this zlib packs the same arrays into other bytes")
    assert hashlib.sha256(made).hexdigest() == data.hashes()["emoji32"]


def test_the_script_names_no_host(build):
    text = (data.root() / "build" / "emoji32.py").read_text()
    assert "://" not in text and ".org" not in text and ".com" not in text
