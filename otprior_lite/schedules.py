"""The published schedules: which alpha_t and sigma_t everybody uses, continuous and discrete.

Continuous schedules are given in closed form on [0, T]. Discrete ones are given by their betas at the integer
steps 1..n = T, with alpha^2 the running product of 1 - beta; log-SNR is linear in between. `zero_terminal_snr`
rescales either kind so that nothing of the data is left at T. Chapter 2 teaches this module.
"""

import math

import torch

from .channel import Schedule
from .errors import count, expect, known

NAMES = ("ou", "vp", "sub_vp", "ve", "edm", "flow_matching", "trigonometric", "ddpm_linear", "scaled_linear", "cosine")


def named(name: str, argument: str = "name") -> Schedule:
    """The schedule of a maker in `NAMES`, with its default numbers; `argument` names it in the error."""
    return globals()[known(name, NAMES, argument)]()


def _positive(**values) -> None:
    for name, value in values.items():
        expect(isinstance(value, (int, float)) and 0 < value < math.inf, name, "a positive number", repr(value))


def ou(T: float = 3.0) -> Schedule:
    """Ornstein-Uhlenbeck dX = -X dt + sqrt(2) dB: alpha = e^{-t}, sigma^2 = 1 - e^{-2t}."""
    _positive(T=T)
    return Schedule(
        f"ou(T={T:g})", float(T), 1.0,
        lambda t: (-t).exp(), lambda t: (-torch.expm1(-2 * t)).sqrt(),
        lambda t: -(-t).exp(), lambda t: 2 * (-2 * t).exp(),
    )  # fmt: skip


def _vp_integral(beta_min, beta_max):
    """B(t) = int_0^t beta and beta(t) for beta linear on [0, 1]."""
    return lambda t: beta_min * t + 0.5 * (beta_max - beta_min) * t.square(), lambda t: beta_min + (beta_max - beta_min) * t


def _check_betas(beta_min, beta_max):
    _positive(beta_min=beta_min, beta_max=beta_max)
    expect(beta_min <= beta_max, "beta_max", f"at least beta_min = {beta_min}", beta_max)


def vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """Variance-preserving SDE with linear beta on [0, 1]: alpha^2 = exp(-int beta), sigma^2 = 1 - alpha^2.

    Source: Song et al. 2021, "Score-based generative modeling through SDEs", appendix B.
    """
    _check_betas(beta_min, beta_max)
    B, beta = _vp_integral(beta_min, beta_max)
    return Schedule(
        f"vp({beta_min:g}, {beta_max:g})", 1.0, 1.0,
        lambda t: (-B(t) / 2).exp(), lambda t: (-torch.expm1(-B(t))).sqrt(),
        lambda t: -beta(t) / 2 * (-B(t) / 2).exp(), lambda t: beta(t) * (-B(t)).exp(),
    )  # fmt: skip


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """Sub-variance-preserving SDE: the alpha of `vp`, with sigma = 1 - alpha^2. Source: Song et al. 2021."""
    _check_betas(beta_min, beta_max)
    B, beta = _vp_integral(beta_min, beta_max)
    return Schedule(
        f"sub_vp({beta_min:g}, {beta_max:g})", 1.0, 1.0,
        lambda t: (-B(t) / 2).exp(), lambda t: -torch.expm1(-B(t)),
        lambda t: -beta(t) / 2 * (-B(t) / 2).exp(), lambda t: -2 * torch.expm1(-B(t)) * beta(t) * (-B(t)).exp(),
    )  # fmt: skip


def ve(sigma_min: float = 0.01, sigma_max: float = 50.0) -> Schedule:
    """Variance-exploding SDE: alpha = 1, sigma = sigma_min (sigma_max/sigma_min)^t on [0, 1].

    The data time t = 0 keeps the noise sigma_min, as in Song et al. 2021.
    """
    _positive(sigma_min=sigma_min, sigma_max=sigma_max)
    expect(sigma_min < sigma_max, "sigma_max", f"more than sigma_min = {sigma_min}", sigma_max)
    log_ratio = math.log(sigma_max / sigma_min)
    sigma = lambda t: sigma_min * (log_ratio * t).exp()
    return Schedule(
        f"ve({sigma_min:g}, {sigma_max:g})", 1.0, float(sigma_max),
        torch.ones_like, sigma, torch.zeros_like, lambda t: 2 * log_ratio * sigma(t).square(),
    )  # fmt: skip


