"""Figures of chapter 3: the gap against T with every bound, the three parts, and the slack of each bound."""

from ..experiments.gaps import Decay, Parts, Slack
from .style import MARKERS, canvas, palette

_MARKS = ("o", "s", "^", "P", "D", "x")


def decay(theme: str, results: list[Decay], narrow: bool = False):
    """One panel for each treatment of the data: exact W2, bounds, the moment-matched rest, the slope, the floor."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 10.4) if narrow else (7, 4.3))) as figure:
        panels = figure.subplots(*((3, 1) if narrow else (1, 3)), sharey=True, sharex=True)
        for axes, result in zip(panels, results):
            T = result.T
            axes.axhspan(1e-7, result.floor, color=colour.muted, alpha=0.18, linewidth=0, label=f"floor of {result.n} samples")
            axes.plot(T, result.synchronous, color=colour.green, linestyle=(0, (5, 1.5)), label="synchronous")
            axes.plot(T, result.contraction, color=colour.purple, linestyle="-.", label="contraction")
            axes.plot(T, result.talagrand, color=colour.orange, linestyle="--", label="Talagrand")
            axes.plot(T, result.exact, color=colour.ink, linewidth=2.4, label="exact $W_2$")
            if float(result.gelbrich.max()) > 1e-9:
                axes.plot(T, result.gelbrich, color=colour.vermillion, linestyle=":", linewidth=2.2, label="Gelbrich (below)")
            squares = {"color": colour.of_prior("moment-matched"), "marker": MARKERS["moment-matched"], "linestyle": "none"}
            axes.plot(T, result.matched, markersize=3.5, markevery=2, label="moment-matched prior", **squares)
            axes.plot(T, result.leading, color=colour.muted, linewidth=1, label="late-time law")
            where = float(T[-4]), float(result.leading[-4])
            axes.annotate(f"slope −{-result.slope}", where, (-6, -4), textcoords="offset points", ha="right", va="top")
            axes.set(yscale="log", xlim=(0, 3.6), ylim=(1e-6, 3))
            axes.minorticks_off()
            axes.set_title(result.label)
            if narrow or result is results[0]:
                axes.set_ylabel("distance from the prior")
            if not narrow or result is results[-1]:
                axes.set_xlabel("length $T$ (OU time)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow else 3, fontsize=10, columnspacing=1.2)
    return figure


def parts(theme: str, results: Parts, narrow: bool = False):
    """Mean, covariance, shape and their total along T."""
    colour = palette(theme)
    with canvas(theme, 3.6 if narrow else 7, 3.2 if narrow else 2.8) as figure:
        axes = figure.subplots()
        rows = (
            ("total", results.total, colour.ink, "-"), ("mean", results.mean, colour.vermillion, "--"),
            ("covariance", results.covariance, colour.blue, "-."), ("shape", results.shape, colour.green, (0, (1, 1.2))),
        )  # fmt: skip
        for label, values, hue, dash in rows:
            axes.plot(results.T, values, color=hue, linestyle=dash, linewidth=2, label=label)
        axes.set(yscale="log", xlabel="length $T$ (OU time)", ylabel="part of $W_2$", xlim=(0, float(results.T[-1])))
        axes.legend(fontsize=10, ncols=2)
    return figure


def slack(theme: str, results: list[Slack], narrow: bool = False):
    """bound / measured along T, one panel for each bound, one line for each law; 1 is tight."""
    colour = palette(theme)
    names = list(results[0].ratios)
    with canvas(theme, *((3.6, 13) if narrow else (7, 6.0))) as figure:
        panels = figure.subplots(*((6, 1) if narrow else (2, 3)), sharex=True).ravel()
        for axes, name in zip(panels, names):
            axes.axhline(1.0, color=colour.ink, linewidth=1)
            for result, hue, marker in zip(results, colour.cycle, _MARKS):
                ratio, error = result.ratios[name], result.errors[name]
                seen = ratio > 1e-6  # Gelbrich's bound is 0 where only shape is left
                style = {"color": hue, "marker": marker, "markersize": 4.5, "linewidth": 1.3, "label": result.label}
                if float(error.max()) > 0:
                    axes.errorbar(result.T[seen], ratio[seen], (ratio * error)[seen], **style)
                else:
                    axes.plot(result.T[seen], ratio[seen], **style)
            axes.set_title({"KL convexity": "convexity / KL", "Pinsker": "Pinsker / TV"}.get(name, f"{name} / $W_2$"))
            _limits(axes, name)
        for axes in panels if narrow else panels[::3]:
            axes.set_ylabel("bound / measured")
        for axes in panels[-1:] if narrow else panels[3:]:
            axes.set_xlabel("length $T$ (OU time)")
        handles, labels = panels[1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow else 3, fontsize=10, columnspacing=1.2)
    return figure


def _limits(axes, name: str) -> None:
    if name in ("Gelbrich", "Talagrand", "Pinsker"):
        axes.set_ylim(*{"Gelbrich": (0.85, 1.03), "Talagrand": (0.9, 2.6), "Pinsker": (0.9, 2.2)}[name])
    else:
        axes.set(yscale="log", ylim=(0.6, 1e4))
        axes.minorticks_off()
