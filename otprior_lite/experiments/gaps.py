"""How far p_T is from the prior, and how far the bounds are from that: exact numbers in one dimension.

Every law here is a mixture or a point, so distances, KL and total variation are quadratures. The giraffe is the one
case of two dimensions, with the floor of its estimate. Chapter 3 shows the results; what samples see is in `floors`.
"""

import math
from dataclasses import dataclass

import torch

from .. import data, gap, metrics, schedules, targets
from ..randomness import normal, seeded
from ..targets import Empirical, GaussianMixture

OU = schedules.ou(4.0)


def two_bumps(mean: float = 0.0, scale: float = 1.0, separation: float = 0.98, share: float = 0.4) -> GaussianMixture:
    """Two equal-width bumps on the line with the given mean and standard deviation.

    separation: the part of the standard deviation that lies between the bumps, in [0, 1). share: weight of the right one.
    """
    right, left = math.sqrt((1 - share) / share), -math.sqrt(share / (1 - share))
    places = [[mean + scale * separation * right], [mean + scale * separation * left]]
    return GaussianMixture([share, 1 - share], places, [scale**2 * (1 - separation**2)] * 2)


def treatments() -> dict[str, GaussianMixture]:
    """One skewed law three times: as it comes (mean 1, standard deviation 1.5), centred, standardised."""
    return {"as it comes": two_bumps(1.0, 1.5), "centred": two_bumps(0.0, 1.5), "standardised": two_bumps()}


@dataclass(frozen=True, eq=False)
class Decay:
    """The gap of one law under the Ornstein-Uhlenbeck process of length T, and everything known about it without solving.

    matched: what is left after the moment-matched prior. leading: the late-time law. slope: its slope, -1, -2 or -3.
    floor: mean W2 between two samples of N(0, 1) of size n.
    """

    label: str
    T: torch.Tensor
    exact: torch.Tensor
    gelbrich: torch.Tensor
    synchronous: torch.Tensor
    talagrand: torch.Tensor
    contraction: torch.Tensor
    matched: torch.Tensor
    leading: torch.Tensor
    slope: int
    floor: float
    n: int


def decay(times: tuple[float, ...] = tuple(0.1 + 0.2 * k for k in range(18)), n: int = 1000, seed: int = 0) -> list[Decay]:
    """`Decay` of the three treatments."""
    floor, results = _floor_on_the_line(n, seed), []
    for label, law in treatments().items():
        along = lambda f: torch.tensor([float(f(law, OU, t)) for t in times], dtype=torch.float64)  # noqa: B023
        results.append(
            Decay(
                label, torch.tensor(times, dtype=torch.float64), along(lambda *a: gap.prior_gap(*a).total), along(gap.gelbrich),
                along(gap.synchronous_bound), along(gap.talagrand), along(gap.contraction_bound), along(gap.moment_matched_gap),
                along(lambda *a: gap.hermite_asymptotics(*a).value), gap.hermite_asymptotics(law, OU).slope, floor, n,
            )
        )  # fmt: skip
    return results


def _floor_on_the_line(n: int, seed: int, repeats: int = 40) -> float:
    """Mean W2 between two samples of N(0, 1): on the line one projection is the distance itself."""
    generator, total = seeded(seed), 0.0
    for _ in range(repeats):
        x, y = (normal((n, 1), generator, dtype=torch.float64) for _ in range(2))
        total += metrics.sliced_w2(x, y, projections=1, repeats=1).value
    return total / repeats


# ---- three parts


@dataclass(frozen=True, eq=False)
class Parts:
    """mean^2 + covariance^2 + shape^2 = total^2 along T, for one law."""

    T: torch.Tensor
    mean: torch.Tensor
    covariance: torch.Tensor
    shape: torch.Tensor
    total: torch.Tensor


def parts(law: GaussianMixture | None = None, times: tuple[float, ...] = tuple(0.1 * k for k in range(31))) -> Parts:
    """The split of `law` (default: the skewed law as it comes) under the Ornstein-Uhlenbeck process."""
    gaps = [gap.prior_gap(two_bumps(1.0, 1.5) if law is None else law, OU, t) for t in times]
    rows = torch.tensor([[g.mean, g.covariance, g.shape.value, g.total.value] for g in gaps], dtype=torch.float64)
    return Parts(torch.tensor(times, dtype=torch.float64), *rows.T)


# ---- three distances


@dataclass(frozen=True)
class View:
    """What three distances from N(0, 1) say about one law."""

    label: str
    w2: float
    total_variation: float
    kl: float


