"""Figure of chapter 3: the floor of sample W2 against n and d, and the true gaps far below it."""

from ..experiments.floors import Floor, Truth
from .style import canvas, palette

_MARKS = ("o", "s", "^", "D", "v")


def floors(theme: str, results: tuple[list[Floor], list[Truth]], narrow: bool = False):
    """Left: W2 between two samples of one law against n, with its lower bound. Right: the same against d, and true gaps."""
    floors, truths = results
    colour = palette(theme)
    with canvas(theme, *((3.6, 8.2) if narrow else (7, 4.0))) as figure:
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        for floor, hue, marker in zip(floors, colour.cycle, _MARKS):
            style = {"color": hue, "marker": marker, "markersize": 4.5, "linewidth": 1.5}
            left.errorbar(floor.n, floor.w2, 2 * floor.spread, label=f"$d = {floor.d}$", **style)
            if float(floor.least.min()) > 0:
                left.plot(floor.n, floor.least, color=hue, linestyle=":", linewidth=1.6)
        left.set(xscale="log", yscale="log", xlabel="sample size $n$", ylim=(0.01, 200))
        left.set_ylabel("$W_2$ between two samples of $N(0, I)$")
        left.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), fontsize=10, ncols=3, columnspacing=1, handlelength=1.6)

        n = floors[-1].n[-1]
        at_n = [float(floor.w2[floor.n.index(n)]) for floor in floors]
        d = [floor.d for floor in floors]
        right.fill_between(d, at_n, 1e-6, color=colour.muted, alpha=0.18, linewidth=0)
        right.plot(d, at_n, color=colour.ink, marker="o", markersize=4.5, linewidth=1.8, label=f"floor, $n = {n}$")
        for truth, hue, dash, marker in zip(truths, colour.cycle[1:], ("--", "-.", ":"), _MARKS[1:]):
            style = {"color": hue, "linestyle": dash, "marker": marker, "markersize": 4.5, "linewidth": 1.8}
            right.plot(truth.d, truth.w2, label=f"true gap, {truth.label}", **style)
        right.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="$W_2$", ylim=(1e-5, 200))
        left.minorticks_off()
        right.minorticks_off()
        right.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), fontsize=10)
    return figure
