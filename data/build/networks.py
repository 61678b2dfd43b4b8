"""Make data/weights/NAME.safetensors, the networks that draw pictures: `python data/build/networks.py NAME`.

    smileys         "tiny" on the smileys of emoji32                    half an hour on one core
    emoji32         "tiny" on all of emoji32, told the group            two hours on one core

They learn from the training names of `features.split`, each picture once however many vendors share it, and never see a
held-out name. What is kept is the running average, in float16. The checkpoint stays in --work: killed at any moment, the
same command goes on where it was and ends with the same weights.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from otprior_lite import data, features, schedules
from otprior_lite.errors import torch_device
from otprior_lite.randomness import seeded
from otprior_lite.train import Design, save_model, train

SEED = 0


@dataclass(frozen=True)
class Recipe:
    """pictures: whose training names. group: the one class drawn, or None for all. size, steps, batch: of network and run."""

    pictures: str
    group: int | None
    size: str
    steps: int
    batch: int
    lr: float = 1e-3
    ema: float = 0.998

    def rows(self) -> data.Dataset:
        """The training pictures, each once."""
        rows = features.split(self.pictures)[0].distinct()
        return rows if self.group is None else rows.rows(rows.y == self.group)


RECIPES = {
    "smileys": Recipe("emoji32", 0, "tiny", 3000, 32),
    "emoji32": Recipe("emoji32", None, "tiny", 7000, 32),
}


def trained(name: str, work: Path, device: torch.device, steps: int | None = None):
    """(design, the averaged network) of a recipe; `steps` shortens it for a rehearsal."""
    recipe, rows = RECIPES[name], RECIPES[name].rows()
    classes = 0 if recipe.group is not None else len(rows.classes)
    design = Design(recipe.size, tuple(rows.x.shape[1:]), classes=classes)
    generator = seeded(SEED)
    network = design.network(rows.x, generator).to(device)
    run = train(
        network, rows.x, schedules.named(design.schedule), steps=steps or recipe.steps, batch=recipe.batch, lr=recipe.lr,
        ema=recipe.ema, labels=rows.y if classes else None, checkpoint=work / f"{name}.safetensors", every=100, generator=generator,
    )  # fmt: skip
    with tqdm(total=steps or recipe.steps, desc=name, unit="step", mininterval=5) as bar:
        for state in run:
            bar.update(state.step - bar.n)
            bar.set_postfix(loss=f"{state.loss:.3f}", refresh=False)
            network = state.average
    return design, network


def main() -> None:
    """Train, round to float16, enter into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "otprior", help="folder of checkpoints")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = RECIPES[options.name]
    design, network = trained(options.name, options.work, torch_device(options.device))
    file = data.root() / "weights" / f"{options.name}.safetensors"
    save_model(design, network.half(), file)
    facts = {"size": recipe.size, "steps": recipe.steps, "batch": recipe.batch, "seed": SEED, "pictures": len(recipe.rows().x)}
    data.register(f"weights/{options.name}", file, script=f"python data/build/networks.py {options.name}", **facts)


if __name__ == "__main__":
    main()
