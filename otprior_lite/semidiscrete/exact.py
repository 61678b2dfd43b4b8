"""Atoms on a line or in a plane: the exact solvers behind the common Fit.

Atoms that span r <= 2 dimensions see only the projection of z on their span, which is N(0, I_r); the heights are
those of the r-dimensional problem, and the unseen directions add d - r to E|z|^2. No sample is drawn, so the
error is a number without noise.

    W2^2 = d + sum_j b_j |y_j|^2 + 2 sum_j b_j h_j - 2 E max_j (<z, y_j> + h_j).

Chapter 7 teaches this module.
"""

import numpy as np
import torch

from ..estimate import Estimate
from .brenier import BrenierMap
from .fit import Fit, MassError
from .line import line_heights
from .masses import coordinates, exact_masses
from .plane import newton_plane, plane_masses, plane_start
from .power import laguerre
from .problem import Problem
from .state import State


def exact_steps(problem: Problem, state: State, warm: bool):
    """Yield states with the exact heights; in the plane one state for each Newton step."""
    y, b = coordinates(problem.points, problem.centre, problem.frame), problem.weights.cpu().numpy()
    if y.shape[1] < 2:
        heights = line_heights(y[:, 0], b) if y.shape[1] and len(y) > 1 else np.zeros(len(y))
        yield state.evolve(heights=torch.from_numpy(heights), step=1)
        return
    start = state.heights.cpu().numpy()
    if not warm or plane_masses(laguerre(y, start)).min() < 1e-12:
        start = plane_start(y, b)
    for heights, _, _, fraction in newton_plane(y, b, start, state.numbers.get("fraction", 0.25)):
        if fraction:
            state = state.evolve(heights=torch.from_numpy(heights), step=state.step + 1, numbers={"fraction": fraction})
            yield state
    yield state.evolve(heights=torch.from_numpy(heights - heights.mean()))


def exact_fit(problem: Problem, state: State, tolerance: float) -> Fit:
    """The Fit of heights rounded to the dtype of the atoms: their exact error, not that of the float64 ones."""
    heights = state.heights.to(problem.points)
    masses, potential = exact_masses(problem.points, heights)
    b, atoms = problem.weights.cpu().numpy(), problem.points.double()
    gap = masses - b
    l1, chi2 = float(np.abs(gap).sum()), float((gap**2 / b).sum())
    error = MassError(Estimate(l1, 0.0, 0, 0.0), Estimate(chi2, 0.0, 0, 0.0), (l1, l1), 0, int((masses <= 0).sum()))
    second = float((problem.weights * atoms.square().sum(1)).sum())
    w2 = atoms.shape[1] + second + 2 * float(b @ heights.double().cpu().numpy()) - 2 * potential
    converged = l1 <= tolerance
    reason = f"exact L1 error {l1:.3g}, tolerance {tolerance:g}" + (
        "" if converged else f" is below the reach of {heights.dtype}"
    )
    return Fit(
        BrenierMap(problem.points, heights), problem.weights, problem.atom, converged, reason, error,
        Estimate(max(w2, 0.0), 0.0, 0, 0.0), state.step, 0, "exact", tolerance,
    )  # fmt: skip
