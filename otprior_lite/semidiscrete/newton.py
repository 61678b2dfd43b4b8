"""The engine for d > 2: a stochastic Newton method that knows how good its start is.

A start whose masses are off by chi2 is worth n0 = N / chi2 samples: so many draws would have estimated it. Treat
it as such, and let every new block of counts move the heights by its share of all samples seen so far, in units
of the mean-field Newton diagonal D. Nothing is averaged and no rate is tuned. Where the start is bad, or the
error does not fall as it should, `averaging` takes over.

    h_j <- h_j - D_j (freq_j - b_j) n / (n0 + n_total),   D_j = |y_j| / phi(q_j).

Chapter 7 teaches this module.
"""

import math

from .averaging import average_step, begin_averaging
from .evaluate import Evaluation, evaluate
from .fit import Check
from .plan import check_size
from .start import gaussian, mean_field
from .state import State

BAD = 2.0  # a chi2 above this says: the start tells nothing
STALLED = 4.0  # an error that many times above the model's says: 1/t steps are too short
EXCESS = 1.15  # chi2 of n anchored samples over N / n, as measured: the mean field is not the Hessian
CAP = 0.5  # largest fraction of a Newton step


def newton_steps(task, state: State):
    """Yield states until a check on a fresh sample passes or `task.max_samples` base draws are used.

    numbers: rows, effective rows of a block; prior, n0; seen, effective rows since; goal, rows at the next check;
    averaging, 0 for anchored steps, 1 for averaged ones until the start is good, 2 to the end.
    """
    _, scale = mean_field(task.points, task.weights)
    if not state.numbers:
        state = _pilot(task, state, scale)
        yield state
    while state.samples < task.max_samples:
        numbers = state.numbers
        if numbers["prior"] + numbers["seen"] >= numbers["goal"]:
            state = _check(task, state, scale)
            yield state
            if state.history[-1].error.interval[1] <= task.tolerance:
                return
        else:
            state = (average_step if numbers["averaging"] else _step)(task, state, scale)
            yield state


def _pilot(task, state: State, scale) -> State:
    """Measure the start on 4 N rows, other starts too if it is bad, and decide how to go on from the best."""
    blocks = max(8, round(4 * len(task.weights) / task.sampler.rows * (1 + 0.5 * task.sampler.shifts)))
    seen = evaluate(task.sampler, state.heights, task.weights, blocks, task.generator)
    for candidate in (lambda points, weights: mean_field(points, weights)[0], gaussian):
        if seen.error.chi2.value > BAD:
            start = candidate(task.points, task.weights)
            other = evaluate(task.sampler, start, task.weights, blocks, task.generator)
            state = state.evolve(samples=state.samples + other.samples)
            if other.error.chi2.value < BAD:
                state, seen = state.evolve(heights=start), other
    blocks = seen.samples / task.sampler.base
    rows = (len(task.weights) - 1) / max(seen.error.chi2.floor, 1e-12) / blocks
    rows = min(max(rows, 0.5 * task.sampler.base), float(task.sampler.rows))
    state = state.evolve(samples=state.samples + seen.samples, position=task.generator.get_state())
    return _go_on(task, state.evolve(numbers={"rows": rows, "averaging": 0.0}), seen, scale)


def _go_on(task, state: State, seen: Evaluation, scale) -> State:
    """Anchor at heights whose error was just measured, or begin averaging if they are too bad."""
    N, aim = len(task.weights), check_size(len(task.weights), task.tolerance)[1]
    chi2 = max(seen.error.chi2.value, seen.error.chi2.error, 1e-9)
    goal = EXCESS * 2 / math.pi * N / aim**2
    if chi2 > BAD:
        return begin_averaging(task, state)
    numbers = {**state.numbers, "averaging": 0.0, "prior": N / chi2, "seen": 0.0, "goal": goal}
    rows = seen.samples / task.sampler.base * numbers["rows"]
    return _move(task, state.evolve(numbers=numbers), seen.counts, rows, scale)


def _move(task, state: State, counts, rows: float, scale) -> State:
    """One anchored step with counts (N,) worth `rows` independent samples."""
    numbers = {**state.numbers, "seen": state.numbers["seen"] + rows}
    rate = min(CAP, rows / (numbers["prior"] + numbers["seen"]))
    heights = state.heights - rate * scale * (counts / counts.sum() - task.weights)
    return state.evolve(heights=heights - heights.mean(), numbers=numbers)


def _step(task, state: State, scale) -> State:
    """Draw about one per cent of the samples seen so far, at least one block, and move."""
    rows = state.numbers["rows"]
    blocks = max(1, int(0.01 * state.numbers["seen"] / rows))
    counts, _ = task.sampler.counts(state.heights, blocks, task.generator)
    state = _move(task, state, counts, blocks * rows, scale)
    samples = state.samples + blocks * task.sampler.base
    return state.evolve(step=state.step + 1, samples=samples, position=task.generator.get_state())


def _check(task, state: State, scale) -> State:
    """Evaluate on a fresh sample; if it fails, decide how to go on."""
    mode = state.numbers["averaging"]
    if mode:
        state = state.evolve(heights=state.tensors["mean"])
    state, seen = _look(task, state, careful=mode == 0)
    if seen.error.interval[1] <= task.tolerance:
        return state
    return (_after_averaging if mode else _after_anchored)(task, state, seen, scale)


def _look(task, state: State, careful: bool) -> tuple[State, Evaluation]:
    """A check of full size; unless `careful`, smaller ones first, which are enough to see a large error."""
    N, rows, full = len(task.weights), state.numbers["rows"], check_size(len(task.weights), task.tolerance)[0]
    small = [] if careful else [4 * N * 8**k for k in range(8) if 32 * N * 8**k < full]
    sizes = (*small, full)
    for size in sizes:
        seen = evaluate(task.sampler, state.heights, task.weights, max(8, round(size / rows)), task.generator)
        state = state.evolve(samples=state.samples + seen.samples)
        if seen.error.interval[0] > task.tolerance:
            break
    state = state.evolve(
        position=task.generator.get_state(), tensors={**state.tensors, "tops": seen.tops},
        history=(*state.history, Check(state.step, state.samples, seen.error)),
    )  # fmt: skip
    return state, seen


def _after_anchored(task, state: State, seen: Evaluation, scale) -> State:
    """The counts of the check become a step; if the error is far above the model's, change the method."""
    N, numbers = len(task.weights), state.numbers
    total = numbers["prior"] + numbers["seen"]
    if seen.error.chi2.value > STALLED * N / total:
        return begin_averaging(task, state.evolve(numbers={**numbers, "averaging": 2.0}))
    factor = min(4.0, max(1.15, (seen.error.l1.value / check_size(N, task.tolerance)[1]) ** 2))
    state = state.evolve(numbers={**numbers, "goal": total * factor})
    return _move(task, state, seen.counts, seen.samples / task.sampler.base * numbers["rows"], scale)


def _after_averaging(task, state: State, seen: Evaluation, scale) -> State:
    """Back to anchored steps when a bad start has become a good one; else on, from where the path is."""
    numbers = state.numbers
    if numbers["averaging"] == 1 and seen.error.chi2.value + 2 * seen.error.chi2.error < BAD / 2:
        return _go_on(task, state, seen, scale)
    return state.evolve(numbers={**numbers, "goal": 1.5 * numbers["seen"]}, heights=state.tensors["heights"])
