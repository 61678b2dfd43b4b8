"""One call for any points: check, choose a method, solve, and report on a fresh sample.

d = 1 and d = 2 have exact solvers; more dimensions need samples. The solver minimises the convex function

    F(h) = E max_j (<z, y_j> + h_j) - sum_j b_j h_j,    dF/dh_j = w_j(h) - b_j,

whose gradient is the error of the cell masses: at the minimum each cell weighs what its atom should. `tolerance`
is that error's L1 norm, sum_j |w_j - b_j|. Chapter 7 teaches this module.
"""

from dataclasses import dataclass, replace

import torch

from ..errors import count, expect, known, real_tensor
from ..randomness import check_generator
from .brenier import BrenierMap
from .evaluate import dual_cost
from .fit import Fit
from .newton import newton_steps
from .plan import iid_floor
from .problem import Problem, pose
from .sampling import default_recycling
from .start import mean_field
from .state import State

METHODS = ("auto", "newton")


@dataclass(frozen=True, eq=False)
class Task:
    """A sampled problem: centred points (N, d) in the scores' dtype, weights (N,) float64, and the rules."""

    points: torch.Tensor
    weights: torch.Tensor
    tolerance: float
    max_samples: int
    shifts: int
    generator: torch.Generator


def solve(points, weights=None, *, strict: bool = False, **options) -> Fit:
    """The optimal map from N(0, I) to weighted points (n, d): a `Fit`. Options: see `solve_steps`.

    strict: raise RuntimeError if the solve does not converge.
    """
    for state in solve_steps(points, weights, **options):
        pass
    if strict and not state.fit.converged:
        raise RuntimeError(f"solve: {state.fit.reason}")
    return state.fit


def solve_steps(
    points, weights=None, *, tolerance: float = 0.05, generator: torch.Generator, method: str = "auto", device=None,
    dtype: torch.dtype = torch.float32, max_samples: int | None = None, warm_start=None, resume: State | None = None,
):  # fmt: skip
    """Yield the states of a solve; the last one's `fit` is the result. Arguments are checked before the first.

    points (n, d); weights (n,), default uniform. tolerance: L1 error of the cell masses. generator: of the
    samples. device: default that of points; "auto" takes a GPU if there is one. dtype: of the scores. max_samples:
    base draws after which the solver gives up, default 20 times the noise floor S = 2 N / (pi tolerance^2).
    warm_start: heights (n,) or (N,). resume: a State of an interrupted solve of the same problem.
    """
    check_generator(generator)
    known(method, METHODS, "method")
    expect(tolerance > 0, "tolerance", "a positive number", tolerance)
    problem = pose(points, weights)
    device = _device(device, problem.points)
    N = len(problem.weights)
    budget = int(20 * iid_floor(N, tolerance)) + 100 * N if max_samples is None else count(max_samples, "max_samples")
    atoms = problem.centred(dtype, device)
    task = Task(atoms, problem.weights.to(device), tolerance, budget, default_recycling(atoms.shape[1]), generator)
    return _run(problem, task, _first_state(problem, task, warm_start, resume))


def _device(device, points: torch.Tensor) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return points.device if device is None else torch.device(device)


def _first_state(problem: Problem, task: Task, warm_start, resume) -> State:
    N = len(task.weights)
    if resume is not None:
        expect(resume.heights.shape == (N,), "resume", f"the state of a problem of {N} atoms", f"{len(resume.heights)} atoms")
        task.generator.set_state(resume.position)
        return resume
    if warm_start is None:
        heights = mean_field(task.points, task.weights)[0]
    else:
        heights = real_tensor(warm_start, "warm_start").to(task.weights)
        expect(heights.shape in ((N,), problem.atom.shape), "warm_start", f"shape ({N},)", f"shape {tuple(heights.shape)}")
        if len(heights) != N:
            heights = heights.new_zeros(N).index_copy(0, problem.atom.to(heights.device), heights)
    return State("newton", heights - heights.mean(), task.generator.get_state())


def _run(problem: Problem, task: Task, state: State):
    for state in newton_steps(task, state):
        yield state
    yield replace(state, fit=_fit(problem, task, state))


def _fit(problem: Problem, task: Task, state: State) -> Fit:
    last = state.history[-1].error
    converged = last.interval[1] <= task.tolerance
    reason = "the error of a fresh sample is below the tolerance" if converged else "max_samples reached"
    heights = state.heights.to(problem.points)
    return Fit(
        BrenierMap(problem.points, heights), problem.weights, problem.atom, converged, reason, last,
        dual_cost(problem, heights.double(), state.tensors["tops"].to(problem.points.device)), state.step, state.samples,
        state.method, task.tolerance, state.history,
    )  # fmt: skip
