"""Cells before and after the solve, and how much to believe of what a sampled solver says about itself."""

import math

from ..experiments.laguerre import Cells, Recycling, Smoothing, Track, Training
from .style import canvas, palette

_MARKS = {"newton": "D", "asgd": "o", "entropic": "s", "paper": "^", "dpm-ot": "v", "pyomt": "x"}
_LABELS = {"newton": "engine", "asgd": "averaged SGD", "entropic": "entropic", "paper": "paper's Adam", "dpm-ot": "DPM-OT's Adam", "pyomt": "fixed sample"}


def cells(theme: str, steps: list[Cells], size=(7.2, 3.9)):
    """Cells of the first and the last step, one hue for each atom, with a line from the atom to the mean of its cell."""
    from matplotlib.patches import Circle, Polygon

    colour = palette(theme)
    hues, shape = colour.cycle[:5], (1, 2) if size[0] > 5 else (2, 1)
    with canvas(theme, *size) as figure:
        axes = figure.subplots(*shape).ravel()
        for axis, step, title in zip(axes, (steps[0], steps[-1]), ("Voronoi: $h_i = -|y_i|^2/2$", "Laguerre: equal Gaussian mass")):
            points, centres = step.map.points.numpy(), step.centres.numpy()
            for i, corners in enumerate(step.map.polygons(3.0)):
                if len(corners):
                    axis.add_patch(Polygon(corners.numpy(), fc=hues[i % 5], ec="none", alpha=0.28))
                    axis.add_patch(Polygon(corners.numpy(), fc="none", ec=colour.muted, lw=0.7))
            for radius in (1, 2):
                axis.add_patch(Circle((0, 0), radius, fc="none", ec=colour.ink, lw=0.8, ls=(0, (1, 3))))
            for i, (y, m) in enumerate(zip(points, centres)):
                axis.plot([y[0], m[0]], [y[1], m[1]], color=colour.ink, lw=0.6)
                axis.plot(*y, "o", ms=4.2, color=hues[i % 5], mec=colour.bg, mew=0.5)
            axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
            axis.set_title(title, fontsize=10)
            axis.set_xlabel(f"smallest cell {100 * float(step.masses.min()):.2f} %, largest {100 * float(step.masses.max()):.2f} %", fontsize=9)
        return figure


def newton(theme: str, steps: list[Cells], size=(7.2, 2.9)):
    """Left, each cell's mass in units of 1/N by Newton step; right, their L1 error on a logarithmic axis."""
    colour, N = palette(theme), len(steps[0].masses)
    with canvas(theme, *size) as figure:
        left, right = figure.subplots(*((1, 2) if size[0] > 5 else (2, 1))).ravel()
        for i in range(N):
            left.plot([N * float(step.masses[i]) for step in steps], color=colour.cycle[i % 5], lw=0.9, alpha=0.8)
        left.axhline(1, color=colour.ink, lw=1, ls=":")
        left.set(yscale="log", xlabel="Newton step", ylabel="mass of a cell, times N")
        right.plot([step.l1 for step in steps], "D-", ms=4.5, color=colour.green)
        right.axhline(1e-8, color=colour.muted, lw=1, ls="--")
        right.text(0, 1.6e-8, "tolerance", fontsize=9, color=colour.muted)
        right.set(yscale="log", xlabel="Newton step", ylabel="$\\sum_i |w_i - 1/N|$")
        for axis in (left, right):
            axis.set_xticks(range(0, len(steps), 2))
        return figure


def training(theme: str, result: Training, width: float = 7.2):
    """The error on the sample that is fitted, and on fresh draws, against steps; the noise of the sample as a line."""
    colour = palette(theme)
    with canvas(theme, width, 3.3) as figure:
        axis = figure.subplots()
        axis.axhline(result.floor, color=colour.muted, lw=1, ls="--")
        axis.text(result.steps[-1], result.floor * 1.07, "noise of the sample", ha="right", fontsize=9, color=colour.muted)
        axis.plot(result.steps, result.fresh, "o-", ms=4.5, color=colour.blue, label="on fresh draws")
        axis.plot(result.steps, result.seen, "x-", ms=5, color=colour.vermillion, label="on the sample that is fitted")
        axis.set(xscale="log", yscale="log", xlabel="step", ylabel="$|w - b|_2$")
        axis.set_xticks([1, 3, 10, 30, 90], ["1", "3", "10", "30", "90"])
        axis.set_yticks([0.01, 0.03, 0.06], ["0.01", "0.03", "0.06"])
        axis.minorticks_off()
        axis.legend(fontsize=9, loc="lower left")
        return figure


