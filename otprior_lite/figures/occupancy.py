"""Figure of chapter 11: how many cells hold how much, before and after the solve, against equal cells."""

import torch

from ..experiments.occupancy import Occupancy
from .style import canvas, palette


def cells(theme: str, results: tuple[Occupancy, ...], narrow: bool = False):
    """Histograms of the relative counts of all cells; the last bin holds everything beyond. Line: what equal cells show."""
    colour = palette(theme)
    edges = torch.arange(0, 3.01, 0.1, dtype=torch.float64)
    hues = dict(zip((o.kind for o in results), (colour.muted, colour.vermillion, colour.orange, colour.green)))
    with canvas(theme, *((3.6, 6.4) if narrow else (7.2, 3.1))) as figure:
        panels = figure.subplots(*((2, 1) if narrow else (1, 2)), sharex=True, sharey=True)
        for axis, shown, title in zip(panels, (results[:2], results[2:]), ("without a solve", "the solver's start, and its end")):
            for o in shown:
                counts = torch.histogram(o.relative.clamp(max=2.95), edges)[0]
                style = {"fill": True, "alpha": 0.28, "color": hues[o.kind]}
                axis.stairs(counts, edges, **style)
                axis.stairs(counts, edges, color=hues[o.kind], lw=1.6, label=o.kind)
            axis.stairs(results[-1].fair(edges), edges, color=colour.ink, lw=1.3, ls="--", label="equal cells")
            axis.set(title=title, xlabel="mass of the cell, in units of $1/N$", ylim=(0, None))
            axis.set_xticks([0, 1, 2, 2.95], ["0", "1", "2", "3+"])
            axis.legend(fontsize=9)
        panels[0].set_ylabel("cells")
        if narrow:
            panels[1].set_ylabel("cells")
            panels[0].set_xlabel("")
    return figure
