"""The free fix: the Gaussian with p_T's mean and covariance in place of N(0, I), and what it leaves.

In one dimension everything is exact. In the plane the score is exact and the solver is fine, so only the start
differs. Everything is deterministic. Chapter 5 shows the results.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .. import metrics, priors, schedules
from ..estimate import Estimate
from ..forward import marginal
from ..gap import hermite_asymptotics, moment_matched_gap, prior_gap
from ..gap.line import line_parts, nodes, standardised
from ..randomness import normal, seeded
from ..samplers import sample
from ..score import ExactDenoiser
from ..targets import GaussianMixture, normal_to, toy
from ..transport import gaussian_map
from .giraffe import reverse

FIVE = ("giraffe", "ring", "moons", "spiral", "checkerboard")

# ---- late times, in one dimension


def laws() -> dict[str, GaussianMixture]:
    """Three laws of the line: skewed, the same with mean 0 and variance 1, and symmetric (its third cumulant is 0)."""
    skewed = GaussianMixture([0.7, 0.3], [[2.0], [-1.0]], [0.25, 0.25])
    return {
        "skewed": skewed,
        "skewed, whitened": whiten(skewed),
        "symmetric": GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [0.09, 0.09]),
    }


def whiten(law: GaussianMixture) -> GaussianMixture:
    """The same shape on the line, with mean 0 and variance 1."""
    variance = float(law.covariance)
    return GaussianMixture(law.weights, (law.means - law.mean) / variance**0.5, law.covariances.reshape(-1) / variance)


@dataclass(frozen=True, eq=False)
class LateTimes:
    """W2 of p_T to N(0, 1) and to the Gaussian with its moments, at OU times T; exact quadratures.

    *_law: the leading terms of the theorem. bound: Talagrand's, sqrt(2 variance_T KL(p_T || N(m_T, variance_T))). floor: what
    the quadrature returns for a Gaussian, where the truth is 0. order: the first cumulant that the fix leaves.
    """

    label: str
    times: torch.Tensor
    standard: torch.Tensor
    fixed: torch.Tensor
    standard_law: torch.Tensor
    fixed_law: torch.Tensor
    bound: torch.Tensor
    floor: float
    order: int
    standard_order: int

    def slope(self, values: torch.Tensor) -> float:
        """Slope of log W2 over the last two times."""
        return float(values.log().diff()[-1] / self.times.diff()[-1])


def moment_matched_kl(p: GaussianMixture) -> float:
    """KL(p || N(mean, variance)) on the line, in nats: the integral of p (l + e^{-l} - 1), l the log-ratio, all terms >= 0."""
    parts, mean, variance = line_parts(p), float(p.mean), float(p.covariance)
    x, weight = nodes(*parts)
    log_p = standardised(*parts, x)[1]
    l = log_p + (x - mean) ** 2 / (2 * variance) + 0.5 * math.log(2 * math.pi * variance)
    return float(weight @ (np.exp(log_p) * (l + np.expm1(-l))))


def late_times(times=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)) -> list[LateTimes]:
    """The three laws under OU."""
    clock, results = schedules.ou(max(times)), []
    gaussian = GaussianMixture([1.0], [[1.1]], [2.14])
    floor = max(moment_matched_gap(gaussian, clock, t).value for t in times)
    over = lambda f: torch.tensor([f(t) for t in times], dtype=torch.float64)
    for label, law in laws().items():
        law_T = {t: marginal(law, clock, t) for t in times}
        terms = {kind: [hermite_asymptotics(law, clock, t, prior=kind) for t in times] for kind in ("standard", "moment_matched")}
        results.append(LateTimes(
            label, torch.tensor(times, dtype=torch.float64),
            over(lambda t: prior_gap(law, clock, t).total.value), over(lambda t: moment_matched_gap(law, clock, t).value),
            *(torch.tensor([e.value for e in terms[kind]], dtype=torch.float64) for kind in terms),
            over(lambda t: math.sqrt(2 * float(law_T[t].covariance) * moment_matched_kl(law_T[t]))),
            floor, terms["moment_matched"][0].order, terms["standard"][0].order,
        ))  # fmt: skip
    return results


def carried(law: GaussianMixture, schedule: schedules.Schedule, T: float, mean: float, std: float) -> float:
    """W2(p_0, q_0) on the line when the exact flow starts from N(mean, std^2) at T.

    The flow is F_0^{-1} o F_T, so a draw of p_0 and its partner in q_0 are increasing functions of one normal z. Both rise steeply
    between two modes: the panels in z are the images of equal panels in x_0.
    """
    p_T, (_, mu, width) = marginal(law, schedule, T), line_parts(law)
    even = np.linspace((mu - 9 * width).min(), (mu + 9 * width).max(), 300)
    steep = standardised(*line_parts(law), even)[0]
    shifted = (normal_to(p_T, torch.from_numpy(steep)).numpy() - mean) / std
    cuts = np.unique(np.concatenate([steep, shifted]).clip(-9, 9))
    u, w = np.polynomial.legendre.leggauss(3)
    half, middle = np.diff(cuts) / 2, (cuts[1:] + cuts[:-1]) / 2
    z, weight = (middle[:, None] + half[:, None] * u).ravel(), (half[:, None] * w).ravel()
    z_T = standardised(*line_parts(p_T), mean + std * z)[0]
    right, came = normal_to(law, torch.from_numpy(np.stack([z, z_T]))).numpy()
    return math.sqrt(float(weight @ ((right - came) ** 2 * np.exp(-(z**2) / 2)) / math.sqrt(2 * math.pi)))


@dataclass(frozen=True)
class WayBack:
    """W2 at T and after the exact flow, on the line, from N(0, 1) and from the Gaussian with p_T's moments."""

    label: str
    T: float
    standard_T: float
    standard_0: float
    fixed_T: float
    fixed_0: float


