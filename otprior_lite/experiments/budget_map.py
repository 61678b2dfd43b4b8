"""The map's error at T in its three brackets, for an optimal-transport start on noised training points. Chapter 10.

    W2(q_T, p_T) <= W2(q_T, p_X) + W2(p_X, p_T^N) + W2(p_T^N, p_T)
                   [smoothing, optimisation]  [quantisation]  [data sampling]

p_X: the noised points, one each. p_T^N: the training set through the channel, a mixture of N Gaussians.
"""

import math

import torch

from ..discrete import exact_plan
from ..forward import marginal, noise
from ..randomness import normal, seeded
from ..semidiscrete import solve
from ..semidiscrete.smooth import SmoothMap, score_scale
from ..targets import Empirical
from .budget_networks import SCHEDULE, law
from .study import Study


def cells(quick: bool) -> list[dict]:
    """Three T, the hard map and a smoothed one (tau in units of the score scale), three training sets of N points."""
    lengths, seeds, N, draws = ((1.0,), (0,), 50, 300) if quick else ((0.25, 1.0, 3.0), (0, 1, 2), 200, 1200)
    return [{"T": T, "tau": tau, "N": N, "draws": draws, "seed": seed} for seed in seeds for T in lengths for tau in (0.0, 0.5)]


def _w2(x, y, weights=None) -> float:
    return math.sqrt(max(0.0, exact_plan(x, y, weights)[1]))


def measure(cell: dict) -> dict:
    """The three brackets, and W2(q_T, p_T) between samples of size `draws`, with what two samples of p_T give (floor).

    sampling is e^{-T} W2(training set, p_0), a bound by contraction. Brackets between atoms and draws have errors of their
    own: atoms_floor is that of the smoothed map's. Unsmoothed, q_T is the atoms with the cells' exact masses.
    """
    T, tau, N, draws, generator = cell["T"], cell["tau"], cell["N"], cell["draws"], seeded(cell["seed"])
    train = law().sample(N, generator)
    data_gap = _w2(train, law().sample(draws, generator))
    atoms = noise(train, SCHEDULE, T, generator)
    mixture, p = marginal(Empirical(train), SCHEDULE, T), marginal(law(), SCHEDULE, T)
    fresh, other, z = p.sample(draws, generator), p.sample(draws, generator), normal((draws, 2), generator, dtype=torch.float64)
    map = solve(atoms, tolerance=1e-8, generator=generator, strict=True).map
    start = map(z) if tau == 0 else SmoothMap(atoms, map.heights, tau * score_scale(atoms))(z)
    values = {
        "smoothing": _w2(atoms, atoms, map.exact_masses()) if tau == 0 else _w2(start, atoms),
        "quantisation": _w2(atoms, mixture.sample(draws, generator)),
        "sampling": math.exp(-T) * data_gap,
        "measured": _w2(start, fresh),
        "floor": _w2(fresh, other),
        "atoms_floor": 0.0 if tau == 0 else _w2(map(z), atoms),
    }
    return {key: round(value, 5) for key, value in values.items()}


STUDY = Study("budget_map", cells, measure)
