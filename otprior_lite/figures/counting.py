"""How much to believe of what a sampled solver says about itself, and what a draw is worth."""

import math

from ..experiments.counting import Recycling, Track, Training
from .style import canvas, palette

_MARKS = {"newton": "D", "asgd": "o", "entropic": "s", "paper": "^", "dpm-ot": "v", "pyomt": "x"}
_LABELS = {
    "newton": "engine", "asgd": "averaged SGD", "entropic": "entropic", "paper": "paper's Adam", "dpm-ot": "DPM-OT's Adam",
    "pyomt": "fixed sample",
}  # fmt: skip


def training(theme: str, result: Training, width: float = 7.2):
    """The error on the sample that is fitted, and on fresh draws, against steps; the noise of the sample as a line."""
    colour = palette(theme)
    with canvas(theme, width, 3.3) as figure:
        axis = figure.subplots()
        axis.axhline(result.floor, color=colour.muted, lw=1, ls="--")
        axis.text(result.steps[0], result.floor * 0.93, "noise of the sample", va="top", fontsize=9, color=colour.muted)
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
        axis.set(yscale="log", xlabel="K, rotated partners of each draw", ylabel="variance per base draw")
        axis.set(ylim=(0.02 if width > 5 else 0.006, 1.6), xlim=(-0.2, len(places) - 0.6))
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
