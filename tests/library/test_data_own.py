"""Your own pictures: any size and kind becomes a square in [-1, 1]; what is broken is named, never guessed."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from otprior_lite import data
from otprior_lite.data.pixels import resize


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_a_folder_in_the_order_of_the_names(tmp_path):
    """One colour a file, different sizes and formats: the colours come back, in [-1, 1], 32 x 32 unless told."""
    for name, grey, size in (("b.png", 255, (40, 40)), ("a.bmp", 0, (7, 90)), ("c.webp", 51, (64, 33))):
        Image.new("RGB", size, (grey,) * 3).save(tmp_path / name, lossless=True)
    mine = data.load(tmp_path)
    assert mine.x.shape == (3, 3, 32, 32) and mine.x.dtype == torch.float32 and mine.y is None and mine.classes == ()
    np.testing.assert_allclose(mine.x.flatten(1), np.full((3, 3072), 1.0) * [[-1], [1], [51 / 127.5 - 1]], atol=1e-6)
    assert data.load(str(tmp_path), size=5).x.shape == (3, 3, 5, 5)
    assert mine.name == tmp_path.name and mine.licence == "yours"


def test_a_picture_of_the_right_size_is_not_touched(tmp_path):
    noise(32, 32).save(tmp_path / "a.png")
    x = data.load(tmp_path).x[0]
    np.testing.assert_array_equal(((x + 1) * 127.5).round().permute(1, 2, 0), np.asarray(noise(32, 32)))


def test_the_centred_square_is_kept(tmp_path):
    """A wide picture, red | grey | blue: only the grey middle remains."""
    picture = Image.new("RGB", (30, 10), "red")
    picture.paste((100, 100, 100), (10, 0, 20, 10))
    picture.paste("blue", (20, 0, 30, 10))
    picture.save(tmp_path / "wide.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "tall.png")
    np.testing.assert_allclose(data.load(tmp_path, size=4).x, 100 / 127.5 - 1, atol=1e-6)


def test_modes_and_transparency(tmp_path):
    """Grey, palette and CMYK become RGB; what is transparent is white; a camera's turn is undone."""
    Image.new("L", (9, 9), 51).save(tmp_path / "1.png")
    Image.new("RGB", (9, 9), (51, 51, 51)).quantize(4).save(tmp_path / "2.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "3.png")
    Image.new("1", (9, 9), 1).save(tmp_path / "4.png")
    turned = Image.new("RGB", (8, 8), "black")
    turned.paste("white", (0, 0, 8, 4))  # white above; orientation 3 says: shown upside down
    exif = Image.Exif()
    exif[0x0112] = 3
    turned.save(tmp_path / "5.png", exif=exif)
    x = data.load(tmp_path, size=8).x
    np.testing.assert_allclose(x[:2], 51 / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(x[2:4], 1)
    assert (x[4, :, :3] == -1).all() and (x[4, :, 5:] == 1).all()


def test_subfolders_are_classes(tmp_path):
    for name in ("dog/1.png", "cat/2.png", "dog/deep/3.png", ".cache/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        noise(8, 8).save(tmp_path / name)
    mine = data.load(tmp_path, size=8)
    assert mine.classes == ("cat", "dog") and mine.y.tolist() == [0, 1, 1] and mine.y.dtype == torch.int64
    noise(8, 8).save(tmp_path / "beside.png")
    with pytest.raises(ValueError, match=r"expected all pictures in subfolders \(classes\), or none, got 3 of 4 in subfolders"):
        data.load(tmp_path, size=8)


def test_broken_files_are_named_in_a_warning(tmp_path):
    """Text, an empty file, a truncated picture, 16 bits a channel and a link to nothing are left out; the good one is loaded,
    and what links to it."""
    noise(40, 40).save(tmp_path / "good.png")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.gif").write_bytes(b"")
    Image.fromarray(np.full((9, 9), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "here.png").symlink_to(tmp_path / "good.png")
    (tmp_path / ".DS_Store").write_bytes(b"passed over")
    with pytest.warns(UserWarning, match="5 of 7 files left out") as caught:
        mine = data.load(tmp_path)
    message = str(caught[0].message)
    assert len(mine.x) == 2 and all(name in message for name in ("cut.png", "text.jpg", "empty.gif", "deep.png", "gone.png ("))
    assert "8 bits a channel, got mode I;16" in message and ".DS_Store" not in message
    assert caught[0].filename == __file__


def test_pictures_with_a_flipped_byte_never_stop_the_rest(tmp_path):
    """Decoders raise many kinds of errors; each broken file is left out or decodes to a picture."""
    for kind in ("png", "jpeg", "gif", "webp", "tiff"):
        noise(24, 24).save(tmp_path / f"whole.{kind}")
        whole = (tmp_path / f"whole.{kind}").read_bytes()
        for place in np.random.default_rng(1).integers(0, len(whole), 12):
            broken = bytearray(whole)
            broken[place] ^= 255
            (tmp_path / f"broken_{place}.{kind}").write_bytes(broken)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine = data.load(tmp_path, size=8)
    assert 5 <= len(mine.x) <= 65 and bool(mine.x.isfinite().all())


def test_a_folder_without_a_picture_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="expected at least one picture, got an empty folder"):
        data.load(tmp_path)
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_text("no")
    with pytest.raises(ValueError, match=r"at least one picture, got 00\.png \(cannot identify.*09\.png.*; \.\.\.$"):
        data.load(tmp_path)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        data.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no such folder: some/where"):
        data.load("some/where")


@pytest.mark.parametrize("size", [0, -1, 2.5, "32", True])
def test_sizes_are_counts(size, tmp_path):
    noise(8, 8).save(tmp_path / "a.png")
    for name in (tmp_path, "digits"):
        with pytest.raises(ValueError, match="^size: expected an integer >= 1"):
            data.load(name, size=size)


def test_files_and_tensors_scale_alike(tmp_path):
    """Pillow on bytes against torch on floats: equal up to a byte's rounding, done twice by Pillow (no byte is clipped here)."""
    for height, width, size in ((64, 64, 32), (51, 80, 16), (20, 20, 33)):
        picture = noise(height, width).point(lambda byte: 85 + byte // 3)
        picture.save(tmp_path / "a.png")
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
        found, wanted = resize(x, size), data.load(tmp_path, size=size).x
        assert found.shape == (1, 3, size, size) and float((found - wanted).abs().max()) < 1.5 / 127.5
        assert float((found - wanted).abs().mean()) < 0.5 / 127.5
        assert -1 <= float(found.min()) and float(found.max()) <= 1


def test_the_filter_overshoots_and_is_cut_back():
    """A black and white edge, enlarged: bicubic weights are negative in places, the values stay in [-1, 1]."""
    edge = torch.cat([-torch.ones(1, 1, 8, 4), torch.ones(1, 1, 8, 4)], 3)
    free = torch.nn.functional.interpolate(edge, (20, 20), mode="bicubic", antialias=True)
    found = resize(edge, 20)
    assert float(free.max()) > 1.01 and float(found.max()) == 1 and float(found.min()) == -1
    assert torch.equal(found, free.clamp(-1, 1))


def test_named_data_of_another_size():
    """A mean over 2 x 2 digits stays the mean: 8 x 8 to 4 x 4 keeps the grey level of each picture, up to the border."""
    digits, small = data.load("digits"), data.load("digits", size=4)
    assert small.x.shape == (1797, 1, 4, 4) and torch.equal(small.y, digits.y)
    assert float((small.x.mean((1, 2, 3)) - digits.x.mean((1, 2, 3))).abs().max()) < 0.1
    assert torch.equal(digits.resized(8).x, digits.x)


@pytest.mark.parametrize("shape, axes", [
    ((40, 3, 8, 9), (0, 1, 2, 3)), ((40, 1, 8, 9), (0, 1, 2, 3)), ((40, 8, 9, 1), (0, 3, 1, 2)), ((40, 8, 9, 3), (0, 3, 1, 2)),
    ((5, 3, 8, 3), (0, 3, 1, 2)), ((5, 1, 8, 3), (0, 3, 1, 2)), ((5, 3, 8, 1), (0, 3, 1, 2)),  # both fit: channels last
])  # fmt: skip
def test_npz_of_bytes_with_channels_first_or_last(shape, axes, tmp_path):
    """One channel or three, at either end: black is -1, white is 1, channels first."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=pixels)
    found = data.load(tmp_path / "mine.npz").x
    np.testing.assert_allclose(found, pixels.transpose(axes) / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 8, 8, 4), (40, 8, 8), (40, 8, 8, 2), (40, 4, 8, 8), (3, 1, 3, 8, 8), (5, 8, 1)])
def test_npz_of_other_bytes_is_refused(shape, tmp_path):
    """Transparency, no channel, two channels, films: not read as numbers from 0 to 255 behind one's back."""
    np.savez(tmp_path / "mine.npz", x=np.full(shape, 200, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"mine.npz: x: expected bytes \(n, height, width, 1 or 3\) or .*, got bytes of shape"):
        data.load(tmp_path / "mine.npz")
    np.savez(tmp_path / "mine.npz", x=np.full(shape, 200.0))
    assert float(data.load(tmp_path / "mine.npz").x.max()) == 200


def test_npz_of_pictures(tmp_path):
    """Unsigned bytes (n, h, w, 3) are pictures; floats of that range are refused a new size."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=pixels)
    mine = data.load(tmp_path / "mine.npz")
    assert mine.x.shape == (4, 3, 6, 6)
    np.testing.assert_array_equal(((mine.x.double() + 1) * 127.5).round().permute(0, 2, 3, 1), pixels)
    assert data.load(tmp_path / "mine.npz", size=3).x.shape == (4, 3, 3, 3)
    table = pixels.reshape(4, -1)
    np.savez(tmp_path / "table.npz", x=table)
    np.testing.assert_array_equal(data.load(tmp_path / "table.npz").x, table)  # bytes (n, d) are numbers
    np.savez(tmp_path / "float.npz", x=pixels.astype("float32").transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match=r"^x: expected values in \[-1, 1\], got values in \[0, 255\]"):
        data.load(tmp_path / "float.npz", size=3)
    np.savez(tmp_path / "flat.npz", x=np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"^x: expected pictures \(n, channels, height, width\), got shape \(4, 6\)"):
        data.load(tmp_path / "flat.npz", size=3)
