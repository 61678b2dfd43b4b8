"""The methods this engine descends from, kept to be compared with.

All of them draw M points, count the cells they hit, and step against the error g = w_hat - b; they differ in the
step, in when M grows, and in when they stop. Adam divides by a running size of g, so its steps ignore the scale of
the problem; a small |g| on the points the heights were fitted to says little about fresh ones.

    m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,   h <- h - rate m / (sqrt v + 1e-8).

"pyomt" fits one fixed sample, "dpm-ot" and "paper" draw a fresh one each step; "asgd" averages t^{-1/2} steps;
"entropic" replaces the argmax by a softmax. Written from the published descriptions, with N(0, I) as the source for
all. Chapter 7 teaches this module.
"""

import math
from dataclasses import dataclass

import torch

from ..randomness import normal
from .averaging import begin_averaging
from .newton import newton_steps
from .plan import iid_floor
from .scores import block_rows
from .smooth import score_scale
from .start import mean_field
from .state import State


@dataclass(frozen=True)
class Adam:
    """What tells the Adam methods apart. rate: in units of the score scale; draws: M / N at first; patience: steps
    without progress before M doubles; doublings: at most that many, then stop; decay: of the rate at each;
    stop: |g|_2 that ends the solve; common: one fixed sample; energy: progress is measured by F, not |g|."""

    beta1: float = 0.9
    beta2: float = 0.999
    rate: float = 0.03
    draws: int = 10
    patience: int = 50
    doublings: int = 3
    decay: float = 1.0
    stop: float = 8e-4
    common: bool = False
    energy: bool = False


PRESETS = {
    "pyomt": Adam(patience=30, doublings=8, stop=2e-3, common=True),
    "dpm-ot": Adam(decay=0.8),
    "paper": Adam(beta2=0.5, patience=30, doublings=5, energy=True),
}


def adam_steps(task, state: State, preset: Adam, learning_rate: float | None):
    """Yield a state after each step; numbers hold norm = |g|, energy = F and draws = M of the step.

    The heights of the last state are the best seen by the method's own measure, as in the original.
    """
    N = len(task.weights)
    if not state.numbers:
        rate = preset.rate * score_scale(task.points) if learning_rate is None else learning_rate
        numbers = {"rate": float(rate), "draws": float(preset.draws * N), "bad": 0.0, "doublings": 0.0, "best": math.inf}
        zero = torch.zeros_like(state.heights)
        state = state.evolve(numbers=numbers, tensors={"m": zero, "v": zero, "best": state.heights})
    while state.samples < task.max_samples and state.numbers["doublings"] <= preset.doublings:
        position = state.position
        state = _adam_step(task, state, preset)
        if preset.common and state.numbers["bad"] < preset.patience:
            state = state.evolve(position=position)
            task.generator.set_state(position)
        yield state
        if state.numbers["norm"] < preset.stop and not state.numbers["empty"]:
            break
    yield state.evolve(heights=state.tensors["best"])


def _adam_step(task, state: State, preset: Adam) -> State:
    numbers, blocks = dict(state.numbers), math.ceil(state.numbers["draws"] / task.sampler.base)
    counts, tops = task.sampler.counts(state.heights, blocks, task.generator)
    g = counts / counts.sum() - task.weights
    numbers |= {"norm": float(g.norm()), "empty": float((counts == 0).sum())}
    numbers["energy"] = float(tops.mean() - task.weights @ state.heights)
    measure = numbers["energy"] if preset.energy else numbers["norm"]
    better = measure < numbers["best"]
    numbers["best"], numbers["bad"] = min(measure, numbers["best"]), 0.0 if better else numbers["bad"] + 1
    m = preset.beta1 * state.tensors["m"] + (1 - preset.beta1) * g
    v = preset.beta2 * state.tensors["v"] + (1 - preset.beta2) * g.square()
    heights = state.heights - numbers["rate"] * m / (v.sqrt() + 1e-8)
    tensors = {"m": m, "v": v, "best": state.heights if better else state.tensors["best"]}
    if numbers["bad"] > preset.patience:
        numbers |= {"draws": 2 * numbers["draws"], "bad": 0.0, "best": math.inf, "rate": preset.decay * numbers["rate"]}
        numbers["doublings"] += 1
    return state.evolve(
        heights=heights - heights.mean(), numbers=numbers, tensors=tensors, step=state.step + 1,
        samples=state.samples + blocks * task.sampler.base, position=task.generator.get_state(),
    )  # fmt: skip


def asgd_steps(task, state: State):
    """The engine's fallback alone: averaged t^{-1/2} steps from the start to a passed check."""
    if not state.numbers:
        state = begin_averaging(task, state.evolve(numbers={"rows": float(task.sampler.base), "averaging": 2.0}))
    yield from newton_steps(task, state)


def entropic_steps(task, state: State, tau: float):
    """Averaged t^{-1/2} steps on F_tau, whose gradient is the mean softmax share less b, for 4 S draws.

    tau: in units of the score scale. The result's heights give soft cells of the right mass; its hard cells, which
    the Fit measures, are biased by tau.
    """
    N, absolute = len(task.weights), tau * score_scale(task.points)
    scale = mean_field(task.points, task.weights)[1]
    draws = min(task.max_samples, math.ceil(4 * iid_floor(N, task.tolerance)))
    if not state.tensors:
        state = state.evolve(tensors={"heights": state.heights})
    per_step = max(64, N // 4)
    while state.samples < draws:
        shares = _mean_shares(task, state.tensors["heights"], per_step, absolute)
        t = state.step + 1
        rate = 0.5 * min(1.0, per_step / N) / math.sqrt(1 + t * per_step / (4 * N))
        path = state.tensors["heights"] - rate * scale * (shares - task.weights)
        mean = state.heights + 4 / (t + 3) * (path - path.mean() - state.heights)
        state = state.evolve(
            heights=mean, tensors={"heights": path - path.mean()}, step=t, samples=state.samples + per_step,
            position=task.generator.get_state(),
        )  # fmt: skip
        yield state


def _mean_shares(task, heights, rows: int, tau: float) -> torch.Tensor:
    """Mean softmax share (N,) of each atom over `rows` draws."""
    total, points = torch.zeros_like(task.weights), task.points
    x = normal((rows, points.shape[1]), task.generator, dtype=points.dtype, device=points.device)
    for part in x.split(block_rows(len(points), points.device)):
        total += torch.softmax(torch.addmm(heights.to(points), part, points.T) / tau, 1).double().sum(0)
    return total / rows
