"""The error budget of a small diffusion model: every choice of start, score, steps, sampler and T, measured and bounded.

Cells of three parts. "sample": W2 at the end, measured. "w2": Gronwall's bound on the same run of DDIM, term by term.
"kl": Girsanov's bound for ancestral sampling, and the KL that a histogram sees. All at time EPS, where p_eps is the
data with a breath of noise. Chapter 10 shows the rows; `experiments.budget` arranges them.
"""

import math
from functools import cache

import torch

from .. import metrics, priors
from ..bounds import girsanov_budget, gronwall_budget
from ..discrete import assignment_cost
from ..forward import marginal
from ..gap import synchronous_bound
from ..randomness import seeded
from ..samplers import sample, time_grid
from .budget_networks import SCHEDULE, SEEDS, denoiser, law, training_points
from .study import Study

EPS = 0.01
LENGTHS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.5)
STEPS = (5, 10, 20, 80)
KL_STEPS = (20, 80)
NETWORKS = ("tiny", "small", "wide", "exact")
STARTS = ("standard", "moment-matched", "data-initialised", "oracle")


def cells(quick: bool) -> list[dict]:
    """Measurements for every seed (the exact score: two), bounds for the first one; quick: the middle of the grid, few draws."""
    lengths, steps, seeds = ((1.0,), (5, 10), (0,)) if quick else (LENGTHS, STEPS, SEEDS)
    size = {"n": 2000} if quick else {}
    grid = [(T, K, net, seed) for seed in seeds for net in NETWORKS for T in lengths for K in steps]
    rows = []
    for T, K, net, seed in grid:
        if net == "exact" and seed == SEEDS[-1]:  # only the fitted starts would differ
            continue
        cell = {"T": T, "steps": K, "network": net, "seed": seed, **size}
        rows += [{"part": "sample", "method": method, **cell} for method in ("ddim", "ddpm")]
        if seed == SEEDS[0]:
            rows += [{"part": "w2", **cell}] + ([{"part": "kl", **cell}] if K in KL_STEPS or quick else [])
    return rows


def measure(cell: dict) -> dict:
    """The numbers of one cell, by its part."""
    return {"sample": _sample, "w2": _gronwall, "kl": _girsanov}[cell["part"]](cell)


def start(name: str, T: float, seed: int):
    """A prior at time T, fitted to the seed's training points."""
    if name == "oracle":
        return priors.Oracle(law(), SCHEDULE, T)
    kinds = {"standard": priors.Standard, "moment-matched": priors.MomentMatched, "data-initialised": priors.DataInitialised}
    return kinds[name].fit(training_points(seed), SCHEDULE, T)


def end(cell: dict, name: str, n: int, method: str) -> torch.Tensor:
    """n samples at EPS from the start called `name`; the same noise for every cell of one seed and start."""
    generator, T = seeded(cell["seed"]), cell["T"]
    x = start(name, T, cell["seed"]).sample(n, generator)
    network = denoiser(cell["network"], cell["seed"])
    return sample(network, SCHEDULE, x, steps=cell["steps"], t_start=T, t_end=EPS, method=method, generator=generator)


def distance(x: torch.Tensor, seed: int) -> float:
    """sqrt(2) times sliced W2 to as many fresh draws of p_eps. In the plane it is at most W2, and W2 itself for a shift."""
    fresh = marginal(law(), SCHEDULE, EPS).sample(len(x), seeded(500 + seed))
    return math.sqrt(2) * metrics.sliced_w2(x, fresh, projections=100, repeats=1).value


@cache
def floor(n: int, pairs: int = 10) -> tuple[float, float]:
    """Mean and standard deviation of `distance` between two fresh samples of p_eps."""
    p, generator = marginal(law(), SCHEDULE, EPS), seeded(600)
    values = torch.tensor([distance(p.sample(n, generator), -1 - k) for k in range(pairs)], dtype=torch.float64)
    return float(values.mean()), float(values.std())


def _sample(cell: dict) -> dict:
    n = cell.get("n", 20_000)
    values = {name: distance(end(cell, name, n, cell["method"]), cell["seed"]) for name in STARTS}
    values["floor"], values["floor_spread"] = floor(n)
    return {key: round(value, 5) for key, value in values.items()}


# ---- W2, Gronwall


@cache
def data_w2(seed: int, points: int = 2000) -> float:
    """W2 between the training set and as many fresh points: above W2(training set, p_0) on average, by Jensen."""
    fresh = law().sample(points, seeded(700 + seed))
    return math.sqrt(assignment_cost(training_points(seed)[:points], fresh))


