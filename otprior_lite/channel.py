"""The noise channel x_t = alpha_t x_0 + sigma_t eps, for t in [0, T].

A schedule is a pair of functions (alpha, sigma). Everything else follows: SNR = alpha^2 / sigma^2, its
logarithm lambda, and the SDE dX = f X dt + g dB with the same marginals,

    f = alpha' / alpha,    g^2 = (sigma^2)' - 2 f sigma^2 = -sigma^2 lambda'.

Sampling starts from N(0, prior_std^2 I), whatever p_T is: that is the prior gap. Chapter 2 teaches this module.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from .errors import expect, within

Curve = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Schedule:
    """One noise schedule. Methods take t as a number or tensor in [0, T] and return a tensor of its shape.

    Numbers are evaluated in float64; tensors keep their dtype and device. Times outside [0, T] raise
    ValueError. `betas` holds the published per-step variances of a discrete schedule, else None.
    """

    name: str
    T: float
    prior_std: float
    _alpha: Curve = field(repr=False)
    _sigma: Curve = field(repr=False)
    _alpha_dot: Curve = field(repr=False)
    _variance_dot: Curve = field(repr=False)  # (sigma^2)', finite where sigma' is not
    betas: torch.Tensor | None = field(default=None, repr=False)

    def _at(self, curve: Curve, t) -> torch.Tensor:
        t = torch.as_tensor(t, dtype=None if isinstance(t, torch.Tensor) and t.is_floating_point() else torch.float64)
        end = float(torch.tensor(self.T, dtype=t.dtype))  # T itself may round up in the precision of t
        within(t.detach(), 0.0, max(self.T, end), "t")
        return curve(t)

    def alpha(self, t) -> torch.Tensor:
        """Signal coefficient."""
        return self._at(self._alpha, t)

    def sigma(self, t) -> torch.Tensor:
        """Noise standard deviation."""
        return self._at(self._sigma, t)

    def alpha_dot(self, t) -> torch.Tensor:
        """d alpha / dt."""
        return self._at(self._alpha_dot, t)

    def sigma_dot(self, t) -> torch.Tensor:
        """d sigma / dt; infinite at t = 0 where sigma grows like the root of t."""
        return self._at(lambda t: self._variance_dot(t) / (2 * self._sigma(t)), t)

    def snr(self, t) -> torch.Tensor:
        """alpha^2 / sigma^2."""
        return self._at(lambda t: (self._alpha(t) / self._sigma(t)).square(), t)

    def log_snr(self, t) -> torch.Tensor:
        """lambda = log(alpha^2 / sigma^2), natural logarithm."""
        return self._at(lambda t: 2 * (self._alpha(t).log() - self._sigma(t).log()), t)

    def drift(self, t) -> torch.Tensor:
        """f(t) = alpha'/alpha, the coefficient of the linear drift f(t) x."""
        return self._at(lambda t: self._alpha_dot(t) / self._alpha(t), t)

    def diffusion_squared(self, t) -> torch.Tensor:
        """g(t)^2 = (sigma^2)' - 2 f sigma^2."""
        return self._at(lambda t: self._variance_dot(t) - 2 * self._alpha_dot(t) / self._alpha(t) * self._sigma(t).square(), t)

    def t_of_log_snr(self, log_snr) -> torch.Tensor:
        """The t with log_snr(t) = log_snr, by bisection; raises ValueError outside the schedule's range."""
        goal = torch.as_tensor(log_snr)
        goal64 = goal.detach().to(torch.float64)
        ends = self.log_snr(torch.tensor([self.T, 0.0], dtype=torch.float64)).to(goal64.device)
        slack = 1e-6 * (1 + goal64.abs())  # rounding of a log-SNR that came through float32
        inside = bool(((goal64 >= ends[0] - slack) & (goal64 <= ends[1] + slack)).all())
        expect(inside, "log_snr", f"values in [{ends[0]:.6g}, {ends[1]:.6g}]", log_snr)
        low, high = torch.zeros_like(goal64), torch.full_like(goal64, self.T)
        for _ in range(100):
            middle = (low + high) / 2
            too_clean = self.log_snr(middle) > goal64
            low, high = torch.where(too_clean, middle, low), torch.where(too_clean, high, middle)
        return ((low + high) / 2).to(goal.dtype if goal.is_floating_point() else torch.float64)

    def reference_std(self, t) -> torch.Tensor:
        """Standard deviation of the usual start at time t: prior_std at T; sigma_t where alpha is constant."""
        constant = float(self.alpha(self.T)) == 1.0
        return self._at(self._sigma if constant else torch.ones_like, t)
