"""Make data/results/pictures_atlas.npz and groups_atlas.npz, thumbnails for live figures: `python data/build/atlas.py NAME`.

    pictures        seven starts x three times x four numbers of calls x EACH smileys            3 minutes on one core
    groups          three strengths of guidance x nine groups x EACH pictures of emoji32         1 minute

Each file is a plain .npz of unsigned bytes and rows, no pickles:

    outputs         (start, t, calls, EACH, 3, 32, 32), or (guidance, group, EACH, 3, 32, 32); grey level v is v / 127.5 - 1
    near_train      (start, t, calls, EACH), of the smileys alone: row of the nearest picture in `pictures.world().train`
    near_held_out   the same in the reference half of seed 0, `pictures.halves(world.held_out, 0)[1]`

Starts, times and calls are in the order of STARTS, TIMES and NFES of `otprior_lite.experiments.pictures`, whose `atlas()`
reads the file; guidance in that of GUIDANCE of `pictures_groups`, whose `groups()` reads the other. The smileys are the first
EACH of seed 0 of the study, so starts that take codes share them along `start`.
"""

import argparse
import io
import itertools

import numpy as np
import torch
from tqdm import tqdm

from otprior_lite import data
from otprior_lite.atomic import write_bytes
from otprior_lite.experiments import pictures, pictures_groups

EACH = 6


def smileys() -> dict[str, np.ndarray]:
    """The arrays of pictures_atlas."""
    world = pictures.world()
    reference = pictures.halves(world.held_out, 0)[1]
    shape = len(pictures.STARTS), len(pictures.TIMES), len(pictures.NFES), EACH
    outputs = torch.empty(*shape, *world.train.shape[1:])
    settings = list(itertools.product(range(len(pictures.TIMES)), range(len(pictures.STARTS)), range(len(pictures.NFES))))
    for i, j, k in tqdm(settings, unit="sheet", mininterval=5):
        t = pictures.TIMES[i]
        x = pictures.draws(world, t, 0, pictures.STARTS[j])[:EACH]
        outputs[j, i, k] = pictures.ends(world, x, t, pictures.NFES[k])
    flat = outputs.flatten(0, 3)
    near = {name: pictures.nearest(flat, y)[1][:, 0] for name, y in (("train", world.train), ("held_out", reference))}
    rows = {f"near_{name}": index.reshape(shape).numpy().astype(np.uint16) for name, index in near.items()}
    return {"outputs": levels(outputs), **rows}


def groups() -> dict[str, np.ndarray]:
    """The array of groups_atlas."""
    return {"outputs": levels(pictures_groups.drawn(EACH))}


def levels(x: torch.Tensor) -> np.ndarray:
    """Pictures in [-1, 1], clipped, as unsigned bytes of 32 different levels: leftover noise compresses badly."""
    return (((x.clamp(-1, 1) + 1) * 15.5).round() * (255 / 31)).round().to(torch.uint8).numpy()


def main() -> None:
    """Draw, write, enter into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("pictures", "groups"))
    name = parser.parse_args().name
    torch.set_num_threads(1)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{"pictures": smileys, "groups": groups}[name]())
    file = data.root() / "results" / f"{name}_atlas.npz"
    write_bytes(file, buffer.getvalue())
    data.register(f"results/{name}_atlas", file, script=f"python data/build/atlas.py {name}")


if __name__ == "__main__":
    main()
