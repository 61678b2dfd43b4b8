"""The law, the training sets and the small networks of chapter 10.

Three bumps in the plane, of one covariance, so that the amplification is proved. For each seed a training set of
2000 points; three networks learn it, and the priors that are fitted see the same points. The weights are committed:

    python -m otprior_lite.experiments.budget_networks    (two minutes) makes them again.
"""

from functools import cache

import torch

from .. import data, schedules
from ..archive import read, write
from ..errors import known
from ..randomness import seeded
from ..score import ExactDenoiser, LearnedDenoiser
from ..targets import GaussianMixture
from ..train import Preconditioned, mlp, train
from ..train.files import fill

SIZES = {"tiny": (4, 1, 2000), "small": (12, 2, 3000), "wide": (64, 3, 4000)}
"""name: (width, hidden layers, training steps)."""

SEEDS = (0, 1, 2)
SCHEDULE = schedules.ou(5.0)
POINTS = 2000
_WEIGHTS = "weights/budget"


def law() -> GaussianMixture:
    """p_0: three equal round bumps, off-centre."""
    return GaussianMixture([0.5, 0.3, 0.2], [[0.2, -1.3], [1.9, -0.4], [1.3, 0.5]], [0.2, 0.2, 0.2])


@cache
def training_points(seed: int) -> torch.Tensor:
    """The POINTS training points of a seed, float64."""
    return law().sample(POINTS, seeded(1000 + seed))


def untrained(size: str, seed: int) -> Preconditioned:
    """The network of a size before training, its frame fitted to the seed's training points."""
    points = training_points(seed)
    width, depth, _ = SIZES[known(size, tuple(SIZES), "size")]
    std = float(points.var(0).mean().sqrt())
    return mlp(2, width, depth, mean=points.mean(0), std=std, frequencies=4, generator=seeded(seed))


@cache
def denoiser(network: str, seed: int):
    """The denoiser called "exact" or by a size, as trained on the seed's points."""
    if network == "exact":
        return ExactDenoiser(law(), SCHEDULE)
    empty, stored = untrained(network, seed), read(data.path(_WEIGHTS))[0]
    own = f"{network}.{seed}."
    fill(empty, {name.removeprefix(own): value for name, value in stored.items() if name.startswith(own)}, _WEIGHTS)
    return LearnedDenoiser(empty, SCHEDULE)


def weights(network: str) -> int:
    """Number of weights of a size; 0 for the exact denoiser."""
    return 0 if network == "exact" else sum(p.numel() for p in untrained(network, 0).parameters())


def trained(size: str, seed: int, steps: int | None = None) -> Preconditioned:
    """The network of a size after its training; the average is kept."""
    network, generator = untrained(size, seed), seeded(100 + seed)
    steps = SIZES[size][2] if steps is None else steps
    for state in train(network, training_points(seed), SCHEDULE, steps=steps, lr=5e-3, generator=generator):
        pass
    return state.average


def make() -> None:
    """Train every size on every seed, one thread, and commit the weights in half precision to one file."""
    torch.set_num_threads(1)
    tensors = {}
    for size in SIZES:
        for seed in SEEDS:
            state = trained(size, seed).state_dict()
            tensors |= {f"{size}.{seed}.{name}": value.half() for name, value in state.items()}
    file = data.root() / f"{_WEIGHTS}.safetensors"
    write(tensors, file)
    data.register(_WEIGHTS, file, script="python -m otprior_lite.experiments.budget_networks")


if __name__ == "__main__":
    make()
