"""The error budget of a real sampler: prior, score, discretisation and map, each with its share.

In KL, for the reverse SDE with a score frozen between steps (Girsanov), and in W2, for K steps of DDIM (Gronwall): the
exact flow carries each step's local error Delta_k to the end,

    KL(p || q) <= KL(p_T || q_T) + 1/2 int g^2 E|score_t - s_k|^2 dt,    W2(p, q) <= Gamma_T W2(p_T, q_T) + sum_k Gamma_k RMS(Delta_k).

The second sum is over the law of the sampler itself, so it needs the Lipschitz constants of the exact flow only, none of
the network's. Expectations are sampled, with standard errors. Chapter 10 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import count, expect, known, point_cloud, real_tensor
from ..estimate import Estimate
from ..flow import flow_map
from ..forward import marginal
from ..gap import kl, prior_gap, synchronous_bound
from ..randomness import normal, seeded
from ..schedules import Schedule
from ..targets import Empirical
from .amplification import amplification


@dataclass(frozen=True)
class ErrorBudget:
    """An upper bound on KL(p || q) (kind "kl") or W2(p, q) (kind "w2") at the sampler's end, term by term.

    prior, map, score, discretisation: what each adds at the end, amplification included. In KL the score and
    discretisation terms combine to (sqrt(score) + sqrt(discretisation))^2; in W2 all terms add. total: the bound.
    assumptions_met: every ingredient is proved or sampled with an error; False when a constant is only estimated or infinite.
    """

    kind: str
    prior: float
    map: float
    score: Estimate
    discretisation: Estimate
    total: float
    assumptions: tuple[str, ...]
    assumptions_met: bool


def _grid(schedule: Schedule, T, t_end, steps, times) -> np.ndarray:
    T = schedule.T if T is None else float(T)
    expect(0 < T <= schedule.T, "T", f"a time in (0, {schedule.T:g}]", T)
    if times is not None:
        grid = real_tensor(times, "times").double().cpu().numpy()
        good = grid.ndim == 1 and len(grid) > 1 and bool((np.diff(grid) < 0).all())
        good = good and abs(grid[0] - T) < 1e-9 * (1 + T) and grid[-1] >= 0
        expect(good, "times", f"at least two decreasing times from T = {T:g}", times)
        return grid
    expect(0 <= float(t_end) < T, "t_end", f"a time in [0, {T:g})", t_end)
    return float(t_end) + (T - float(t_end)) * np.linspace(1, 0, count(steps, "steps") + 1) ** 2


def _summed(parts, weights) -> Estimate:
    """sum w E[v] from arrays of values, with the standard error of independent parts."""
    n = len(parts[0])
    value = sum(w * v.mean() for v, w in zip(parts, weights))
    return Estimate(float(value), 0.0, n, math.sqrt(sum((w * v.std()) ** 2 / n for v, w in zip(parts, weights))))


def girsanov_budget(
    denoiser, target, schedule: Schedule, T=None, *, t_end: float = 0.0, steps: int | None = None, times=None,
    freeze: str = "score", prior_kl: float | None = None, n: int = 1000, generator: torch.Generator | None = None,
) -> ErrorBudget:  # fmt: skip
    """Bound on KL(p_{t_end} || q_{t_end}) for the reverse SDE from T with the score of `denoiser(x, t) -> E[x_0 | x_t = x]`.

    With `steps` (quadratically spaced) or decreasing `times`, the score, or with freeze="denoiser" the denoised point (the
    sampler "ddpm"), is frozen on each step while the rest is solved exactly; without, time is continuous and discretisation is 0. prior_kl: KL(p_T || q_T); default the start
    N(0, s^2 I), by `gap.kl`. SNR must be positive at T, and sigma_{t_end} > 0 for points.
    Source: Song et al. 2021, theorem 1 (known, not re-read); the split by Minkowski's inequality.
    """
    frozen, scores = steps is not None or times is not None, known(freeze, ("score", "denoiser"), "freeze") == "score"
    grid = _grid(schedule, T, t_end, 24 if steps is None else steps, times)
    expect(float(schedule.alpha(grid[0])) > 0, "T", "a time with SNR > 0 (g^2 is not integrable otherwise)", grid[0])
    clean = isinstance(target, Empirical) and float(schedule.sigma(grid[-1])) == 0
    expect(not clean, "t_end", "a time with sigma > 0 (points have no score)", grid[-1])
    generator, law = generator or seeded(), target.to(torch.float64)
    score_parts, step_parts, weights = [], [], []
    knots, mass = np.polynomial.legendre.leggauss(3)
    for high, low in zip(grid[:-1], grid[1:]):
        for u, w in zip((high - low) / 2 * knots + (high + low) / 2, (high - low) / 2 * mass):
            weights.append(0.5 * w * float(schedule.diffusion_squared(u)))
            x = marginal(law, schedule, u).sample(count(n, at_least=2), generator)
            later, at = (_noised(schedule, x, u, high, generator), high) if frozen else (x, u)
            exact, now = _denoised(law, schedule, later, at), _denoised(law, schedule, x, u)
            learned, (a, s) = denoiser(later, at).to(x).detach(), _channel(schedule, at if scores else u)
            score_parts.append((a / s**2 * (exact - learned)).square().sum(1).cpu().numpy())
            if scores:
                exact, now = _score(exact, schedule, later, at), _score(now, schedule, x, u)
            moved = (1 if scores else a / s**2) * (now - exact) if frozen else torch.zeros_like(x)
            step_parts.append(moved.square().sum(1).cpu().numpy())
    score, step = _summed(score_parts, weights), _summed(step_parts, weights)
    start = kl(law, schedule, grid[0]).value if prior_kl is None else float(prior_kl)
    expect(start >= -1e-9, "prior_kl", "a non-negative number", start)
    total = max(0.0, start) + (math.sqrt(score.value) + math.sqrt(step.value)) ** 2
    begun = "law of the start: " + ("N(0, s^2 I)" if prior_kl is None else "given")
    assumptions = ("Novikov's condition: not checked", f"expectations over p_t: sampled, n = {n}", begun)
    return ErrorBudget("kl", max(0.0, start), 0.0, score, step, total, assumptions, math.isfinite(total))


def _noised(schedule: Schedule, x, t, later, generator):
    """x_later given x_t = x, by the forward process."""
    (a, s), (b, r) = (_channel(schedule, v) for v in (t, later))
    return b / a * x + math.sqrt(max(0.0, r**2 - (b / a * s) ** 2)) * normal(x.shape, generator, dtype=x.dtype, device=x.device)


def _channel(schedule: Schedule, t) -> tuple[float, float]:
    return float(schedule.alpha(t)), float(schedule.sigma(t))


def _denoised(law, schedule: Schedule, x, t) -> torch.Tensor:
    return law.posterior_mean(x, *_channel(schedule, t)).to(x)


def _score(x0, schedule: Schedule, x, t) -> torch.Tensor:
    alpha, sigma = _channel(schedule, t)
    return (alpha * x0 - x) / sigma**2


def gronwall_budget(
    denoiser, target, schedule: Schedule, T=None, *, t_end: float = 0.0, steps: int | None = None, times=None,
    start: torch.Tensor | None = None, prior_w2: float | None = None, map_w2: float = 0.0,
    n: int = 400, generator: torch.Generator | None = None,
) -> ErrorBudget:  # fmt: skip
    """Bound on W2(p_{t_end}, q) for DDIM from T with `denoiser(x, t) -> E[x_0 | x_t = x]`, on `steps` or `times`.

    start: draws (n, d) of the law that sampling starts from; prior_w2: a bound on W2(p_T, q_T), needed with `start`. Without,
    n draws of N(0, s^2 I), with the exact W2 in one dimension and the synchronous bound in more. map_w2: a bound on what a
    fitted map adds at T (smoothing, optimisation, quantisation). Each step is compared with the exact flow from the same
    point: learned minus exact denoiser is `score`, exact step minus flow is `discretisation`. Derived here.
    """
    expect(steps is not None or times is not None, "steps, times", "one of them", None)
    grid = _grid(schedule, T, t_end, steps, times)
    clean = isinstance(target, Empirical) and float(schedule.sigma(grid[-1])) == 0
    expect(not clean, "t_end", "a time with sigma > 0 (the flow of points needs noise)", grid[-1])
    expect(start is None or prior_w2 is not None, "prior_w2", "a bound on W2(p_T, q_T) for the given start", prior_w2)
    law, generator = target.to(torch.float64), generator or seeded()
    s = float(schedule.reference_std(grid[0]))
    x = (
        s * normal((count(n, at_least=2), law.d), generator, dtype=torch.float64)
        if start is None
        else point_cloud(start, "start", law.d).double()
    )
    if prior_w2 is None:
        prior_w2 = prior_gap(law, schedule, grid[0]).total.value if law.d == 1 else synchronous_bound(law, schedule, grid[0])
    for name, value in (("prior_w2", prior_w2), ("map_w2", map_w2)):
        expect(0 <= value < math.inf, name, "a finite distance", value)
    first = amplification("ode", law, schedule, grid[0], t=grid[-1])
    proved, terms = first.assumptions_met, {"score": [0.0, 0.0], "step": [0.0, 0.0]}
    for high, low in zip(grid[:-1], grid[1:]):
        onward = amplification("ode", law, schedule, low, t=grid[-1]) if low > grid[-1] else None
        factor = 1.0 if onward is None else onward.value
        exact = _ddim(_denoised(law, schedule, x, high), schedule, x, high, low)
        learned = _ddim(denoiser(x, high).to(x).detach(), schedule, x, high, low)
        for name, error in (("score", learned - exact), ("step", exact - flow_map(law, schedule, x, high, low))):
            rms, spread = _rms(error)
            if rms > 0:
                terms[name][0] += factor * rms
                terms[name][1] += (factor * spread) ** 2
        x = learned
    score, step = (Estimate(value, 0.0, len(x), math.sqrt(square)) for value, square in terms.values())
    prior, mapped = (first.value * float(w2) if w2 > 0 else 0.0 for w2 in (prior_w2, map_w2))
    total = prior + mapped + score.value + step.value
    sampled = f"local errors over the sampler's own law: sampled, n = {len(x)}"
    begun = "prior_w2 and map_w2 bound the start: " + ("exact or proved" if start is None else "given")
    assumptions = (*first.assumptions[1:], sampled, begun)
    return ErrorBudget("w2", prior, mapped, score, step, total, assumptions, proved and math.isfinite(total))


def _ddim(x0, schedule: Schedule, x, high, low):
    """One step of DDIM; at low = 0 with sigma = 0 it returns x0."""
    (a, s), (b, r) = (_channel(schedule, v) for v in (high, low))
    return b * x0 + r / s * (x - a * x0)


def _rms(error: torch.Tensor) -> tuple[float, float]:
    """Root mean square length of the rows, and its standard error."""
    square = error.square().sum(1)
    rms = float(square.mean().sqrt())
    return rms, float(square.std()) / math.sqrt(len(square)) / (2 * rms) if rms > 0 else 0.0
