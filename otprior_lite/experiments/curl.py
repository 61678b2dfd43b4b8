"""How far the probability flow is from a gradient: fields, rates, what samples cannot see, and a distance.

In the plane the antisymmetric part A of a Jacobian is one number, A_12. Its size is that entry, not the Frobenius
norm (which is sqrt(2) larger). All flows are of the OU process, from T to time 20 unless s is given. Chapter 9 shows it.
"""

import math
from dataclasses import dataclass

import torch

from ..estimate import Estimate
from ..flow import antisymmetry, flow_jacobian, flow_map, rate_law
from ..forward import marginal
from ..gap import synchronous_bound
from ..randomness import normal, seeded
from ..schedules import ou
from ..transport import cyclical_monotonicity
from .dynamic import laws

CLOCK, END = ou(20.0), 20.0
_f64 = torch.float64


def entry(matrices: torch.Tensor) -> torch.Tensor:
    """A_12 of each matrix (n, 2, 2)."""
    return matrices[:, 0, 1]


def rms(values: torch.Tensor) -> float:
    """Root mean square."""
    return float(values.square().mean().sqrt())


# ---- a field and a rate


@dataclass(frozen=True, eq=False)
class Field:
    """A_12 on a square grid (side, side) of half width `limit`, for the flow from T on. predicted: the two-term law."""

    T: float
    limit: float
    measured: torch.Tensor
    predicted: torch.Tensor
    atoms: torch.Tensor


def fields(name: str = "three atoms", times=(0.5, 2.0), side: int = 33, limit: float = 2.6) -> list[Field]:
    """The antisymmetric part over the plane, measured and predicted. atoms: where alpha_T y_i are."""
    law, axis, results = laws()[name], torch.linspace(-limit, limit, side, dtype=_f64), []
    grid = torch.cartesian_prod(axis, axis).flip(1)
    for T in times:
        found = entry(antisymmetry(law, CLOCK, grid, T, END, tolerance=1e-10).matrices).reshape(side, side)
        results.append(Field(T, limit, found, entry(rate_law(law, T, grid).total).reshape(side, side), math.exp(-T) * law.means))
    return results


@dataclass(frozen=True, eq=False)
class Rate:
    """rms of A_12 against T, at fixed points drawn from N(0, I).

    measured; first, both: the law's first term, and both. first_error, error: rms of measured - first, and of measured - both,
    point by point and relative to rms(both); NaN where nothing is predicted.
    floor: rms change of the measurement when the integrator's tolerance goes from 1e-12 to 1e-13.
    """

    name: str
    T: torch.Tensor
    measured: torch.Tensor
    first: torch.Tensor
    both: torch.Tensor
    first_error: torch.Tensor
    error: torch.Tensor
    floor: torch.Tensor

    def slope(self, low: float, high: float) -> float:
        """Slope of log(measured) between two T of the list."""
        at = lambda T: math.log(float(self.measured[(self.T - T).abs().argmin()]))
        return (at(high) - at(low)) / (high - low)


def rate(law, name: str, T, n: int = 40, seed: int = 0) -> Rate:
    """Measure and predict at n points for each T."""
    x, rows = normal((n, law.d), seeded(seed), dtype=_f64), []
    for time in (T := torch.as_tensor(T, dtype=_f64)).tolist():
        found, again = (entry(antisymmetry(law, CLOCK, x, time, END, tolerance=tol).matrices) for tol in (1e-12, 1e-13))
        predicted = rate_law(law, time, x)
        first, both = entry(predicted.leading), entry(predicted.total)
        off = [rms(found - term) / rms(both) if rms(both) > 1e-17 else math.nan for term in (first, both)]
        rows.append((rms(found), rms(first), rms(both), *off, rms(found - again)))
    return Rate(name, T, *torch.tensor(rows, dtype=_f64).T)


def rates(names=("three atoms", "symmetric atoms", "collinear atoms"), T=None, n: int = 40) -> list[Rate]:
    """Three laws: kappa_3 present, kappa_3 = 0, and a control whose flow is optimal."""
    T = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 5.0], dtype=_f64) if T is None else T
    return [rate(laws()[name], name, T, n) for name in names]


# ---- what the costs of samples cannot see


@dataclass(frozen=True)
class Blind:
    """n draws of p_T, paired with their images under a map. gain: share of the cost that the best re-pairing saves.

    exchanged: pairs that it changes. twist: rms angle, in degrees, by which the Jacobian turns, over 200 draws.
    """

    T: float
    n: int
    gain: float
    exchanged: int
    twist: float


def twist(jacobian: torch.Tensor) -> torch.Tensor:
    """Angle in degrees of the rotation in the polar decomposition of 2 x 2 matrices (n, 2, 2): 0 for symmetric positive ones."""
    skew, trace = jacobian[:, 1, 0] - jacobian[:, 0, 1], jacobian[:, 0, 0] + jacobian[:, 1, 1]
    return torch.rad2deg(torch.atan2(skew, trace))


