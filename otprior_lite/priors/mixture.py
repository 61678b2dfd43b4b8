"""Starts that are Gaussian mixtures: p_t itself where it is known, or a fit of a few components.

`Mixture` fits the clean data by expectation-maximisation and diffuses the fit. The other way round, fitting noised
data, sees through the noise what the first sees directly: over three laws, N = 100 to 1000 and three times, the
held-out log-likelihood of p_t was lower in 26 of 27 cases (in the other, equal within its error). Both overfit when a
component has few points for its d^2 / 2 numbers; then `MomentMatched` is better than either. Chapter 5 teaches this module.
"""

import time
import warnings
from dataclasses import dataclass, field

import torch

from ..errors import count, expect, known
from ..forward import marginal
from ..randomness import check_generator
from ..schedules import Schedule
from ..targets import GaussianMixture
from .prior import Cost, Prior, sample_shape, training_points


@dataclass(frozen=True, eq=False)
class Oracle(Prior):
    """p_t itself, for a target whose diffusion is exact: the floor of every comparison."""

    target: object
    schedule: Schedule
    t: float
    _law: object = field(init=False, repr=False)
    name = "oracle"

    def __post_init__(self):
        object.__setattr__(self, "_law", marginal(self.target, self.schedule, self.t))

    @property
    def cost(self) -> Cost:
        return Cost(0.0, self.target.d, self.target.means.nbytes)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self._law.sample(n, generator)


FORMS = {"full": "full", "isotropic": "spherical"}


@dataclass(frozen=True, eq=False)
class Mixture(Prior):
    """sum_k w_k N(alpha mu_k, alpha^2 S_k + sigma^2 I). law: that GaussianMixture; shape: of one sample, d numbers."""

    law: GaussianMixture
    shape: tuple[int, ...]
    solve_seconds: float = 0.0
    name = "mixture"

    def __post_init__(self):
        shape = sample_shape(self.shape)
        expect(torch.Size(shape).numel() == self.law.d, "shape", f"a shape of {self.law.d} numbers", shape)
        object.__setattr__(self, "shape", shape)

    @property
    def cost(self) -> Cost:
        law, full = self.law, self.law.covariances.ndim == 3
        kept = sum(part.nbytes for part in (law.weights, law.means, law.covariances))
        return Cost(self.solve_seconds, law.d**2 if full else law.d, kept)

    @classmethod
    def fit(
        cls, points, schedule: Schedule, t, *, generator: torch.Generator, components: int = 8, form: str = "full",
        max_iter: int = 500, strict: bool = True,
    ) -> "Mixture":  # fmt: skip
        """Fit `components` Gaussians to the points (scikit-learn), then diffuse them to time t.

        form: "full" covariances, or "isotropic" ones for large d. RuntimeError if the fit does not converge within
        `max_iter` iterations, unless strict is False. Variances are at least 1e-6 of the mean variance of the data.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Fitted

        known(form, FORMS, "form")
        start = time.perf_counter()
        points = training_points(points)
        flat = points.flatten(1).double().cpu()
        expect(count(components, "components") <= len(flat), "components", f"at most the {len(flat)} points", components)
        seed = int(torch.randint(2**31 - 1, (1,), generator=check_generator(generator), device=generator.device))
        floor = 1e-6 * float(flat.var(0, correction=0).mean())
        options = {"reg_covar": max(floor, 1e-12), "max_iter": max_iter, "random_state": seed}
        fitted = Fitted(components, covariance_type=FORMS[form], **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is an error here
            fitted.fit(flat.numpy())
        if strict and not fitted.converged_:
            raise RuntimeError(f"the mixture did not converge in {max_iter} iterations (strict=False accepts it)")
        weights, means, covariances = map(torch.as_tensor, (fitted.weights_, fitted.means_, fitted.covariances_))
        if form == "full":
            covariances = (covariances + covariances.mT) / 2
        clean = GaussianMixture(weights / weights.sum(), means, covariances)  # float64: single precision waits for the noise
        law = marginal(clean, schedule, t).to(points)
        return cls(law, points.shape[1:], time.perf_counter() - start)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.law.sample(n, generator).reshape(n, *self.shape)