def gaussian_kl(q, T: float, n: int = 200_000) -> float:
    """KL(p_T || q) for a Gaussian start q: an average over draws of p_T, plus two standard errors."""
    p = marginal(law(), SCHEDULE, T)
    x = p.sample(n, seeded(9))
    mean, S = moments(q)
    normal = torch.distributions.MultivariateNormal(mean, S)
    ratio = p.log_prob(x) - normal.log_prob(x)
    return max(0.0, float(ratio.mean()) + 2 * float(ratio.std()) / math.sqrt(n))


def moments(q) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of a Gaussian start."""
    if isinstance(q, priors.Standard):
        return torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    return q.mean, q.covariance


def start_w2(name: str, T: float, seed: int) -> float:
    """An upper bound on W2(p_T, q_T).

    Gaussian starts: Talagrand, sqrt(2 lambda_max KL), and the synchronous bound for N(0, I). Data-initialised: the
    channel contracts, so e^{-T} W2(training set, p_0). The oracle: 0.
    """
    if name == "oracle":
        return 0.0
    if name == "data-initialised":
        return math.exp(-T) * data_w2(seed)
    q = start(name, T, seed)
    largest = float(torch.linalg.eigvalsh(moments(q)[1])[-1])
    talagrand = math.sqrt(2 * largest * gaussian_kl(q, T))
    return min(talagrand, synchronous_bound(law(), SCHEDULE, T)) if name == "standard" else talagrand


def _gronwall(cell: dict) -> dict:
    n, T, seed = cell.get("n", 4000) // 20, cell["T"], cell["seed"]
    times = time_grid(SCHEDULE, cell["steps"], T, EPS)
    network, values = denoiser(cell["network"], seed), {}
    for name in STARTS:
        x = start(name, T, seed).sample(n, seeded(seed))
        found = gronwall_budget(network, law(), SCHEDULE, T, times=times, start=x, prior_w2=start_w2(name, T, seed))
        terms = (found.prior, found.score.value, found.discretisation.value, found.total)
        values[name] = [round(float(v), 5) for v in terms]
    return values


# ---- KL, Girsanov


def histogram_kl(x: torch.Tensor, seed: int, bins: int = 8) -> tuple[float, float]:
    """KL between p_eps and the law of x, both seen through bins^2 cells: at most the true KL; and its floor.

    The cells have equal mass under p_eps: quantiles of the first coordinate, then of the second. Half a count is added
    to each cell. The floor is the plug-in bias (cells - 1) / 2n of both samples.
    """
    p = marginal(law(), SCHEDULE, EPS).sample(20 * len(x), seeded(800 + seed))
    inner = torch.arange(1, bins, dtype=torch.float64) / bins
    columns = p[:, 0].sort().values[(inner * len(p)).long()]
    where = lambda points: torch.bucketize(points[:, 0].contiguous(), columns)  # noqa: E731
    own, theirs, total = where(p), where(x), 0.0
    for i in range(bins):
        inside = p[own == i, 1].sort().values
        rows = inside[(inner * len(inside)).long()]
        count = lambda y: torch.bincount(torch.bucketize(y.contiguous(), rows), minlength=bins).double()  # noqa: B023, E731
        a, b = (count(inside) + 0.5) / len(p), (count(x[theirs == i, 1]) + 0.5) / len(x)
        total += float((a * (a / b).log()).sum())
    return total, (bins**2 - 1) / 2 * (1 / len(x) + 1 / len(p))


def _girsanov(cell: dict) -> dict:
    n, T, seed = cell.get("n", 20_000), cell["T"], cell["seed"]
    times = time_grid(SCHEDULE, cell["steps"], T, EPS)
    options = {"times": times, "freeze": "denoiser", "prior_kl": 0.0, "n": n // 20, "generator": seeded(seed)}
    found = girsanov_budget(denoiser(cell["network"], seed), law(), SCHEDULE, T, **options)
    values = {"score": found.score.value, "discretisation": found.discretisation.value, "path": found.total}
    for name in ("standard", "moment-matched"):
        values[f"prior {name}"] = gaussian_kl(start(name, T, seed), T)
        values[name], values["floor"] = histogram_kl(end(cell, name, n, "ddpm"), seed)
    return {key: float(f"{value:.5g}") for key, value in values.items()}


STUDY = Study("budget", cells, measure)
