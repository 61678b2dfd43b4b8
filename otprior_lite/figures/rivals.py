"""The rivals: quality against calls, seconds and bytes; where the map wins; classes."""

import numpy as np

from ..experiments import conditional
from ..experiments import regimes as map_study
from ..experiments.rivals import ClassScore, Difference, Score
from .style import canvas, palette

# rival: (legend, colour, marker, filled)
_LOOKS = {
    "standard": ("N(0, I)", "vermillion", "o", True),
    "T = 4, no more calls": ("T = 4, no more calls", "vermillion", ">", False),
    "zero SNR": ("zero terminal SNR", "vermillion", "*", False),
    "SDE": ("SDE", "vermillion", "h", False),
    "moment-matched": ("moment-matched", "blue", "s", True),
    "mixture": ("mixture", "blue", "P", False),
    "learned": ("learned flow", "blue", "X", False),
    "semi-discrete": ("semi-discrete", "green", "D", True),
    "smoothed": ("smoothed", "green", "D", False),
    "fresh noise": ("fresh noise", "green", "p", False),
    "data-initialised": ("data-initialised", "purple", "^", True),
}
_LINES = {
    "longer T": (("T = 1", "T = 2", "T = 4"), "vermillion", ">"),
    "Langevin, step 0.5": (("Langevin, 1", "Langevin, 3", "Langevin, 10", "Langevin, 30"), "orange", "v"),
}
_MORE = {
    "SDE, twice the calls": ("SDE, twice the calls", "vermillion", "h"),
    "Langevin, 10 short": ("Langevin, step 0.1", "orange", "v"),
}
LINEAR = 0.004
"""Energy distances below this are drawn on a linear scale: they may be negative."""


def _mark(axis, x, score: Score, colour: str, marker: str, filled: bool, label=None):
    face = dict(mfc=colour if filled else "none")
    size = 8 if marker in "*pX" else 6
    style = dict(fmt=marker, color=colour, ms=size, lw=1, mew=1.2, capsize=0, **face)
    axis.errorbar(x, score.energy[0], 2 * score.energy[1], label=label, **style)


def _energy_axis(axis, scores: dict[str, Score], colour):
    """Symmetric log scale with the band of the oracle: its mean and two standard errors."""
    value, error = scores["oracle"].energy
    axis.axhspan(value - 2 * error, value + 2 * error, color=colour.grid, alpha=0.8, lw=0)
    axis.axhline(0, color=colour.muted, lw=0.7, ls=":")
    top = 1.5 * max(score.energy[0] for score in scores.values())
    axis.set_yscale("symlog", linthresh=LINEAR, linscale=0.6)
    axis.set_ylim(-LINEAR, max(top, axis.get_ylim()[1]))
    ticks = [v for v in (0.0, 0.004, 0.01, 0.03, 0.1, 0.3, 1.0) if v <= 1.2 * top]
    axis.set_yticks(ticks, [f"{v:g}" for v in ticks])
    axis.minorticks_off()


def plane(theme: str, scenes: dict[str, dict[str, Score]], names=("short T", "eight dimensions"), size=(7.2, 4.6)):
    """Energy distance at the end against extra network calls; rivals without extra calls stand side by side at 0."""
    colour = palette(theme)
    wide = size[0] > 5
    with canvas(theme, *size) as figure:
        axes = figure.subplots(1, len(names), sharey=True) if wide else figure.subplots(len(names), 1, sharex=True)
        slots = {name: -0.55 * (len(_LOOKS) - 1 - k) for k, name in enumerate(_LOOKS)}
        place = lambda calls: 1.2 + 2.6 * np.log10(calls)
        for axis, name in zip(axes, names):
            scores = scenes[name]
            for rival, (label, shade, marker, filled) in _LOOKS.items():
                _mark(axis, slots[rival], scores[rival], getattr(colour, shade), marker, filled, label)
            for label, (rivals, shade, marker) in _LINES.items():
                line = [scores[r] for r in rivals if r in scores]
                values, errors = zip(*(score.energy for score in line))
                style = dict(color=getattr(colour, shade), marker=marker, ms=6, lw=1.3, label=label)
                axis.errorbar([place(max(score.calls, 1)) for score in line], values, 2 * np.array(errors), **style)
            for rival, (label, shade, marker) in _MORE.items():
                _mark(axis, place(scores[rival].calls), scores[rival], getattr(colour, shade), marker, False, label)
            _energy_axis(axis, scores, colour)
            axis.axvline(0.6, color=colour.grid, lw=1)
            axis.set_xticks([np.mean(list(slots.values())), *(place(c) for c in (1, 3, 10, 30))], ["none", "1", "3", "10", "30"])
            axis.set_title(name, fontsize=10)
        for axis in axes if wide else axes[-1:]:
            axis.set_xlabel("network calls beyond the scene's")
        for axis in axes[:1] if wide else axes:
            axis.set_ylabel("energy distance at the end")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4 if wide else 2, fontsize=8.5)
        return figure


