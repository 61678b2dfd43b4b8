"""Figures of chapter 5: how many points two moments need, and which components of the digits mismatch."""

from ..experiments.moments import Fitting, Spectrum
from .style import MARKERS, canvas, palette

_DASHES = {"linear": "-", "cosine": (0, (1, 1.2)), "Stable Diffusion": "--"}


def fitting(theme: str, results: Fitting, narrow: bool = False):
    """Error of fitted Gaussian priors against the number of data points, with the prediction and two things to compare with."""
    colour, n = palette(theme), results.n
    with canvas(theme, *((3.6, 5.0) if narrow else (7, 4.0))) as figure:
        axis = figure.subplots()
        blue = colour.of_prior("moment-matched")
        lines = (
            (
                results.nearest,
                "the noised points themselves: at least",
                dict(color=colour.green, marker=MARKERS["semi-discrete"]),
            ),
            (results.diagonal, "diagonal", dict(color=colour.orange, marker="v")),
            (results.low_rank, f"rank {results.rank} + diagonal", dict(color=colour.muted, marker="P")),
            (results.full, "full", dict(color=blue, marker=MARKERS["moment-matched"], ls="")),
            (results.predicted, "full: prediction", dict(color=blue, ls="--", lw=1.2)),
        )
        for values, label, look in lines:
            axis.plot(n, values, label=label, ms=5, **look)
        axis.axhline(results.nothing, color=colour.of_prior("standard"), lw=1.6, label="$N(0, I)$: no points")
        axis.set(xscale="log", yscale="log", xlabel="data points $N$", ylabel="$W_2$ to the true Gaussian")
        axis.set_xticks(n[:: 2 if narrow else 1], [str(k) for k in n[:: 2 if narrow else 1]])
        axis.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"])
        axis.minorticks_off()
        figure.legend(loc="outside upper center", ncols=1 if narrow else 2, fontsize=9)
        return figure


def spectrum(theme: str, results: Spectrum, narrow: bool = False):
    """Variance of p_t per principal component at half time, and its distance from the prior's variance at T."""
    colour = palette(theme)
    tints = dict(zip(_DASHES, (colour.blue, colour.green, colour.vermillion)))
    k = range(1, len(results.variances) + 1)
    narrower = results.variances < 1
    with canvas(theme, *((3.6, 7.4) if narrow else (7.2, 3.7))) as figure:
        left, right = figure.subplots(*((2, 1) if narrow else (1, 2)))
        for name, tint in tints.items():
            left.plot(k, results.variance(results.alpha_middle[name]), color=tint, ls=_DASHES[name], lw=1.8, label=name)
            excess = results.excess(results.alpha_end[name]).abs()
            right.plot(k, excess, color=tint, lw=1, alpha=0.6)
            for chosen, fill in ((narrower, "none"), (~narrower, tint)):
                index = chosen.nonzero().flatten()
                right.plot(index + 1, excess[index], ls="", marker="o", ms=3.6, mfc=fill, mec=tint)
        left.axhline(1, color=colour.muted, lw=1)
        left.text(len(k), 1.03, "prior", ha="right", va="bottom", color=colour.muted, fontsize=9)
        left.set(xlabel="principal component $k$", ylabel="variance of $p_t$, $t$ = 500", ylim=(0, None))
        right.axhspan(1e-11, results.resolution, color=colour.grid, alpha=0.8, lw=0)
        right.text(len(k), results.resolution * 0.5, "below float32 at 1", ha="right", va="top", color=colour.ink, fontsize=9)
        right.set(xlabel="principal component $k$", ylabel="|variance of $p_T$ − 1|", yscale="log", ylim=(1e-11, 1))
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
        return figure