def ways_back(times=(0.25, 1.0, 2.0), labels=("skewed", "symmetric")) -> list[WayBack]:
    """What the flow makes of both errors."""
    clock, results = schedules.ou(max(times)), []
    for label in labels:
        law = laws()[label]
        for T in times:
            p = marginal(law, clock, T)
            ends = carried(law, clock, T, 0.0, 1.0), carried(law, clock, T, float(p.mean), float(p.covariance) ** 0.5)
            gaps = prior_gap(law, clock, T).total.value, moment_matched_gap(law, clock, T).value
            results.append(WayBack(label, T, gaps[0], ends[0], gaps[1], ends[1]))
    return results


# ---- four starts, in the plane


@dataclass(frozen=True)
class Outcome:
    """One prior at OU time T: sliced W2 to p_T at the start, and to p_0 after the flow and after the reverse SDE."""

    prior: str
    T: float
    at_T: Estimate
    flow: Estimate
    sde: Estimate


def kinds(target, schedule, T, training: int, generator) -> list:
    """The priors of the chapter: standard, moment-matched and data-initialised from training points, and the oracle."""
    points = target.sample(training, generator)
    fitted = [k.fit(points, schedule, T) for k in (priors.Standard, priors.MomentMatched, priors.DataInitialised)]
    return [*fitted, priors.Oracle(target, schedule, T)]


def starts(
    name: str = "ring",
    times=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
    seeds=(0, 1, 2),
    n: int = 1000,
    training: int = 1000,
    steps=(16, 40),
) -> list[Outcome]:
    """The same exact score from four starts, mean over the seeds; steps of the flow (DPM-Solver++) and of the SDE.

    `error` of every estimate is the standard error over seeds; `floor` is the mean null distance plus two of its errors.
    """
    target, clock, results = toy(name), schedules.ou(max(times)), []
    denoiser = ExactDenoiser(target, clock)
    for T in times:
        found: dict[str, list] = {}
        for seed in seeds:
            generator = seeded(seed)
            fresh, fresh_T = target.sample(n, generator), marginal(target, clock, T).sample(n, generator)
            for prior in kinds(target, clock, T, training, generator):
                start, end = reverse(prior, denoiser, clock, T, n, generator, steps=steps[0], method="dpmpp2m")
                noisy = sample(denoiser, clock, start, t_start=T, steps=steps[1], method="em", generator=generator)
                pairs = (start, fresh_T), (end, fresh), (noisy, fresh)
                found.setdefault(prior.name, []).append([_distance(*pair) for pair in pairs])
        results += [Outcome(prior, T, *map(_mean, zip(*runs))) for prior, runs in found.items()]
    return results


def inside_from(results: list[Outcome], prior: str, key: str) -> float:
    """The first T from which on the distance `key` of a prior stays inside the floor."""
    floor = max(getattr(row, key).floor for row in results)
    above = [row.T for row in results if row.prior == prior and getattr(row, key).value >= floor]
    return min(row.T for row in results if row.T > max(above, default=-1.0))


def _distance(x, y) -> Estimate:
    return metrics.sliced_w2(x, y, projections=30, repeats=3)


def _mean(estimates) -> Estimate:
    values = torch.tensor([e.value for e in estimates], dtype=torch.float64)
    count, average = len(values), lambda key: sum(getattr(e, key) for e in estimates) / len(estimates)
    error = float(values.std()) / count**0.5 if count > 1 else math.nan
    return Estimate(float(values.mean()), average("floor") + 2 * average("error") / count**0.5, estimates[0].n, error)


@dataclass(frozen=True)
class ShortTime:
    """One toy at a short time: sliced W2 from p_T to N(0, I), to the affine prior and to the noised training set."""

    name: str
    standard: Estimate
    fixed: Estimate
    control: Estimate


def short_times(T: float = 0.1, names=FIVE, seeds=(0, 1, 2), n: int = 2000, training: int = 1000) -> list[ShortTime]:
    """How much of the gap an affine map removes when p_T still has the shape of the data."""
    clock, results = schedules.ou(T), []
    for name in names:
        target, rows = toy(name), []
        for seed in seeds:
            generator = seeded(seed)
            fresh = marginal(target, clock, T).sample(n, generator)
            fitted = kinds(target, clock, T, training, generator)[:3]
            rows.append([_distance(prior.sample(n, generator), fresh) for prior in fitted])
        results.append(ShortTime(name, *map(_mean, zip(*rows))))
    return results


@dataclass(frozen=True, eq=False)
class Clouds:
    """Samples of p_T, of N(0, I) and of the affine prior, from the same noise."""

    name: str
    T: float
    truth: torch.Tensor
    standard: torch.Tensor
    fixed: torch.Tensor


def clouds(name: str = "giraffe", T: float = 0.3, n: int = 900, seed: int = 0) -> Clouds:
    """One toy at one time, and the two Gaussian priors."""
    target, clock = toy(name), schedules.ou(T)
    law, z = marginal(target, clock, T), normal((n, 2), seeded(seed), dtype=torch.float64)
    affine = gaussian_map(torch.zeros(2), torch.eye(2, dtype=torch.float64), law.mean, law.covariance)
    return Clouds(name, T, law.sample(n, seeded(seed + 1)), z, affine(z))