def edm(sigma_max: float = 80.0) -> Schedule:
    """Karras et al. 2022: alpha = 1, sigma = t on [0, sigma_max]."""
    _positive(sigma_max=sigma_max)
    return Schedule(
        f"edm({sigma_max:g})", float(sigma_max), float(sigma_max),
        torch.ones_like, lambda t: t.clone(), torch.zeros_like, lambda t: 2 * t,
    )  # fmt: skip


def flow_matching() -> Schedule:
    """Straight paths: alpha = 1 - t, sigma = t on [0, 1]. The SNR at T = 1 is exactly zero."""
    return Schedule(
        "flow_matching", 1.0, 1.0,
        lambda t: 1 - t, lambda t: t.clone(), lambda t: -torch.ones_like(t), lambda t: 2 * t,
    )  # fmt: skip


def trigonometric() -> Schedule:
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2) on [0, 1]. The SNR at T = 1 is zero."""
    half_pi = math.pi / 2
    # cos is written as sin of the complement: it is then exactly 0 at t = 1.
    return Schedule(
        "trigonometric", 1.0, 1.0,
        lambda t: (half_pi * (1 - t)).sin(), lambda t: (half_pi * t).sin(),
        lambda t: -half_pi * (half_pi * t).sin(), lambda t: half_pi * (2 * half_pi * t).sin(),
    )  # fmt: skip


def _discrete(name: str, alphas_bar: torch.Tensor) -> Schedule:
    """A schedule with alpha^2 = alphas_bar[k - 1] at step k = 1..n; log-SNR is linear in between.

    Two pieces cannot be linear in log-SNR: before step 1, where it is infinite, sigma^2 grows linearly;
    before a last step of zero SNR, alpha falls linearly.
    """
    n = len(alphas_bar)
    alphas_bar = alphas_bar.to(torch.float64)
    log_snrs = alphas_bar.log() - torch.log1p(-alphas_bar)
    ends_at_zero = bool(alphas_bar[-1] == 0)
    first_variance, last_alpha = float(1 - alphas_bar[0]), float(alphas_bar[-2].sqrt())
    previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_bar[:-1]])

    def piece(t):
        """(log-SNR, its slope) on the linear pieces; masks of the first and of a zero last piece."""
        t64 = t.to(torch.float64)
        lam = log_snrs.to(t.device)
        k = t64.floor().long().clamp(1, n - 1)
        slope = lam[k] - lam[k - 1]
        value = lam[k - 1] + (t64 - k) * slope
        value = torch.where(t64 == n, lam[-1], value)
        return t64, value, slope, t64 < 1, (t64 >= n - 1) & ends_at_zero

    def alpha_squared(t):
        t64, value, _, first, last = piece(t)
        return t64, torch.where(
            first, 1 - first_variance * t64, torch.where(last, (last_alpha * (n - t64)) ** 2, value.sigmoid())
        )

    def alpha(t):
        return alpha_squared(t)[1].sqrt().to(t.dtype)

    def sigma(t):
        t64, value, _, first, last = piece(t)
        variance = torch.where(last, 1 - (last_alpha * (n - t64)) ** 2, (-value).sigmoid())
        return torch.where(first, first_variance * t64, variance).sqrt().to(t.dtype)

    def variance_dot(t):
        t64, value, slope, first, last = piece(t)
        inside = -slope * value.sigmoid() * (-value).sigmoid()
        return torch.where(first, first_variance, torch.where(last, 2 * last_alpha**2 * (n - t64), inside)).to(t.dtype)

    def alpha_dot(t):
        _, _, _, _, last = piece(t)
        return torch.where(last, -last_alpha, -variance_dot(t) / (2 * alpha(t))).to(t.dtype)

    return Schedule(name, float(n), 1.0, alpha, sigma, alpha_dot, variance_dot, 1 - alphas_bar / previous)


def from_betas(name: str, betas: torch.Tensor) -> Schedule:
    """The discrete schedule with these per-step variances (n,), each in (0, 1]: alpha_k^2 = prod_{j <= k} (1 - beta_j)."""
    expect(len(betas) >= 2 and float(betas.min()) > 0, "betas", "at least 2 positive numbers", f"{len(betas)} numbers")
    largest = float(betas.max())
    expect(largest <= 1, "beta_max", "betas of at most 1", largest)
    return _discrete(name, torch.cumprod(1 - betas.double(), 0))


def ddpm_linear(n: int = 1000, beta_min: float = 1e-4, beta_max: float = 0.02) -> Schedule:
    """DDPM's linear betas in n steps; the end points do not depend on n. Source: Ho et al. 2020."""
    count(n, "n", at_least=2)
    _check_betas(beta_min, beta_max)
    name = f"ddpm_linear({n})" if (beta_min, beta_max) == (1e-4, 0.02) else f"ddpm_linear({n}, {beta_min:g}, {beta_max:g})"
    return from_betas(name, torch.linspace(beta_min, beta_max, n, dtype=torch.float64))


