"""What the live figure of chapter 12 holds: the atlas as strips of small pictures in text, neighbours and numbers beside them.

A strip has one row for each start time and number of calls, in the order of TIMES and NFES, and one column for each picture. The
nearest training pictures are a strip of their own, each once; `near` says which of them belongs to which picture.
"""

import base64
import io

import numpy as np
import torch

from ..errors import optional
from .pictures import NFES, STARTS, TIMES, Atlas, Score, nearest, smileys

SHOWN = ("frechet", "closer", "repeats", "to_train")
QUALITY = 82


def album(atlas: Atlas, scores: dict[tuple[str, float, int], Score]) -> dict:
    """JSON-able. numbers: for each key "start t calls" the mean and standard error of each measure in SHOWN; "held-out" and
    "training" are keys, too. distances: root mean square distance of each shown picture to its neighbour."""
    train, each = smileys()[0], atlas.outputs.shape[3]
    used, near = atlas.near_train.unique(return_inverse=True)
    apart = [nearest(pictures.flatten(0, 2), train)[0][:, 0].reshape(pictures.shape[:3]) for pictures in atlas.outputs]
    key = lambda start, t, calls: f"{start} {t:g} {calls}" if calls else start
    return {
        "starts": STARTS, "times": TIMES, "calls": NFES, "each": each, "side": train.shape[-1],
        "strips": {start: strip(pictures.flatten(0, 2), each) for start, pictures in zip(STARTS, atlas.outputs)},
        "neighbours": strip(train[used], each),
        "near": {start: rows.flatten().tolist() for start, rows in zip(STARTS, near)},
        "distances": {start: [round(float(d), 3) for d in rows.flatten()] for start, rows in zip(STARTS, apart)},
        "measures": SHOWN,
        "numbers": {key(*where): [[round(float(v), 4) for v in score.of(m)] for m in SHOWN] for where, score in scores.items()},
    }  # fmt: skip


def strip(pictures: torch.Tensor, columns: int) -> str:
    """Pictures (n, 3, side, side) in [-1, 1], row by row, as the address of one JPEG that a page can hold."""
    optional("PIL", "images")
    from PIL import Image

    n, _, side, _ = pictures.shape
    rows = -(-n // columns)
    grid = torch.ones(rows * columns, *pictures.shape[1:])
    grid[:n] = pictures
    grid = grid.reshape(rows, columns, 3, side, side).permute(0, 3, 1, 4, 2).reshape(rows * side, columns * side, 3)
    levels = ((grid + 1) * 127.5).round().clamp(0, 255).numpy().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
