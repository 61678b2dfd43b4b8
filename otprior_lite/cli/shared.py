"""What several commands need: a device, a seed, JSON."""

import argparse


def add_machine(parser: argparse.ArgumentParser) -> None:
    """The options --device and --seed."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, ...; auto takes a GPU if there is one (default: auto)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")


def device(name: str):
    """The torch device called `name`, or the best there is for "auto"."""
    import torch

    from ..errors import expect

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device: expected a device of torch, got {name!r}") from error
    here = chosen.type != "cuda" or torch.cuda.is_available()
    expect(here, "--device", "a device of this machine", name)
    return chosen


def plain(numbers: dict) -> dict:
    """The same with null where a number is not known: JSON has no NaN."""
    known = {key: plain(value) if isinstance(value, dict) else value for key, value in numbers.items()}
    return {key: None if value != value else value for key, value in known.items()}
