"""What several commands need: a device, a seed, JSON, a place for the result."""

import argparse
from pathlib import Path

DATA = "a dataset name, an .npz file with x (n, ...), or a folder of pictures"


def add_machine(parser: argparse.ArgumentParser) -> None:
    """The options --device and --seed."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, ...; auto takes a GPU if there is one (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")


def device(name: str):
    """The torch device of --device."""
    from ..errors import torch_device

    return torch_device(name, "--device")


def plain(numbers: dict) -> dict:
    """The same with null where a number is not known: JSON has no NaN."""
    known = {key: plain(value) if isinstance(value, dict) else value for key, value in numbers.items()}
    return {key: None if value != value else value for key, value in known.items()}


def writable(file: Path, suffix: str) -> None:
    """Before any work: a name that the other commands read, in a place that can be written."""
    from ..atomic import ready
    from ..errors import expect

    expect(file.suffix == suffix, "--out", f"a file name that ends in {suffix}", str(file))
    ready(file)
