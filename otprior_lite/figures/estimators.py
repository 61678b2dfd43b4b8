"""Figures of chapter 11: five estimators against the dimension, with the truth, and whether they see it."""

from ..experiments.estimators import ESTIMATORS, LAWS, Curve
from .style import canvas, palette

_TITLES = {
    "Frechet": "Fréchet",
    "energy": "energy (root)",
    "W2": "$W_2$",
    "debiased W2": "$W_2$, debiased",
    "sliced W2": "sliced $W_2$",
}
_MARKS = dict(zip(ESTIMATORS, ("o", "s", "^", "D", "v")))


def estimators(theme: str, results: list[Curve], n: int = 600, narrow: bool = False):
    """One panel per estimator, estimate over truth for both laws, shaded to its floor; last panel: scores on the shift."""
    colour = palette(theme)
    hues, marks = dict(zip(LAWS, (colour.vermillion, colour.blue))), dict(zip(LAWS, ("o", "s")))
    curves = {(c.estimator, c.law): c for c in results if c.n == n}
    with canvas(theme, *((3.6, 8.4) if narrow else (7.2, 5.1))) as figure:
        axes = list(figure.subplots(*((3, 2) if narrow else (2, 3)), sharex=True).flat)
        for axis, name in zip(axes, ESTIMATORS):
            for law in LAWS:
                curve = curves[name, law]
                ratio = lambda squares: [(max(0.0, s) / t) ** 0.5 for s, t in zip(squares, curve.truth)]
                value, floor = ratio(curve.value), ratio(curve.floor)
                low, high = (ratio([v + k * s for v, s in zip(curve.value, curve.spread)]) for k in (-1, 1))
                axis.fill_between(curve.d, floor, 1e-3, color=hues[law], alpha=0.16, lw=0)
                bars = [[v - a for v, a in zip(value, low)], [b - v for v, b in zip(value, high)]]
                axis.errorbar(curve.d, value, bars, color=hues[law], marker=marks[law], ms=3.5, lw=1.4, label=law)
            axis.axhline(1, color=colour.ink, lw=1, ls="--")
            axis.set(xscale="log", yscale="log", ylim=(0.15, 80), title=_TITLES[name])
            axis.set_yticks([0.2, 1, 5, 20], ["0.2", "1", "5", "20"])
        last = axes[5]
        for name, hue in zip(ESTIMATORS, colour.cycle):
            curve = curves[name, "shift"]
            last.plot(
                curve.d, [max(0.1, s) for s in curve.scores], color=hue, marker=_MARKS[name], ms=3.5, lw=1.4, label=_TITLES[name]
            )
        last.axhline(2, color=colour.ink, lw=1, ls="--")
        last.set(xscale="log", yscale="log", title="score of the shift")
        axes[0].legend(fontsize=9, loc="upper left")
        for axis in axes:
            axis.minorticks_off()
            axis.set_xticks([1, 10, 100, 1000], ["1", "10", "100", ""] if narrow else ["1", "10", "100", "1000"])
        figure.legend(
            *last.get_legend_handles_labels(), loc="outside lower center", ncols=2 if narrow else 5, fontsize=9, columnspacing=1.2
        )
        for axis in axes[-2 if narrow else -3 :]:
            axis.set_xlabel("dimension $d$")
        figure.supylabel("estimate / truth", fontsize=10)
    return figure
