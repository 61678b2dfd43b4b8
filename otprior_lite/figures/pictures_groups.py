"""Nine groups of emoji32 from one network, told the group, by the strength of guidance."""

from ..experiments.pictures_groups import GUIDANCE, Groups
from .pictures import rows_of, show
from .style import canvas, palette


def groups(theme: str, results: Groups, each: int = 6, narrow: bool = False):
    """A row for each group, a block for each guidance; a column shares its code. Above: how often the classifier agrees."""
    colour = palette(theme)
    shown = (0, 2) if narrow else range(len(GUIDANCE))
    each = 3 if narrow else each
    with canvas(theme, *((3.6, 4.6) if narrow else (7.2, 3.9))) as figure:
        axes = figure.subplots(1, len(shown))
        for axis, k in zip(axes, shown):
            show(axis, results.outputs[k, :, :each].flatten(0, 1), each)
            axis.set_title(f"guidance {GUIDANCE[k]:g}\n{results.right[k]:.0%} in the told group", fontsize=9)
        rows_of(axes[0], [name.replace(" & ", "\n& ") if narrow else name for name in results.names], colour)
        lines = "emoji32, nine groups (artwork)", f"of held-out pictures: {results.held_out:.0%} in theirs"
        figure.suptitle(("\n" if narrow else "; ").join(lines), fontsize=10)
        return figure
