"""A contact sheet: many small pictures in one file, for a look before any number."""

import math

import numpy as np

from ..errors import expect, optional

_GAP = 2  # white pixels between pictures


def sheet(images) -> np.ndarray:
    """Pictures (n, 1 or 3, height, width) in [-1, 1], clipped, as one array (H, W, 3) in [0, 1], near to square, row by row."""
    images = np.asarray(images, dtype=np.float32)
    fits = images.ndim == 4 and len(images) > 0 and images.shape[1] in (1, 3)
    expect(fits, "images", "shape (n, 1 or 3, height, width)", f"shape {images.shape}")
    n, _, height, width = images.shape
    columns = math.ceil(math.sqrt(n))
    tall, wide = height + _GAP, width + _GAP
    canvas = np.ones((math.ceil(n / columns) * tall + _GAP, columns * wide + _GAP, 3), dtype=np.float32)
    for k, image in enumerate(images):
        top, left = k // columns * tall + _GAP, k % columns * wide + _GAP
        canvas[top : top + height, left : left + width] = (image.transpose(1, 2, 0).clip(-1, 1) + 1) / 2
    return canvas


def write(images, file) -> None:
    """Write the contact sheet as a PNG, three screen pixels for one."""
    large = sheet(images).repeat(3, 0).repeat(3, 1)
    optional("matplotlib", "figures")
    from matplotlib.image import imsave

    imsave(file, large, format="png")
