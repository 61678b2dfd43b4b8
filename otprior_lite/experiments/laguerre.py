"""Laguerre cells in the plane, where every mass is exact: the solve, its oracles, and what the map does to a law.

Forty atoms, two thirds of them in a clump off centre, run through all of it. Chapter 7 shows the results;
`counting` holds those beyond the plane.
"""

import math
from dataclasses import dataclass

import torch

from ..randomness import normal, permutation, seeded
from ..semidiscrete import BrenierMap, solve, solve_steps
from ..semidiscrete.plane import plane_hessian
from ..semidiscrete.power import laguerre

SITES = (
    (0.3, 0.9),
    (0.8, 1.4),
    (1.5, 1.1),
    (0.9, 0.6),
    (1.7, 0.4),
    (1.2, -0.1),
    (-1.4, 0.6),
    (-0.7, -1.6),
    (-2.0, -0.8),
    (0.7, -1.7),
)
"""Ten atoms for the live figure."""


def scattered(n: int = 40, seed: int = 3) -> torch.Tensor:
    """n atoms in the plane, float64: two thirds in a tight clump off centre, the rest spread out."""
    generator = seeded(seed)
    z, clump = normal((n, 2), generator, dtype=torch.float64), (2 * n) // 3
    centre = torch.tensor([[0.9, 0.6], [-0.4, -0.3]], dtype=torch.float64)
    return torch.cat([centre[0] + 0.3 * z[:clump], centre[1] + 1.0 * z[clump:]])


def voronoi(points: torch.Tensor) -> torch.Tensor:
    """The heights -|y|^2 / 2, whose cells are the Voronoi cells of the atoms."""
    return -points.square().sum(1) / 2


@dataclass(frozen=True, eq=False)
class Cells:
    """A planar map at one moment of a solve: exact masses (N,), and the mean (N, 2) of z in each cell."""

    map: BrenierMap
    masses: torch.Tensor
    centres: torch.Tensor

    @property
    def l1(self) -> float:
        """sum |mass - 1/N|."""
        return float((self.masses - 1 / len(self.masses)).abs().sum())


def newton(points: torch.Tensor | None = None, draws: int = 100_000) -> list[Cells]:
    """The exact solve in the plane, from the Voronoi cells to equal masses: one Cells for each Newton step."""
    points = scattered() if points is None else points
    heights = [voronoi(points)]
    for state in solve_steps(points, tolerance=1e-8, generator=seeded(), warm_start=heights[0]):
        if state.step == len(heights):
            heights.append(state.heights)
    z = normal((draws, 2), seeded(1), dtype=torch.float64)
    return [_cells(BrenierMap(points, h), z) for h in heights]


def _cells(map: BrenierMap, z: torch.Tensor) -> Cells:
    cell = map.cell(z)
    sums = torch.zeros_like(map.points).index_add_(0, cell, z)
    return Cells(map, map.exact_masses(), sums / torch.bincount(cell, minlength=len(sums)).clamp_min(1)[:, None])


@dataclass(frozen=True)
class ClosedForm:
    """A number known by hand, and what the engine finds; error: of the engine, 0 where it is exact."""

    problem: str
    quantity: str
    known: float
    engine: float
    error: float


