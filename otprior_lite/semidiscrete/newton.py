"""The engine for d > 2: a stochastic Newton method that knows how good its start is.

A start whose masses are off by chi2 is worth n0 = N / chi2 samples: so many draws would have estimated it. Treat
it as such, and let every new block of counts move the heights by its share of all samples seen so far, in units
of the mean-field Newton diagonal D. Nothing is averaged and no rate is tuned. If the start is bad or the error
does not fall as it should, steps of size t^{-1/2} with averaging take over until it does.

    h_j <- h_j - D_j (freq_j - b_j) n / (n0 + n_total),   D_j = |y_j| / phi(q_j).

Chapter 7 teaches this module.
"""

import torch

from .evaluate import evaluate
from .fit import Check
from .plan import check_size
from .sampling import BASE, draw_counts, rows_per_block
from .start import mean_field
from .state import State

BAD = 3.0  # a pilot chi2 above this means: the start tells nothing
CAP = 0.5  # largest fraction of a Newton step


def newton_steps(task, state: State):
    """Yield states until a check passes or samples run out. `task` is a `solve.Task`, `state` a State."""
    N = len(task.weights)
    _, scale = mean_field(task.points, task.weights)
    check_rows, aim = check_size(N, task.tolerance)
    if not state.numbers:
        state = _anchor(task, state, max(4, int(4 * N / _gain(task.shifts) / BASE) + 1), scale)
        yield state
    while True:
        numbers = state.numbers
        if numbers["seen"] + numbers["prior"] >= numbers["goal"]:
            blocks = max(4, round(check_rows / numbers["rows"]))
            state = _check(task, state, blocks, aim, scale)
            yield state
            if state.history[-1].error.interval[1] <= task.tolerance:
                return
            continue
        if state.samples >= task.max_samples:
            return
        state = (_averaged_step if numbers["averaging"] else _step)(task, state, scale)
        yield state


def _gain(shifts: int) -> float:
    """Rough effective rows per base draw, before the pilot has measured it."""
    return (1 + 2 * shifts) ** 0.6


def _anchor(task, state: State, blocks: int, scale) -> State:
    """Measure the start, decide how many samples it is worth, and use the same counts as a first step."""
    N, tolerance = len(task.weights), task.tolerance
    seen = evaluate(task.points, state.heights.to(task.points), task.weights, blocks, task.shifts, task.generator)
    chi2 = max(seen.error.chi2.value + seen.error.chi2.error, 1e-12)
    rows = (N - 1) / max(seen.error.chi2.floor, 1e-12) / (seen.samples / BASE)  # effective rows of a block
    rows = min(max(rows, BASE / 2), rows_per_block(task.shifts))
    aim = check_size(N, tolerance)[1]
    numbers = {"rows": rows, "prior": N / chi2, "seen": 0.0, "goal": 2 / torch.pi * N / aim**2, "averaging": float(chi2 > BAD)}
    state = state.evolve(samples=state.samples + seen.samples, numbers=numbers, position=task.generator.get_state())
    return _move(task, state, seen.counts, rows * seen.samples / BASE, scale)


def _move(task, state: State, counts, n: float, scale) -> State:
    """One anchored step with counts (N,) worth n samples."""
    numbers = dict(state.numbers)
    rate = min(CAP, n / (numbers["prior"] + numbers["seen"] + n))
    heights = state.heights - rate * scale * (counts / counts.sum() - task.weights)
    numbers["seen"] += n
    return state.evolve(heights=heights - heights.mean(), numbers=numbers)


def _step(task, state: State, scale) -> State:
    """Draw about one per cent of the samples seen so far, at least one block, and move."""
    numbers = state.numbers
    blocks = max(1, int(0.01 * numbers["seen"] / numbers["rows"]))
    counts, _ = draw_counts(task.points, state.heights.to(task.points), blocks, task.shifts, task.generator)
    state = _move(task, state, counts, blocks * numbers["rows"], scale)
    return state.evolve(step=state.step + 1, samples=state.samples + blocks * BASE, position=task.generator.get_state())


def _check(task, state: State, blocks: int, aim: float, scale) -> State:
    """Evaluate on a fresh sample; if it fails, use its counts as a step and set the next goal."""
    seen = evaluate(task.points, state.heights.to(task.points), task.weights, blocks, task.shifts, task.generator)
    samples = state.samples + seen.samples
    history = (*state.history, Check(state.step, samples, seen.error))
    state = state.evolve(samples=samples, history=history, position=task.generator.get_state(), tensors=dict(state.tensors, tops=seen.tops))
    if seen.error.interval[1] <= task.tolerance:
        return state
    numbers = dict(state.numbers)
    total = numbers["prior"] + numbers["seen"]
    factor = max(1.15, min(4.0, (seen.error.l1.value / aim) ** 2))
    state = state.evolve(numbers=dict(numbers, goal=total * factor))
    return _move(task, state, seen.counts, seen.samples / BASE * numbers["rows"], scale)


def _averaged_step(task, state: State, scale) -> State:
    return _step(task, state, scale)
