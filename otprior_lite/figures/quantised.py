"""N points against N(0, I) as a start: measured W2, the bound below it, and the floor."""

from ..experiments.quantised import Quantised
from .style import canvas, palette


def quantised(theme: str, results: Quantised, size=(7.2, 3.6)):
    """One panel per time: W2 of the points to p_T and the least any weights could reach, against their number."""
    colour = palette(theme)
    wide = size[0] > 5
    with canvas(theme, *size) as figure:
        count = len(results.times)
        axes = figure.subplots(1, count, sharey=True) if wide else figure.subplots(count, 1, sharex=True)
        for k, (axis, t) in enumerate(zip(axes, results.times)):
            rows = [row for row in results.rows if row.t == t]
            sizes = [row.points for row in rows]
            least, w2 = [row.least for row in rows], [row.w2 for row in rows]
            axis.fill_between(sizes, least, w2, color=colour.green, alpha=0.15, lw=0, label="slack")
            style = dict(color=colour.green, marker="D", ms=5.5, label="N points, measured")
            axis.errorbar(sizes, w2, [2 * row.error for row in rows], **style)
            axis.plot(sizes, least, color=colour.green, ls="--", marker="v", mfc="none", ms=5.5, label="bound below")
            axis.axhline(results.standard[k], color=colour.vermillion, lw=1.5, label="N(0, I), measured")
            if results.upper[k] < 0.8:
                axis.axhline(results.upper[k], color=colour.vermillion, lw=1.2, ls=":", label="N(0, I), bound above")
            axis.axhspan(0, results.floor[k], color=colour.grid, alpha=0.6, lw=0, label="floor of the line of N(0, I)")
            axis.set(xscale="log", ylim=(0, 0.72), title=f"T = {t:g}")
            axis.set_xticks(sizes, [str(n) for n in sizes])
            axis.minorticks_off()
        for axis in axes[-1:] if not wide else axes:
            axis.set_xlabel("number of points N")
        for axis in axes[:1] if wide else axes:
            axis.set_ylabel("$W_2$ to $p_T$")
        figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3 if wide else 2, fontsize=8.5)
        return figure
