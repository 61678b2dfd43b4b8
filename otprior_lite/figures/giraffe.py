"""The giraffe: samples from every prior and every forward length, and their distance to fresh data."""

from ..experiments.giraffe import Run
from .style import MARKERS, canvas, palette


def _grid(results: list[Run]):
    """Priors in order of appearance, lengths in order, and the runs by (length, prior)."""
    names = list(dict.fromkeys(run.prior for run in results))
    lengths = list(dict.fromkeys(run.steps_T for run in results))
    return names, lengths, {(run.steps_T, run.prior): run for run in results}


def samples(theme: str, results: list[Run], lengths=None):
    """One small giraffe per prior (columns) and forward length (rows), with the share of samples in the head."""
    names, every, runs = _grid(results)
    lengths = every if lengths is None else [length for length in every if length in lengths]
    colour = palette(theme)
    with canvas(theme, 7.2, 0.5 + 2.35 * len(lengths)) as figure:
        axes = figure.subplots(len(lengths), len(names), sharex=True, sharey=True, squeeze=False)
        for row, length in zip(axes, lengths):
            for axis, name in zip(row, names):
                run = runs[length, name]
                axis.plot(*run.samples.T.cpu().numpy(), ".", ms=1.3, alpha=0.7, mew=0, color=colour.of_prior(name), rasterized=True)
                axis.set(xlim=(-4.2, 4.2), ylim=(-5.4, 5.9), aspect="equal", xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                axis.set_xlabel(f"head {100 * run.tails.upper:.1f} %", fontsize=9, labelpad=-2)
            row[0].set_ylabel(f"T = {length:.0f}\n{100 * runs[length, names[0]].alpha:.0f} % signal", fontsize=9)
        for axis, name in zip(axes[0], names):
            axis.set_title(name, fontsize=9.5, color=colour.of_prior(name))
        return figure


def errors(theme: str, results: list[Run]):
    """Sliced W2 to fresh data against the forward length, one line per prior, the floor shaded."""
    names, lengths, runs = _grid(results)
    colour = palette(theme)
    with canvas(theme, 7.2, 3.4) as figure:
        axis = figure.subplots()
        floor = max(run.distance.floor for run in results)
        axis.axhspan(1e-3, floor, color=colour.grid, alpha=0.7, lw=0)
        axis.text(lengths[0], floor * 0.93, "floor: two fresh samples differ by this much", va="top", fontsize=9, color=colour.muted)
        for name in names:
            values = [runs[length, name].distance.value for length in lengths]
            style = dict(marker=MARKERS[name], color=colour.of_prior(name), label=name, ms=5.5)
            axis.plot(lengths, values, lw=1.6, ls="--" if name == "oracle" else "-", **style)
        axis.set(xscale="log", yscale="log", xlabel="forward steps T", ylabel="sliced $W_2$ to fresh data")
        axis.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
        axis.minorticks_off()
        axis.set_ylim(0.6 * min(run.distance.value for run in results), None)
        figure.legend(loc="outside upper center", ncols=3, fontsize=9)
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
