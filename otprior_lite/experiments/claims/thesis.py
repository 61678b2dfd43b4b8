"""The thesis of version 1: diffusion as optimal transport over time, and what becomes of it as T grows."""

import math

import torch

from ... import flow, forward, schedules, targets
from ..study import load
from .claim import Claim, Finding
from .laws import ATOMS, COLLINEAR, TWO, normals

SOURCE = "abstract, version 1"


def instant():
    """The velocity of the flow has a symmetric Jacobian (by differences), and its energy is the KL that it spends."""
    clock, x, step = schedules.ou(2.0), normals(20, 2), 1e-5
    velocity = lambda x: forward.velocity(ATOMS, clock, x, 0.5)
    eye = step * torch.eye(2, dtype=x.dtype)
    jacobian = torch.stack([(velocity(x + e) - velocity(x - e)) / (2 * step) for e in eye], 2)
    skew = float((jacobian - jacobian.mT).abs().max() / jacobian.abs().max())
    energy = flow.benamou_brenier_energy(TWO, clock, 2.0)
    return (
        Finding(
            "largest antisymmetric part of $\\nabla v$, relative, three points in the plane", skew,
            "equal to", 0.0, "a gradient field", 1e-7,
        ),
        Finding(
            "energy of the flow, two modes, $T = 2$", energy.energy.value,
            "equal to", energy.kl_drop.value, "KL spent", 1e-5,
        ),
    )  # fmt: skip


def whole_path():
    """Dynamic optimal transport is straight, at constant speed, and ends in a map with symmetric Jacobian. The flow is not."""
    gaussian = targets.GaussianMixture([1.0], [[0.0, 0.0]], [[[4.0, 0.0], [0.0, 0.25]]])
    standard = targets.GaussianMixture([1.0], [[0.0, 0.0]], [1.0])
    clock, x = schedules.ou(2.0), normals(20, 2)
    rms = lambda law: float(flow.midpoint_deviation(law, clock, x, 0.0, 2.0).deviation.square().mean().sqrt())
    skew = lambda law: flow.antisymmetry(law, schedules.ou(20.0), x, 1.0, 20.0).rms
    return (
        Finding(
            "distance of the half-time point to the middle of its ends, one Gaussian", rms(gaussian),
            "more than", 0.0, "straight at constant speed", 1e-6,
        ),
        Finding("the same for data $N(0, I)$, which stand still", rms(standard), "equal to", 0.0, "straight", 1e-9),
        Finding(
            "antisymmetric part of the whole map's Jacobian, three points in the plane, $T = 1$", skew(ATOMS),
            "more than", 0.0, "optimal from end to end", 1e-9,
        ),
        Finding("the same for three points on a line", skew(COLLINEAR), "equal to", 0.0, "optimal from end to end", 1e-11),
    )  # fmt: skip


def exponential():
    """How flow and optimal map part: both tend to the identity, and the asymmetry follows the two-term law."""
    clock, x = schedules.ou(20.0), normals(12, 2)
    skew = {T: flow.antisymmetry(ATOMS, clock, x, T, 20.0) for T in (2.0, 3.0)}
    moved = {T: float((flow.flow_map(ATOMS, clock, math.exp(-T) * ATOMS.mean + x, T, 20.0) - x).norm()) for T in (2.0, 3.0)}
    law = flow.rate_law(ATOMS, 3.0, x)
    off = float((law.total - skew[3.0].matrices).norm() / skew[3.0].matrices.norm())
    slope = lambda values: math.log(values[3.0] / values[2.0])
    rms = {T: part.rms for T, part in skew.items()}
    return (
        Finding(
            "slope in $T$ of log distance between flow and identity", slope(moved),
            "equal to", -2.0, "the first order that both maps share", 0.1,
        ),
        Finding("slope in $T$ of the log asymmetry of the flow", slope(rms), "equal to", -5.0, "leading term of the law", 0.2),
        Finding("error of the two-term law at $T = 3$, relative", off, "equal to", 0.0, "the law", 0.01),
        Finding("asymmetry at $T = 3$", rms[3.0], "more than", 0.0, "flow = optimal map", 1e-12),
        Finding(
            "the same for points on a line", flow.antisymmetry(COLLINEAR, clock, x, 3.0, 20.0).rms,
            "equal to", 0.0, "flow = optimal map", 1e-12,
        ),
    )  # fmt: skip


