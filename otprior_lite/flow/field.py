"""The velocity of the probability flow and its derivative, without cancellation at late times.

Every schedule is the Ornstein-Uhlenbeck process in other coordinates: z = x / sqrt(alpha^2 + sigma^2) at the OU time
u = log(1 + sigma^2/alpha^2) / 2. There, with a = e^{-u} and C_k = a^2 S_k + (1 - a^2) I, component k moves z with

    v_k = -a^2 (S_k - I) C_k^{-1} z - a C_k^{-1} mu_k,    v = sum_k r_k v_k,    Dv = sum_k r_k (-a^2 (S_k - I) C_k^{-1}) - Cov_r(v_k).

All terms fade like a: what is small is never a difference of large numbers. Chapter 9 teaches this module.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..schedules import Schedule

_LATEST = 20.0  # OU time that stands for zero SNR: a = e^{-20}


def ou_time(schedule: Schedule, t) -> tuple[float, float]:
    """The OU time of t and the scale sqrt(alpha^2 + sigma^2) by which x is divided. Zero SNR counts as time 20."""
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    u = 0.5 * math.log1p((sigma / alpha) ** 2) if alpha > sigma * math.exp(-_LATEST) else _LATEST
    return min(u, _LATEST), math.hypot(alpha, sigma)


@dataclass(frozen=True, eq=False)
class Field:
    """A mixture in the eigenbases of its components, as float64 arrays: weights (K,), means and spectra (K, d), axes (K, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    spectra: np.ndarray
    axes: np.ndarray | None

    @staticmethod
    def of(target) -> "Field":
        """The field of a GaussianMixture or of points."""
        w, mu = (v.detach().double().cpu().numpy() for v in (target.weights, target.means))
        keep, d = w > 0, mu.shape[1]
        covariances = getattr(target, "covariances", None)
        if covariances is None:
            spectra, axes = np.zeros((len(w), d)), None
        elif covariances.ndim == 1:
            spectra, axes = covariances.detach().double().cpu().numpy()[:, None] * np.ones(d), None
        else:
            spectra, axes = np.linalg.eigh(covariances.detach().double().cpu().numpy())
            axes = axes[keep]
        rotated = mu if axes is None else np.einsum("kd,kde->ke", mu[keep], axes)
        return Field(w[keep], rotated if axes is not None else mu[keep], spectra[keep], axes)

    @property
    def smallest(self) -> float:
        """The smallest variance of a component: 0 for points."""
        return float(self.spectra.min())

    def _parts(self, u: float, z: np.ndarray):
        """Posterior weights r (n, K), component velocities v_k (n, K, d), and -a^2 (S_k - I) C_k^{-1} (K, d)."""
        a, noise = math.exp(-u), -math.expm1(-2 * u)
        variance = a**2 * self.spectra + noise
        y = z[:, None, :] if self.axes is None else np.einsum("nd,kde->nke", z, self.axes)
        log_r = np.log(self.weights) - 0.5 * np.log(variance).sum(1) - 0.5 * ((y - a * self.means) ** 2 / variance).sum(2)
        r = np.exp(log_r - log_r.max(1, keepdims=True))
        r /= r.sum(1, keepdims=True)
        slope = -(a**2) * (self.spectra - 1) / variance
        v = slope * y - a * self.means / variance
        return r, v if self.axes is None else np.einsum("kde,nke->nkd", self.axes, v), slope

    def velocity(self, u: float, z: np.ndarray) -> np.ndarray:
        """v(z, u), shape (n, d)."""
        r, v, _ = self._parts(u, z)
        return np.einsum("nk,nkd->nd", r, v)

    def velocity_and_gradient(self, u: float, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """v (n, d) and Dv (n, d, d); the Hessian of log p_u is -I - Dv."""
        r, v, slope = self._parts(u, z)
        mean = np.einsum("nk,nkd->nd", r, v)
        centred = v - mean[:, None]
        between = np.einsum("nk,nki,nkj->nij", r, centred, centred, optimize=True)
        if self.axes is None:
            within = (r @ slope)[:, :, None] * np.eye(z.shape[1])
        else:
            within = np.einsum("nk,kij->nij", r, np.einsum("kde,ke,kfe->kdf", self.axes, slope, self.axes))
        return mean, within - between
