"""Checks of chapter 7."""

import math

import torch

from ..randomness import seeded
from ..semidiscrete import solve
from .verdict import Verdict, compare, returned

__all__ = ["two_atoms", "mass_gradient", "line_heights", "draws_needed", "converged_flag"]


def two_atoms(answer) -> Verdict:
    """h_1 - h_2 for atoms (0, 0, 0) and (2, 3, 6) with weights 0.8 and 0.2."""
    q = float(torch.special.ndtri(torch.tensor(0.8, dtype=torch.float64)))
    density = math.exp(-q * q / 2) / math.sqrt(2 * math.pi)
    slips = {
        "That is the quantile alone. The side lies at distance (h_1 - h_2) / |y_1 - y_2| from the origin.": q,
        "The sign: atom 1 has the larger weight, so its plane must be raised.": -7 * q,
        "You multiplied by the squared distance. The distance enters once.": 49 * q,
        "You divided by the distance. The quantile is (h_1 - h_2) / |y_1 - y_2|.": q / 7,
        "You used the density at the quantile. That gives E<z, T(z)> up to a constant, not the heights.": 7 * density,
        "That is the Voronoi difference (|y_2|^2 - |y_1|^2) / 2. It knows nothing of the weights.": 24.5,
        "With weight 0.5 the quantile is 0. You ignored the weights.": 0.0,
    }
    if answer == 0:
        return Verdict(False, list(slips)[-1])
    return compare(answer, 7 * q, slips, praise="Right: the distance times the quantile of b_1.")


def mass_gradient(answer) -> Verdict:
    """A function (heights (N,), points (N, d), z (n, d)) -> the gradient (N,) of F on the sample z, uniform weights."""
    generator = seeded(11)
    y, h = torch.randn(6, 3, generator=generator).double(), 0.3 * torch.randn(6, generator=generator).double()
    z = torch.randn(5000, 3, generator=generator).double()
    shares = lambda scores: torch.bincount(scores.argmax(1), minlength=6).double() / len(z)
    w = shares(z @ y.T + h)
    slips = {
        "The sign: F grows with h_i where the cell is too heavy. The gradient is w - b, a descent step subtracts it.": 1 / 6 - w,
        "Those are the masses w. The second term of F contributes -b_i.": w,
        "You gave counts. Divide by the number of draws.": w * len(z),
        "You subtracted 1/N from counts. Divide them by the number of draws first.": w * len(z) - 1 / 6,
        "The scores lack the heights: then all cells pass through the origin.": shares(z @ y.T) - 1 / 6,
        "Those are the Voronoi cells of the atoms: nearest atom, whatever the heights say.": shares(z @ y.T - y.square().sum(1) / 2) - 1 / 6,
        "You used |z - y|^2 - h, in which a height counts half as much. The score is <z, y> + h.": shares(z @ y.T - y.square().sum(1) / 2 + h / 2) - 1 / 6,
        "That is a softmax of the scores, the gradient of the smoothed F. Here the best atom takes all.": torch.softmax(z @ y.T + h, 1).mean(0) - 1 / 6,
        "You took the lowest plane. u is the maximum.": shares(-(z @ y.T + h)) - 1 / 6,
    }  # fmt: skip
    return _same_vector(answer, (h.clone(), y.clone(), z.clone()), w - 1 / 6, slips, "Right: shares of the cells less 1/N.")


def line_heights(answer) -> Verdict:
    """A function (y (N,), weights (N,)) -> optimal heights (N,) of atoms on a line, in the order given, up to a constant."""
    y, b = torch.tensor([0.4, -1.5, 2.0, -0.2], dtype=torch.float64), torch.tensor([0.1, 0.35, 0.2, 0.35], dtype=torch.float64)
    order = y.argsort()
    right = solve(y[:, None], b, tolerance=1e-9, generator=seeded()).heights
    ndtri = torch.special.ndtri

    def build(cuts, order=order):
        heights = torch.zeros(4, dtype=torch.float64)
        heights[order] = torch.cat([torch.zeros(1).double(), -(cuts * y[order].diff()).cumsum(0)])
        return heights

    q = ndtri(b[order].cumsum(0)[:-1])
    slips = {
        "The heights are in sorted order. Give them back in the order of y.": build(q)[order],
        "You did not sort the atoms. Neighbours on the line share a side, neighbours in the list need not.": build(ndtri(b.cumsum(0)[:-1]), torch.arange(4)),
        "The sign: planes meet at q where <q, y_i> + h_i are equal, so h falls by q (y_{i+1} - y_i).": -build(q),
        "You used quantiles of the single weights. The cuts are quantiles of their running sum.": build(ndtri(b[order][:-1])),
        "You ignored the weights and cut into equal parts.": build(ndtri(torch.tensor([0.25, 0.5, 0.75]).double())),
        "Those are the cumulated weights themselves. A cut is their Gaussian quantile.": build(b[order].cumsum(0)[:-1]),
        "These are the differences of h alone. Add them up.": build(q) - build(q).roll(1),
    }  # fmt: skip
    return _same_vector(answer, (y.clone(), b.clone()), right, slips, "Right: one quantile for each side.", centre=True)