def views(teeth: int = 40) -> list[View]:
    """Laws that one of W2, total variation and KL calls near and another far. The comb has `teeth` narrow bumps."""
    middle = (torch.arange(teeth, dtype=torch.float64) + 0.5) / teeth
    comb = torch.special.ndtri(middle)[:, None]
    laws = {
        "shifted by 0.1": GaussianMixture([1.0], [[0.1]], [1.0]),
        "1 % of the mass moved to 10": GaussianMixture([0.99, 0.01], [[0.0], [10.0]], [1.0, 1.0]),
        f"a comb of {teeth} teeth": GaussianMixture([1 / teeth] * teeth, comb, [0.01**2] * teeth),
        f"{teeth} points": Empirical(comb),
    }
    at_zero = lambda f, law: f(law, OU, 0.0).value
    return [
        View(label, gap.prior_gap(law, OU, 0.0).total.value, at_zero(gap.total_variation, law), at_zero(gap.kl, law))
        for label, law in laws.items()
    ]


# ---- slack


@dataclass(frozen=True, eq=False)
class Slack:
    """bound / measured for every bound along T, NaN where a bound is not available.

    errors: relative, from the floor of an estimated W2 and the standard error of an estimated KL; 0 on the line.
    """

    label: str
    T: torch.Tensor
    ratios: dict[str, torch.Tensor]
    errors: dict[str, torch.Tensor]


def slack(
    times: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0), plane: tuple[float, ...] = (0.1, 0.4, 1.0),
) -> list[Slack]:  # fmt: skip
    """Six bounds over six laws; the giraffe, at the times `plane`, has an estimated W2 and no exact W2 at time 0."""
    laws = {
        "shift, unit variance": GaussianMixture([1.0], [[1.5]], [1.0]),
        "one point": Empirical([[1.5]]),
        "narrow bump, centred": GaussianMixture([1.0], [[0.0]], [0.2**2]),
        "skewed, as it comes": two_bumps(1.0, 1.5),
        "skewed, standardised": two_bumps(),
    }
    results = [_slack(label, law, times) for label, law in laws.items()]
    return [*results, _slack("giraffe, in the plane", targets.toy("giraffe"), plane)]


def _slack(label: str, law, times) -> Slack:
    rows, errors = [], []
    for t in times:
        w2 = gap.prior_gap(law, OU, t, n=400).total
        divergence = gap.kl(law, OU, t, n=10_000)
        kl, line = divergence.value, law.d == 1
        rows.append({
            "Gelbrich": gap.gelbrich(law, OU, t) / w2.value,
            "synchronous": gap.synchronous_bound(law, OU, t) / w2.value,
            "contraction": gap.contraction_bound(law, OU, t) / w2.value if line else math.nan,
            "Talagrand": math.sqrt(2 * kl) / w2.value,
            "KL convexity": gap.kl_bound(law, OU, t) / kl,
            "Pinsker": min(1.0, math.sqrt(kl / 2)) / gap.total_variation(law, OU, t).value if line else math.nan,
        })  # fmt: skip
        of_w2, of_kl = w2.floor / w2.value, divergence.error / kl
        errors.append((of_w2, of_w2, 0.0, of_w2 + of_kl / 2, of_kl, 0.0))
    series = lambda values: torch.tensor(list(values), dtype=torch.float64)
    ratios = {name: series(row[name] for row in rows) for name in rows[0]}
    return Slack(label, series(times), ratios, dict(zip(ratios, map(series, zip(*errors)))))


# ---- SNR is not the gap


@dataclass(frozen=True)
class InUnits:
    """One public default: the signal that it leaves, and the gap of the giraffe's height in three units.

    Gaps are exact W2 over the standard deviation of the prior.
    """

    where: str
    signal: float
    standardised: float
    drawn: float
    centimetres: float


def heights(centimetres: float = 50.0) -> dict[str, GaussianMixture]:
    """The height of the giraffe's points: standardised, as drawn, and in centimetres above the ground."""
    plane = targets.toy("giraffe")
    drawn = GaussianMixture(plane.weights, plane.means[:, 1:], plane.covariances)
    spread, ground = float(drawn.covariance) ** 0.5, float(drawn.means.min())
    move = lambda shift, scale: GaussianMixture(drawn.weights, (drawn.means - shift) * scale, drawn.covariances * scale**2)
    return {"standardised": move(drawn.mean, 1 / spread), "drawn": drawn, "centimetres": move(ground, centimetres)}


def units(
    defaults=(
        "tiny-diffusion, default", "Understanding Deep Learning, notebook 18.2", "EngiOpt, 250 linear steps",
        "Stable Diffusion, latent diffusion", "DDPM and most tutorials",
    ),
) -> list[InUnits]:  # fmt: skip
    """Some rows of chapter 1's league table, largest signal first, with one data set in three units."""
    laws, results = heights(), []
    for row in data.table("schedules_in_the_wild"):
        if row["where"] in defaults:
            schedule, t = getattr(schedules, row["schedule"])(**row["arguments"]), row["t"]
            alpha, sigma, s = (float(f(t)) for f in (schedule.alpha, schedule.sigma, schedule.reference_std))
            gaps = (gap.prior_gap(law, schedule, t).total.value / s for law in laws.values())
            results.append(InUnits(row["where"], alpha / math.hypot(alpha, sigma), *gaps))
    return sorted(results, key=lambda result: -result.signal)
