"""The study of chapter 12 at the size of CIFAR-10: seven starts of one network, at three times, in four numbers of calls.

A stage of `cifar_scale.py`, which trains the network and solves the maps first. The starts are those of
`otprior_lite.experiments.smileys`, fitted to 50,000 pictures on the device; of the test pictures one half is the oracle's and
the other half judges, drawn anew for each seed. Quality is the energy distance of pixels, and FID's distance where the weights
of its network are given (--inception); newness is measured as there. The network is told no class.
"""

from dataclasses import dataclass

import torch
from tqdm import tqdm

from otprior_lite import features, metrics, priors, samplers
from otprior_lite.experiments.pictures import METHOD, NFES, newness
from otprior_lite.experiments.smileys import STARTS, TAU, Unseen
from otprior_lite.priors import Potential, Prior
from otprior_lite.randomness import permutation, seeded
from otprior_lite.train import load_model

MEASURES = ("energy", "nearer", "closer", "copies", "repeats", "to_train", "to_held_out", "inception")
"""Columns of a row after start, calls and seed. inception: Frechet distance (not squared) in FID's features, or None."""


@dataclass(frozen=True)
class Grid:
    """seeds; calls of the network; samples of a cell, and how many at once; tolerance of the map onto clean pictures."""

    seeds: tuple[int, ...] = (0, 1, 2)
    calls: tuple[int, ...] = NFES
    samples: int = 2000
    at_once: int = 500
    tolerance: float = 0.05


def starts(train: torch.Tensor, potential: Potential, schedule, tolerance: float, device: torch.device) -> dict[str, Prior]:
    """The starts that the training pictures decide, on the device; all but the oracle, which each seed has its own of."""
    there, t = train.to(device), potential.t
    generator = torch.Generator(device).manual_seed(potential.seed)
    hard = potential.replay(train, schedule).to(device)
    found = (
        priors.Standard.fit(there, schedule), priors.MomentMatched.fit(there, schedule, t), hard,
        priors.Smoothed(hard.map.smooth(TAU), hard.shape),
        priors.FreshNoise.fit(there, schedule, t, generator=generator, tolerance=tolerance),
        priors.DataInitialised.fit(there, schedule, t),
    )  # fmt: skip
    return {prior.name: prior for prior in found}


@torch.no_grad()
def measured(network, potential: Potential, train, held_out, grid: Grid, device: torch.device, inception=None) -> dict:
    """Of one start time: columns, and a row [start, calls, seed, *MEASURES] for each cell. network: its file; inception: a file."""
    denoiser = load_model(network)[1]
    denoiser.network.to(device)
    schedule, t = denoiser.schedule, potential.t
    judge = None if inception is None else features.inception(inception, device)
    known, there = starts(train, potential, schedule, grid.tolerance, device), train.to(device)
    found = []
    with tqdm(total=len(grid.seeds) * len(STARTS) * len(grid.calls), desc=f"starts t = {t:g}", unit="cell") as bar:
        for seed in grid.seeds:
            oracle, reference = held_out[permutation(len(held_out), seeded(100 + seed))].to(device).tensor_split(2)
            reference = reference[: grid.samples]
            for name, prior in (known | {"oracle": Unseen(oracle, schedule, t)}).items():
                x = prior.sample(grid.samples, torch.Generator(device).manual_seed(2000 + seed))
                for calls in grid.calls:
                    drawn = torch.cat([_ends(denoiser, part, t, calls) for part in x.split(grid.at_once)])
                    found.append([name, calls, seed, *_graded(drawn, there, reference, judge)])
                    bar.update()
    return {"t": t, "columns": ["start", "calls", "seed", *MEASURES], "rows": found, "samples": grid.samples}


def _ends(denoiser, x, t, calls):
    return samplers.sample(denoiser, denoiser.schedule, x, steps=calls, t_start=t, method=METHOD)


def _graded(drawn, train, reference, judge) -> list[float | None]:
    values = [metrics.energy(drawn, reference, repeats=1).value, *newness(drawn, train, reference).values()]
    values.append(None if judge is None else metrics.frechet(drawn, reference, features=judge, repeats=1).value)
    return [None if value is None else float(f"{value:.4g}") for value in values]
