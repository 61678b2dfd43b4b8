"""Your own data: an `.npz` file of arrays, or a folder of pictures."""

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from ..errors import count, expect, optional, real_tensor
from .dataset import Dataset
from .pixels import on_white, square, unit


def from_npz(file: Path) -> Dataset:
    """Arrays x (n, ...) and, optionally, integer labels y (n,), any numbers.

    x in unsigned bytes is pictures, 0 black and 255 white, of one channel or three: (n, height, width, channels) or
    (n, channels, height, width), the former where both fit. Any other array is taken as it stands, also bytes (n, d). The
    labels' distinct values, in order, are `classes`, and the result's y is a label's place among them.
    """
    if not file.exists():
        raise FileNotFoundError(f"no such file: {file}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file}: expected a NumPy .npz archive without pickled objects, got {error}") from error
    expect("x" in arrays, str(file), "an array named x", f"arrays {sorted(arrays)}")
    x = _points(arrays["x"], f"{file}: x")
    if "y" in arrays:
        expect(arrays["y"].dtype.kind in "iu", f"{file}: y", "integer labels", arrays["y"].dtype)
        expect(arrays["y"].shape == (len(x),), f"{file}: y", f"shape ({len(x)},)", arrays["y"].shape)
        values, places = np.unique(arrays["y"], return_inverse=True)
        return Dataset(file.stem, x, torch.from_numpy(places), tuple(map(str, values)), str(file), "yours")
    return Dataset(file.stem, x, None, (), str(file), "yours")


def _points(array: np.ndarray, argument: str) -> torch.Tensor:
    expect(array.ndim >= 2 and array.size > 0, argument, "shape (n, ...)", f"shape {array.shape}")
    if array.dtype == np.uint8 and array.ndim > 2:
        last, first = (array.ndim == 4 and array.shape[axis] in (1, 3) for axis in (3, 1))
        expected = "bytes (n, height, width, 1 or 3) or (n, 1 or 3, height, width); no transparency; else floats"
        expect(last or first, argument, expected, f"bytes of shape {array.shape}")
        return unit(array.transpose(0, 3, 1, 2) if last else array)
    return real_tensor(array, argument).to(torch.float32)


def from_folder(folder: Path, size: int) -> Dataset:
    """Every picture in the folder, in the order of the names, as a size x size square in RGB.

    If the pictures lie in subfolders, these are the classes. A file that is no picture Pillow can read, or a link that leads
    nowhere, is left out and named in a warning; hidden files are passed over. Raises ValueError if no picture is left, or if
    some lie in subfolders and some beside them.
    """
    count(size, "size")
    image = optional("PIL.Image", "images")
    files = [file for file in sorted(folder.rglob("*")) if not _passed_over(file, folder)]
    pictures, bad = {}, []
    for file in files:
        try:
            with image.open(file) as picture:
                pictures[file.relative_to(folder)] = square(on_white(picture), size)
        except Exception as error:  # the decoders raise many kinds on broken files, and a broken file is an answer here
            bad.append(f"{file.relative_to(folder)} ({error})")
    expect(len(pictures) > 0, str(folder), "at least one picture", _some(bad) or "an empty folder")
    if bad:
        warnings.warn(f"{folder}: {len(bad)} of {len(files)} files left out: {_some(bad)}", UserWarning, stacklevel=3)
    inside = [len(name.parts) > 1 for name in pictures]
    mixed = f"{sum(inside)} of {len(inside)} in subfolders"
    expect(all(inside) or not any(inside), str(folder), "all pictures in subfolders (classes), or none", mixed)
    classes = tuple(sorted({name.parts[0] for name in pictures})) if all(inside) else ()
    y = torch.tensor([classes.index(name.parts[0]) for name in pictures]) if classes else None
    return Dataset(folder.resolve().name, unit(np.stack(list(pictures.values()))), y, classes, str(folder), "yours")


def _passed_over(file: Path, folder: Path) -> bool:
    """Folders, hidden files, pipes; not a link that leads nowhere."""
    broken = file.is_symlink() and not file.exists()
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return hidden or not (file.is_file() or broken)


def _some(bad: list[str]) -> str:
    return "; ".join(bad[:10]) + ("; ..." if len(bad) > 10 else "")
