"""Problems with exact answers, references that share no code with the library, and hypothesis strategies."""

import math

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from otprior_lite import schedules
from otprior_lite.targets import GaussianMixture

few = settings(max_examples=12, deadline=None)
f64 = torch.float64
DTYPES = (torch.float32, torch.float64)

CONTINUOUS = {
    "ou": lambda: schedules.ou(3.0),
    "vp": schedules.vp,
    "sub_vp": schedules.sub_vp,
    "ve": schedules.ve,
    "edm": schedules.edm,
    "flow_matching": schedules.flow_matching,
    "trigonometric": schedules.trigonometric,
    "zero_vp": lambda: schedules.zero_terminal_snr(schedules.vp()),
    "zero_ou": lambda: schedules.zero_terminal_snr(schedules.ou(1.5)),
}
DISCRETE = {
    "ddpm_linear": schedules.ddpm_linear,
    "scaled_linear": schedules.scaled_linear,
    "cosine": schedules.cosine,
    "zero_scaled_linear": lambda: schedules.zero_terminal_snr(schedules.scaled_linear()),
}
SCHEDULES = CONTINUOUS | DISCRETE
ZERO_SNR = ("flow_matching", "trigonometric", "zero_vp", "zero_ou", "zero_scaled_linear")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inner_times(schedule, k: int = 7, low: float = 0.03, high: float = 0.97) -> torch.Tensor:
    """Times inside (0, T); the middle of a step for a discrete schedule, where log-SNR has no kink."""
    t = torch.linspace(low, high, k, dtype=f64) * schedule.T
    return t.floor() + 0.5 if schedule.betas is not None else t


def bimodal(m: float = 1.0, variance: float = 0.09, weights=(0.5, 0.5)) -> GaussianMixture:
    """w N(m, variance) + (1 - w) N(-m, variance) in one dimension."""
    return GaussianMixture(list(weights), [[m], [-m]], [variance, variance])


def gaussian(spectrum=(4.0, 1.0, 0.25, 0.01), mean=None) -> GaussianMixture:
    """One Gaussian with a diagonal covariance."""
    mean = [0.0] * len(spectrum) if mean is None else mean
    return GaussianMixture([1.0], [list(mean)], np.diag(spectrum)[None])


def triangle() -> GaussianMixture:
    """Three unequal, correlated components in the plane."""
    covariances = [[[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.4]], [[0.25, -0.12], [-0.12, 0.15]]]
    return GaussianMixture([0.5, 0.3, 0.2], [[1.0, 0.2], [-1.1, 0.6], [0.1, -1.4]], covariances)


# ---- references in numpy and scipy


def parts(target):
    """weights, means, full covariances of a mixture as numpy arrays."""
    w, mu, S = (np.asarray(v, dtype=float) for v in (target.weights, target.means, target.covariances))
    return w, mu, S if S.ndim == 3 else S[:, None, None] * np.eye(mu.shape[1])


def scipy_density(target, x, alpha: float = 1.0, sigma: float = 0.0) -> np.ndarray:
    """Density of alpha x_0 + sigma eps at rows of x, by scipy."""
    w, mu, S = parts(target)
    eye = np.eye(mu.shape[1])
    laws = [stats.multivariate_normal(alpha * m, alpha**2 * C + sigma**2 * eye) for m, C in zip(mu, S)]
    return sum(a * np.atleast_1d(law.pdf(np.asarray(x))) for a, law in zip(w, laws))


def scipy_moments(target):
    """Mean and covariance of a mixture from its parts."""
    w, mu, S = parts(target)
    mean = w @ mu
    second = np.einsum("k,kij->ij", w, S + mu[:, :, None] * mu[:, None, :])
    return mean, second - np.outer(mean, mean)


def scipy_cdf(target, x, alpha: float = 1.0, sigma: float = 0.0):
    """Distribution function of a one-dimensional alpha x_0 + sigma eps."""
    w, mu, S = parts(target)
    std = np.sqrt(alpha**2 * S[:, 0, 0] + sigma**2)
    return float(np.sum(w * stats.norm.cdf((x - alpha * mu[:, 0]) / std)))


def scipy_quantile(target, u: float, alpha: float = 1.0, sigma: float = 0.0) -> float:
    return brentq(lambda x: scipy_cdf(target, x, alpha, sigma) - u, -60, 60, xtol=1e-13, rtol=1e-14)


def normal_kl(m1, S1, m2, S2) -> float:
    """KL(N(m1, S1) || N(m2, S2)) for numpy arrays."""
    inverse = np.linalg.inv(S2)
    log_det = np.linalg.slogdet(S2)[1] - np.linalg.slogdet(S1)[1]
    return 0.5 * float(np.trace(inverse @ S1) + (m2 - m1) @ inverse @ (m2 - m1) - len(m1) + log_det)


def normal_w2(m1, S1, m2, S2) -> float:
    """W2(N(m1, S1), N(m2, S2)): the Bures formula with scipy's matrix root."""
    from scipy.linalg import sqrtm

    root = sqrtm(S1)
    cross = np.real(np.trace(sqrtm(root @ S2 @ root)))
    return math.sqrt(max(0.0, float(np.sum((m1 - m2) ** 2) + np.trace(S1) + np.trace(S2) - 2 * cross)))


# ---- random problems


def random_spd(d: int, seed: int, lowest: float = 0.05) -> np.ndarray:
    A = np.random.default_rng(seed).normal(size=(d, d))
    return A @ A.T / d + lowest * np.eye(d)


def random_rotation(d: int, seed: int) -> np.ndarray:
    return stats.special_ortho_group.rvs(d, random_state=seed) if d > 1 else np.eye(1)


def random_mixture(d: int, k: int, seed: int, isotropic: bool = False, dtype=f64) -> GaussianMixture:
    r = np.random.default_rng(seed)
    means = 1.5 * r.normal(size=(k, d))
    covariances = r.uniform(0.05, 1.0, k) if isotropic else np.stack([random_spd(d, seed + 100 + i) for i in range(k)])
    tensors = (torch.as_tensor(v, dtype=dtype) for v in (r.dirichlet(np.full(k, 2.0)), means, covariances))
    return GaussianMixture(*tensors)


seeds = st.integers(0, 10_000)
dimensions = st.integers(1, 4)


@st.composite
def mixtures(draw, d=dimensions, dtype=f64):
    """A mixture of 1 to 4 components in 1 to 4 dimensions, of full or isotropic covariances."""
    return random_mixture(draw(d), draw(st.integers(1, 4)), draw(seeds), draw(st.booleans()), dtype)


@st.composite
def channels(draw):
    """A pair (alpha, sigma), both away from zero."""
    return draw(st.floats(0.1, 1.2)), draw(st.floats(0.1, 2.0))


def points_near(target, n: int, seed: int = 0) -> torch.Tensor:
    """n points spread over and beyond the target's support."""
    z = torch.as_tensor(np.random.default_rng(seed).normal(size=(n, target.d)), dtype=target.means.dtype)
    return target.mean + 1.5 * z * target.covariance.diagonal().sqrt()
