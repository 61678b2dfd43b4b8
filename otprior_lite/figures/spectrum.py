"""Figures of chapter 12: the variance of p_t per direction against the prior's, and which directions carry the gap."""

from ..experiments.spectrum import Spectrum
from .style import canvas, palette

_DASHES = {"linear": "-", "cosine": (0, (1, 1.2)), "Stable Diffusion": "--"}
_WORDS = {"emoji32": "emoji", "digits": "digits", "cifar10": "CIFAR-10 pictures"}


def spectrum(theme: str, results: tuple[Spectrum, ...], narrow: bool = False):
    """One column per data set, one row per time: a_k for three schedules, and what as many draws of the prior itself show."""
    colour, times = palette(theme), sorted({start.t for start in results[0].starts}, reverse=True)
    tints = dict(zip(_DASHES, (colour.blue, colour.green, colour.vermillion)))
    rows, columns = (len(times) * len(results), 1) if narrow else (len(times), len(results))
    with canvas(theme, *((3.6, 2.0 * rows + 1) if narrow else (7.2, 6.6))) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).T.ravel()
        for i, axis in enumerate(panels):
            seen, t = results[i // len(times)], times[i % len(times)]
            k = range(1, len(seen.variances) + 1)
            axis.axhspan(*seen.edges, color=colour.muted, alpha=0.18, lw=0, label="floor: Marchenko and Pastur's interval")
            axis.plot(k, seen.floor, color=colour.muted, lw=3, alpha=0.7, label="floor: as many draws of $N(0, I)$")
            axis.axhline(1, color=colour.ink, lw=0.8, label="prior")
            for schedule, tint in tints.items():
                style = dict(color=tint, ls=_DASHES[schedule], lw=1.8, label=schedule)
                axis.plot(k, 1 + seen.start(schedule, t).excess, **style)
            axis.set(xscale="log", yscale="log", xlim=(0.9, 1.05 * len(k)))
            axis.set_ylim(min(0.12, 0.7 * float(seen.floor[-1])), max(4.0, 1.6 * float(seen.variances[0])))
            axis.set_title(f"{_counted(seen)}, $d$ = {len(k):,}; $t$ = {t:g}")
            _plain(axis.xaxis, (1, 10, 100, 1000) if len(seen.variances) > 100 else (1, 3, 10, 30))
            _plain(axis.yaxis, (0.1, 1, 10, 100) if seen.variances[0] > 10 else (0.2, 0.5, 1, 2))
            if narrow or i < len(times):
                axis.set_ylabel("variance of $p_t$")
            if narrow or i % len(times) == len(times) - 1:
                axis.set_xlabel("principal direction $k$")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if narrow else 3, fontsize=9)
        return figure


def directions(theme: str, results: tuple[Spectrum, ...], narrow: bool = False):
    """One row per schedule and time: how many directions carry half, 90 % and 99 % of the covariance part; the mean's share."""
    colour = palette(theme)
    tints = dict(zip(_DASHES, (colour.blue, colour.green, colour.vermillion)))
    shape = (len(results), 1) if narrow else (1, len(results))
    with canvas(theme, *((3.6, 7.4) if narrow else (7.2, 3.7))) as figure:
        panels = figure.subplots(*shape, squeeze=False).ravel()
        for axis, seen in zip(panels, results):
            d, order = len(seen.variances), sorted(seen.starts, key=lambda s: (-s.t, list(_DASHES).index(s.schedule)))
            for row, start in enumerate(order):
                tint, counts = tints[start.schedule], [start.directions(share) for share in (0.5, 0.9, 0.99)]
                axis.plot(counts, [row] * 3, color=tint, lw=1.2)
                for count, marker, fill in zip(counts, "osD", (tint, "none", "none")):
                    axis.plot(count, row, marker=marker, color=tint, mfc=fill, ms=5.5)
                axis.text(1.35 * d, row, f"{100 * start.mean_share:.0f} %", va="center", fontsize=9)
            axis.text(1.35 * d, -0.95, "mean's\nshare", va="bottom", fontsize=9, color=colour.ink)
            axis.axvline(d, color=colour.muted, lw=0.8)
            axis.set(xscale="log", xlim=(0.8, 1.1 * d), ylim=(len(order) - 0.4, -0.6), xlabel="principal directions")
            if narrow or seen is results[0]:
                axis.set_yticks(range(len(order)), [f"{start.schedule}, {start.t:g}" for start in order])
            else:
                axis.set_yticks(range(len(order)), [""] * len(order))
            axis.set_title(_counted(seen), loc="left")
            _plain(axis.xaxis, (1, 10, 100, 1000) if len(seen.variances) > 100 else (1, 3, 10, 30))
        marks = [("o", "half"), ("s", "90 %"), ("D", "99 % of the covariance part")]
        handles = [
            panels[0].plot([], [], ls="", marker=m, color=colour.ink, mfc=colour.ink if m == "o" else "none", label=w)[0]
            for m, w in marks
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 3, fontsize=9)
        return figure


def _counted(seen: Spectrum) -> str:
    return f"{seen.n:,} {_WORDS.get(seen.name, seen.name)}"


def _plain(axis, values):
    """Ticks of a log axis at those of `values` that are in view, written as plain numbers."""
    low, high = axis.get_view_interval()
    ticks = [v for v in values if low <= v <= high]
    axis.set_ticks(ticks, [f"{v:g}" for v in ticks])
    axis.set_ticks([], minor=True)
