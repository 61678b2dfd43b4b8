"""The giraffe: samples from every prior and every forward length, and their distance to fresh data."""

from ..experiments.giraffe import Run, Summary
from .style import MARKERS, canvas, palette


def samples(theme: str, results: list[Run], lengths=(50, 250, 1000)):
    """One small giraffe per prior (columns) and forward length (rows), first seed, with the share of samples in the head."""
    first = [run for run in results if run.seed == results[0].seed]
    names = list(dict.fromkeys(run.prior for run in first))
    by = {(run.T, run.prior): run for run in first}
    colour = palette(theme)
    with canvas(theme, 7.2, 0.4 + 2.6 * len(lengths)) as figure:
        axes = figure.subplots(len(lengths), len(names), sharex=True, sharey=True, squeeze=False)
        for row, T in zip(axes, lengths):
            for axis, name in zip(row, names):
                run = by[T, name]
                axis.plot(
                    *run.samples.T.cpu().numpy(), ".", ms=1.8, alpha=0.75, mew=0, color=colour.of_prior(name), rasterized=True
                )
                axis.set(xlim=(-2.9, 2.9), ylim=(-5.0, 5.3), aspect="equal", xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                axis.set_xlabel(f"head {100 * run.tails.upper:.1f} %", fontsize=9, labelpad=-2)
            row[0].set_ylabel(f"T = {T:.0f}\n{100 * by[T, names[0]].alpha:.0f} % signal", fontsize=9)
        for axis, name in zip(axes[0], names):
            axis.set_title(name, fontsize=9.5, color=colour.of_prior(name))
        return figure


def errors(theme: str, results: list[Summary], width: float = 7.2):
    """Mean sliced W2 to fresh data against the forward length, one line per prior, the floor shaded."""
    names, lengths = (list(dict.fromkeys(values)) for values in ([r.prior for r in results], [r.T for r in results]))
    by, colour = {(row.T, row.prior): row for row in results}, palette(theme)
    bottom, floor = 0.5 * min(row.mean for row in results), max(row.floor for row in results)
    with canvas(theme, width, 3.4) as figure:
        axis = figure.subplots()
        axis.axhspan(bottom, floor, color=colour.grid, alpha=0.7, lw=0)
        text = dict(va="bottom", fontsize=9, color=colour.muted)
        axis.text(lengths[0], bottom * 1.06, "floor: two fresh samples differ so much", **text)
        for name in names:
            rows = [by[T, name] for T in lengths]
            look = dict(marker=MARKERS[name], color=colour.of_prior(name), label=name, ms=5.5, capsize=2.5)
            axis.errorbar(
                lengths, [r.mean for r in rows], [r.error for r in rows], ls="--" if name == "oracle" else "-", lw=1.6, **look
            )
        axis.set(xscale="log", yscale="log", xlabel="forward steps T", ylabel="sliced $W_2$ to fresh data", ylim=(bottom, None))
        axis.set_xticks(lengths, [f"{T:.0f}" for T in lengths])
        axis.set_yticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
        axis.minorticks_off()
        figure.legend(loc="outside upper center", ncols=3 if width > 5 else 2, fontsize=9)
        return figure


def pair(theme: str, results):
    """Two sets of samples side by side: from N(0, I) and from p_T."""
    lost, kept = results
    colour = palette(theme)
    with canvas(theme, 6.4, 4.9) as figure:
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        panels = ((lost, "standard", "start: $N(0, I)$"), (kept, "oracle", "start: $p_T$"))
        for axis, (points, name, title) in zip(axes, panels):
            axis.plot(*points.T.cpu().numpy(), ".", ms=2.6, alpha=0.8, mew=0, color=colour.of_prior(name), rasterized=True)
            axis.set(xlim=(-3.4, 3.4), ylim=(-4.9, 5.4), aspect="equal", xticks=[], yticks=[])
            axis.set_title(title, fontsize=11)
            axis.spines[:].set_visible(False)
        return figure