def recycling(theme: str, result: Recycling, width: float = 7.2):
    """Variance of a cell frequency per base draw against K; antithetic draws, and rows that were all independent."""
    colour = palette(theme)
    with canvas(theme, width, 3.2) as figure:
        axis, places = figure.subplots(), range(len(result.shifts))
        axis.plot(places, [1 / (1 + 2 * K) for K in result.shifts], ":", color=colour.muted, label="if all rows were independent")
        axis.axhline(result.antithetic, color=colour.orange, lw=1.4, ls="--", label="antithetic draws, $x$ and $-x$")
        axis.plot(places, result.variance, "D-", ms=6, color=colour.green, label="rotation recycling")
        for place, value in zip(places, result.variance):
            axis.annotate(f"{value:.2f}", (place, value), xytext=(6, 5), textcoords="offset points", fontsize=9)
        axis.set(yscale="log", xlabel="K, rotated partners of each draw", ylabel="variance per base draw", ylim=(0.02, 1.6), xlim=(-0.2, len(places) - 0.6))
        axis.set_xticks(list(places), [str(K) for K in result.shifts])
        axis.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
        axis.minorticks_off()
        axis.legend(fontsize=9, loc="lower left")
        return figure


def race(theme: str, tracks: list[Track], n: int = 100, size=(7.2, 3.9)):
    """L1 error on fresh draws against draws used, one panel for each problem, one line for each method."""
    colour = palette(theme)
    problems, methods = (list(dict.fromkeys(values)) for values in ([t.problem for t in tracks], [t.method for t in tracks]))
    hue = dict(zip(_MARKS, (colour.green, colour.blue, colour.purple, colour.vermillion, colour.orange, colour.muted)))
    low, high = min(t.samples[0] for t in tracks), max(t.samples[-1] for t in tracks)
    with canvas(theme, *size) as figure:
        axes = figure.subplots(*((1, len(problems)) if size[0] > 5 else (len(problems), 1)), sharey=True, squeeze=False).ravel()
        for axis, problem in zip(axes, problems):
            floor = [math.sqrt(2 * n / (math.pi * S)) for S in (low, high)]
            axis.plot([low, high], floor, ":", color=colour.ink, lw=1.2)
            for track in (t for t in tracks if t.problem == problem):
                look = dict(marker=_MARKS[track.method], color=hue[track.method], label=_LABELS[track.method], ms=5, capsize=2)
                axis.errorbar(track.samples, track.l1, track.error, lw=1.5, **look)
            axis.set(xscale="log", yscale="log", xlabel="draws used")
            axis.set_title(problem, fontsize=10)
            axis.set_yticks([0.01, 0.03, 0.1, 0.3], ["1 %", "3 %", "10 %", "30 %"])
            axis.minorticks_off()
        axes[0].set_ylabel("L1 error on fresh draws")
        if len(axes) > 1 and size[0] <= 5:
            axes[1].set_ylabel("L1 error on fresh draws")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3 if size[0] > 5 else 2, fontsize=9)
        return figure


def smoothing(theme: str, results: list[Smoothing], size=(7.2, 2.4)):
    """Images of the smoothed map at several temperatures over the atoms, with the share of variance that is left."""
    colour = palette(theme)
    shape = (1, len(results)) if size[0] > 5 else (2, -(-len(results) // 2))
    with canvas(theme, *size) as figure:
        axes = figure.subplots(*shape, sharex=True, sharey=True).ravel()
        for axis, row in zip(axes, results):
            axis.plot(*row.images.T.numpy(), ".", ms=1.6, mew=0, color=colour.green, alpha=0.8, rasterized=True)
            axis.plot(*row.atoms.T.numpy(), "o", ms=3.2, mfc="none", mec=colour.ink, mew=0.7)
            axis.set(xticks=[], yticks=[], aspect="equal")
            axis.set_title(f"$\\tau$ = {row.tau:g}", fontsize=10)
            axis.set_xlabel(f"variance {100 * row.kept:.0f} %", fontsize=9)
        return figure
