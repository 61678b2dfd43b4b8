"""The channel x_t = alpha x_0 + sigma eps under every published schedule, and what rescaling it to zero SNR breaks.

Everything here is exact: schedules are formulas, the data are mixtures, integrals are quadratures. Chapter 2
shows the results.
"""

import math
from dataclasses import dataclass

import torch

from .. import schedules
from ..forward import marginal
from ..gap import gelbrich
from ..schedules import Schedule
from ..score import ExactDenoiser
from ..targets import GaussianMixture


def laws() -> dict[str, GaussianMixture]:
    """The three one-dimensional data laws of the chapter, by name."""
    two = GaussianMixture([0.3, 0.7], [[-1.8], [1.2]], [0.35**2, 0.35**2])
    spread = float(two.covariance) ** 0.5
    standard = GaussianMixture(two.weights, (two.means - two.mean) / spread, two.covariances / spread**2)
    return {
        "two bumps": two,
        "two bumps, standardised": standard,
        "one narrow bump, far out": GaussianMixture([1.0], [[2.0]], [0.25**2]),
    }


def published() -> dict[str, Schedule]:
    """Every schedule of the chapter under the name that the figures and tables use."""
    stable_diffusion = schedules.scaled_linear(1000)
    return {
        "OU, T = 3": schedules.ou(3.0),
        "VP": schedules.vp(),
        "sub-VP": schedules.sub_vp(),
        "DDPM linear": schedules.ddpm_linear(1000),
        "Stable Diffusion": stable_diffusion,
        "cosine": schedules.cosine(1000),
        "VE": schedules.ve(),
        "EDM": schedules.edm(),
        "flow matching": schedules.flow_matching(),
        "trigonometric": schedules.trigonometric(),
        "Stable Diffusion, rescaled": schedules.zero_terminal_snr(stable_diffusion),
    }


@dataclass(frozen=True, eq=False)
class SnrCurve:
    """Log-SNR of one schedule along t/T in (0, 1], and its terminal values (log_snr_T is -inf at zero SNR)."""

    label: str
    schedule: Schedule
    fraction: torch.Tensor
    log_snr: torch.Tensor
    alpha_T: float
    sigma_T: float
    snr_T: float
    log_snr_T: float


def curves(n: int = 400) -> list[SnrCurve]:
    """Every published schedule at n equal steps of t/T."""
    fraction, results = torch.arange(1, n + 1, dtype=torch.float64) / n, []
    for label, schedule in published().items():
        T = schedule.T
        ends = (float(f(T)) for f in (schedule.alpha, schedule.sigma, schedule.snr, schedule.log_snr))
        results.append(SnrCurve(label, schedule, fraction, schedule.log_snr(fraction * T), *ends))
    return results


@dataclass(frozen=True, eq=False)
class Passage:
    """Densities of p_t on the grid x at some fractions of T, and the density of the prior."""

    x: torch.Tensor
    fractions: tuple[float, ...]
    densities: tuple[torch.Tensor, ...]
    prior: torch.Tensor


def passage(fractions: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0), n: int = 100) -> Passage:
    """The two bumps on their way through DDPM's linear schedule of n steps."""
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)[:, None]
    target, schedule = laws()["two bumps"], schedules.ddpm_linear(n)
    densities = tuple(marginal(target, schedule, share * n).log_prob(x).exp() for share in fractions)
    normal = GaussianMixture([1.0], [[0.0]], [1.0]).log_prob(x).exp()
    return Passage(x[:, 0], fractions, densities, normal)


@dataclass(frozen=True, eq=False)
class Rescaling:
    """Stable Diffusion's schedule before and after the zero-terminal-SNR rescaling, at steps 1..n.

    amplify_*: the error of the denoised point when the network's output is wrong by 1: sigma/alpha for a predicted
    noise, sigma for a predicted velocity. never_seen: steps whose SNR lies below the old terminal SNR.
    """

    step: torch.Tensor
    alpha_bar: torch.Tensor
    alpha_bar_rescaled: torch.Tensor
    log_snr: torch.Tensor
    log_snr_rescaled: torch.Tensor
    amplify_noise: torch.Tensor
    amplify_noise_rescaled: torch.Tensor
    amplify_velocity_rescaled: torch.Tensor
    never_seen: int
    first_never_seen: int


