"""Figures of chapter 9: paths and basins, energies with their slack. `curl` draws the antisymmetric part."""

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