def blind(times=(0.05, 0.2, 0.5, 1.0), sizes=(50, 200, 800), name: str = "three atoms", seed: int = 1) -> list[Blind]:
    """Is the flow's pairing of samples optimal? And is its Jacobian symmetric? Both answers, for several T and n."""
    law, results = laws()[name], []
    for T in times:
        probe = marginal(law, CLOCK, T).sample(200, seeded(seed))
        turned = rms(twist(flow_jacobian(law, CLOCK, probe, T, END, tolerance=1e-9).jacobian))
        for n in sizes:
            x = marginal(law, CLOCK, T).sample(n, seeded(seed))
            y = flow_map(law, CLOCK, x, T, END, tolerance=1e-9)
            better = cyclical_monotonicity(x, y)
            paid = float((x - y).square().sum(1).mean())
            exchanged = int((better.order != torch.arange(n)).sum())
            results.append(Blind(T, n, better.gain / paid, exchanged, turned))
    return results


# ---- a lower bound of the distance to every gradient


def distance_to_gradients(law, T: float, s: float, *, degree: int = 8, side: int = 41, limit: float = 5.0) -> float:
    """A lower bound of |M - grad u| in L2(p_T) for the flow M from T to s and every smooth u; planar laws.

    For a test function h and psi = h p_T, by parts: E[h curl M] = E[<M - grad u, rot>], rot = (grad psi turned) / p_T. So
    |M - grad u|^2 >= b^T Q^{-1} b with b_i = E[h_i curl M], Q_ij = E<grad h_i + h_i score, grad h_j + h_j score>, for Hermite
    polynomials h up to `degree`. Expectations by the trapezium rule on a grid, which is spectrally accurate here.
    """
    p = marginal(law, CLOCK, T)
    axis = torch.linspace(-limit, limit, side, dtype=_f64)
    x = torch.cartesian_prod(axis, axis) + p.mean
    mass = p.log_prob(x).exp() * float(axis[1] - axis[0]) ** 2
    x, mass = x[mass > 1e-13], mass[mass > 1e-13]
    jacobian, score = flow_jacobian(law, CLOCK, x, T, s, tolerance=1e-10).jacobian, p.score(x)
    h, slope = _hermite(x - p.mean, degree)
    b = h @ (mass * (jacobian[:, 1, 0] - jacobian[:, 0, 1]))
    field = (slope + h[:, :, None] * score) * mass.sqrt()[:, None]
    Q = torch.einsum("inc,jnc->ij", field, field)
    values, vectors = torch.linalg.eigh(Q)
    keep = values > 1e-10 * values.max()
    return float(((vectors.T @ b)[keep].square() / values[keep]).sum().sqrt())


def _hermite(x: torch.Tensor, degree: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Products He_i(x_1) He_j(x_2) / sqrt(i! j!), i + j <= degree, at points x (n, 2): values (m, n) and gradients (m, n, 2)."""
    line = [torch.ones_like(x), x]
    for k in range(1, degree):
        line.append((x * line[-1] - math.sqrt(k) * line[-2]) / math.sqrt(k + 1))
    slope = [torch.zeros_like(x)] + [math.sqrt(k) * line[k - 1] for k in range(1, degree + 1)]
    pairs = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    values = torch.stack([line[i][:, 0] * line[j][:, 1] for i, j in pairs])
    first = torch.stack([slope[i][:, 0] * line[j][:, 1] for i, j in pairs])
    return values, torch.stack([first, torch.stack([line[i][:, 0] * slope[j][:, 1] for i, j in pairs])], -1)


@dataclass(frozen=True, eq=False)
class Limit:
    """Theorem 3.11 at fixed T as s grows.

    moved: |M^{T,s} - M^{T,inf}| in L2(p_T), sampled. least: a lower bound of the theorem's left side, if M is the flow.
    control: the same bound for collinear atoms. right_s, right: the theorem's right side with K = 1, on a longer list of s.
    crossing: the s from which on the right side is smaller than the last `least`.
    """

    T: float
    s: torch.Tensor
    moved: list[Estimate]
    least: torch.Tensor
    control: torch.Tensor
    right_s: torch.Tensor
    right: torch.Tensor
    crossing: float


def limit(name: str = "three atoms", T: float = 0.5, s=(0.6, 1.0, 2.0, 3.0, 5.0, 8.0), n: int = 200, seed: int = 0) -> Limit:
    """The flow from T to s: near its own limit, and away from every gradient."""
    law, control = laws()[name], laws()["collinear atoms"]
    x = marginal(law, CLOCK, T).sample(n, seeded(seed))
    last, moved = flow_map(law, CLOCK, x, T, END), []
    for time in s:
        square = (flow_map(law, CLOCK, x, T, time) - last).square().sum(1)
        size = float(square.mean().sqrt())
        moved.append(Estimate(size, 0.0, n, float(square.std()) / math.sqrt(n) / (2 * size)))
    least, zero = (torch.tensor([distance_to_gradients(target, T, time) for time in s], dtype=_f64) for target in (law, control))
    far, start = torch.linspace(T, 80.0, 60, dtype=_f64), synchronous_bound(law, CLOCK, T)
    right = (torch.exp(T - far) * start) ** (2 / 15)
    crossing = T + math.log(start) - 7.5 * math.log(float(least[-1]))
    return Limit(T, torch.tensor(s, dtype=_f64), moved, least, zero, far, right, crossing)
