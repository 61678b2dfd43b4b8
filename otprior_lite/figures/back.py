"""Figures of chapter 4: paths back, measured against proved amplification, and the error per direction of a Gaussian."""

import numpy as np

from ..experiments.back import Fan, Landscape, Propagation, Spectrum
from .style import canvas, palette

NAMES = {"ode": "flow", "sde": "SDE"}


def of_kind(theme: str, kind: str) -> str:
    """The colour that the flow ("ode") and the reverse SDE ("sde") have throughout the chapter."""
    colour = palette(theme)
    return {"ode": colour.blue, "sde": colour.orange}[kind]


def fan(theme: str, results: Fan):
    """Time runs from T on the left to 0 on the right; the law of the data stands at the end."""
    colour = palette(theme)
    with canvas(theme, 7, 3.6) as figure:
        axes, end = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
        axes.plot(results.times, results.sde, color=of_kind(theme, "sde"), lw=0.8, alpha=0.6)
        axes.plot([], [], color=of_kind(theme, "sde"), lw=1.2, label="SDE, many noises")
        axes.plot(results.times, results.flow, color=of_kind(theme, "ode"), lw=2.4, label="flow")
        axes.plot(results.times, results.right, color=colour.ink, lw=2, ls="--", label="flow, from the right start")
        axes.plot(results.times[0], results.flow[0], "o", color=of_kind(theme, "ode"), ms=8)
        axes.invert_xaxis()
        axes.set(xlabel="time $t$", ylabel="$x$")
        axes.legend(loc="upper left", fontsize=9)
        y = np.linspace(-2.6, 3.6, 300)
        density = results.target.log_prob(y[:, None]).exp().numpy()
        end.fill_betweenx(y, density, color=colour.grid)
        end.plot(density, y, color=colour.ink, lw=1.2)
        end.set(xticks=[], xlabel="$p_0$", xlim=(0, None), ylim=(-2.6, 3.6))
        end.spines["bottom"].set_visible(False)
    return figure


_LEVELS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.5, 2.5, 5.0, 20.0, 100.0, 1000.0, 1e4)


def _plain(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def landscape(theme: str, results: Landscape, stacked: bool = False):
    """Amplification over (m, s^2): measured beside proved, for the flow and for the SDE, one scale of colours."""
    import matplotlib

    colour = palette(theme)
    bands = matplotlib.colormaps["viridis"](np.linspace(0.05, 1, len(_LEVELS) - 1))
    ink = ["#ffffff" if 0.3 * r + 0.59 * g + 0.11 * b < 0.5 else "#1f2933" for r, g, b, _ in bands]
    grids = {"measured": results.ratio, "bound": results.gamma}
    panels = [(kind, name, grid[kind]) for kind in NAMES for name, grid in grids.items()]
    with canvas(theme, *((3.6, 10.4) if stacked else (7, 5.8))) as figure:
        grid = figure.subplots(*((4, 1) if stacked else (2, 2)), sharex=True, sharey=True)
        for axes, (kind, name, values) in zip(grid.flat, panels):
            axes.contourf(results.m, results.variance, np.log10(values), np.log10(_LEVELS), colors=bands)
            shown = [k for k, v in enumerate(_LEVELS) if values.min() < v < values.max()]
            style = dict(levels=[np.log10(_LEVELS[k]) for k in shown], colors=[ink[max(0, k - 1)] for k in shown])
            widths = [2.4 if _LEVELS[k] == 1 else 0.9 for k in shown]
            lines = axes.contour(results.m, results.variance, np.log10(values), **style, linewidths=widths, linestyles="-")
            axes.clabel(lines, fmt=lambda v: f"{10**v:g}", fontsize=9)
            axes.set(yscale="log", xlabel="half distance $m$", ylabel="variance $r^2$")
            axes.set_title(f"{NAMES[kind]}, {name}: {_plain(values.min())} to {_plain(values.max())}", color=colour.ink)
            axes.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
            axes.minorticks_off()
            if not stacked:
                axes.label_outer()
    return figure


def spectrum(theme: str, results: Spectrum, width: float = 7.0):
    """Error of the standard deviation against the variance of the data, on logarithmic axes."""
    colour = palette(theme)
    ddim = [name for name in results.errors if name.startswith("ddim")]
    looks = {
        "start": ("at $T$", colour.muted, ":", 2.0),
        "ode": ("flow", of_kind(theme, "ode"), "-", 2.0),
        "sde": ("SDE", of_kind(theme, "sde"), "--", 2.0),
        **{name: (name.replace("ddim", "DDIM"), colour.purple, dash, 1.4) for name, dash in zip(ddim, ("-.", (0, (1, 1.2))))},
    }
    with canvas(theme, width, 3.7) as figure:
        axes = figure.subplots()
        for name, (label, shade, dash, line) in looks.items():
            axes.plot(results.variance, results.errors[name].clip(1e-7), color=shade, ls=dash, lw=line, label=label)
        axes.axvline(1, color=colour.grid, zorder=0)
        axes.set(xscale="log", yscale="log", ylim=(1e-6, 30), xlim=(results.variance[0], results.variance[-1]))
        axes.set(xlabel="variance $\\nu$ of the data in this direction", ylabel="error of the std at 0")
        figure.legend(loc="outside upper center", ncols=5 if width > 5 else 2, fontsize=9)
    return figure


def propagation(theme: str, results: Propagation, stacked: bool = False):
    """W2 at time 0 against T: exact, bounded, and measured from samples over the floor of the estimator."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 7.4) if stacked else (7, 4.0))) as figure:
        for axes, kind in zip(figure.subplots(*((2, 1) if stacked else (1, 2)), sharey=True), NAMES):
            shade, exact = of_kind(theme, kind), results.exact[kind]
            axes.axhspan(1e-9, max(e.floor for e in results.sampled[kind]), color=colour.grid, alpha=0.7, lw=0, label="floor")
            axes.fill_between(results.T, exact, results.bound[kind], color=shade, alpha=0.15, lw=0, label="slack")
            axes.plot(results.T, results.bound[kind], color=shade, lw=1.4, ls="--", label="bound")
            axes.plot(results.T, exact, color=shade, lw=2.2, label="at 0, exact")
            axes.plot(results.T, results.at_T, color=colour.ink, lw=1.4, ls=":", label="at $T$, exact")
            if kind == "ode":
                axes.plot(results.T, results.least, color=colour.green, lw=1.4, ls="-.", label="lower bound")
            values, errors = ([getattr(e, name) for e in results.sampled[kind]] for name in ("value", "error"))
            axes.errorbar(results.sampled_T, values, errors, fmt="o", ms=4.5, color=colour.ink, capsize=2, label="at 0, sampled")
            axes.set(xscale="log", yscale="log", xlabel="$T$", ylim=(2e-4, 5), xlim=(results.T[0], results.T[-1]))
            axes.set_title(NAMES[kind], color=colour.ink)
            axes.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
            axes.minorticks_off()
            if kind == "ode":
                handles = axes.get_legend_handles_labels()
            if stacked or kind == "ode":
                axes.set_ylabel("$W_2$")
        figure.legend(*handles, loc="outside upper center", ncols=2 if stacked else 4, fontsize=9)
    return figure
