"""Potentials as artefacts: one number per atom, and how to make the atoms again.

A solve takes minutes and gives N heights; what it was solved for are N d numbers that anyone with the training points can
make again, because the noise comes from a seed. So a potential keeps the heights in float32, the SHA-256 of the points, the
schedule at its time, the seed, and what the solver measured. To use one, `replay` it on the points; to trust it, `verify` it,

    potential = priors.Potential.load("data/potentials/emoji32_t500.safetensors")
    prior = potential.replay(points, schedule)                      # a SemiDiscrete: the atoms, and their cells
    codes = prior.codes(64, generator)                              # z ~ N(0, I)
    pictures = prior.map(codes)                                     # the atoms that z is assigned to
    error = potential.verify(points, schedule, n=20_000, generator=generator)
    error.interval                                                  # 95 % of sum_j |w_j - 1/N|, on a fresh sample

Wrong heights do not show in the pictures, each of which is an atom; they show in the masses alone. Chapter 12 uses this module.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..archive import fingerprint
from ..errors import count, expect, torch_device
from ..randomness import seeded
from ..schedules import Schedule
from ..semidiscrete import BrenierMap, Fit, MassError, State, solve_steps, verify
from ..semidiscrete.problem import Problem, pose
from .prior import training_points
from .semidiscrete import SemiDiscrete, converged, noised_atoms
from .storage import Instant, load, save


def potential_steps(points, schedule: Schedule, t, *, seed: int = 0, copies: int = 1, device=None, **options) -> Iterator[State]:
    """The states of a solve whose fit `Potential.of` keeps; those of `SemiDiscrete.fit(generator=seeded(seed))` on a CPU.

    The noise of the atoms is drawn on the CPU whatever the device, so that a potential can be replayed anywhere; a GPU draws
    the samples of the solve itself. options: of `solve_steps`; checkpoint= survives a kill.
    """
    points, generator = training_points(points), seeded(seed)
    device = points.device if device is None else torch_device(device)
    atoms = noised_atoms(points, schedule, t, generator, copies).to(device)
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
    return solve_steps(atoms, generator=generator, **options)


@dataclass(frozen=True, eq=False)
class Potential:
    """Heights (N,) float32 of a solved map from N(0, I) to the noised points, without the points.

    points: SHA-256 of the training points (`archive.fingerprint`). at: their schedule at the time t of the atoms. copies: noises
    per point; seed: of all the noise. tolerance: asked of the solver; error: what it reached, on a fresh sample; seconds,
    samples: what that took, on `device`.
    """

    heights: torch.Tensor
    points: str
    at: Instant
    copies: int
    seed: int
    tolerance: float
    error: MassError
    seconds: float
    samples: int
    device: str

    @classmethod
    def of(cls, state: State, points, schedule: Schedule, t, *, seed: int = 0, copies: int = 1, device: str = "cpu"):
        """What to keep of the last state of `potential_steps`, called with the same arguments; device: a name for the record.

        Raises RuntimeError when the solve did not converge.
        """
        fit: Fit = converged(state.fit)
        return cls(
            fit.heights.float().cpu(), fingerprint(training_points(points)), Instant.of(schedule, t), count(copies, "copies"),
            seed, fit.tolerance, fit.error, state.seconds, fit.samples, device,
        )  # fmt: skip

    @property
    def t(self) -> float:
        """The time of the atoms, where sampling starts."""
        return self.at.t

    def replay(self, points, schedule: Schedule) -> SemiDiscrete:
        """The prior that was solved: atoms made again from the training points, and their heights.

        Raises ValueError for other points, another schedule, or heights that do not fit the atoms.
        """
        problem = self._problem(points, schedule)
        map, shape = BrenierMap(problem.points, self.heights), training_points(points).shape[1:]
        return SemiDiscrete(map, shape, self.seconds, schedule, self.t)

    def verify(self, points, schedule: Schedule, *, n: int, generator: torch.Generator) -> MassError:
        """The error of the cell masses on at least n fresh draws; see `semidiscrete.verify`, and `replay` for what is raised."""
        problem = self._problem(points, schedule)
        return verify(BrenierMap(problem.points, self.heights), problem.weights, n=n, generator=generator)

    def save(self, path) -> None:
        """Write to a safetensors file."""
        save(self, path)

    @classmethod
    def load(cls, path) -> "Potential":
        """What `save` wrote; ValueError for another file."""
        found = load(path)
        expect(isinstance(found, cls), "path", "a file written by Potential.save", f"a {type(found).__name__} in {path}")
        return found

    def _problem(self, points, schedule: Schedule) -> Problem:
        points, came = training_points(points), Instant.of(schedule, self.t)
        seen = fingerprint(points)
        shown = f"SHA-256 {seen[:12]}, shape {tuple(points.shape)}, {points.dtype}"
        expect(seen == self.points, "points", f"the points that the heights were solved for, SHA-256 {self.points[:12]}", shown)
        words = lambda known: f"{known.name} with alpha = {known.at[0]:.6g}, sigma = {known.at[1]:.6g} at t = {known.t:g}"
        expect(all(map(math.isclose, came.at, self.at.at)), "schedule", words(self.at), words(came))
        problem = pose(noised_atoms(points, schedule, self.t, seeded(self.seed), self.copies))
        fits = self.heights.shape == problem.weights.shape and bool(self.heights.isfinite().all())
        expect(fits, "heights", f"{len(problem.weights)} finite numbers, one for each atom", f"shape {tuple(self.heights.shape)}")
        return problem
