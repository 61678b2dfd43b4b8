"""A conditional flow trained on optimal pairs: the gap that the pairing makes, and the samples that lose their class."""

from ..experiments.coupling import PAIRINGS, Row
from .style import canvas, palette

_WORDS = dict(zip(PAIRINGS, ("over all classes", "within the class")))


def coupling(theme: str, rows: list[Row], size=(7.2, 3.4)):
    """Left: W2 of z given the class to N(0, 1) against the batch. Right: share of samples on the other class's side."""
    colour = palette(theme)
    wide = size[0] > 5
    looks = {PAIRINGS[0]: (colour.green, "D"), PAIRINGS[1]: (colour.blue, "s")}
    with canvas(theme, *size) as figure:
        left, right = figure.subplots(1, 2) if wide else figure.subplots(2, 1, sharex=True)
        for pairing, (shade, marker) in looks.items():
            mine = [row for row in rows if row.pairing == pairing]
            batches = [row.batch for row in mine]
            style = dict(color=shade, marker=marker, ms=6, lw=1.5, label=f"optimal pairs {_WORDS[pairing]}")
            left.errorbar(batches, [r.gap for r in mine], [2 * r.error for r in mine], **style)
            right.plot(batches, [r.wrong for r in mine], **style)
        left.axhspan(0, rows[0].floor, color=colour.grid, alpha=0.8, lw=0)
        left.axhline(rows[0].limit, color=colour.green, lw=1.1, ls=":")
        left.text(1, rows[0].limit + 0.02, "infinite batch", fontsize=9, color=colour.green, va="bottom")
        left.text(300, rows[0].floor + 0.03, "floor", fontsize=9, color=colour.muted, ha="right", va="bottom")
        right.axhline(rows[0].right, color=colour.muted, lw=1.1, ls="--")
        right.text(300, rows[0].right + 0.012, "class 1 itself", fontsize=9, color=colour.muted, ha="right", va="bottom")
        right.axhline(0.5, color=colour.green, lw=1.1, ls=":")
        right.text(1, 0.51, "condition ignored", fontsize=9, color=colour.green, va="bottom")
        left.set(ylabel="$W_2$ of z given the class to N(0, 1)", ylim=(0, 1.1))
        right.set(ylabel="share of samples below zero", ylim=(0, 0.58))
        for axis in (left, right):
            axis.set_xscale("log", base=2)
            axis.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
            axis.minorticks_off()
        for axis in (left, right) if wide else (right,):
            axis.set_xlabel("batch")
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
        return figure
