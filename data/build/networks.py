"""Make data/weights/NAME.safetensors, the networks that draw pictures: `python data/build/networks.py NAME`.

    smileys         "tiny" on the smileys of emoji32                    half an hour on one core
    emoji32         "tiny" on all of emoji32, told the group            two hours on one core

They learn from the training names of `features.split`, each picture once however many vendors share it, and never see a
held-out name. What is kept is the running average, in float16. The checkpoint stays in --work: killed at any moment, the
same command goes on where it was and ends with the same weights. Networks that need a GPU: `cifar_scale.py`.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from otprior_lite import data, features, schedules
from otprior_lite.errors import torch_device
from otprior_lite.processes import place
from otprior_lite.randomness import seeded
from otprior_lite.train import Design, averaged, save_model, train

SEED = 0


@dataclass(frozen=True)
class Recipe:
    """pictures: whose training names. group: the one class drawn, or None for all. size, steps, batch: of network and run.

    every: steps between checkpoints.
    """

    pictures: str
    group: int | None
    size: str
    steps: int
    batch: int
    lr: float = 1e-3
    ema: float = 0.998
    every: int = 100

    def rows(self) -> data.Dataset:
        """The training pictures, each once."""
        rows = features.split(self.pictures)[0].distinct()
        return rows if self.group is None else rows.rows(rows.y == self.group)


RECIPES = {
    "smileys": Recipe("emoji32", 0, "tiny", 3000, 32),
    "emoji32": Recipe("emoji32", None, "tiny", 7000, 32),
}


def trained(recipe: Recipe, rows, checkpoint: Path, device: torch.device, *, dtype=torch.float32, compile: bool = False):
    """(design, the averaged network, training pictures a second) of a recipe on its rows; goes on from the checkpoint.

    On a GPU the pictures and all random draws are there, too. Under torchrun only the first process has the average.
    """
    classes = 0 if recipe.group is not None else len(rows.classes)
    design = Design(recipe.size, tuple(rows.x.shape[1:]), classes=classes)
    generator = seeded(SEED)
    network = design.network(rows.x, generator).to(device)
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(SEED)
    run = train(
        network, rows.x.to(device), schedules.named(design.schedule), steps=recipe.steps, batch=recipe.batch, lr=recipe.lr,
        ema=recipe.ema, labels=rows.y.to(device) if classes else None, dtype=dtype, compile=compile, checkpoint=checkpoint,
        every=recipe.every, generator=generator,
    )  # fmt: skip
    clock = []  # (step, seconds) of this life
    first = place()[0] == 0
    with tqdm(total=recipe.steps, desc=checkpoint.stem, unit="step", mininterval=5, disable=not first) as bar:
        for state in run:
            clock.append((state.step, time.perf_counter()))
            bar.update(state.step - bar.n)
            bar.set_postfix(loss=f"{state.loss:.3f}", refresh=False)
    return design, averaged(network, checkpoint) if first else network, _rate(clock, recipe.batch)


def _rate(clock, batch: int) -> float | None:
    """Pictures a second without the first tenth, in which kernels are chosen and compiled, and the last step, which writes a
    checkpoint; None for less than three steps."""
    if len(clock) < 3:
        return None
    (first, start), (last, end) = clock[len(clock) // 10], clock[-2]
    return (last - first) * batch / (end - start)


def main() -> None:
    """Train, round to float16, enter into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "otprior", help="folder of checkpoints")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe, rows = RECIPES[options.name], RECIPES[options.name].rows()
    design, network, _ = trained(recipe, rows, options.work / f"{options.name}.safetensors", torch_device(options.device))
    file = data.root() / "weights" / f"{options.name}.safetensors"
    save_model(design, network, file, torch.float16)
    facts = {"size": recipe.size, "steps": recipe.steps, "batch": recipe.batch, "seed": SEED, "pictures": len(rows.x)}
    data.register(f"weights/{options.name}", file, script=f"python data/build/networks.py {options.name}", **facts)


if __name__ == "__main__":
    main()
