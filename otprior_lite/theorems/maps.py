"""Theorem 3.4, Lemma 3.5, Theorem 3.11: what is said of the optimal map.

    3.4:   |grad u - grad v|_{L2(gamma)} <= C |u - v|_inf^{1/2},   C^2 = sqrt(d) (2 R + D)
    3.5:   equal cell masses  =>  W2(sum_i w_i delta_i, sum_i b_i delta_i) = 0
    3.11:  |grad u_T - M^{T,s}|_{L2(p_T)} <= K (e^{-(s-T)} W2(p_T, gamma))^{2/15}

The statements are known from one secondary report; proofs and constants were not seen. C is derived here, for the
Gaussian itself and potentials that are maxima of planes; K is unknown. Chapters 7 and 9 and the page on claims.
"""

import math

import numpy as np
import torch

from ..discrete import exact_plan
from ..errors import count, expect, point_cloud, probability_vector, real_tensor
from ..estimate import Estimate
from ..flow import flow_map
from ..gap import prior_gap, synchronous_bound
from ..gap.line import line_parts, standardised
from ..randomness import normal, seeded
from ..schedules import ou
from ..semidiscrete import BrenierMap
from ..targets import Empirical, GaussianMixture, normal_to
from .inequality import Inequality

_END = 20.0  # OU time that stands for infinity


def theorem_3_4(points, heights, other, *, n: int = 20_000, generator=None) -> Inequality:
    """The map term: RMS |grad u_h - grad u_k| under N(0, I) against C |u_h - u_k|_inf^{1/2}, for two sets of heights on the same points.

    |u_h - u_k|_inf, up to the free constant, is at most half the range of h - k. By parts under the Gaussian,
    E|grad w|^2 = -E[w (Delta w - z.grad w)] <= |w|_inf (E Delta u + E Delta v + E|z||grad w|), and E Delta u = E z.grad u <= sqrt(d) R
    with R the radius about the points' midrange and D >= |grad w| their diameter. The theorem's other term is theorem 3.6's;
    a potential that grows faster than planes has |u - u_h|_inf = infinity on the whole space, which the report does not discuss.
    """
    y = point_cloud(points).double()
    h, k = (real_tensor(v, name).double() for v, name in ((heights, "heights"), (other, "other")))
    for v, name in ((h, "heights"), (k, "other")):
        expect(v.shape == y.shape[:1], name, f"shape ({len(y)},)", f"shape {tuple(v.shape)}")
    d = y.shape[1]
    z = normal((count(n, at_least=2), d), generator or seeded(), dtype=torch.float64)
    square = (BrenierMap(y, h)(z) - BrenierMap(y, k)(z)).square().sum(1)
    rms = float(square.mean().sqrt())
    left = Estimate(rms, 0.0, n, float(square.std()) / math.sqrt(n) / (2 * rms) if rms > 0 else 0.0)
    radius = float((y - (y.amax(0) + y.amin(0)) / 2).norm(dim=1).max())
    diameter = float(torch.cdist(y, y).max()) if len(y) > 1 else 0.0
    difference = h - k
    sup = float(difference.max() - difference.min()) / 2
    constant = math.sqrt(math.sqrt(d) * (2 * radius + diameter))
    own = "constant C: proved here, the paper's is unknown"
    assumptions = ("source N(0, I): by construction", "potentials are maxima of planes: by construction", own)
    terms = (("constant", constant), ("sup", sup))
    return Inequality("Theorem 3.4 (map term)", left, constant * math.sqrt(sup), assumptions, True, terms)


def lemma_3_5(points, heights, weights=None, *, law: GaussianMixture | None = None) -> Inequality:
    """W2 between the push-forward sum w_i(h) delta_i of N(0, I) and the weighted points, against D sqrt(TV(w, b)), d = 1 or 2, exact.

    Both are 0 when every cell has its weight: that is all the lemma says, and any map with these masses does as well. The term
    "population" (one dimension, `law` given) is W2(push-forward, law): what remains when the points stand for p_T.
    """
    y = point_cloud(points).double()
    w = BrenierMap(y, real_tensor(heights, "heights").double()).exact_masses().double().cpu()
    b = probability_vector(weights, len(y), y).cpu()
    distinct = len(torch.unique(y, dim=0)) == len(y)
    expect(
        distinct,
        "points",
        "distinct points (merge duplicates and add their weights)",
        f"{len(y) - len(torch.unique(y, dim=0))} duplicates",
    )
    tv = 0.5 * float((w - b).abs().sum())
    keep, w2 = tv > 1e-14, 0.0
    if keep:
        w2 = math.sqrt(max(0.0, exact_plan(y, y, w.clamp_min(0), b)[1]))
    diameter = float(torch.cdist(y, y).max())
    terms = [("total_variation", tv)]
    if law is not None:
        fits = law.d == 1 and y.shape[1] == 1 and isinstance(law, GaussianMixture)
        expect(fits, "law", "a GaussianMixture in dimension 1, like the points", f"{type(law).__name__} in dimension {law.d}")
        terms.append(("population", _points_to_law(y[:, 0].cpu().numpy(), w.numpy(), law)))
    assumptions = (
        "points distinct: checked",
        f"heights feasible (w = b): checked, TV = {tv:.3g}",
        "a statement on the points, not on p_T",
    )
    return Inequality(
        "Lemma 3.5", Estimate(w2, 0.0, 0, 0.0), diameter * math.sqrt(tv) if keep else 0.0, assumptions, tv < 1e-8, tuple(terms)
    )


