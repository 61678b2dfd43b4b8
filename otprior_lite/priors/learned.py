"""A learned start: a normalising flow fitted to p_t by maximum likelihood, the truncated-diffusion rival.

Every step noises training points anew, so the flow sees fresh samples of p_t and never the same one twice; what it
cannot see is more training points. It begins as the moment-matched Gaussian and learns what that leaves out, in the
principal axes V of p_t, where few coordinates hold most of the shape:

    x = m_t + V Lambda^{1/2} f^{-1}(z),    maximise E log q(x) over x = alpha x_I + sigma eps.

Sources: Zheng et al. 2022 (truncated diffusion), Franzese et al. 2023 (auxiliary density). Chapter 8 teaches this module.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..errors import count, expect
from ..forward import noise
from ..randomness import categorical, check_generator, normal
from ..schedules import Schedule
from .flow import Flow
from .gaussian import MomentMatched
from .prior import Cost, Prior, training_points

FULL = 512  # principal axes up to this many dimensions, the coordinates themselves beyond
SPLINES = 16  # splines up to this many dimensions, affine layers beyond


@dataclass(frozen=True, eq=False)
class Learned(Prior):
    """mean + root f^{-1}(z), z ~ N(0, I): a moment-matched Gaussian bent by a flow.

    mean: the shape of one sample. root: (d, d), orthogonal columns of lengths Lambda^{1/2}, or (d,), a diagonal.
    flow: a trained Flow of dimension d. gain: mean log-likelihood over that of the Gaussian N(mean, root root^T) on
    fresh samples of p_t, in nats per sample, with its standard error.
    """

    mean: torch.Tensor
    root: torch.Tensor
    flow: Flow
    gain: float = math.nan
    gain_error: float = math.nan
    solve_seconds: float = 0.0
    name = "learned"

    @property
    def cost(self) -> Cost:
        weights = list(self.flow.parameters())
        numbers = self.root.numel() + 2 * sum(part.numel() for part in weights)
        return Cost(self.solve_seconds, numbers, sum(part.nbytes for part in (self.mean, self.root, *weights)))

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
        prior = state.prior
        with torch.no_grad():
            fresh = _fresh(training_points(points), schedule, t, 4096, generator)
            gains = torch.cat([prior.gains(part) for part in fresh.split(512)]).double()
        gain, error = float(gains.mean()), float(gains.std()) / math.sqrt(len(gains))
        if strict and not gain > -2 * error:
            reason = f"gain {gain:.3g} +- {error:.2g} nats over the moment-matched Gaussian after {steps} steps"
            raise RuntimeError(f"the flow did not learn: {reason} (strict=False accepts it)")
        return replace(prior, gain=gain, gain_error=error, solve_seconds=time.perf_counter() - start)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        z = normal((count(n), self.mean.numel()), generator, dtype=self.mean.dtype, device=self.mean.device)
        u = torch.cat([self.flow(part) for part in z.split(2**12)])
        return self.mean + (u @ self.root.T if self.root.ndim == 2 else u * self.root).reshape(n, *self.mean.shape)

    def gains(self, x: torch.Tensor) -> torch.Tensor:
        """log q(x) - log N(x; mean, root root^T) of samples x (n, ...), shape (n,)."""
        u, root = (x - self.mean).flatten(1), self.root
        u = u @ root / root.square().sum(0) if root.ndim == 2 else u / root
        return self.flow.log_prob(u) + 0.5 * u.square().sum(1) + 0.5 * u.shape[1] * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Progress:
    """A moment of the training. gain: of the prior on the step's own batch, before the step, in nats per sample."""

    step: int
    steps: int
    gain: float
    prior: Learned


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
    flow = Flow(d, kind or ("spline" if d <= SPLINES else "affine"), transforms, hidden, generator=check_generator(generator))
    prior = Learned(*_gaussian(points, schedule, t), flow.to(points))
    optimiser = torch.optim.Adam(flow.parameters(), learning_rate)
    for step in range(1, count(steps, "steps") + 1):
        optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        gain = prior.gains(_fresh(points, schedule, t, count(batch, "batch"), generator)).mean()
        if not bool(gain.isfinite()):
            raise RuntimeError(f"the likelihood of step {step} is not finite: lower learning_rate = {learning_rate:g}")
        optimiser.zero_grad()
        (-gain).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
        yield Progress(step, steps, float(gain.detach()), prior)


def _gaussian(points, schedule, t) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and root of the moment-matched Gaussian, its principal axes in falling order."""
    matched = MomentMatched.fit(points, schedule, t, form="full" if points[0].numel() <= FULL else "diagonal")
    if matched.covariance.ndim == 1:
        return matched.mean, matched.covariance.sqrt()
    variances, axes = torch.linalg.eigh(matched.covariance)
    return matched.mean, (axes * variances.sqrt()).flip(1).contiguous()


def _fresh(points, schedule, t, n: int, generator) -> torch.Tensor:
    chosen = points[categorical(torch.ones(len(points), device=points.device), n, generator)]
    return noise(chosen, schedule, t, generator)