def draws_needed(answer) -> Verdict:
    """The independent draws whose noise alone reads as L1 = 2 % with N = 50 000 equal cells."""
    N, L1 = 50_000, 0.02
    S = 2 * N / (math.pi * L1**2)
    slips = {
        "You forgot to square the L1 error.": 2 * N / (math.pi * L1),
        "You left out N. There are N cells and each adds noise.": 2 / (math.pi * L1**2),
        "That is N / L1^2. E|g| = sqrt(2/pi) sd brings in the factor 2/pi.": N / L1**2,
        "You turned the factor upside down: E|g| = sqrt(2/pi) sd, so S carries 2/pi.": math.pi * N / (2 * L1**2),
        "You used sqrt(2/pi). Squaring the error squares it.": math.sqrt(2 / math.pi) * N / L1**2,
        "That is 1 / L1^2, the draws for one number. Here N cells share the draws.": 1 / L1**2,
        "You took 2 % as 2.": 2 * N / (math.pi * 4),
    }
    return compare(answer, S, slips, rtol=0.02, praise=f"Right: about {S / 1e6:.0f} million draws, for the noise alone.")


def converged_flag(answer) -> Verdict:
    """A function (errors, tolerance) -> bool: did a solve that recorded these fresh errors, and stopped, converge?

    errors: one entry for each check that was planned; NaN where the solve had already stopped.
    """
    if not callable(answer):
        return Verdict(False, f"Expected a function, got {type(answer).__name__}.")
    nan = float("nan")
    cases = [
        ([0.5, 0.2, 0.05], True, "It says False although the last check passed."),
        ([0.5, 0.2, 0.15], False, "It says True although no check passed."),
        ([0.5, 0.04, nan, nan], True, "An early success comes back as failure: after the stop the slots are empty. Read the last one that was written."),
        ([0.5, 0.3, nan, nan], False, "It stopped early without passing (a time limit, say). NaN is not success, and neither is stopping early."),
        ([0.5, 0.04, 0.3], False, "One check passed by luck, the last one did not. The heights handed back are the last ones."),
        ([nan, nan], False, "No check was ever made. That is not success."),
        ([], False, "No check was planned. That is not success."),
        ([0.5, float("inf"), nan], False, "The last error written is infinite. That is not success."),
        ([0.05], True, "The first check may pass, too."),
        ([0.1, nan], True, "An error equal to the tolerance passes."),
    ]  # fmt: skip
    for errors, right, hint in cases:
        try:
            said = answer(list(errors), 0.1)
        except Exception as error:  # the reader's code may fail in any way
            return Verdict(False, f"With errors = {errors} your function raised {type(error).__name__}: {error}")
        if said is None:
            return Verdict(False, "Your function returned None: is there a return on every path?")
        if bool(said) != right:
            return Verdict(False, f"errors = {errors}, tolerance = 0.1: {hint}")
    return Verdict(True, "Right: the last error that was written, and nothing else.")


def _same_vector(function, arguments: tuple, right: torch.Tensor, slips: dict, praise: str, centre: bool = False) -> Verdict:
    """Call the reader's function and compare its vector with the right one and with those of known slips."""
    value = returned(function, arguments, right.shape)
    if isinstance(value, Verdict):
        return value
    if not bool(value.isfinite().all()):
        return Verdict(False, "There is a NaN or an infinity: look for 0/0, or a quantile of 0 or 1.")
    shift = (lambda v: v - v.mean()) if centre else (lambda v: v)
    near = lambda other: torch.allclose(shift(value), shift(other), rtol=1e-5, atol=1e-7)
    if near(right):
        return Verdict(True, praise)
    for hint, wrong in slips.items():
        if near(wrong):
            return Verdict(False, hint)
    worst = int((shift(value) - shift(right)).abs().argmax())
    return Verdict(
        False, f"Not yet: entry {worst} is {float(shift(value)[worst]):.6g}, expected {float(shift(right)[worst]):.6g}."
    )
