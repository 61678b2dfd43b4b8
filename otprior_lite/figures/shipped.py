"""A start that is almost the data: atom, output, nearest image of the set."""

import numpy as np

from ..experiments.shipped import Replay
from .style import canvas, palette


def sheet(theme: str, replays: tuple[Replay, ...], each: int = 9, size=(7.2, 3.6)):
    """One block per noise level; rows: the atom, what the sampler makes of it, the nearest image of the atoms' set."""
    from matplotlib.colors import LinearSegmentedColormap

    colour = palette(theme)
    paper = LinearSegmentedColormap.from_list("paper", [colour.grid, colour.ink])
    wide = size[0] > 5
    each = each if wide else 6
    with canvas(theme, *size) as figure:
        axes = figure.subplots(len(replays), 1)
        for axis, found in zip(axes, replays):
            grid = np.full((3 * 9 - 1, each * 9 - 1), np.nan)
            for row, images in enumerate((found.atoms, found.outputs, found.nearest)):
                for column, image in enumerate(images[:each]):
                    tile = image.reshape(8, 8).clamp(-1, 1).numpy()
                    grid[9 * row : 9 * row + 8, 9 * column : 9 * column + 8] = tile
            axis.imshow(grid, cmap=paper, vmin=-1, vmax=1, interpolation="nearest")
            axis.set_yticks([3.5, 12.5, 21.5], ["atom", "output", "nearest"], fontsize=9)
            axis.set_xticks([])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_title(f"noise {found.sigma:.4f} of the grey range", fontsize=10)
        return figure