def by_class():
    """Digits by class, committed rows of chapter 13: three calls late, from the class's map and its moments, and from N(0, I)."""
    energies: dict[tuple, list[float]] = {}
    for row in load("conditional"):
        for name, at, calls, energy, *_ in row["rows"]:
            energies.setdefault((name, at, calls), []).append(energy)
    late, moments, full = (
        sum(energies[key]) / len(energies[key])
        for key in (("semi-discrete", 0.25, 3), ("moment-matched", 0.25, 3), ("standard", 3.0, 3))
    )
    what = "energy distance to new digits of the class, three calls"
    return (
        Finding(f"{what}, from the class's map at $T' = 0.25$", late, "less than", full, "a full run from $N(0, I)$", 0.1),
        Finding(f"{what}, from the class's two moments", moments, "equal to", late, "the map", 0.03),
    )


CLAIMS = (
    Claim(
        "instant", "Each instant is optimal transport", f"{SOURCE}, read at each instant",
        "Both stages of a diffusion model compute optimal transport that depends on time.",
        "holds",
        "The velocity of the flow is a gradient at every instant, so each small step is optimal. The flow is the steepest "
        "descent of KL: the energy that it spends is the KL that it removes.",
        "A chain of optimal steps need not be optimal; see the next section.",
        (9,), instant,
    ),
    Claim(
        "whole-path", "The whole path is optimal transport",
        f"{SOURCE}, read as in the abstract of version 2: dynamic optimal transport",
        "The same sentence, read for the path from beginning to end.",
        "false as stated",
        "Dynamic optimal transport moves on straight lines at constant speed. The flow does not, not even for one Gaussian. For "
        "three points in the plane the map from end to end is not optimal either: its Jacobian is not symmetric. On a line it "
        "is.",
        "The paper may mean the weaker reading. For discrete data it leans on a published result, says the report; a report on "
        "that one says that it is proved for points on a line.",
        (6, 9), whole_path,
    ),
    Claim(
        "exponential", "The flow tends to the Monge-Ampère map", f"{SOURCE}; remark 3.12 as the report gives it",
        "As the final time grows, the probability flow converges exponentially to the gradient of the solution of the "
        "Monge-Ampère equation.",
        "holds to first order",
        "The flow tends to the identity at the rate $e^{-2T}$. The optimal map does, too, and shares this first order; what "
        "separates them is of order $e^{-5T}$. Both are derived in this book. We measure the asymmetry of the flow, which an "
        "optimal map cannot have: it follows a law of two terms. On a line it is zero.",
        "Only the antisymmetric part of the difference is measured. At every finite $T$ the two maps differ, unless the "
        "Hessians commute.",
        (9,), exponential,
    ),
    Claim(
        "intrinsic", "The most intrinsic single step", SOURCE,
        "Static optimal transport is the most intrinsic way to cross from one law to the other in a single step.",
        "not tested", "",
        "\"Intrinsic\" is not a quantity. The section on lemma 3.5 shows that the law of the start does not depend on "
        "optimality; what optimality adds is the lowest cost of transport.",
        (7, 8),
    ),
    Claim(
        "conditional", "Faster sampling, with and without conditions", f"{SOURCE}; its experiments were not seen",
        "The insight speeds up unconditional and conditional generation on several image data sets.",
        "not tested",
        "Something of the same kind, on digits with exact scores: with three calls a late start fitted to the class beats a full run "
        "by far. Two moments of the class do it as well as the map.",
        "The images of the paper: we have neither the networks nor the code, and found no numbers for the conditional case.",
        (8, 13), by_class,
    ),
)  # fmt: skip
