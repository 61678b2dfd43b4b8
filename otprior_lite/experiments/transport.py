"""Couplings of small clouds, Sinkhorn with and without logarithms, and what samples say about W2.

Everything is deterministic: every draw comes from the seed it is given. Chapter 6 shows the results.
"""

import math
from dataclasses import dataclass

import torch

from ..discrete import best_permutation
from ..linalg import squared_distances
from ..randomness import normal, seeded
from ..transport import AffineMap, gaussian_map, plan, sample_plan, sinkhorn


def _draw(n: int, d: int, generator) -> torch.Tensor:
    return normal((n, d), generator, dtype=torch.float64)


# ---- one cost matrix, four couplings


@dataclass(frozen=True, eq=False)
class Coupling:
    """One way to send x (n, 2) to y (n, 2): masses (n, n) and their cost."""

    label: str
    x: torch.Tensor
    y: torch.Tensor
    matrix: torch.Tensor
    cost: float


def clouds(n: int = 7, seed: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Two small clouds in the plane; list order pairs them badly, three places off the optimal plan."""
    generator, shape = seeded(seed), torch.tensor([0.5, 1.0])
    x = shape * _draw(n, 2, generator).clamp(-1.7, 1.7) - torch.tensor([1.0, 0.0])
    y = shape * _draw(n, 2, generator).clamp(-1.7, 1.7) + torch.tensor([1.0, 0.0])
    return x, y[plan(x, y).assignment.roll(3)]


def couplings(epsilon: float = 0.5) -> list[Coupling]:
    """Product of the marginals, list order, Sinkhorn and the optimal plan of the same two clouds."""
    x, y = clouds()
    cost = squared_distances(x, y)
    matrices = {
        "independent": torch.full_like(cost, 1 / cost.numel()),
        "list order": torch.eye(len(x), dtype=cost.dtype) / len(x),
        f"Sinkhorn, ε = {epsilon:g}": sinkhorn(x, y, epsilon=epsilon).matrix,
        "optimal": plan(x, y).matrix,
    }
    return [Coupling(label, x, y, matrix, float((matrix * cost).sum())) for label, matrix in matrices.items()]


def scenes() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The pairs of clouds that the live figure offers, by name; list order pairs point i with point i."""
    turn = torch.arange(3, dtype=torch.float64) * 2 * math.pi / 3 + 0.4
    at = lambda angle: 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
    generator = seeded(1)
    across = lambda: 3.4 * torch.rand(6, generator=generator, dtype=torch.float64) - 1.7
    line = lambda height: torch.stack([across(), torch.full((6,), height).double()], 1)
    return {
        "two clouds": clouds(),
        "two arrows": crossing_pair(),
        "a turned triangle": (at(turn), at(turn + math.radians(80))),
        "two lines": (line(0.9), line(-0.9)),
    }


def crossing_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pairs whose arrows cross, and which are nevertheless optimal for the squared distance."""
    x = torch.tensor([[-2.0, 0.0], [-1.5, -0.6]], dtype=torch.float64)
    y = torch.tensor([[1.0, 0.0], [2.0, 0.6]], dtype=torch.float64)
    return x, y


def count_crossings(x: torch.Tensor, y: torch.Tensor) -> int:
    """How many pairs of segments [x_i, y_i] in the plane cross in their interiors."""
    x, y = x.tolist(), y.tolist()
    turn = lambda a, b, c: (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    apart = lambda i, j: turn(x[i], y[i], x[j]) * turn(x[i], y[i], y[j]) < 0
    return sum(apart(i, j) and apart(j, i) for i in range(len(x)) for j in range(i))


def crossing_shares(trials: int = 200, n: int = 7) -> dict[str, float]:
    """Share of random pairs of clouds whose arrows cross somewhere: in list order, and optimal for two costs."""
    found = {"list order": 0, "squared distance": 0, "distance": 0}
    for seed in range(trials):
        x, y = clouds(n, seed)
        squares = squared_distances(x, y)
        orders = torch.arange(n), best_permutation(squares), best_permutation(squares.sqrt())
        for name, order in zip(found, orders):
            found[name] += count_crossings(x, y[order]) > 0
    return {name: count / trials for name, count in found.items()}


# ---- Sinkhorn with and without logarithms


def naive_sinkhorn(cost: torch.Tensor, epsilon: float, steps: int = 300) -> torch.Tensor:
    """Sinkhorn's algorithm as it is usually written, uniform weights, in the precision of `cost`."""
    kernel = (-cost / epsilon).exp()
    n, m = cost.shape
    u = torch.ones(n, dtype=cost.dtype)
    for _ in range(steps):
        v = (1 / m) / (kernel.T @ u)
        u = (1 / n) / (kernel @ v)
    return u[:, None] * kernel * v


def careless(cost: torch.Tensor, epsilon: float) -> torch.Tensor:
    """`naive_sinkhorn` in float32, with the uniform plan in place of one that is not finite. Do not do this."""
    found = naive_sinkhorn(cost.float(), epsilon)
    return found if bool(found.isfinite().all()) else torch.full_like(found, 1 / found.numel())


@dataclass(frozen=True, eq=False)
class Sweep:
    """Plans of two clouds for many epsilon. Costs are <P, C>; errors are the L1 distance of the marginals.

    cost, steps: Sinkhorn on logarithms. naive32, naive64: cost of the usual algorithm, NaN when it is not finite.
    careless, careless_error: cost and marginal error when NaN is replaced by the uniform plan.
    """

    epsilon: torch.Tensor
    cost: torch.Tensor
    steps: list[int]
    converged: list[bool]
    naive32: torch.Tensor
    naive64: torch.Tensor
    careless: torch.Tensor
    careless_error: torch.Tensor
    exact: float
    independent: float


def sweep(n: int = 60, epsilons=None, seed: int = 0, tolerance: float = 1e-3) -> Sweep:
    """Two clouds of n points, three apart, for epsilon from 100 down to 0.003."""
    generator = seeded(seed)
    x, y = _draw(n, 2, generator), 0.7 * _draw(n, 2, generator) + torch.tensor([3.0, 0.0])
    cost = squared_distances(x, y)
    epsilons = (
        torch.logspace(2, -2.5, 28, dtype=torch.float64) if epsilons is None else torch.as_tensor(epsilons, dtype=torch.float64)
    )
    paid = lambda matrix: float((matrix.double() * cost).sum())
    violation = lambda matrix: float((matrix.double().sum(1) - 1 / n).abs().sum() + (matrix.double().sum(0) - 1 / n).abs().sum())
    logs = [sinkhorn(x, y, epsilon=float(e), tolerance=tolerance, max_iterations=5000) for e in epsilons]
    naive = [[paid(naive_sinkhorn(cost.to(dtype), float(e))) for e in epsilons] for dtype in (torch.float32, torch.float64)]
    replaced = [careless(cost, float(e)) for e in epsilons]
    return Sweep(
        epsilons, torch.tensor([p.cost for p in logs]), [p.steps for p in logs], [p.converged for p in logs],
        torch.tensor(naive[0]), torch.tensor(naive[1]),
        torch.tensor([paid(matrix) for matrix in replaced]), torch.tensor([violation(matrix) for matrix in replaced]),
        plan(x, y).cost, float(cost.mean()),
    )  # fmt: skip


# ---- Gaussians: samples against the formula


@dataclass(frozen=True, eq=False)
class GaussianRuns:
    """Plans between samples of two Gaussians against the affine map T, mean over repeats, for each n.

    w2, floor: root of the mean cost between samples of the two laws, and between two samples of the second.
    partner: root mean square of |T(x_i) - y_s(i)| over the optimal pairs; least: the same for the pairing that makes it
    smallest, so no pairing of these samples can be closer to T.
    """

    n: tuple[int, ...]
    w2: torch.Tensor
    w2_error: torch.Tensor
    floor: torch.Tensor
    partner: torch.Tensor
    least: torch.Tensor
    truth: float
    map: AffineMap
    x: torch.Tensor
    y: torch.Tensor
    assignment: torch.Tensor


def gaussian_pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means and covariances of the two Gaussians of the chapter; the covariances do not commute."""
    S1, S2 = [[1.0, 0.0], [0.0, 0.3]], [[0.5, 0.45], [0.45, 0.8]]
    return tuple(torch.tensor(v, dtype=torch.float64) for v in ([-1.2, 0.0], S1, [1.2, 0.4], S2))


def gaussians(sizes: tuple[int, ...] = (25, 50, 100, 200, 400, 800), repeats: int = 8, seed: int = 0) -> GaussianRuns:
    """Sample both Gaussians, solve, compare with the closed form."""
    m1, S1, m2, S2 = gaussian_pair()
    T, generator = gaussian_map(m1, S1, m2, S2), seeded(seed)
    first, second = (AffineMap(torch.linalg.cholesky(S), m) for m, S in ((m1, S1), (m2, S2)))
    rows, kept = [], None
    for n in sizes:
        for _ in range(repeats):
            x, y, z = first(_draw(n, 2, generator)), second(_draw(n, 2, generator)), second(_draw(n, 2, generator))
            solved, image = plan(x, y), T(x)
            partner = float((image - y[solved.assignment]).square().sum(1).mean())
            rows.append((solved.cost, plan(z, y).cost, partner, plan(image, y).cost))
            kept = (x, y, solved.assignment) if n == 50 or kept is None else kept
    table = torch.tensor(rows, dtype=torch.float64).reshape(len(sizes), repeats, 4)
    mean = table.mean(1).sqrt()
    error = table[..., 0].sqrt().std(1) / math.sqrt(repeats)
    move = T.matrix - torch.eye(2, dtype=torch.float64)
    truth = float(((m1 - m2) @ (m1 - m2) + torch.trace(move @ S1 @ move)).sqrt())  # E|T(x) - x|^2
    return GaussianRuns(sizes, mean[:, 0], error, mean[:, 1], mean[:, 2], mean[:, 3], truth, T, *kept)


# ---- the bias of sample W2


@dataclass(frozen=True, eq=False)
class Bias:
    """Sample W2 in d dimensions for each n, mean over repeats: laws 0.5 apart, and one law against itself."""

    d: int
    n: tuple[int, ...]
    apart: torch.Tensor
    floor: torch.Tensor
    spread: torch.Tensor
    truth: float


def bias(dimensions=(2, 8, 32), sizes=(32, 64, 128, 256, 512), repeats: int = 4, seed: int = 0) -> list[Bias]:
    """N(0, I) against N((0.3, 0, ...), diag(1.4^2, 1, ...)), which is exactly 0.5 away in every dimension."""
    generator, results = seeded(seed), []
    for d in dimensions:
        scale, shift = torch.ones(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
        scale[0], shift[0] = 1.4, 0.3
        rows = []
        for n in sizes:
            for _ in range(repeats):
                x, y, z = (_draw(n, d, generator) for _ in range(3))
                rows.append([math.sqrt(plan(x, other).cost) for other in (scale * y + shift, z)])
        table = torch.tensor(rows, dtype=torch.float64).reshape(len(sizes), repeats, 2)
        results.append(Bias(d, sizes, table[..., 0].mean(1), table[..., 1].mean(1), table[..., 1].std(1), 0.5))
    return results


# ---- duplicates


def duplicates(n: int = 256, batches: int = 200, seed: int = 0) -> float:
    """Mean share of distinct points among n pairs drawn independently from the optimal plan of two samples of size n."""
    generator = seeded(seed)
    solved = plan(_draw(n, 2, generator), _draw(n, 2, generator))
    return sum(len(sample_plan(solved, n, generator)[0].unique()) for _ in range(batches)) / (n * batches)