def scaled_linear(n: int = 1000, beta_min: float = 0.00085, beta_max: float = 0.012) -> Schedule:
    """Betas whose roots are linear: latent diffusion and Stable Diffusion. Source: Rombach et al. 2022."""
    count(n, "n", at_least=2)
    _check_betas(beta_min, beta_max)
    roots = torch.linspace(beta_min**0.5, beta_max**0.5, n, dtype=torch.float64)
    return from_betas(f"scaled_linear({n})", roots.square())


def cosine(n: int = 1000, s: float = 0.008, beta_clip: float = 0.999) -> Schedule:
    """alpha^2 proportional to cos^2((t/n + s)/(1 + s) pi/2), betas clipped. Source: Nichol and Dhariwal 2021."""
    count(n, "n", at_least=2)
    expect(0 <= s < math.inf, "s", "a non-negative number", s)
    expect(0 < beta_clip <= 1, "beta_clip", "a number in (0, 1]", beta_clip)
    k = torch.arange(n + 1, dtype=torch.float64)
    alphas_bar = ((k / n + s) / (1 + s) * math.pi / 2).cos().square()
    return from_betas(f"cosine({n})", (1 - alphas_bar[1:] / alphas_bar[:-1]).clamp_max(beta_clip))


def zero_terminal_snr(schedule: Schedule) -> Schedule:
    """Shift and scale alpha so that alpha(T) = 0 and the first step is unchanged.

    alpha <- (alpha - alpha_T) alpha_1 / (alpha_1 - alpha_T) (Lin et al. 2024, algorithm 1), with alpha_1 the
    first step of a discrete schedule and alpha(0) = 1 of a continuous one. Only for variance-preserving
    schedules (alpha^2 + sigma^2 = 1); others raise ValueError.
    """
    middle = torch.linspace(0, schedule.T, 7, dtype=torch.float64)
    preserving = torch.allclose(schedule.alpha(middle) ** 2 + schedule.sigma(middle) ** 2, torch.ones(7, dtype=torch.float64))
    expect(preserving, "schedule", "alpha^2 + sigma^2 = 1 at every t", schedule.name)
    end, name = float(schedule.alpha(schedule.T)), f"zero_terminal_snr({schedule.name})"
    if end == 0:
        return schedule
    if schedule.betas is not None:
        alphas = torch.cumprod(1 - schedule.betas, 0).sqrt()
        alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        return _discrete(name, alphas.square())
    alpha = lambda t: (schedule._alpha(t) - end).clamp_min(0) / (1 - end)
    alpha_dot = lambda t: schedule._alpha_dot(t) / (1 - end)
    # sigma^2 = (1 - alpha)(1 + alpha), and 1 - alpha = (1 - alpha_old)/(1 - end) = sigma_old^2 / ((1 + alpha_old)(1 - end)).
    sigma = lambda t: (schedule._sigma(t).square() / (1 + schedule._alpha(t)) / (1 - end) * (1 + alpha(t))).sqrt()
    return Schedule(name, schedule.T, 1.0, alpha, sigma, alpha_dot, lambda t: -2 * alpha(t) * alpha_dot(t))
