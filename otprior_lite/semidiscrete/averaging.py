"""The fallback: averaged stochastic gradient descent with steps of size t^{-1/2}.

Steps of size 1/t forget nothing and so cannot leave a bad start; steps of size t^{-1/2} can walk any distance,
and the average of their path has the variance of the best 1/t scheme (Polyak and Juditsky 1992). The gain of
the steps adapts: successive errors that point the same way ask for longer steps, opposite ways for shorter ones.

    h_{t+1} = h_t - g r_t D (freq_t - b),  r_t = r_0 (1 + n_t / 4N)^{-1/2},  mean_t = mean_{t-1} + 4/(t + 3) (h_t - mean_{t-1}).

Chapter 7 teaches this module.
"""

import math

from .state import State

LIMIT = 16.0  # largest relative excess of a cell that one step believes
DECAY = 3.0  # the average weighs step t like t^DECAY


def begin_averaging(task, state: State) -> State:
    """Start the fallback at the state's heights; the first check comes after 8 N effective rows."""
    numbers = {"rows": state.numbers["rows"], "averaging": max(1.0, state.numbers["averaging"])}
    numbers |= {"prior": 0.0, "seen": 0.0, "goal": 8.0 * len(task.weights), "gain": 1.0, "count": 0.0}
    tensors = {**state.tensors, "heights": state.heights, "mean": state.heights, "last": state.heights * 0}
    return state.evolve(numbers=numbers, tensors=tensors)


def average_step(task, state: State, scale) -> State:
    """One step on about N / 4 effective rows."""
    N, numbers = len(task.weights), dict(state.numbers)
    blocks = max(1, math.ceil(N / 4 / numbers["rows"]))
    counts, _ = task.sampler.counts(state.heights, blocks, task.generator)
    excess = ((counts / counts.sum() - task.weights) / task.weights).clamp_max(LIMIT)
    numbers["gain"] *= _advice(excess, state.tensors["last"], task.weights)
    numbers["gain"] = min(max(numbers["gain"], 1e-3), 1e3)
    rows = blocks * numbers["rows"]
    rate = min(0.5, 0.5 * rows / N) / math.sqrt(1 + numbers["seen"] / (4 * N))
    gap = task.weights * excess
    heights = state.heights - min(1.0, numbers["gain"] * rate) * _even(scale, task.weights) * gap
    heights = heights - heights.mean()
    numbers["seen"] += rows
    numbers["count"] += 1
    mean = state.tensors["mean"]
    mean = mean + (1 + DECAY) / (numbers["count"] + DECAY) * (heights - mean)
    return state.evolve(
        heights=heights, numbers=numbers, tensors={**state.tensors, "heights": heights, "mean": mean, "last": excess},
        step=state.step + 1, samples=state.samples + blocks * task.sampler.base, position=task.generator.get_state(),
    )  # fmt: skip


def _even(scale, weights):
    """The step sizes with |y_j| within a factor of two of its median: atoms that win nothing rise together."""
    radius = scale * weights
    middle = float(radius.median())
    return radius.clamp(middle / 2, middle * 2) / weights


def _advice(excess, last, weights) -> float:
    """Longer steps if the errors of two steps agree, shorter if they oppose each other."""
    product = float((weights * excess * last).sum())
    size = math.sqrt(float((weights * excess.square()).sum()) * float((weights * last.square()).sum()))
    cosine = product / size if size > 0 else 0.0
    return 1.1 if cosine > 0.1 else 0.7 if cosine < -0.3 else 1.0
