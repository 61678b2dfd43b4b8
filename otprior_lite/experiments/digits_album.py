"""What the live figure of chapter 11 shows: a noise, the start it becomes, its path to a digit, and its cell.

The cell of z is where atom i wins; atom j could take z only beyond the wall between them, which is

    (s_i(z) - s_j(z)) / |y_i - y_j|

away, s_j(z) = <z, y_j> + h_j. For the nearest wall this is the distance that z must move to change its digit.
"""

import torch

from .digits import PRIORS, WATCHED, Results, prior

STATES = (4, 7, 10)
"""Steps of the run of 12 that are shown between its start and its end."""
MAPPED = PRIORS[:3]
"""The starts that are functions of one shared noise z."""


def code(image: torch.Tensor) -> str:
    """An 8 x 8 image in [-1, 1] as 64 characters, one of 17 grey levels each: "0" to "9", then "a" to "g"."""
    levels = ((image.reshape(64) + 1) * 8).round().clamp(0, 16).int().tolist()
    return "".join("0123456789abcdefg"[level] for level in levels)


def walls(fitted, z: torch.Tensor, count: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each z (n, d): its cell (n,), the atoms (n, count) behind the nearest walls, and the distances to those walls.

    fitted: a BrenierMap. Only the first distance is surely reached inside the cell; the others are lower bounds.
    """
    y, h = fitted.points.double(), fitted.heights.double()
    scores = z.double() @ y.T + h
    best, cell = scores.max(1)
    distance = ((best[:, None] - scores) / torch.cdist(y[cell], y)).scatter(1, cell[:, None], float("inf"))
    near = distance.topk(count, largest=False)
    return cell, near.indices, near.values


def album(results: Results) -> dict:
    """Coded images for the first seed, and the averages over seeds beside them.

    Keys of `shown` and `paths` are "score prior t", of `starts` "prior t", of `cells` t. Starts and paths are halved, so
    that their greys run from -2 to 2. A cell is [training image, [images behind its walls], [distances]].
    """
    w = results.worlds[0]
    shown, starts, paths, numbers, cells = {}, {}, {}, {}, {}
    for r in (r for r in results.runs if r.seed == w.seed):
        key = f"{r.score} {r.prior} {r.t:g}"
        shown[key] = [code(image) for image in r.samples[:WATCHED]]
        starts[f"{r.prior} {r.t:g}"] = [code(image / 2) for image in r.start[:WATCHED]]
        paths[key] = [[code(image / 2) for image in r.path[list(STATES), i]] for i in range(WATCHED)]
        if r.prior == "semi-discrete":
            z = prior(r.prior, w.seed, r.t).codes(len(r.start), torch.Generator().manual_seed(2000 + w.seed))[:WATCHED]
            found = zip(*(part.tolist() for part in walls(prior(r.prior, w.seed, r.t).map, z)))
            cells[f"{r.t:g}"] = [[i, j, [round(value, 3) for value in far]] for i, j, far in found]
    for row in results.rows:
        values = (row.sliced[0], row.floor, row.to_train[0], row.to_test[0], row.test_to_train, row.share[0])
        numbers[f"{row.score} {row.prior} {row.t:g}"] = [round(value, 4) for value in values]
    return {
        "times": sorted({row.t for row in results.rows}), "shown": shown, "starts": starts, "paths": paths, "cells": cells,
        "numbers": numbers, "train": [code(image) for image in w.train], "test": [code(image) for image in w.test],
        "mapped": list(MAPPED),
    }  # fmt: skip
