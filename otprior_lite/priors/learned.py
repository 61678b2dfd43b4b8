"""A learned start: a normalising flow fitted to p_t by maximum likelihood, the truncated-diffusion rival.

Every step noises training points anew, so the flow sees fresh samples of p_t and never the same one twice; what it
cannot see is more training points. It begins as the moment-matched Gaussian and learns what that leaves out,

    x = m_t + Sigma_t^{1/2} f^{-1}(z),    maximise E log q(x) over x = alpha x_I + sigma eps.

Sources: Zheng et al. 2022 (truncated diffusion), Franzese et al. 2023 (auxiliary density). Chapter 8 teaches this module.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..errors import count, expect
from ..forward import noise
from ..randomness import categorical, check_generator, normal
from ..schedules import Schedule
from .flow import Flow
from .gaussian import MomentMatched
from .prior import Cost, Prior, training_points

FULL = 256  # whiten with the full covariance up to this many dimensions, with the variances beyond
SPLINES = 16  # splines up to this many dimensions, affine layers beyond


@dataclass(frozen=True, eq=False)
class Progress:
    """A moment of the training. gain: log-likelihood over the moment-matched Gaussian on this step's batch, nats per sample."""

    step: int
    steps: int
    gain: float
    flow: Flow
    base: MomentMatched


@dataclass(frozen=True, eq=False)
class Learned(Prior):
    """base(f^{-1}(z)), z ~ N(0, I): a moment-matched Gaussian bent by a flow.

    base: a full or diagonal MomentMatched. flow: a trained Flow of its dimension. gain: mean log-likelihood over that
    of `base` on fresh samples of p_t, in nats per sample, with its standard error.
    """

    base: MomentMatched
    flow: Flow
    gain: float = math.nan
    gain_error: float = math.nan
    solve_seconds: float = 0.0
    name = "learned"

    @property
    def cost(self) -> Cost:
        weights = [part for part in self.flow.parameters()]
        start = self.base.cost
        kept = start.memory_bytes + sum(part.nbytes for part in weights)
        return Cost(self.solve_seconds, start.sample_flops + 2 * sum(part.numel() for part in weights), kept)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, steps: int = 500, strict: bool = True, **options
    ) -> "Learned":
        """Train for `steps` steps; options go to `learn`.

        RuntimeError if the result fits fresh samples of p_t worse than the moment-matched Gaussian it began as, unless
        strict is False.
        """
        start = time.perf_counter()
        for state in learn(points, schedule, t, generator=generator, steps=steps, **options):
            pass
        points = training_points(points)
        x = _whitened(_fresh(points, schedule, t, 4096, generator), state.base)
        with torch.no_grad():
            gains = torch.cat([_gain(state.flow, part) for part in x.split(512)]).double()
        gain, error = float(gains.mean()), float(gains.std()) / math.sqrt(len(gains))
        if strict and not gain > -2 * error:
            reason = f"gain {gain:.3g} +- {error:.2g} nats over the moment-matched Gaussian after {steps} steps"
            raise RuntimeError(f"the flow did not learn: {reason} (strict=False accepts it)")
        return cls(state.base, state.flow.eval(), gain, error, time.perf_counter() - start)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        mean, root = self.base.mean, self.base._root
        z = normal((count(n), mean.numel()), generator, dtype=mean.dtype, device=mean.device)
        u = torch.cat([self.flow(part) for part in z.split(2**12)])
        return mean + (u @ root if root.ndim == 2 else u * root).reshape(n, *mean.shape)


def learn(
    points, schedule: Schedule, t, *, generator: torch.Generator, steps: int = 500, batch: int = 512,
    learning_rate: float = 3e-3, kind: str | None = None, transforms: int = 4, hidden: tuple[int, ...] = (64, 64),
) -> Iterator[Progress]:  # fmt: skip
    """Train a flow on fresh samples of p_t and yield a `Progress` after each step.

    Adam with a rate that falls to zero along a cosine. kind, transforms, hidden: of the `Flow`; kind defaults to
    "spline" up to 16 dimensions and "affine" beyond. RuntimeError if the likelihood is no longer finite.
    """
    points = training_points(points)
    expect(float(schedule.sigma(t)) > 0, "t", "a time with sigma > 0, where p_t has a density", t)
    d = points[0].numel()
    base = MomentMatched.fit(points, schedule, t, form="full" if d <= FULL else "diagonal")
    flow = Flow(d, kind or ("spline" if d <= SPLINES else "affine"), transforms, hidden, generator=check_generator(generator))
    flow.to(points)
    optimiser = torch.optim.Adam(flow.parameters(), learning_rate)
    for step in range(1, count(steps, "steps") + 1):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        gain = _gain(flow, _whitened(_fresh(points, schedule, t, count(batch, "batch"), generator), base)).mean()
        if not bool(gain.isfinite()):
            raise RuntimeError(f"the likelihood of step {step} is not finite: lower learning_rate = {learning_rate:g}")
        optimiser.zero_grad()
        (-gain).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
        yield Progress(step, steps, float(gain.detach()), flow, base)


def _fresh(points, schedule, t, n: int, generator) -> torch.Tensor:
    chosen = points[categorical(torch.ones(len(points), device=points.device), n, generator)]
    return noise(chosen, schedule, t, generator)


def _whitened(x: torch.Tensor, base: MomentMatched) -> torch.Tensor:
    """The u (n, d) with x = mean + u root."""
    u, root = (x - base.mean).flatten(1), base._root
    return torch.linalg.solve(root, u, left=False) if root.ndim == 2 else u / root


def _gain(flow: Flow, u: torch.Tensor) -> torch.Tensor:
    """log q(u) - log N(u; 0, I), shape (n,): the Jacobian of the whitening cancels."""
    return flow.log_prob(u) + 0.5 * u.square().sum(1) + 0.5 * u.shape[1] * math.log(2 * math.pi)
