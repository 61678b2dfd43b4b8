"""Static against dynamic: paths, basins and energies of the probability flow beside those of optimal transport.

Planar laws of mean zero; the noise end is N(0, I) itself (zero SNR), so nothing here is an approximation for large T.
Everything is deterministic. Chapter 9 shows the results; `curl` measures how far the flow is from a gradient.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..estimate import Estimate
from ..flow import benamou_brenier_energy, flow_map
from ..forward import marginal, velocity
from ..gap.line import line_parts, nodes, standardised
from ..linalg import power
from ..randomness import normal, seeded
from ..schedules import ou, trigonometric
from ..semidiscrete import solve
from ..targets import Empirical, GaussianMixture
from ..transport import gaussian_map

CLOCK = ou(20.0)  # time 20 stands for N(0, I)
_f64 = torch.float64


def laws() -> dict:
    """The planar laws of the chapter, centred: what the live figure offers and what the tables measure."""

    def atoms(points, weights=None):
        points = torch.tensor(points, dtype=_f64)
        n = len(points)
        weights = torch.full((n,), 1 / n, dtype=_f64) if weights is None else torch.tensor(weights, dtype=_f64)
        return Empirical(points - weights @ points, weights)

    return {
        "three atoms": atoms([[2.0, 0.0], [-1.0, 1.5], [-0.5, -1.0]], [0.5, 0.3, 0.2]),
        "collinear atoms": atoms([[2.0, 1.0], [-0.8, -0.4], [-2.2, -1.1]], [0.5, 0.2, 0.3]),
        "symmetric atoms": atoms([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]),
        "Gaussian": GaussianMixture([1.0], torch.zeros(1, 2, dtype=_f64), torch.tensor([[[2.4, 1.1], [1.1, 0.7]]], dtype=_f64)),
    }


@dataclass(frozen=True, eq=False)
class Transported:
    """The optimal map from N(0, I) to a law. matrix: of the affine map, or None. heights: of the atoms, or None."""

    matrix: torch.Tensor | None
    heights: torch.Tensor | None
    map: object

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        return self.map(z)


def optimal(law) -> Transported:
    """From N(0, I) to one centred Gaussian in closed form, to planar atoms by the exact semi-discrete solver."""
    if isinstance(law, Empirical):
        fit = solve(law.means, law.weights, tolerance=1e-10, generator=seeded())
        return Transported(None, fit.map.heights, fit.map)
    zero = torch.zeros(law.d, dtype=_f64)
    affine = gaussian_map(zero, torch.eye(law.d, dtype=_f64), zero, law.covariance)
    return Transported(affine.matrix, None, affine)


def scene(n: int = 48, seed: int = 4) -> dict:
    """What the live figure starts from: the laws with their optimal maps, and n particles of N(0, I)."""
    found = {}
    for name, law in laws().items():
        best = optimal(law)
        if isinstance(law, Empirical):
            found[name] = {"weights": law.weights, "points": law.means, "heights": best.heights}
        else:
            found[name] = {"covariance": law.covariance, "matrix": best.matrix}
    return {"laws": found, "particles": normal((n, 2), seeded(seed), dtype=_f64).round(decimals=3)}


# ---- paths and basins


@dataclass(frozen=True, eq=False)
class Paths:
    """Particles from N(0, I) to a law: along the flow and straight along the optimal map, each (steps, n, 2). ends: of the latter.

    s: 0 is noise, 1 is data; the flow runs on the schedule alpha = sin(pi s / 2), sigma = cos(pi s / 2).
    """

    name: str
    s: torch.Tensor
    flow: torch.Tensor
    straight: torch.Tensor
    ends: torch.Tensor


def paths(names=("Gaussian", "three atoms"), n: int = 26, steps: int = 41, seed: int = 11) -> list[Paths]:
    """Follow n particles both ways. Atoms are approached up to sigma = 0.003. The seed shows two that end elsewhere."""
    clock, z, results = trigonometric(), normal((n, 2), seeded(seed), dtype=_f64), []
    for name in names:
        law, s = laws()[name], torch.linspace(0, 1, steps, dtype=_f64)
        end = 1.0 if isinstance(law, GaussianMixture) else 0.998
        times = [clock.T * (1 - min(float(v), end)) for v in s]
        x, flow = z, [z]
        for here, there in zip(times[:-1], times[1:]):
            x = flow_map(law, clock, x, here, there, tolerance=1e-8)
            flow.append(x)
        target = optimal(law)(z)
        straight = (1 - s)[:, None, None] * z + s[:, None, None] * target
        results.append(Paths(name, s, torch.stack(flow), straight, target.unique(dim=0)))
    return results


def basin(law: Empirical, z: torch.Tensor, start: float = 20.0) -> torch.Tensor:
    """The atom that the flow takes each z (n, 2) to, from N(0, I) at OU time `start` down to sigma = 0.03."""
    x = flow_map(law, CLOCK, z, start, 5e-4, tolerance=1e-7)
    return torch.cdist(x, law.means).argmin(1)


@dataclass(frozen=True, eq=False)
class Basins:
    """Which atom a place z goes to: by the flow and by the optimal map, on a square grid (side, side) of half width `limit`.

    moved: share of N(0, I) that goes to another atom. extra: mean |z - y|^2 of the flow minus that of the optimal map, as the
    mean slack of the dual: twice max_i(<z, y_i> + h_i) minus the same for the flow's atom, which is never negative.
    cost: of the optimal map. borders: the corners of its cells.
    """

    name: str
    limit: float
    flow: torch.Tensor
    cells: torch.Tensor
    borders: list[torch.Tensor]
    atoms: torch.Tensor
    moved: Estimate
    extra: Estimate
    cost: float


def basins(name: str = "three atoms", side: int = 81, n: int = 4000, limit: float = 3.0, seed: int = 0) -> Basins:
    """Basins of the flow against Laguerre cells, and the share of n draws of N(0, I) for which they differ."""
    law = laws()[name]
    best = optimal(law).map
    axis = torch.linspace(-limit, limit, side, dtype=_f64)
    grid = torch.cartesian_prod(axis, axis).flip(1)  # rows are y
    z = normal((n, 2), seeded(seed), dtype=_f64)
    here, there = basin(law, z), best.cell(z)
    score = z @ law.means.T + best.heights  # both regions of an atom have the same mass, so heights cancel in the mean cost
    slack = 2 * (score.amax(1) - score.gather(1, here[:, None])[:, 0])
    mean = lambda v: Estimate(float(v.mean()), 0.0, n, float(v.std()) / math.sqrt(n))
    return Basins(
        name, limit, basin(law, grid).reshape(side, side), best.cell(grid).reshape(side, side), best.polygons(limit), law.means,
        mean((here != there).double()), mean(slack), float((z - law.means[there]).square().sum(1).mean()),
    )  # fmt: skip


# ---- energy: W2^2 <= length^2 <= T (KL_0 - KL_T)


@dataclass(frozen=True, eq=False)
class Energies:
    """Three squares for each T: W2(p_0, p_T)^2, (int |v_t| dt)^2, T (KL_0 - KL_T). gap: largest |energy - KL drop|."""

    label: str
    T: torch.Tensor
    w2: torch.Tensor
    length: torch.Tensor
    bound: torch.Tensor
    gap: float


def _line(weights, means, variances) -> GaussianMixture:
    return GaussianMixture(weights, [[m] for m in means], variances).to(_f64)


def _quadrature(p):
    """Nodes and probabilities of a one-dimensional law."""
    parts = line_parts(p)
    x, weight = nodes(*parts)
    return torch.from_numpy(x)[:, None], torch.from_numpy(weight * np.exp(standardised(*parts, x)[1]))


def _square_speed(law, t: float) -> float:
    x, mass = _quadrature(marginal(law, CLOCK, t))
    return float(mass @ velocity(law, CLOCK, x, t)[:, 0] ** 2)


def energies(T=None, points: int = 20) -> list[Energies]:
    """Laws that are products of one-dimensional ones: squares of distances and speeds add, and so do KLs. No sampling."""
    T = torch.linspace(0.2, 3.0, 7, dtype=_f64) if T is None else torch.as_tensor(T, dtype=_f64)
    wide, thin, bumps = _line([1.0], [0.0], [4.0]), _line([1.0], [0.0], [0.25]), _line([0.5, 0.5], [1.5, -1.5], [0.09, 0.09])
    knots, mass = np.polynomial.legendre.leggauss(points)
    results = []
    for label, factors in (("one Gaussian", (wide,)), ("wide × narrow", (wide, thin)), ("two bumps", (bumps,))):
        rows, gap = [], 0.0
        for end in T.tolist():
            w2 = spent = 0.0
            for law in factors:
                x, weight = _quadrature(law)
                w2 += float(weight @ (flow_map(law, CLOCK, x, 0.0, end, tolerance=1e-8) - x)[:, 0] ** 2)
                found = benamou_brenier_energy(law, CLOCK, end)
                spent, gap = spent + found.kl_drop.value, max(gap, abs(found.energy.value - found.kl_drop.value))
            half = math.sqrt(end) / 2
            roots = half * (knots + 1)  # t = r^2: finer near the data
            speed = [math.sqrt(sum(_square_speed(law, r * r) for law in factors)) for r in roots]
            length = float(half * mass @ (2 * roots * speed))
            rows.append((w2, length**2, end * spent))
        results.append(Energies(label, T, *torch.tensor(rows, dtype=_f64).T, gap))
    return results


# ---- three maps between two Gaussians


def tanana_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Covariances that do not commute: diag(4, 1) and [[2, 1], [1, 3]] (Tanana 2021)."""
    return torch.tensor([[4.0, 0.0], [0.0, 1.0]], dtype=_f64), torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=_f64)


