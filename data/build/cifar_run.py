"""A run of `cifar_scale.py`: how much of everything, and stages that are skipped when they are there and shared by processes."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from cifar_starts import Grid
from networks import SEED
from tqdm import tqdm

from otprior_lite.atomic import write_bytes
from otprior_lite.data.files import digest
from otprior_lite.processes import place
from otprior_lite.provenance import device_name


@dataclass(frozen=True)
class Scale:
    """How much of everything: pictures of each set; steps of training and batch (None: the recipe's); steps that are timed;
    tolerance of the maps; pictures drawn, at once, and network calls for each; seconds between saved states of a solve; where
    the tests are; the cells of the starts."""

    pictures: int | None = None
    steps: int | None = None
    batch: int | None = None
    size: str | None = None
    every: int | None = None
    timed: int = 40
    tolerance: float = 0.05
    drawn: int = 2000
    at_once: int = 500
    nfe: int = 50
    seconds: float = 60.0
    tests: str = "tests"
    starts: Grid = Grid()


TOY = Scale(32, 8, 4, "tiny", 1, 3, 0.4, 4, 2, 2, 0.0, "tests/library/test_devices.py", Grid((0,), (1, 2), 4, 2, 0.4))


@dataclass(frozen=True)
class Run:
    """work: folder of checkpoints and facts. device: of this process."""

    work: Path
    device: torch.device
    scale: Scale

    @property
    def first(self) -> bool:
        """Is this the process that writes?"""
        return place()[0] == 0

    def generator(self) -> torch.Generator:
        """A seeded generator on the device: a GPU draws faster than its CPU does."""
        return torch.Generator(self.device).manual_seed(SEED)

    def machine(self) -> dict:
        """What a timing depends on."""
        name, threads = device_name(self.device), torch.get_num_threads()
        return {"device": name, "threads": threads, "processes": place()[1], "torch": torch.__version__}

    def stage(self, name: str, settings: dict, make: Callable[[], dict], product: Path | None = None, good=None) -> dict:
        """Facts of a stage: as WORK/NAME.json has them for the same settings and the same product, else made now.

        All processes take part in `make` and get the first one's facts. good: facts -> bool; a stage whose facts are not good
        is written down, and made again the next time. None: all are good.
        """
        file, settings = self.work / f"{name}.json", json.loads(json.dumps(settings))
        facts = agreed(_kept(file, settings, product) if self.first else None)
        if facts is not None and (good is None or good(facts)):
            self.say(f"{name}: is there")
            return facts
        self.say(f"{name} ...")
        start = time.perf_counter()
        facts = {**make(), "stage_seconds": round(time.perf_counter() - start, 1), "machine": self.machine()}
        facts = agreed(facts)
        if self.first:
            made = None if product is None else digest(product.read_bytes())
            write_bytes(file, json.dumps({"settings": settings, "facts": facts, "sha256": made}, indent=1).encode())
        return facts

    def say(self, line: str) -> None:
        """One line, from one process."""
        if self.first:
            tqdm.write(line)


def agreed(value):
    """The first process's value, on every process."""
    if place()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def everywhere(value) -> list:
    """The value of every process, on every process."""
    if place()[1] == 1:
        return [value]
    box = [None] * place()[1]
    dist.all_gather_object(box, value)
    return box


def _kept(file: Path, settings: dict, product: Path | None) -> dict | None:
    kept = json.loads(file.read_text()) if file.exists() else {}
    whole = product is None or (product.exists() and digest(product.read_bytes()) == kept.get("sha256"))
    return kept["facts"] if kept.get("settings") == settings and whole else None
