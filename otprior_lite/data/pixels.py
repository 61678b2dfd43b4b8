"""Pictures as numbers: unsigned bytes to [-1, 1], and any size to a square of one size.

A byte b becomes b / 127.5 - 1, so black is -1 and white is 1. To change the size, the largest centred square is cut
out and scaled with an antialiased bicubic filter. Pillow scales files, torch scales tensors; they agree up to rounding
and clipping.
"""

import numpy as np
import torch

from ..errors import count, expect


def unit(pixels: np.ndarray) -> torch.Tensor:
    """Unsigned bytes of any shape as float32 in [-1, 1]."""
    return torch.from_numpy(pixels.astype(np.float32, order="C")).div_(127.5).sub_(1)


def on_white(image):
    """A Pillow image as RGB, turned as its camera says, what is transparent laid over white.

    Raises ValueError where a channel holds more than 8 bits, which RGB would cut off.
    """
    from PIL import Image, ImageOps

    expect(image.mode not in ("I", "F") and not image.mode.startswith("I;"), "picture", "8 bits a channel", f"mode {image.mode}")
    image = ImageOps.exif_transpose(image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def square(image, size: int) -> np.ndarray:
    """The largest centred square of an RGB image, scaled: (3, size, size) unsigned bytes."""
    from PIL import Image

    left, top, side = _centre(*image.size)
    cut = image.crop((left, top, left + side, top + side))  # resize(box=...) would let the filter look outside
    return np.asarray(cut.resize((size, size), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def resize(x: torch.Tensor, size: int) -> torch.Tensor:
    """The same for a tensor (n, channels, height, width) with values in [-1, 1], which the result keeps to."""
    expect(x.ndim == 4, "x", "pictures (n, channels, height, width)", f"shape {tuple(x.shape)}")
    low, high = (float(end) for end in x.aminmax())
    expect(-1 <= low and high <= 1, "x", "values in [-1, 1]", f"values in [{low:g}, {high:g}]")
    top, left, side = _centre(*x.shape[2:])
    cut = x[:, :, top : top + side, left : left + side]
    scale = torch.nn.functional.interpolate
    return scale(cut, (count(size, "size"),) * 2, mode="bicubic", antialias=True, align_corners=False).clamp_(-1, 1)


def _centre(first: int, second: int) -> tuple[int, int, int]:
    side = min(first, second)
    return (first - side) // 2, (second - side) // 2, side