def rescaling(n: int = 1000) -> Rescaling:
    """What the rescaling does to the latent-diffusion schedule of n steps."""
    before = schedules.scaled_linear(n)
    after = schedules.zero_terminal_snr(before)
    step = torch.arange(1, n + 1, dtype=torch.float64)
    old, new = before.log_snr(step), after.log_snr(step)
    unseen = new < old[-1]
    return Rescaling(
        step, before.alpha(step) ** 2, after.alpha(step) ** 2, old, new,
        before.sigma(step) / before.alpha(step), after.sigma(step) / after.alpha(step), after.sigma(step),
        int(unseen.sum()), int(step[unseen].min()),
    )  # fmt: skip


@dataclass(frozen=True)
class Start:
    """Sampling dark pictures from N(0, 1) at time t: the gap there and the brightness that comes out."""

    schedule: str
    rule: str
    t: int
    snr: float
    gap: float
    brightness: float


def starts(brightness: float = -0.25, spread: float = 0.1, pixels: int = 4096, steps: int = 50) -> list[Start]:
    """Mean brightness of the samples when `steps` of 1000 steps are used, by schedule and by the first step taken.

    The mean of a picture with `pixels` pixels, times sqrt(pixels), is its coordinate along a unit vector; the noise
    has variance 1 along it. That coordinate is taken to be Gaussian, so the probability flow from t to 0 is the
    affine map m + (s_0 / s_t)(x - alpha m), and N(0, 1) comes out with mean m (1 - alpha s_0 / s_t).
    """
    unit = math.sqrt(pixels)
    m, s0 = brightness * unit, spread * unit
    target = GaussianMixture([1.0], [[m]], [s0**2])
    before = schedules.scaled_linear(1000)
    results = []
    for label, schedule in (("Stable Diffusion", before), ("rescaled", schedules.zero_terminal_snr(before))):
        stride = 1000 // steps
        for rule, t in (("at the last step", 1000), ("leading", 1000 - stride + 1)):
            alpha, s_t = float(schedule.alpha(t)), float(marginal(target, schedule, t).covariance) ** 0.5
            mean = m * (1 - alpha * s0 / s_t)
            gap = gelbrich(target, schedule, t)  # the law is Gaussian: the bound is the distance
            results.append(Start(label, rule, t, float(schedule.snr(t)), gap, mean / unit))
    return results


@dataclass(frozen=True, eq=False)
class StaleNetwork:
    """Root mean squared error of the denoised point under the rescaled schedule, at some steps.

    best: with the ideal noise prediction of the rescaled schedule. stale: with the ideal noise prediction of the
    old schedule, told the same step number and converted with the new alpha and sigma.
    """

    step: tuple[int, ...]
    best: tuple[float, ...]
    stale: tuple[float, ...]


def stale_network(step: tuple[int, ...] = (100, 500, 900, 980, 990, 999)) -> StaleNetwork:
    """The old ideal noise prediction, used at the same step numbers after the rescaling, on standardised two bumps."""
    target, before = laws()["two bumps, standardised"], schedules.scaled_linear(1000)
    after = schedules.zero_terminal_snr(before)
    x = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]

    def predicted(schedule, t):
        denoised = ExactDenoiser(target, schedule)(x, t)
        return ((x - float(schedule.alpha(t)) * denoised) / float(schedule.sigma(t)))[:, 0]

    best, stale = [], []
    for t in step:
        density = marginal(target, after, t).log_prob(x).exp()
        mean = lambda values: float(torch.trapezoid(values * density, x[:, 0]))  # noqa: B023, E731
        ideal = predicted(after, t)
        unavoidable = 1 - mean(ideal.square())  # E Var(eps | x_t), as E eps^2 = 1
        excess = mean((predicted(before, t) - ideal).square())
        to_data = float(after.sigma(t) / after.alpha(t))  # x_0 = (x_t - sigma eps) / alpha
        best.append(to_data * math.sqrt(unavoidable))
        stale.append(to_data * math.sqrt(unavoidable + excess))
    return StaleNetwork(step, tuple(best), tuple(stale))