def price(theme: str, scenes: dict[str, dict[str, Score]], name: str = "digits", size=(7.2, 3.6)):
    """Energy distance at the end against seconds to build and bytes kept, for rivals that are a law at T."""
    colour = palette(theme)
    wide = size[0] > 5
    rivals = [r for r in _LOOKS if r not in ("T = 4, no more calls", "zero SNR", "SDE")]
    with canvas(theme, *size) as figure:
        axes = figure.subplots(1, 2, sharey=True) if wide else figure.subplots(2, 1)
        scores = scenes[name]
        for axis, key, least in zip(axes, ("build", "bytes"), (1e-4, 30.0)):
            for rival in rivals:
                label, shade, marker, filled = _LOOKS[rival]
                _mark(axis, max(getattr(scores[rival], key), least), scores[rival], getattr(colour, shade), marker, filled, label)
            axis.set_xscale("log")
            _energy_axis(axis, scores, colour)
        axes[0].set(xlabel="seconds to build", xlim=(5e-5, 50))
        axes[0].set_xticks([1e-4, 1e-2, 1], ["0", "0.01", "1"])
        axes[1].set(xlabel="bytes kept", xlim=(15, 2e6))
        axes[1].set_xticks([30, 1e3, 1e4, 1e5, 1e6], ["0", "1 kB", "10 kB", "100 kB", "1 MB"])
        for axis in axes:
            axis.minorticks_off()
        for axis in axes[:1] if wide else axes:
            axis.set_ylabel("energy distance at the end")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4 if wide else 2, fontsize=8.5)
        return figure


def regimes(theme: str, cells: list[Difference], stages=("start", "end"), size=(7.2, 5.0)):
    """Map of signs: number of points against T; each cell shows the difference in thousandths, or n.s."""
    colour = palette(theme)
    rivals = list(dict.fromkeys(cell.rival for cell in cells))
    by = {(c.stage, c.rival, c.points, c.t): c for c in cells}
    points, times = map_study.POINTS, map_study.TIMES
    wide = size[0] > 5
    names = {"standard": "N(0, I)", "moment-matched": "moment-matched", "data-initialised": "data-initialised"}
    with canvas(theme, *size) as figure:
        shape = (len(stages), len(rivals)) if wide else (len(rivals), len(stages))
        axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        for i, stage in enumerate(stages):
            for j, rival in enumerate(rivals):
                axis = axes[i, j] if wide else axes[j, i]
                for row, n in enumerate(points):
                    for column, t in enumerate(times):
                        cell = by[stage, rival, n, t]
                        shade = {1: colour.vermillion, -1: colour.green, 0: colour.grid}[cell.verdict]
                        axis.add_patch(_square(column, row, shade, 0.55 if cell.verdict else 0.35))
                        text = f"{1000 * cell.value:+.0f}" if cell.verdict else "n.s."
                        axis.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour.ink)
                axis.set(xlim=(-0.5, len(times) - 0.5), ylim=(-0.5, len(points) - 0.5))
                axis.set_xticks(range(len(times)), [f"{t:g}" for t in times])
                axis.set_yticks(range(len(points)), [str(n) for n in points])
                axis.tick_params(length=0)
                axis.spines[:].set_visible(False)
                if i == 0 or not wide:
                    axis.set_title(f"against {names[rival]}", fontsize=10)
        for axis in axes[-1]:
            axis.set_xlabel("start time T")
        for axis, stage in zip(axes[:, 0], stages if wide else stages * len(rivals)):
            axis.set_ylabel(f"{'at T' if stage == 'start' else 'at the end'}\ntraining points")
        return figure


def _square(column: int, row: int, colour: str, alpha: float):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=alpha, lw=0)


def classes(theme: str, found: dict[tuple[str, float, int], ClassScore], size=(7.2, 5.0)):
    """Columns: network calls. Top: energy distance within the class against the start time. Bottom: memorisation share."""
    colour = palette(theme)
    looks = {
        "standard": ("vermillion", "o", "-"), "moment-matched": ("blue", "s", "-"),
        "moment-matched, all classes": ("blue", "s", ":"), "semi-discrete": ("green", "D", "-"),
        "semi-discrete, all classes": ("green", "D", ":"), "data-initialised": ("purple", "^", "-"), "oracle": ("ink", "x", "--"),
    }  # fmt: skip
    place = np.arange(len(conditional.TIMES))
    wide = size[0] > 5
    calls = conditional.CALLS if wide else conditional.CALLS[:1]
    with canvas(theme, *size) as figure:
        axes = figure.subplots(2, len(calls), sharex=True, sharey="row", squeeze=False)
        for column, k in enumerate(calls):
            top, bottom = axes[:, column]
            copies, full = found["training", 0, 0], found["standard", conditional.SCHEDULE.T, k]
            low, high = copies.energy[0] - 2 * copies.energy[1], copies.energy[0] + 2 * copies.energy[1]
            top.axhspan(low, high, color=colour.orange, alpha=0.25, lw=0, label="training digits")
            top.axhline(full.energy[0], color=colour.vermillion, lw=1.2, ls="-.", label="N(0, I) from T = 3")
            bottom.axhline(0.5, color=colour.muted, lw=1, ls=":")
            for shift, (name, (shade, marker, line)) in enumerate(looks.items()):
                rows = [found[name, t, k] for t in conditional.TIMES]
                style = dict(color=getattr(colour, shade), marker=marker, ls=line, ms=5.5, lw=1.4)
                style["mfc"] = "none" if line == ":" else style["color"]
                for axis, key in ((top, "energy"), (bottom, "nearer")):
                    values, errors = zip(*(getattr(row, key) for row in rows))
                    axis.errorbar(place + 0.05 * (shift - 3), values, 2 * np.array(errors), label=name, **style)
            top.set_yscale("symlog", linthresh=0.05, linscale=0.5)
            top.set_yticks([0, 0.05, 0.1, 0.2, 0.5, 1], ["0", "0.05", "0.1", "0.2", "0.5", "1"])
            top.minorticks_off()
            top.set_title(f"{k} network calls", fontsize=10)
            bottom.set(xlabel="start time T", ylim=(0.45, 0.9))
            bottom.set_xticks(place, [f"{t:g}" for t in conditional.TIMES])
        axes[0, 0].set_ylabel("energy distance in the class")
        axes[1, 0].set_ylabel("memorisation share")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3 if wide else 1, fontsize=8.5)
        return figure
