"""Commands in processes of their own, which really die.

A fork server loads the library once and each process is a fork of it, so a run starts in a second.
"""

import multiprocessing
import os
import random
import signal
import socket
import time
from pathlib import Path

import torch

from otprior_lite import cli

FORKS = multiprocessing.get_context("forkserver")
OURS = ["otprior_lite.cli", "otprior_lite.train", "otprior_lite.data"]
FORKS.set_forkserver_preload([*OURS, "diffusers.models.unets.unet_2d", "tqdm", "pytest", "hypothesis.strategies", "scipy.stats"])


def started(arguments: list[str], environment: dict[str, str] | None = None):
    """The process of a command."""
    process = FORKS.Process(target=in_environment, args=(arguments, environment or {}), daemon=True)
    process.start()
    return process


def in_environment(arguments: list[str], environment: dict[str, str]):
    """What a child does: its exit status is the command's."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    raise SystemExit(cli.main(arguments))


def finished(process) -> None:
    """Wait for a process that must end well."""
    process.join(120)
    assert process.exitcode == 0
    process.close()


def killed(arguments, file: Path, *, lives: int, young: int, longest: float, seed: int, after=lambda: None) -> int:
    """Start a command again and again, SIGKILL each life, and call `after`; how many kills hit a run that was not done.

    The first `young` lives end within `longest` seconds of their start, the others of the moment they write `file` anew.
    """
    moments, hits = random.Random(seed), 0
    for life in range(lives):
        process = started(arguments)
        before, patience = stamp(file), time.monotonic() + 60
        while life >= young and process.is_alive() and stamp(file) == before and time.monotonic() < patience:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, longest))
        process.kill()
        process.join()
        hits += process.exitcode == -signal.SIGKILL
        after()
    return hits


def stamp(file: Path) -> int | None:
    """When the file was last written."""
    return file.stat().st_mtime_ns if file.exists() else None


def free_port() -> str:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
