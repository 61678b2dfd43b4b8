"""One call for any points: check, choose a method, solve, and report on a fresh sample.

One and two dimensions have exact solvers; more need samples. Every solver minimises the convex function

    F(h) = E max_j (<z, y_j> + h_j) - sum_j b_j h_j,    dF/dh_j = w_j(h) - b_j,

whose gradient is the error of the cell masses: at the minimum each cell weighs what its atom should. `tolerance`
is that error's L1 norm, sum_j |w_j - b_j|. Chapter 7 teaches this module.
"""

import math
from dataclasses import dataclass, replace

import torch

from ..archive import fingerprint
from ..errors import count, expect, known, real_tensor, torch_device
from ..randomness import check_generator
from .ancestors import PRESETS, adam_steps, asgd_steps, entropic_steps
from .brenier import BrenierMap
from .evaluate import dual_cost, evaluate
from .exact import exact_fit, exact_steps
from .fit import Check, Fit
from .keeping import found, kept
from .newton import newton_steps
from .plan import check_size, iid_floor
from .problem import Problem, pose
from .sampling import Sampler
from .start import mean_field
from .state import State

METHODS = ("auto", "exact", "newton", "pyomt", "dpm-ot", "paper", "asgd", "entropic")


@dataclass(frozen=True, eq=False)
class Task:
    """A sampled problem: a Sampler of the centred atoms, weights (N,) float64, and the rules of the solve."""

    sampler: Sampler
    weights: torch.Tensor
    tolerance: float
    max_samples: int
    generator: torch.Generator

    @property
    def points(self) -> torch.Tensor:
        """The centred atoms (N, d) in the dtype of the scores."""
        return self.sampler.points


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
    checkpoint=None, every: float = 10.0, learning_rate: float | None = None, tau: float = 0.3,
):  # fmt: skip
    """Iterate over the states of a solve; the last one's `fit` is the result. Arguments are checked at once.

    points (n, d); weights (n,), default uniform. tolerance: L1 error of the cell masses. generator: of the
    samples; the exact methods draw none. method: "auto" is "exact" where the atoms lie on a line or in a plane,
    else "newton"; "pyomt", "dpm-ot", "paper", "asgd" and "entropic" are the ancestors (see `ancestors`). device:
    default that of points; "auto" takes a GPU if there is one. dtype: of the scores. max_samples: base draws after
    which the solver gives up, default 20 times the noise floor S = 2 N / (pi tolerance^2). warm_start: heights, one
    for each point. resume: a State of an interrupted solve of the same problem; the generator is set to its position.
    checkpoint: a file for the first state after every `every` seconds; when it exists the solve goes on from it,
    and on a CPU ends with the same bits as one that was never stopped. It stays until you remove it. learning_rate:
    of the Adam methods, absolute; tau: of "entropic", in units of `smooth.score_scale`.
    """
    check_generator(generator)
    known(method, METHODS, "method")
    finite = isinstance(tolerance, (int, float)) and 0 < tolerance < 2
    expect(finite, "tolerance", "a number in (0, 2), the range of sum |mass - weight|", tolerance)
    expect(dtype in (torch.float32, torch.float64), "dtype", "torch.float32 or torch.float64", dtype)
    max_samples = None if max_samples is None else count(max_samples, "max_samples")
    problem = pose(points, weights)
    if method == "auto":
        method = "exact" if problem.rank <= 2 else "newton"
    expect(method != "exact" or problem.rank <= 2, "method", "another than 'exact' for atoms that span more than a plane", method)
    start = _warm(problem, warm_start)
    device = problem.points.device if device is None else torch_device(device)
    settings = {}
    if checkpoint is not None:
        expect(resume is None, "resume", "None with a checkpoint: the file holds the state", "a State")
        settings = {"method": method, "tolerance": tolerance, "dtype": str(dtype), "device": device.type, "tau": tau}
        settings |= {"learning_rate": learning_rate, "seed": generator.initial_seed(), "problem": _identity(problem, start)}
        resume = found(checkpoint, settings)
    if resume is not None:
        _check_resume(problem, method, resume)
    keep = lambda states: kept(states, checkpoint, every, settings, resume.seconds if resume else 0.0)
    if method == "exact":
        return keep(_run_exact(problem, tolerance, start, resume))
    expect(learning_rate is None or learning_rate > 0, "learning_rate", "a positive number", learning_rate)
    expect(tau > 0, "tau", "a positive temperature", tau)
    task = _task(problem, tolerance, generator, device, dtype, max_samples, recycle=method == "newton")
    steps = {
        "newton": newton_steps,
        "asgd": asgd_steps,
        "entropic": lambda task, state: entropic_steps(task, state, tau),
    }.get(method, lambda task, state: adam_steps(task, state, PRESETS[method], learning_rate))
    return keep(_run(problem, task, method, steps, start, resume))