def _points_to_law(y, w, law) -> float:
    """W2 between weighted points and a mixture on a line: each point serves the x between two quantiles of the law."""
    from scipy.special import ndtri

    order = np.argsort(y)
    cumulated = np.clip(np.cumsum(w[order]), 0, 1)
    parts = line_parts(law)
    ends = (parts[1] - 12 * parts[2]).min(), (parts[1] + 12 * parts[2]).max()
    inner = normal_to(law.to(torch.float64), torch.from_numpy(np.clip(ndtri(cumulated[:-1]), -38, 38))).numpy()
    edges = np.clip(np.concatenate([[ends[0]], inner, [ends[1]]]), *ends)
    steps = (parts[1][:, None] + parts[2][:, None] * np.linspace(-12, 12, 49)).ravel()
    total, (knots, mass) = 0.0, np.polynomial.legendre.leggauss(8)
    for atom, low, high in zip(y[order], edges[:-1], edges[1:]):
        cuts = np.unique(np.concatenate([[low], steps[(steps > low) & (steps < high)], [high]]))
        half, middle = np.diff(cuts) / 2, (cuts[1:] + cuts[:-1]) / 2
        x = (middle[:, None] + half[:, None] * knots).ravel()
        if len(x):
            total += float((half[:, None] * mass).ravel() @ ((x - atom) ** 2 * np.exp(standardised(*parts, x)[1])))
    return math.sqrt(total)


def theorem_3_11(target, T: float, s: float, *, n: int = 400, generator=None) -> Inequality:
    """Flow from T to s against the map from p_T to N(0, I), OU process: left side and (e^{-(s-T)} W2(p_T, gamma))^{2/15} with K = 1.

    One dimension: flow and optimal map are the increasing ones, so left = W2(p_s, gamma), exactly. More: the flow to OU time 20
    stands for the optimal map, from which it differs by O(e^{-5T}) (`flow.rate_law`); left is sampled over p_T, and W2(p_T, gamma) is
    bounded by synchronous coupling. As s grows left tends to 0 in one dimension only because both maps agree there.
    The term "k_needed" is left / right. Assumption C.13 of the paper was not seen, K is unknown: assumptions_met is False.
    """
    T, s = float(T), float(s)
    expect(0 < T < _END, "T", f"an OU time in (0, {_END:g})", T)
    expect(T < s < _END, "s", f"an OU time in ({T:g}, {_END:g})", s)
    clock, law = ou(_END), target.to(torch.float64)
    line = law.d == 1
    if line:
        left = Estimate(prior_gap(law, clock, s).total.value, 0.0, 0, 0.0)
        start = prior_gap(law, clock, T).total.value
    else:
        x = law.diffuse(math.exp(-T), math.sqrt(-math.expm1(-2 * T))).sample(count(n, at_least=2), generator or seeded())
        square = (flow_map(law, clock, x, T, _END) - flow_map(law, clock, x, T, s)).square().sum(1)
        rms = float(square.mean().sqrt())
        left = Estimate(rms, 0.0, n, float(square.std()) / math.sqrt(n) / (2 * rms) if rms > 0 else 0.0)
        start = synchronous_bound(law, clock, T)
    contracted = math.exp(T - s) * start
    right = contracted ** (2 / 15)
    same = "flow = optimal map: " + (
        "proved (one dimension)" if line else "fails in general; the flow stands for the optimal map, O(e^{-5T})"
    )
    smooth = "p_0 given by points: its p_T is smooth" if isinstance(target, Empirical) else "p_0 a mixture"
    assumptions = (
        smooth,
        same,
        "Assumption C.13: unknown",
        "constant K: unknown, 1 used",
        "factor e^{-(s-T)}: proved (contraction)",
    )
    terms = (("k_needed", left.value / right if right > 0 else 0.0), ("contracted_w2", contracted))
    return Inequality("Theorem 3.11", left, right, assumptions, False, terms)
