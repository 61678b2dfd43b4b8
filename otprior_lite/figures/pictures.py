"""Pictures of 32 x 32: contact sheets, quality against calls, memorisation against the start time, nearest neighbours."""

import numpy as np

from ..experiments.pictures import NFES, STARTS, TIMES, Atlas, Neighbours, Score
from .style import MARKERS, canvas, palette

DATA = "smileys of emoji32 (artwork)"
_LEGEND = {"loc": "outside upper center", "fontsize": 9, "columnspacing": 1.2, "handletextpad": 0.4}


def look(colour, name: str) -> dict:
    """Colour, marker and line of a start: the book's; the variants of the map take orange and grey."""
    own = {"smoothed": (colour.orange, "v"), "fresh-noise": (colour.muted, "P")}
    tint, marker = own[name] if name in own else (colour.of_prior(name), MARKERS[name])
    return {"color": tint, "marker": marker, "ls": "--" if name == "oracle" else "-"}


def tile(images, columns: int, gap: int = 2) -> np.ndarray:
    """Pictures (n, 3, h, w) in [-1, 1] as one RGBA array of rows of `columns`, clipped, clear between them."""
    x = (np.asarray(images, dtype=np.float32).clip(-1, 1) + 1) / 2
    n, _, h, w = x.shape
    grid = np.zeros((-(-n // columns) * (h + gap) - gap, columns * (w + gap) - gap, 4), dtype=np.float32)
    for k, image in enumerate(x):
        top, left = k // columns * (h + gap), k % columns * (w + gap)
        grid[top : top + h, left : left + w, :3] = image.transpose(1, 2, 0)
        grid[top : top + h, left : left + w, 3] = 1
    return grid


def show(axis, images, columns: int, gap: int = 2) -> None:
    """`tile` on an axis without a frame."""
    axis.imshow(tile(images, columns, gap), interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def rows_of(axis, names, colour, side: int = 34, height: int = 32) -> None:
    """Names of the rows of a sheet, in the colours of the starts."""
    axis.set_yticks([side * k + height / 2 for k in range(len(names))], names, fontsize=9)
    axis.tick_params(length=0)
    for label, name in zip(axis.get_yticklabels(), names):
        label.set_color(look(colour, name)["color"] if name in STARTS else colour.ink)


def sheet(theme: str, results: Atlas, t: float = 500, calls=NFES, each: int = 4, narrow: bool = False):
    """Contact sheet at one start time: a row for each start, a block for each number of calls; a column shares its code."""
    colour = palette(theme)
    calls, each, width = (calls[1:3], 3, 3.6) if narrow else (calls, each, 7.2)
    tile = (width - 1.1) / (len(calls) * each)
    with canvas(theme, width, 0.65 + len(STARTS) * tile) as figure:
        axes = figure.subplots(1, len(calls))
        for axis, k in zip(axes, calls):
            show(axis, results.outputs[:, TIMES.index(t), NFES.index(k), :each].flatten(0, 1), each)
            axis.set_title(f"{k} calls", fontsize=9.5)
        rows_of(axes[0], STARTS, colour)
        figure.suptitle(f"{DATA}, start at t′ = {t}", fontsize=10)
        return figure


def quality(theme: str, results: dict[tuple, Score], measures=("frechet", "energy"), narrow: bool = False):
    """Distances to held-out pictures against calls: a column for each start time, the floor shaded, training pictures dotted."""
    colour = palette(theme)
    names = {"frechet": "Fréchet distance", "energy": "energy distance", "pixels": "energy distance, pixels"}
    ticks = {"frechet": (2, 3, 5, 10, 20), "energy": (0.1, 0.3, 1, 3, 10), "pixels": (0.1, 0.3, 1, 3, 10)}
    shape = (len(TIMES) * len(measures), 1) if narrow else (len(measures), len(TIMES))
    with canvas(theme, *((3.6, 10.5) if narrow else (7.2, 5.4))) as figure:
        axes = figure.subplots(*shape, sharex=True, sharey=False if narrow else "row", squeeze=False)
        axes = axes.reshape(len(measures), len(TIMES))
        for row, measure in zip(axes, measures):
            for axis, t in zip(row, TIMES):
                _band(axis, results, measure, colour)
                for k, name in enumerate(STARTS):
                    x = [n * 1.03 ** (k - 3) for n in NFES]
                    values = zip(*(results[name, t, n].of(measure) for n in NFES))
                    axis.errorbar(x, *values, ms=4.5, lw=1.2, capsize=1.5, label=name, **look(colour, name))
                axis.set(xscale="log", yscale="log")
                axis.set_ylim(bottom=0.8 * ticks[measure][0])
                axis.set_xticks(NFES, NFES)
                axis.set_yticks(ticks[measure], [f"{tick:g}" for tick in ticks[measure]])
                axis.minorticks_off()
                if narrow or measure == measures[0]:
                    axis.set_title(f"t′ = {t}" + (f", {names[measure]}" if narrow else ""), fontsize=9.5)
            if not narrow:
                row[0].set_ylabel(f"{names[measure]}\nto held-out pictures")
        for axis in axes[-1, -1:] if narrow else axes[-1]:
            axis.set_xlabel("calls of the network")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=2 if narrow else 5, **_LEGEND)
        return figure


def _band(axis, results, measure: str, colour) -> None:
    """What held-out pictures score, two standard errors each way, and what training pictures do."""
    floor, error = results["held-out", 0, 0].of(measure)
    low = max(floor - 2 * error, floor / 10) if measure != "to_train" else floor - 2 * error
    axis.axhspan(low, floor + 2 * error, color=colour.grid, alpha=0.9, lw=0, zorder=0, label="held-out pictures: the floor")
    copies = results["training", 0, 0].of(measure)[0]
    axis.axhline(copies, color=colour.ink, lw=1.3, ls=":", label="training pictures: copies")


def memory(theme: str, results: dict[tuple, Score], calls: int = 20, narrow: bool = False):
    """Memorisation against the start time: nearer to training pictures, nearer than held-out ones are, and how far."""
    colour = palette(theme)
    names = {
        "nearer": "nearest picture is\na training picture",
        "closer": "nearer to training\nthan held-out pictures are",
        "to_train": "distance to the nearest\ntraining picture (RMS)",
    }
    with canvas(theme, *((3.6, 8.4) if narrow else (7.2, 3.6))) as figure:
        axes = figure.subplots(*((3, 1) if narrow else (1, 3)), sharex=True)
        for axis, (measure, title) in zip(axes, names.items()):
            _band(axis, results, measure, colour)
            for k, name in enumerate(STARTS):
                values = zip(*(results[name, t, calls].of(measure) for t in TIMES))
                x = [i + 0.06 * (k - 3) for i in range(len(TIMES))]
                axis.errorbar(x, *values, ms=5, lw=1.2, capsize=1.5, label=name, **look(colour, name))
            axis.set_title(title, fontsize=9.5)
            axis.set_xticks(range(len(TIMES)), TIMES)
            axis.set_ylim(*((0.55, 1.02) if measure == "nearer" else (-0.02, 1.02 if measure == "closer" else None)))
        for axis in axes[-1:] if narrow else axes:
            axis.set_xlabel("start time t′")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=2 if narrow else 5, **_LEGEND)
        return figure


def neighbours(theme: str, results: list[Neighbours], narrow: bool = False):
    """By start: what was drawn, the nearest training picture below it, and the nearest held-out picture below that."""
    colour = palette(theme)
    results = [block for block in results if not (narrow and block.start == "data-initialised")]
    columns, each = (2, 4) if narrow else (3, 6)
    height = -(-len(results) // columns) * 1.32 + 0.3
    with canvas(theme, 3.6 if narrow else 7.2, height) as figure:
        axes = figure.subplots(-(-len(results) // columns), columns, squeeze=False)
        for axis, block in zip(axes.flat, results):
            shown = [part[:each] for part in (block.outputs, block.train, block.held_out)]
            show(axis, np.concatenate([np.asarray(part) for part in shown]), each)
            tint = look(colour, block.start)["color"]
            axis.set_title(f"{block.start}, t′ = {block.t:g}", fontsize=8 if narrow else 9.5, color=tint)
        for axis in axes.flat[len(results) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            rows_of(axis, ("drawn", "training", "held-out"), colour)
        figure.suptitle(DATA, fontsize=10)
        return figure