def _task(problem, tolerance, generator, device, dtype, max_samples, recycle: bool) -> Task:
    N = len(problem.weights)
    budget = math.ceil(20 * iid_floor(N, tolerance)) + 100 * N if max_samples is None else max_samples
    sampler = Sampler(problem.centred(dtype, device), None if recycle else 0)
    return Task(sampler, problem.weights.to(device), tolerance, budget, generator)


def _warm(problem: Problem, warm_start) -> torch.Tensor | None:
    """Heights (N,) of the merged atoms from those of the given points (n,) or of the merged ones."""
    if warm_start is None:
        return None
    heights, N, n = real_tensor(warm_start, "warm_start").to(problem.weights), len(problem.weights), len(problem.atom)
    expect(heights.shape in ((N,), (n,)), "warm_start", f"shape ({n},), a height for each point", f"shape {tuple(heights.shape)}")
    if len(heights) != N:
        merged = torch.full((N,), -math.inf, dtype=heights.dtype, device=heights.device)
        heights = merged.scatter_reduce(0, problem.atom, heights, "amax")
    return heights - heights.mean()


def _identity(problem: Problem, start) -> str:
    """A hash of what is solved and from where."""
    return fingerprint(problem.points, problem.weights, *([] if start is None else [start]))[:16]


def _check_resume(problem: Problem, method: str, resume: State) -> None:
    N = len(problem.weights)
    expect(isinstance(resume, State), "resume", "a State", type(resume).__name__)
    expect(resume.heights.shape == (N,), "resume", f"a state of {N} atoms", f"{len(resume.heights)} atoms")
    expect(resume.method == method, "resume", f"a state of method {method!r}", repr(resume.method))


def _run_exact(problem: Problem, tolerance: float, start, resume):
    state = resume or State(
        "exact", torch.zeros_like(problem.weights) if start is None else start, torch.empty(0, dtype=torch.uint8)
    )
    for state in exact_steps(problem, state, warm=start is not None or resume is not None):
        yield state
    yield replace(state, fit=exact_fit(problem, state, tolerance))


def _run(problem: Problem, task: Task, method: str, steps, start, resume):
    if resume is None:
        plain = torch.zeros_like(task.weights) if method in PRESETS else mean_field(task.points, task.weights)[0]
        heights = plain if start is None else start.to(task.weights)
        state = State(method, heights, task.generator.get_state())
    else:
        task.generator.set_state(resume.position)
        device = task.weights.device
        state = resume.evolve(heights=resume.heights.to(device), tensors={k: v.to(device) for k, v in resume.tensors.items()})
    for state in steps(task, state):
        yield state
    yield from _conclude(problem, task, state)


def _conclude(problem: Problem, task: Task, state: State):
    """The last state: the fit, evaluated on a fresh sample unless the last thing done was such a check."""
    checked = state.history and state.history[-1].error.interval[1] <= task.tolerance
    if not checked:
        heights = state.tensors.get("mean", state.heights) if state.numbers.get("averaging") else state.heights
        rows = state.numbers.get("rows", task.sampler.rows)
        blocks = max(8, round(check_size(len(task.weights), task.tolerance)[0] / rows))
        seen = evaluate(task.sampler, heights, task.weights, blocks, task.generator)
        samples = state.samples + seen.samples
        state = state.evolve(
            heights=heights, samples=samples, history=(*state.history, Check(state.step, samples, seen.error)),
            tensors={**state.tensors, "tops": seen.tops}, position=task.generator.get_state(),
        )  # fmt: skip
    yield state.evolve(fit=_fit(problem, task, state))


def _ended(task: Task, state: State) -> str:
    used = state.samples >= task.max_samples
    return f"max_samples = {task.max_samples} used" if used else f"{state.method!r} stopped by its own rule"


def _fit(problem: Problem, task: Task, state: State) -> Fit:
    error = state.history[-1].error
    converged = error.interval[1] <= task.tolerance
    reason = (
        f"L1 error {error.l1.value:.3g} (95 % below {error.interval[1]:.3g}) on {error.n} fresh rows, tolerance {task.tolerance:g}"
        if converged
        else f"{_ended(task, state)} with L1 error {error.l1.value:.3g} (95 % interval {error.interval[0]:.3g} "
        f"to {error.interval[1]:.3g}), tolerance {task.tolerance:g}"
    )
    heights = (state.heights - state.heights.mean()).to(problem.points)
    return Fit(
        BrenierMap(problem.points, heights), problem.weights, problem.atom, converged, reason, error,
        dual_cost(problem, state.heights, state.tensors["tops"].to(problem.weights)), state.step, state.samples,
        state.method, task.tolerance, state.history,
    )  # fmt: skip
