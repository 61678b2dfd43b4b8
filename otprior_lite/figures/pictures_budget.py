"""The error budget of a drawn picture: start, discretisation and score, stacked, with the total that they bound."""

from ..experiments.pictures import NFES, TIMES
from ..experiments.pictures_budget import STARTS, TERMS, Stack
from .style import canvas, palette


def budget(theme: str, results: list[Stack], narrow: bool = False):
    """A panel for each start time: stacks of upper bounds against calls, for two starts, and the total of each as a bar."""
    colour = palette(theme)
    shades = dict(zip(TERMS, (colour.vermillion, colour.orange, colour.blue)))
    found = {(s.t, s.start, s.calls): s for s in results}
    width, marks = 0.38, {"standard": "", "moment-matched": "////"}
    with canvas(theme, *((3.6, 7.6) if narrow else (7.2, 3.6))) as figure:
        axes = figure.subplots(*((len(TIMES), 1) if narrow else (1, len(TIMES))), sharey=True, sharex=True)
        for axis, t in zip(axes, TIMES):
            for i, start in enumerate(STARTS):
                stacks = [found[t, start, calls] for calls in NFES]
                x, bottom = [k + (i - 0.5) * (width + 0.04) for k in range(len(NFES))], [0.0] * len(NFES)
                for name in TERMS[:3]:
                    heights = [stack.terms[name][0] for stack in stacks]
                    axis.bar(
                        x, heights, width, bottom, color=shades[name], edgecolor=colour.bg, lw=0.6, hatch=marks[start],
                        label=name if not i else None,
                    )  # fmt: skip
                    bottom = [a + b for a, b in zip(bottom, heights)]
                values, errors = zip(*(stack.terms["total"] for stack in stacks))
                label = "total, one coupling" if not i else None
                axis.errorbar(x, values, errors, fmt="_", ms=11, mew=2, color=colour.ink, label=label)
            axis.set_title(f"t′ = {t}", fontsize=9.5)
            axis.set_xticks(range(len(NFES)), NFES)
            axis.tick_params(axis="x", length=0)
        for start in STARTS:
            axes[0].bar([0], [0], color=colour.muted, edgecolor=colour.bg, lw=0.6, hatch=marks[start], label=start)
        for axis in axes if narrow else axes[:1]:
            axis.set_ylabel("root mean square" if narrow else "root mean square per number,\npictures in [-1, 1]")
        for axis in axes[-1:] if narrow else axes:
            axis.set_xlabel("calls of the network")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2 if narrow else 6, fontsize=9, columnspacing=1.2)
        return figure
