"""What the exact reverse process makes of a wrong start: measured, next to what can be proved.

Every score is exact and nothing is trained. In one dimension the errors at both ends are exact up to quadrature; the sampled
ones carry their standard error or their floor. Time is OU time unless a schedule is named. Chapter 4 shows the results.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .. import bounds, gap, metrics, schedules
from ..errors import count, expect
from ..estimate import Estimate
from ..forward import marginal
from ..samplers import sample, trajectory
from ..score import ExactDenoiser
from ..targets import GaussianMixture, names, normal_to, toy

CLOCK = schedules.ou(6.0)
KINDS = ("ode", "sde")
CASES = ((0.5, 1.0, 1.0), (0.5, 0.5, 1.0), (1.0, 0.5, 1.0), (1.0, 0.25, 1.0), (1.0, 0.25, 2.0), (1.5, 0.25, 2.0))  # m, r^2, T


def two_bumps(m: float, variance: float, centre: float = 0.0, weight: float = 0.5) -> GaussianMixture:
    """weight N(centre - m, variance) + (1 - weight) N(centre + m, variance)."""
    return GaussianMixture([weight, 1 - weight], [[centre - m], [centre + m]], [variance, variance])


@dataclass(frozen=True)
class Case:
    """One law, one T, one way back: W2 at both ends, their ratio, and the proved limits of the ratio (least is 0 for the sde)."""

    m: float
    variance: float
    T: float
    kind: str
    at_T: float
    at_0: float
    gamma: float
    least: float

    @property
    def ratio(self) -> float:
        """Measured amplification, at_0 / at_T."""
        return self.at_0 / self.at_T

    @property
    def slack(self) -> float:
        """How many times the bound exceeds what was measured."""
        return self.gamma / self.ratio


def case(m: float, variance: float, T: float, kind: str = "ode", centre: float = 0.0) -> Case:
    """Measure `two_bumps(m, variance, centre)` exactly and bound it."""
    target = two_bumps(m, variance, centre)
    found, bound = bounds.carried_w2(target, CLOCK, T, kind=kind), bounds.amplification(kind, target, CLOCK, T)
    return Case(m, variance, T, kind, found.at_T, found.at_0, bound.value, bound.least)


def cases() -> list[Case]:
    """The six laws of the chapter's table, both ways back."""
    return [case(*row, kind) for row in CASES for kind in KINDS]


@dataclass(frozen=True, eq=False)
class Fan:
    """Paths from one point z of N(0, 1) at T, against the point of p_T that has the same rank. times decrease from T to 0.

    flow, right: (len(times),), the flow from z and from its counterpart. sde: (len(times), paths), all from z.
    """

    target: GaussianMixture
    times: torch.Tensor
    flow: torch.Tensor
    right: torch.Tensor
    sde: torch.Tensor


def fan(z: float = 0.6, T: float = 1.0, paths: int = 14, steps: int = 150, seed: int = 0) -> Fan:
    """One start of `two_bumps(1, 0.25, 0.5)`: Heun for the flow, Euler-Maruyama for the SDE, equal steps in t."""
    target = two_bumps(1.0, 0.25, 0.5)
    denoiser, generator = ExactDenoiser(target, CLOCK), torch.Generator().manual_seed(seed)
    counterpart = float(normal_to(marginal(target, CLOCK, T), torch.tensor([z], dtype=torch.float64)))
    options = dict(steps=steps, t_start=T, spacing="time")
    pair = list(trajectory(denoiser, CLOCK, torch.tensor([[z], [counterpart]], dtype=torch.float64), method="heun", **options))
    start = torch.full((count(paths, "paths"), 1), z, dtype=torch.float64)
    walks = torch.stack([s.x[:, 0] for s in trajectory(denoiser, CLOCK, start, method="em", generator=generator, **options)])
    both = torch.stack([s.x[:, 0] for s in pair])
    return Fan(target, torch.tensor([s.t for s in pair], dtype=torch.float64), both[:, 0], both[:, 1], walks)


@dataclass(frozen=True, eq=False)
class Landscape:
    """Measured and worst-case amplification over half distances m (columns) and variances r^2 (rows), at one T and centre.

    ratio, gamma: kind -> (len(variance), len(m)).
    """

    m: np.ndarray
    variance: np.ndarray
    T: float
    centre: float
    ratio: dict[str, np.ndarray]
    gamma: dict[str, np.ndarray]


def landscape(T: float = 1.0, centre: float = 0.5, columns: int = 7, rows: int = 6) -> Landscape:
    """`case` on a grid: m from 0.1 to 1.5, r^2 from 0.2 to 2 in equal steps of log r^2.

    Off centre, the gap has a mean; centred laws of variance 1 have none but shape, and a ratio of their own.
    """
    m = np.linspace(0.1, 1.5, count(columns, "columns", 2))
    variance = np.geomspace(0.2, 2.0, count(rows, "rows", 2))
    grid = {kind: [[case(float(a), float(v), T, kind, centre) for a in m] for v in variance] for kind in KINDS}
    read = lambda name: {kind: np.array([[getattr(c, name) for c in row] for row in grid[kind]]) for kind in KINDS}
    return Landscape(m, variance, T, centre, read("ratio"), read("gamma"))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Error of the standard deviation in one direction of a Gaussian, by the variance of the data there.

    errors: "start" (|sqrt(lambda_T) - 1| at T), "ode", "sde", and one entry per number of DDIM steps (each from N(0, 1)).
    """

    variance: np.ndarray
    T: float
    errors: dict[str, np.ndarray]


def spectrum(T: float = 1.0, steps: tuple[int, ...] = (10, 100), points: int = 121) -> Spectrum:
    """Exact, from `gaussian_error` per direction; DDIM takes equal steps in t."""
    variance = np.geomspace(1e-3, 1e2, count(points, "points", 2))
    options = {"ode": {}, "sde": {}} | {f"ddim, {k} steps": {"steps": k} for k in steps}
    errors = {"start": np.empty_like(variance)} | {name: np.empty_like(variance) for name in options}
    for i, v in enumerate(variance):
        target = GaussianMixture([1.0], [[0.0]], [float(v)])
        for name, option in options.items():
            found = bounds.gaussian_error(name.split(",")[0], target, CLOCK, T, **option)
            errors[name][i], errors["start"][i] = found.w2_0, found.w2_T
    return Spectrum(variance, T, errors)


@dataclass(frozen=True, eq=False)
class Propagation:
    """W2 against T for one law: exact at T and at 0, the bounds on the latter, and what a real sampler of n samples measures.

    exact, bound: kind -> (len(T),). sampled: kind -> Estimates at times sampled_T, with their floor.
    """

    T: np.ndarray
    at_T: np.ndarray
    exact: dict[str, np.ndarray]
    bound: dict[str, np.ndarray]
    least: np.ndarray
    sampled_T: tuple[float, ...]
    sampled: dict[str, list[Estimate]]


def propagation(
    m: float = 1.0, variance: float = 0.25, centre: float = 0.5, points: int = 14, n: int = 4000,
    sampled_T: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 3.0), seed: int = 0,
) -> Propagation:  # fmt: skip
    """`two_bumps(m, variance, centre)` from N(0, 1): 40 steps of DPM-Solver++ for the flow, 200 of Euler-Maruyama for the SDE."""
    expect(len(sampled_T) > 0, "sampled_T", "at least one time", sampled_T)
    T = np.geomspace(0.1, 4.0, count(points, "points", 2))
    found = {kind: [case(m, variance, float(u), kind, centre) for u in T] for kind in KINDS}
    read = lambda kind, name: np.array([getattr(c, name) for c in found[kind]])
    at_T = read("ode", "at_T")
    target, generator = two_bumps(m, variance, centre), torch.Generator().manual_seed(seed)
    denoiser, fresh = ExactDenoiser(target, CLOCK), target.sample(n, generator)
    solvers = {"ode": dict(method="dpmpp2m", steps=40), "sde": dict(method="em", steps=200, generator=generator)}
    sampled = {kind: [] for kind in KINDS}
    for u in sampled_T:
        for kind, options in solvers.items():
            z = torch.randn(n, 1, generator=generator, dtype=torch.float64)
            ends = sample(denoiser, CLOCK, z, t_start=u, **options)
            sampled[kind].append(metrics.sliced_w2(ends, fresh, projections=1))
    return Propagation(
        T, at_T, {k: read(k, "at_0") for k in KINDS}, {k: read(k, "gamma") * at_T for k in KINDS},
        read("ode", "least") * at_T, tuple(sampled_T), sampled,
    )  # fmt: skip


@dataclass(frozen=True)
class ToyBound:
    """Gamma of the flow for one toy under VP, and the bound on W2(p_0, q_0) that it gives beside the size of the data.

    lower: the worst-case constant is at least this (NaN: not searched). size: RMS distance of the data from their mean.
    """

    name: str
    gamma: float
    lower: float
    gap: float
    size: float

    @property
    def bound(self) -> float:
        """Gamma times the synchronous bound on the prior gap."""
        return self.gamma * self.gap


def toy_bounds() -> list[ToyBound]:
    """Every toy of the library under VP."""
    schedule, rows = schedules.vp(), []
    for name in names():
        target = toy(name)
        found = bounds.amplification("ode", target, schedule)
        size = float(target.covariance.trace().sqrt())
        rows.append(ToyBound(name, found.value, found.lower, gap.synchronous_bound(target, schedule, schedule.T), size))
    return sorted(rows, key=lambda row: row.gamma)


@dataclass(frozen=True)
class Start:
    """One start at T: W2 at T, and at 0 by the flow and by the SDE; root mean squares over training sets where there are any."""

    name: str
    at_T: float
    ode: float
    sde: float


def starts(T: float = 0.5, training: int = 50, sets: int = 4, seed: int = 0) -> list[Start]:
    """N(0, 1), the moment-matched Gaussian, and noised training points (exactly their law, for several training sets)."""
    target = two_bumps(1.0, 0.25, 0.5)
    generator = torch.Generator().manual_seed(seed)
    p_T = marginal(target, CLOCK, T)
    alpha, noise2 = float(CLOCK.alpha(T)), float(CLOCK.sigma(T)) ** 2
    even = torch.full((count(training, "training"),), 1 / training, dtype=torch.float64)
    noised = lambda: GaussianMixture(even, alpha * target.sample(training, generator), noise2 * torch.ones_like(even))
    laws = {
        "standard": [GaussianMixture([1.0], [[0.0]], [1.0])],
        "moment-matched": [GaussianMixture([1.0], [p_T.mean.tolist()], [float(p_T.covariance)])],
        "data-initialised": [noised() for _ in range(count(sets, "sets"))],
    }
    rows = []
    for name, group in laws.items():
        both = [[bounds.carried_w2(target, CLOCK, T, kind=kind, start=law) for law in group] for kind in KINDS]
        rms = lambda values: math.sqrt(sum(v * v for v in values) / len(values))
        rows.append(Start(name, rms([c.at_T for c in both[0]]), *(rms([c.at_0 for c in row]) for row in both)))
    return rows