def closed_forms(d: int = 5) -> list[ClosedForm]:
    """Three problems with answers by hand: atoms on a line, two atoms, the corners of a cube."""
    normal_law, root = torch.distributions.Normal(0.0, 1.0), math.sqrt(2 / math.pi)
    y, b = torch.tensor([-1.5, -0.2, 0.4, 2.0], dtype=torch.float64), 0.25
    q = normal_law.icdf(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    density = torch.cat([torch.zeros(1), (-q.square() / 2).exp() / math.sqrt(2 * math.pi), torch.zeros(1)]).double()
    line = solve(y[:, None], tolerance=1e-8, generator=seeded())
    cost = 1 + b * float(y.square().sum()) - 2 * float((y * (density[:-1] - density[1:])).sum())
    step = float(line.heights[3] - line.heights[2])
    two = torch.tensor([[0.0, 0, 0], [1.0, 2, 2]], dtype=torch.float64)
    pair = solve(two, [0.7, 0.3], tolerance=1e-8, generator=seeded())
    quantile = float(normal_law.icdf(torch.tensor(0.7, dtype=torch.float64)))
    rows = [
        ClosedForm("four atoms on a line", "last step of $h$", -float(q[2]) * 1.6, step, 0.0),
        ClosedForm("four atoms on a line", "$W_2^2$", cost, line.w2_squared.value, 0.0),
        ClosedForm("two atoms, 70 : 30", "$h_1 - h_2$", 3 * quantile, float(pair.heights[0] - pair.heights[1]), 0.0),
    ]
    for dimension in (2, d):
        fit = cube(dimension)
        error = 1.96 * fit.w2_squared.error
        known_cost = dimension * (2 - 2 * root)
        rows.append(ClosedForm(f"corners of a cube, $d = {dimension}$", "$W_2^2$", known_cost, fit.w2_squared.value, error))
    return rows


def cube(d: int):
    """The Fit onto the 2^d corners of the cube [-1, 1]^d: exact in the plane, sampled beyond."""
    corners = torch.cartesian_prod(*(torch.tensor([-1.0, 1.0], dtype=torch.float64),) * d)
    return solve(corners, tolerance=1e-8 if d == 2 else 0.02, generator=seeded(), dtype=torch.float64)


@dataclass(frozen=True)
class Control:
    """A way to give each z an atom: its mean cost |z - y|^2, and the chi2 of the atoms' counts by degree of freedom,
    which is 1 +- spread if the law of the images is uniform."""

    name: str
    cost: float
    chi2: float
    spread: float


def controls(n: int = 20_000, seed: int = 4) -> list[Control]:
    """The optimal map onto `scattered()`, three that keep the law of the images but not the pairing, and Voronoi."""
    points, generator = scattered(), seeded(seed)
    N, best = len(points), solve(points, tolerance=1e-8, generator=seeded()).map
    z = normal((n, 2), generator, dtype=torch.float64)
    shuffle = permutation(N, generator)
    other = solve(normal((N, 2), generator, dtype=torch.float64), tolerance=1e-8, generator=seeded()).map
    pairings = {
        "optimal cells": best.cell(z), "optimal cells, labels shuffled": shuffle[best.cell(z)],
        "cells solved for other atoms": other.cell(z), "an index at random, $z$ not used": torch.randint(N, (n,), generator=generator),
        "Voronoi cells": BrenierMap(points, voronoi(points)).cell(z),
    }  # fmt: skip
    rows = []
    for name, cell in pairings.items():
        counts = torch.bincount(cell, minlength=N).double()
        chi2 = float((counts - n / N).square().sum() / (n / N) / (N - 1))
        rows.append(Control(name, float((z - points[cell]).square().sum(1).mean()), chi2, math.sqrt(2 / (N - 1))))
    return rows


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Images (n, 2) under the map smoothed with relative temperature tau; kept: their share of the atoms' variance."""

    tau: float
    images: torch.Tensor
    kept: float
    atoms: torch.Tensor


def smoothing(taus=(0.02, 0.3, 1.0, 3.0), n: int = 1500, draws: int = 20_000) -> list[Smoothing]:
    """The optimal map onto `scattered()` at several temperatures, the heights left as they are."""
    points = scattered()
    best, z = solve(points, tolerance=1e-8, generator=seeded()).map, normal((draws, 2), seeded(6), dtype=torch.float64)
    spread, rows = float(points.var(0, unbiased=False).sum()), []
    for tau in taus:
        images = best.smooth(tau)(z)
        rows.append(Smoothing(tau, images[:n], float(images.var(0).sum()) / spread, points))
    return rows


@dataclass(frozen=True)
class Jumps:
    """Across the sides of the cells, weighted by their Gaussian length: mean jump |y_i - y_j|, and the share of the
    length with a jump above 1.5."""

    law: str
    N: int
    mean: float
    long: float


def jumps(sizes=(50, 200, 800), seed: int = 8) -> list[Jumps]:
    """Atoms drawn from a connected law, N(0, I), and from two bumps at distance 4, ever more of them."""
    rows = []
    for law, shift in (("one bump", 0.0), ("two bumps", 2.0)):
        for N in sizes:
            generator = seeded(seed)
            points = normal((N, 2), generator, dtype=torch.float64) * (0.4 if shift else 1.0)
            points[::2, 0] += shift
            points[1::2, 0] -= shift
            fit = solve(points, tolerance=1e-8, generator=generator)
            sides = laguerre(points.numpy(), fit.heights.numpy())
            length = plane_hessian(sides) * sides.gap
            rows.append(Jumps(law, N, float((length * sides.gap).sum() / length.sum()), float(length[sides.gap > 1.5].sum())))
    return rows
