"""Figures of chapter 10: stacked bounds under measured errors, the ablation, the U-shape, what a prior can gain."""

from .style import MARKERS, canvas, palette

_TERMS = ("prior", "score", "discretisation")
_NETWORK_MARKERS = {"tiny": "v", "small": "o", "wide": "s"}
_NETWORK_LINES = {"tiny": ":", "small": "--", "wide": "-."}


def _colours(colour) -> dict[str, str]:
    """One colour for each term, in every figure of the chapter."""
    return {"prior": colour.vermillion, "score": colour.green, "discretisation": colour.blue}


def _floor(axis, floor: float, colour) -> None:
    axis.axhspan(axis.get_ylim()[0], floor, color=colour.grid, alpha=0.8, lw=0, zorder=0)


def stacks(theme: str, results: dict, narrow: bool = False):
    """F17: the terms of the bound stacked, the measured error on top of it, the slack between them; along T and along steps."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 9.2) if narrow else (7, 5.6))) as figure:
        panels = figure.subplots(4, 1) if narrow else figure.subplots(2, 2).T.ravel()
        for axis, (name, row) in zip(panels, results.items()):
            along, start = name.split(", ")
            x = range(len(row))
            bottom = [0.0] * len(row)
            for term in _TERMS:
                height = [getattr(s, term) for s in row]
                look = dict(width=0.62, color=_colours(colour)[term], alpha=0.85, lw=0)
                axis.bar(x, height, bottom=bottom, label=f"bound: {term}", **look)
                bottom = [a + b for a, b in zip(bottom, height)]
            axis.errorbar(
                x, [s.measured.value for s in row], [s.measured.error for s in row], fmt="o", ms=5.5, color=colour.ink,
                mec=colour.bg, mew=0.8, capsize=3, label="measured, ± s.e.",
            )  # fmt: skip
            top = max(bottom)
            for i, s in enumerate(row):
                axis.text(i, bottom[i] + 0.02 * top, f"{s.slack:.1f}×", ha="center", fontsize=8.5, color=colour.muted)
            axis.axhline(row[0].floor, color=colour.muted, ls=":", lw=1.2, label="floor")
            axis.set_ylim(0, 1.12 * top)
            ticks = [f"{s.T:g}" if along == "T" else str(s.steps) for s in row]
            axis.set_xticks(x, ticks)
            other = f"{row[0].steps} steps" if along == "T" else f"T = {row[0].T:g}"
            axis.set_title(f"start: {start}, {other}")
            axis.set_xlabel("$T$" if along == "T" else "steps", labelpad=2)
        for axis in panels if narrow else panels[:2]:
            axis.set_ylabel("$W_2$")
        look = dict(ncols=2 if narrow else 5, fontsize=9, columnspacing=1, handlelength=1.4)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", **look)
        return figure


def slack(theme: str, results: list, narrow: bool = False):
    """Every run of DDIM: measured W2 against its bound, by start; the floor shaded, the diagonal drawn."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 4.2) if narrow else (7, 4.0))) as figure:
        axis = figure.subplots()
        low, high = 0.006, 7.0
        axis.axvspan(low, results[0].floor, color=colour.grid, alpha=0.8, lw=0, zorder=0)
        for k in (1, 10, 100):
            look = dict(lw=1.4, ls="-") if k == 1 else dict(lw=0.7, ls=":")
            axis.plot([low, high], [k * low, k * high], color=colour.muted, zorder=1, **look)
        for k, text in ((1, "bound = measured"), (10, "10 ×"), (100, "100 ×")):
            x = 0.3 if k == 1 else 0.011
            axis.text(x, k * x * 0.75, text, color=colour.muted, fontsize=8.5, ha="left", va="top")
        for name in dict.fromkeys(s.start for s in results):
            mine = [s for s in results if s.start == name]
            axis.plot(
                [s.matched for s in mine], [s.total for s in mine], MARKERS[name], ms=4, mew=1 if name == "oracle" else 0,
                alpha=0.75, color=colour.of_prior(name), label=name,
            )  # fmt: skip
        axis.text(low * 1.06, high * 0.85, "floor", color=colour.muted, fontsize=8.5, va="top")
        axis.set(xscale="log", yscale="log", xlim=(low, 2.4), ylim=(low, high))
        axis.set(xlabel="measured $W_2$", ylabel="bound on $W_2$")
        figure.legend(loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def ablation(theme: str, results: list, narrow: bool = False):
    """Measured W2 for every start, in four panels (score by steps), flow and SDE side by side; the floor shaded."""
    colour = palette(theme)
    networks, steps = (list(dict.fromkeys(v)) for v in ([r.network for r in results], [r.steps for r in results]))
    starts = list(dict.fromkeys(r.start for r in results))
    with canvas(theme, *((3.6, 7.4) if narrow else (7, 5.0))) as figure:
        panels = figure.subplots(4, 1, sharey=True) if narrow else figure.subplots(2, 2, sharey=True, sharex=True).ravel()
        corners = [(K, net) for K in sorted(steps, reverse=True) for net in networks]
        for axis, (K, net) in zip(panels, corners):
            for i, method in enumerate(("ddim", "ddpm")):
                for j, start in enumerate(starts):
                    (r,) = (r for r in results if (r.start, r.network, r.steps, r.method) == (start, net, K, method))
                    axis.errorbar(
                        i + 0.16 * (j - 1.5), r.measured.value, r.measured.error, fmt=MARKERS[start], ms=6.5, capsize=2.5,
                        color=colour.of_prior(start), label=start if i == 0 else None,
                    )  # fmt: skip
            axis.set(yscale="log", ylim=(0.016, 0.5), xlim=(-0.55, 1.55))
            axis.set_xticks([0, 1], ["flow (DDIM)", "SDE (ancestral)"])
            axis.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
            axis.minorticks_off()
            axis.set_title(f"{'exact' if net == 'exact' else 'learned'} score, {K} steps")
            _floor(axis, results[0].floor, colour)
        for axis in panels if narrow else panels[::2]:
            axis.set_ylabel("measured $W_2$")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def trade(theme: str, results, narrow: bool = False):
    """Left: Girsanov's terms along T; the prior's falls, the score's rises. Right: measured W2 along T, for every start."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 7.2) if narrow else (7, 3.9))) as figure:
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        for start, values in results.prior.items():
            left.plot(results.T, values, marker=MARKERS[start], ms=5, color=colour.of_prior(start), label=f"prior: {start}")
        for net, values in results.score.items():
            look = dict(marker=_NETWORK_MARKERS[net], ms=5, ls=_NETWORK_LINES[net], color=colour.green)
            left.plot(results.T, values, label=f"score: {net}", **look)
        left.set(yscale="log", xlabel="$T$", ylabel="term of the bound on KL, nats", ylim=(3e-5, 1))
        below = dict(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8.5, ncols=2, columnspacing=1, handlelength=1.8)
        left.legend(**below)
        for start, values in results.measured.items():
            look = dict(
                marker=MARKERS[start], ms=5, color=colour.of_prior(start), capsize=2, ls="--" if start == "oracle" else "-"
            )
            right.errorbar(results.T, [m.value for m in values], [m.error for m in values], label=start, **look)
        right.set(yscale="log", xlabel="$T$", ylabel=f"measured $W_2$, {results.steps} steps", ylim=(0.018, 1))
        right.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
        right.minorticks_off()
        _floor(right, results.floor, colour)
        right.legend(**below)
        return figure


def gains(theme: str, results: list, narrow: bool = False):
    """A map of networks by T: the share of the error that a perfect prior removes; grey where none is seen."""
    colour = palette(theme)
    networks, lengths = (list(dict.fromkeys(v)) for v in ([g.network for g in results], [g.T for g in results]))
    with canvas(theme, *((3.6, 3.4) if narrow else (7, 3.2))) as figure:
        axis = figure.subplots()
        for g in results:
            x, y = lengths.index(g.T), networks.index(g.network)
            share = max(0.0, g.removed.value)
            if g.visible:
                axis.add_patch(_box(x, y, colour.vermillion, 0.08 + 0.72 * share))
            else:
                axis.add_patch(_box(x, y, colour.grid, 0.55))
            text = f"{100 * g.removed.value:.0f} %" if g.visible else "none\nseen"
            axis.text(x, y, text, ha="center", va="center", fontsize=7.5 if narrow else 9.5, color=colour.ink)
        axis.set(xlim=(-0.5, len(lengths) - 0.5), ylim=(len(networks) - 0.5, -0.5), xlabel="$T$", ylabel="network")
        axis.set_xticks(range(len(lengths)), [f"{T:g}" for T in lengths])
        axis.set_yticks(range(len(networks)), networks)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        return figure


def _box(x, y, colour, alpha):
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, alpha=alpha, lw=0)