def through_noise(S1, S2) -> torch.Tensor:
    """Matrix of two probability flows in a row, N(0, S1) to N(0, I) to N(0, S2): each optimal, S2^{1/2} S1^{-1/2}."""
    return power(torch.as_tensor(S2, dtype=_f64), 0.5) @ power(torch.as_tensor(S1, dtype=_f64), -0.5)


def langevin_flow(S1, S2, until: float = 60.0) -> torch.Tensor:
    """Matrix of the flow of the Langevin dynamics that relaxes N(0, S1) to N(0, S2): J' = (S_t^{-1} - S2^{-1}) J."""
    from scipy.integrate import solve_ivp

    S1, rate = np.asarray(S1, dtype=float), np.linalg.inv(np.asarray(S2, dtype=float))
    d = len(S1)

    def step(_, state):
        S, J = state.reshape(2, d, d)
        return np.stack([2 * np.eye(d) - rate @ S - S @ rate, (np.linalg.inv(S) - rate) @ J]).ravel()

    done = solve_ivp(step, (0, until), np.stack([S1, np.eye(d)]).ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
    return torch.from_numpy(done.y[:, -1].reshape(2, d, d)[1].copy())


def affine_cost(matrix, S1) -> float:
    """E|Mx - x|^2 for x ~ N(0, S1)."""
    move = matrix - torch.eye(len(S1), dtype=_f64)
    return float(torch.trace(move @ S1 @ move.T))
