"""Figures of chapter 9: paths and basins, energies with their slack, the antisymmetric part and its rate, theorem 3.11."""

from ..experiments.curl import Field, Limit, Rate
from ..experiments.dynamic import Basins, Energies, Paths
from .style import canvas, palette


def paths(theme: str, results: list[Paths], narrow: bool = False):
    """Particles along the flow and straight along the optimal map, a panel for each law."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 7.4) if narrow else (7, 3.9))) as figure:
        panels = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        for axes, result in zip(panels, results):
            for flow, straight in zip(result.flow.unbind(1), result.straight.unbind(1)):
                apart = float((flow[-1] - straight[-1]).norm()) > 0.1
                axes.plot(*straight.T.numpy(), color=colour.orange, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
                hue, width = (colour.vermillion, 1.7) if apart else (colour.blue, 1.2)
                axes.plot(*flow.T.numpy(), color=hue, linewidth=width, zorder=2)
            axes.plot(*result.flow[0].T.numpy(), "o", color=colour.muted, markersize=3, zorder=3)
            axes.plot(*result.ends.T.numpy(), "s", color=colour.ink, markersize=4 if len(result.ends) > 5 else 7, zorder=4)
            axes.set(xticks=[], yticks=[], aspect="equal")
            axes.set_frame_on(False)
            axes.set_title(f"to {'a Gaussian' if result.name == 'Gaussian' else result.name}")
        handles = [
            panels[0].plot([], [], color=colour.blue, label="probability flow")[0],
            panels[0].plot([], [], color=colour.orange, linestyle=(0, (4, 2)), label="optimal transport")[0],
            panels[0].plot([], [], color=colour.vermillion, label="flow to another atom")[0],
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 3, fontsize=10)
    return figure


def basins(theme: str, result: Basins, narrow: bool = False):
    """Regions of the flow as colours, Laguerre cells as lines; where they differ is filled."""
    from matplotlib.colors import ListedColormap, to_rgba
    from matplotlib.patches import Circle, Polygon

    colour = palette(theme)
    side = 3.6 if narrow else 4.6
    with canvas(theme, side, side) as figure:
        axes, limit = figure.subplots(), result.limit
        hues = [to_rgba(colour.cycle[k], 0.3) for k in (0, 2, 4)]
        show = {"origin": "lower", "extent": (-limit, limit, -limit, limit), "interpolation": "nearest", "vmin": 0}
        axes.imshow(result.flow.numpy(), cmap=ListedColormap(hues), vmax=2, **show)
        wrong = (result.flow != result.cells).double().numpy()
        axes.imshow(wrong, cmap=ListedColormap([(0, 0, 0, 0), to_rgba(colour.vermillion, 0.9)]), vmax=1, **show)
        for corners in result.borders:
            axes.add_patch(Polygon(corners.numpy(), fill=False, edgecolor=colour.ink, linewidth=1.3))
        axes.plot(*result.atoms.T.numpy(), "s", color=colour.ink, markersize=7, markeredgecolor=colour.bg)
        for radius in (1, 2):
            axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=colour.muted, linewidth=0.8, linestyle=":"))
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        axes.set(xlabel="$z_1$", ylabel="$z_2$")
    return figure


def energies(theme: str, results: list[Energies], narrow: bool = False):
    """Squared distance, squared length and the energy bound against T, with both slacks shaded."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 7.2) if narrow else (7, 3.2))) as figure:
        panels = figure.subplots(len(results), 1) if narrow else figure.subplots(1, len(results))
        for axes, result in zip(panels, results):
            axes.fill_between(result.T, result.length, result.bound, color=colour.blue, alpha=0.15, linewidth=0)
            axes.fill_between(result.T, result.w2, result.length, color=colour.vermillion, alpha=0.3, linewidth=0)
            spent = "$T\\,(\\mathrm{KL}_0 - \\mathrm{KL}_T)$"
            axes.plot(result.T, result.bound, color=colour.blue, marker="s", markersize=3.5, label=spent)
            axes.plot(result.T, result.length, color=colour.vermillion, marker="D", markersize=3.5, label="length²")
            axes.plot(result.T, result.w2, color=colour.ink, marker="o", markersize=3.5, label="$W_2(p_0, p_T)^2$")
            axes.set(xlabel="$T$" if not narrow or result is results[-1] else "", ylim=(0, None), xticks=[0, 1, 2, 3])
            axes.set_title(result.label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow else 3, fontsize=10)
    return figure


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
