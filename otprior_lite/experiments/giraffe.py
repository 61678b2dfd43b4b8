"""One exact score, many priors: what the start alone does to the giraffe.

The score is exact and the solver is fine, so nothing but the prior differs between two runs. It is deterministic:
every draw comes from one seed. Chapter 1 shows the results.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .. import metrics, priors, schedules, targets
from ..errors import expect
from ..estimate import Estimate
from ..samplers import sample
from ..score import ExactDenoiser


@dataclass(frozen=True, eq=False)
class Run:
    """Samples that one prior led to, and how they compare with fresh data."""

    prior: str
    seed: int
    T: float
    alpha: float
    start: torch.Tensor
    samples: torch.Tensor
    tails: metrics.TailCoverage
    distance: Estimate


def reverse(prior, denoiser, schedule, t, n: int, generator, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """n samples of `prior` at time t, and what the reverse process makes of them (options go to `sample`)."""
    start = prior.sample(n, generator)
    return start, sample(denoiser, schedule, start, t_start=t, **options)


def fitted_priors(points, schedule, target, generator) -> list:
    """The four priors of chapter 1 at the end of `schedule`, and the oracle that marks the floor."""
    t = schedule.T
    fitted = [
        kind.fit(points, schedule, t, generator=generator)
        for kind in (priors.Standard, priors.MomentMatched, priors.SemiDiscrete, priors.DataInitialised)
    ]
    return [*fitted, priors.Oracle(target, schedule, t)]


def runs(
    lengths: tuple[int, ...] = (50, 100, 250, 1000), seeds: tuple[int, ...] = (0, 1, 2, 3, 4), n: int = 800, training: int = 1000,
    steps: int = 16, schedule: Callable = schedules.ddpm_linear,
) -> list[Run]:  # fmt: skip
    """The same exact score of the giraffe from every prior, for forward processes of several lengths.

    lengths: numbers of forward steps of `schedule`. training: points the fitted priors see, new for every seed.
    The reverse process is DPM-Solver++(2M) with `steps` steps; distances are sliced W2 to n fresh samples.
    """
    expect(len(lengths) > 0 and len(seeds) > 0, "lengths, seeds", "at least one of each", (lengths, seeds))
    target, results = targets.toy("giraffe"), []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        points, fresh = target.sample(training, generator), target.sample(n, generator)
        for length in lengths:
            channel = schedule(length)
            denoiser = ExactDenoiser(target, channel)
            for prior in fitted_priors(points, channel, target, generator):
                start, end = reverse(prior, denoiser, channel, channel.T, n, generator, steps=steps, method="dpmpp2m")
                tails, distance = metrics.tail_coverage(end, fresh), metrics.sliced_w2(end, fresh)
                alpha = float(channel.alpha(channel.T))
                results.append(Run(prior.name, seed, channel.T, alpha, start, end, tails, distance))
    return results


@dataclass(frozen=True)
class Summary:
    """One prior at one length over all seeds.

    mean, error: of the distance. floor: what the mean of as many null distances stays below (mean + 2 standard errors).
    head: mean share of samples in the highest 5 % of the data.
    """

    prior: str
    T: float
    alpha: float
    mean: float
    error: float
    floor: float
    head: float


def summary(results: list[Run]) -> list[Summary]:
    """Average `runs` over their seeds; error is NaN with one seed."""
    rows = []
    for prior, T in dict.fromkeys((run.prior, run.T) for run in results):
        same = [run for run in results if (run.prior, run.T) == (prior, T)]
        values = torch.tensor([run.distance.value for run in same], dtype=torch.float64)
        root, average = len(same) ** 0.5, lambda numbers: sum(numbers) / len(same)
        floor = average([r.distance.floor for r in same]) + 2 * average([r.distance.error for r in same]) / root
        head = average([r.tails.upper for r in same])
        rows.append(Summary(prior, T, same[0].alpha, float(values.mean()), float(values.std()) / root, floor, head))
    return rows


def averages(**options) -> list[Summary]:
    """`summary(runs(...))`."""
    return summary(runs(**options))


def pair(n: int = 2000, length: int = 50, steps: int = 20, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """n samples from N(0, I) and n from p_T, by the same exact score and the same solver: the book's cover."""
    target, generator = targets.toy("giraffe"), torch.Generator().manual_seed(seed)
    channel = schedules.ddpm_linear(length)
    denoiser = ExactDenoiser(target, channel)
    starts = priors.Standard(channel, 2, torch.float64), priors.Oracle(target, channel, channel.T)
    return tuple(reverse(start, denoiser, channel, channel.T, n, generator, steps=steps, method="dpmpp2m")[1] for start in starts)
