"""Figures of chapter 12: what a semi-discrete solve costs, measured and predicted, and where it gives out."""

import numpy as np

from ..experiments import cost
from ..experiments.cost_model import Costs
from .style import canvas, palette

_TIMES = {"second": 1.0, "hour": 3600.0, "day": cost.DAY, "year": cost.YEAR, "1000 years": 1000 * cost.YEAR}
_SIZES = {4175: "4 k", 50_000: "50 k", 10**6: "$10^6$", 10**9: "$10^9$"}
"""The emoji, CIFAR-10, and more."""


def model(theme: str, found: Costs, narrow: bool = False):
    """Blocks and solves, measured against predicted; seconds and bytes against N, and what is arithmetic."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 12.6) if narrow else (7.2, 6.8))) as figure:
        blocks, solves, seconds, memory = figure.subplots(*((4, 1) if narrow else (2, 2))).ravel()
        _blocks(blocks, colour, found)
        _solves(solves, colour, found)
        _seconds(seconds, colour, found)
        _memory(memory, colour, found)
        return figure


def _blocks(axis, colour, found):
    looks = {64: (colour.blue, "o"), 768: (colour.green, "s"), 3072: (colour.vermillion, "D")}
    for d in sorted({row["d"] for row in found.fitted.rows}):
        tint, marker = looks.get(d, (colour.purple, "^"))
        pairs = [(row["cpu"], left) for row, left in zip(found.fitted.rows, found.fitted.left_out) if row["d"] == d]
        axis.plot(*zip(*pairs), ls="", marker=marker, ms=4.5, mfc="none", color=tint, label=f"$d$ = {d:,}")
    held = found.fitted.held_out
    place = held["cpu"], held["cpu"] * found.fitted.extrapolated
    axis.plot(*place, "*", ms=11, color=colour.ink)
    where = dict(ha="right", va="bottom", textcoords="offset points", fontsize=9)
    axis.annotate(f"$N$ = {held['N']:,}", place, (-8, 3), **where)
    _diagonal(axis, colour, found.fitted.spread)
    axis.set(title="one block, each left out of its own fit", xlabel="measured CPU s", ylabel="predicted CPU s")
    axis.legend(fontsize=9, loc="lower right")


def _solves(axis, colour, found):
    looks = {"digits": (colour.blue, "o"), "emoji16": (colour.green, "s"), "emoji32": (colour.vermillion, "D")}
    for name, (tint, marker) in looks.items():
        rows = [row for row in found.solves if row["pictures"] == name]
        if rows:
            style = dict(ls="", marker=marker, ms=5, mfc="none", color=tint, label=f"{name}, $d$ = {rows[0]['d']:,}")
            axis.plot([row["samples"] / row["S"] for row in rows], [row["expected"] / row["S"] for row in rows], **style)
    axis.set(xlim=(0.05, 1), ylim=(0.05, 1))
    _diagonal(axis, colour, found.draws_spread)
    axis.set(title="draws of a whole solve, in units of $S$", xlabel="used / $S$", ylabel="expected / $S$")
    for side in (axis.xaxis, axis.yaxis):
        ticks = [0.05, 0.1, 0.2, 0.5, 1]
        side.set_ticks(ticks, [f"{v:g}" for v in ticks])
        side.set_ticks([], minor=True)
    axis.legend(fontsize=9, loc="lower right")


def _diagonal(axis, colour, spread: float):
    """Equality, with one spread on both sides."""
    axis.set(xscale="log", yscale="log")
    low, high = min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])
    line, factor = np.array([low, high]), np.exp(spread)
    axis.fill_between(line, line / factor, line * factor, color=colour.muted, alpha=0.18, lw=0)
    axis.plot(line, line, color=colour.ink, lw=0.8)
    axis.set(xlim=(low, high), ylim=(low, high))


def _seconds(axis, colour, found):
    N = np.logspace(3.2, 9.3, 60)
    plans = [cost.predict(found, round(n)) for n in N]
    looks = (("cpu", colour.blue, None, "one core: measured rates"), ("gpu", colour.orange, "////", "one H100: arithmetic"))
    for part, tint, hatch, label in looks:
        low, high = np.array([getattr(plan, part) for plan in plans]).T
        axis.fill_between(N, low, high, facecolor=(tint, 0.35), lw=0.8, edgecolor=tint, hatch=hatch, label=label)
    for row in found.solves:
        if row["d"] == plans[0].d:
            axis.plot(row["N"], row["cpu"] * (row["tolerance"] / plans[0].tolerance) ** 2, "D", ms=4.5, color=colour.vermillion)
    axis.plot([], [], "D", ms=4.5, color=colour.vermillion, label="measured, scaled to 5 %")
    axis.set(xscale="log", yscale="log", ylim=(1e-3, 3e17), xlim=(N[0], N[-1]), ylabel="time")
    axis.set_yticks(list(_TIMES.values()), list(_TIMES))
    _sizes(axis, colour)
    axis.set_title("a solve to 5 %, 32 x 32 x 3", fontsize=10)
    axis.legend(fontsize=8.5, loc="upper left")


def _memory(axis, colour, found):
    N = np.logspace(3.2, 9.3, 60)
    d = 3072
    lines = (
        ("while preparing", [cost.peak_bytes(round(n), d) + 4 * n * d for n in N], colour.vermillion, "-"),
        ("sampler, 64 draws a block", [cost.sampler_bytes(round(n), d) for n in N], colour.blue, "--"),
        ("the heights alone", 4 * N, colour.green, (0, (1, 1.2))),
    )
    for label, values, tint, dash in lines:
        axis.plot(N, values, color=tint, ls=dash, lw=1.8, label=label)
    for row in found.memory:
        atoms = 4 * row["N"] * row["d"]
        for key, tint, more in (("solve", colour.vermillion, 1), ("sampler", colour.blue, 0)):
            axis.plot(row["N"] * row["d"] / d, row[key] + more * atoms, "D", ms=4.5, color=tint)
    for bytes_, label in ((24e9, "this machine"), (cost.H100.memory, "one H100")):
        axis.axhline(bytes_, color=colour.muted, lw=0.8)
        axis.text(1.2 * N[0], bytes_ * (0.85 if label == "this machine" else 1.15), label, fontsize=8.5, color=colour.ink,
                  va="top" if label == "this machine" else "bottom")  # fmt: skip
    axis.set(xscale="log", yscale="log", xlim=(N[0], N[-1]), ylim=(2e3, 2e17), ylabel="memory")
    axis.set_yticks([1e6, 1e9, 1e12], ["1 MB", "1 GB", "1 TB"])
    _sizes(axis, colour)
    axis.set_title("bytes, 32 x 32 x 3", fontsize=10)
    axis.legend(fontsize=8.5, loc="upper left")


def _sizes(axis, colour):
    for N in _SIZES:
        axis.axvline(N, color=colour.grid, lw=0.8, zorder=0)
    axis.set_xticks(list(_SIZES), list(_SIZES.values()))
    axis.set_xticks([], minor=True)
    axis.set_yticks([], minor=True)
    axis.set_xlabel("atoms $N$")


def devices(theme: str, found: Costs, narrow: bool = False):
    """Times faster than one process, for calls of 64 and 1,024 blocks; two processes measured (CPU seconds of each),
    more predicted."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 4.6) if narrow else (7.2, 3.4))) as figure:
        axis = figure.subplots()
        counts = [2**k for k in range(11)]
        lines = ((4000, 64, colour.blue, "-"), (4000, 1024, colour.blue, "--"), (50_000, 1024, colour.vermillion, "-."))
        for N, blocks, tint, dash in lines:
            values = [cost.speed_up(found, p, N, blocks=blocks) for p in counts]
            axis.plot(counts, values, color=tint, ls=dash, lw=1.8, label=f"$N$ = {N:,}, {blocks:,} blocks a call: predicted")
        one, two = (next(row for row in found.processes if row["world"] == world) for world in (1, 2))
        style = dict(ls="", marker="D", ms=6, mfc="none", color=colour.ink, label=f"$N$ = {one['N']:,}, 64 blocks: measured work")
        axis.plot([2], [max(one["cpu"]) / max(two["cpu"])], **style)
        axis.plot(counts, counts, color=colour.muted, lw=0.8, label="all work shared")
        axis.set(xscale="log", yscale="log", xlabel="processes, one core each", ylabel="times faster than one")
        for side in (axis.xaxis, axis.yaxis):
            ticks = [1, 2, 8, 64, 512]
            side.set_ticks(ticks, [str(v) for v in ticks])
            side.set_ticks([], minor=True)
        axis.set(xlim=(0.9, 1100), ylim=(0.9, 1100))
        figure.legend(loc="outside lower center", ncols=1 if narrow else 2, fontsize=9)
        return figure
