"""Figures of chapter 5: p_T under two Gaussians, error against T from four starts, and the orders of the error."""

from ..experiments.free_fix import Clouds, LateTimes, Outcome
from .style import MARKERS, canvas, palette

_BOUND, _LAW = (0, (1, 1.4)), (0, (4, 2))


def clouds(theme: str, results: Clouds, narrow: bool = False):
    """Samples of p_T in grey, under samples of N(0, I) (left) and of the affine prior (right)."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 8.4) if narrow else (7, 4.2))) as figure:
        axes = figure.subplots(*((2, 1) if narrow else (1, 2)), sharex=True, sharey=True)
        panels = ((results.standard, "standard", "$N(0, I)$"), (results.fixed, "moment-matched", "$N(m_T, \\Sigma_T)$"))
        for axis, (points, name, title) in zip(axes, panels):
            for cloud, tint, size in ((results.truth, colour.muted, 2.2), (points, colour.of_prior(name), 2.6)):
                axis.plot(*cloud.T.numpy(), ".", ms=size, alpha=0.65, mew=0, color=tint, rasterized=True)
            axis.set(xlim=(-4.2, 4.2), ylim=(-4.9, 4.9), aspect="equal", xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_title(title, color=colour.of_prior(name))
        return figure


def errors(theme: str, results: list[Outcome], narrow: bool = False):
    """Sliced W2 against T: at T, after the flow, after the reverse SDE; one line per prior, floors shaded."""
    colour, names = palette(theme), list(dict.fromkeys(row.prior for row in results))
    panels = {"at_T": "at time $T$", "flow": "at time 0, flow", "sde": "at time 0, SDE"}
    with canvas(theme, *((3.6, 8.4) if narrow else (7.2, 3.5))) as figure:
        axes = figure.subplots(*((3, 1) if narrow else (1, 3)), sharex=True, sharey=True)
        for axis, (key, title) in zip(axes, panels.items()):
            axis.axhspan(0, max(getattr(row, key).floor for row in results), color=colour.grid, alpha=0.7, lw=0)
            for name in names:
                rows = [row for row in results if row.prior == name]
                found = [getattr(row, key) for row in rows]
                look = dict(marker=MARKERS[name], color=colour.of_prior(name), ms=5, capsize=2, lw=1.5, label=name)
                dash = "--" if name == "oracle" else "-"
                axis.errorbar([row.T for row in rows], [e.value for e in found], [e.error for e in found], ls=dash, **look)
            axis.set(xscale="log", ylim=(0, None), title=title)
            ticks = sorted({row.T for row in results})
            axis.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8.5)
            axis.minorticks_off()
            if narrow or key == "flow":
                axis.set_xlabel("OU time $T$")
            if narrow or key == "at_T":
                axis.set_ylabel("sliced $W_2$ to fresh data")
        axes[-1].text(max(ticks), 0.004, "floor", ha="right", va="bottom", fontsize=9, color=colour.muted)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def late_times(theme: str, results: list[LateTimes], narrow: bool = False):
    """Exact W2 against OU time for three laws: N(0, 1), the affine prior, their leading terms, a bound and the floor."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 10.2) if narrow else (7.2, 4.1))) as figure:
        axes = figure.subplots(*((3, 1) if narrow else (1, 3)), sharex=True, sharey=True)
        for axis, law in zip(axes, results):
            lines = ("moment-matched", law.fixed, law.fixed_law, 4, None), ("standard", law.standard, law.standard_law, 7, "none")
            for row, (name, values, leading, size, fill) in enumerate(lines):
                tint = colour.of_prior(name)
                axis.plot(law.times, leading, color=tint, ls=_LAW, lw=1.1, label=f"{name}: leading term")
                axis.plot(law.times, values, color=tint, ls="", marker=MARKERS[name], ms=size, mfc=fill, label=f"{name}: exact")
                text = f"slope {law.slope(values):.2f}".replace("-", "−")
                axis.text(0.04, 0.22 + 0.08 * row, text, transform=axis.transAxes, fontsize=9, color=tint)
            axis.plot(law.times, law.bound, color=colour.orange, ls=_BOUND, lw=1.8, label="moment-matched: bound")
            axis.axhspan(1e-17, law.floor, color=colour.grid, alpha=0.8, lw=0)
            axis.set(yscale="log", ylim=(1e-17, 5), title=law.label)
            if narrow or axis is axes[0]:
                axis.set_ylabel("$W_2$ to $p_T$")
            if narrow or axis is axes[1]:
                axis.set_xlabel("OU time $T$")
        axes[0].text(3, law.floor * 0.7, "floor of the quadrature", ha="right", va="top", fontsize=8.5, color=colour.ink)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=1 if narrow else 3, fontsize=9)
        return figure
