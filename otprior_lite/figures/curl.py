"""Figures of chapter 9: the antisymmetric part of the flow's Jacobian, its rate, and theorem 3.11 at fixed T."""

from ..experiments.curl import Field, Limit, Rate
from .style import canvas, palette


def fields(theme: str, results: list[Field], narrow: bool = False):
    """A_12 over the plane at two times, measured, and the two-term law at the later one; each in units of its own maximum."""
    colour = palette(theme)
    early, late = results
    panels = [
        (early.measured, early, f"measured, T = {early.T:g}"),
        (late.measured, late, f"measured, T = {late.T:g}"),
        (late.predicted, late, f"two terms, T = {late.T:g}"),
    ]
    with canvas(theme, *((3.6, 9.2) if narrow else (7, 3.0))) as figure:
        axes = figure.subplots(3, 1) if narrow else figure.subplots(1, 3)
        for axis, (values, field, title) in zip(axes, panels):
            top = float(field.measured.abs().max())
            limit = field.limit
            picture = axis.imshow(
                values.numpy() / top, cmap="RdBu_r", vmin=-1, vmax=1, origin="lower", extent=(-limit, limit, -limit, limit)
            )
            axis.plot(*field.atoms.T.numpy(), "s", color="#1f2933", markersize=5, markeredgecolor="#ffffff")
            axis.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2], xlabel="$x_1$")
            axis.set_title(f"{title}\nmax {_power(top)}", fontsize=10)
        axes[0].set_ylabel("$x_2$")
        bar = figure.colorbar(picture, ax=axes, shrink=0.75, aspect=30, orientation="horizontal" if narrow else "vertical")
        bar.set_label("$A_{12}$ / max")
        bar.outline.set_edgecolor(colour.muted)
    return figure


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"${mantissa} \\cdot 10^{{{int(exponent)}}}$"


def rates(theme: str, results: list[Rate], narrow: bool = False):
    """rms of A_12 against T with the law, a control and the integrator's floor; and the law's error."""
    colour = palette(theme)
    hues, marks = (colour.blue, colour.vermillion, colour.green), "oDs"
    with canvas(theme, *((3.6, 7.6) if narrow else (7, 4.2))) as figure:
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, width_ratios=[1.35, 1])
        for result, hue, mark in zip(results, hues, marks):
            left.plot(result.T, result.measured, mark, color=hue, markersize=5, label=f"{result.name}, measured", zorder=3)
            if float(result.both[0]) < 1e-15:
                continue
            left.plot(result.T, result.both, color=hue, linewidth=1.3, label=f"{result.name}, two terms")
            right.plot(result.T, result.error, marker=mark, color=hue, markersize=4, linewidth=1.3)
            if float(result.first[0]) > 1e-15:
                label = f"{result.name}, first term only"
                right.plot(result.T, result.first_error, color=hue, linewidth=1.3, linestyle=":", label=label)
        floor = {"color": colour.muted, "linestyle": "--", "linewidth": 1.2, "label": "floor of the integrator"}
        left.plot(results[0].T, results[0].floor, **floor)
        left.set(yscale="log", xlabel="$T$", ylabel="rms $A_{12}$", ylim=(1e-22, 1e-1))
        right.set(yscale="log", xlabel="$T$", ylabel="relative error of the law, pointwise")
        for axes in (left, right):
            axes.minorticks_off()
        handles = [h for axes in (left, right) for h in axes.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 2, fontsize=9)
    return figure


def limit(theme: str, result: Limit, narrow: bool = False):
    """Theorem 3.11 at fixed T: the flow near its own limit, its distance from every gradient, the right side with K = 1."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 4.6) if narrow else (7, 3.5))) as figure:
        axes = figure.subplots()
        moved = [estimate.value for estimate in result.moved]
        axes.plot(result.right_s, result.right, color=colour.blue, linewidth=1.5, label="right side, $K = 1$")
        axes.plot(result.s, moved, "s", linestyle="--", color=colour.muted, markersize=4, label="flow to $s$ against flow to ∞")
        far = [*result.s.tolist(), float(result.right_s[-1])]
        axes.plot(far, [*result.least.tolist(), float(result.least[-1])], color=colour.vermillion, linewidth=1.4, alpha=0.6)
        axes.plot(result.s, result.least, "D", color=colour.vermillion, markersize=5, label="least distance to any gradient")
        axes.axvline(result.crossing, color=colour.ink, linewidth=0.9, linestyle=":")
        axes.text(result.crossing * 0.93, 0.25, f"s = {result.crossing:.0f}", color=colour.ink, ha="right")
        axes.set(xscale="log", yscale="log", xlim=(0.5, 85), xlabel="$s$", ylabel="distance in $L^2(p_T)$")
        axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        axes.set_ylim(1e-5, 2)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1 if narrow else 3, fontsize=9.5)
    return figure
