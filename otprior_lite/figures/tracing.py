"""Figure of chapter 8: how long a start remembers its training point, against the lower bound."""

from ..experiments.tracing import Traces
from .style import canvas, palette


def traces(theme: str, results: list[Traces], narrow: bool = False):
    """The share of noised training points that are traced back, its bound, the slack between them, and a guess as the floor."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 6.4) if narrow else (7, 3.3))) as figure:
        axes = figure.subplots(*((2, 1) if narrow else (1, 2)), sharey=True)
        for axis, found in zip(axes, results[::-1]):
            values, errors = zip(*found.measured)
            axis.fill_between(found.times, found.bound, values, color=colour.purple, alpha=0.15, lw=0, label="slack")
            axis.errorbar(found.times, values, errors, color=colour.purple, marker="^", ms=5, lw=1.4, capsize=2, label="measured")
            axis.plot(found.times, found.bound, color=colour.orange, ls=(0, (1, 1.4)), lw=2, label="lower bound")
            axis.axhline(found.floor, color=colour.muted, ls="--", lw=1, label="floor: a guess, $1/N$")
            axis.set(xscale="log", ylim=(-0.03, 1.05), title=f"{found.world}, N = {round(1 / found.floor)}", xlabel="time $T'$")
            ticks = [0.02, 0.05, 0.1, 0.25, 0.5, 1, 2]
            axis.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8.5)
            axis.minorticks_off()
        axes[0].set_ylabel("share traced back")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure
