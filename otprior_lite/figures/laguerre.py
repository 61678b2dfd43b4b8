"""Cells in the plane before, during and after the solve, and the images of the smoothed map."""

from ..experiments.laguerre import Cells, Smoothing
from .style import canvas, palette


def cells(theme: str, steps: list[Cells], size=(7.2, 3.9)):
    """Cells of the first and the last step, one hue for each atom, with a line from the atom to the mean of its cell."""
    from matplotlib.patches import Circle, Polygon

    colour = palette(theme)
    hues, shape = colour.cycle[:5], (1, 2) if size[0] > 5 else (2, 1)
    with canvas(theme, *size) as figure:
        axes = figure.subplots(*shape).ravel()
        for axis, step, title in zip(
            axes, (steps[0], steps[-1]), ("Voronoi: $h_i = -|y_i|^2/2$", "Laguerre: equal Gaussian mass")
        ):
            points, centres = step.map.points.numpy(), step.centres.numpy()
            for i, corners in enumerate(step.map.polygons(3.0)):
                if len(corners):
                    axis.add_patch(Polygon(corners.numpy(), fc=hues[i % 5], ec="none", alpha=0.28))
                    axis.add_patch(Polygon(corners.numpy(), fc="none", ec=colour.muted, lw=0.7))
            for radius in (1, 2):
                axis.add_patch(Circle((0, 0), radius, fc="none", ec=colour.ink, lw=0.8, ls=(0, (1, 3))))
            for i, (y, m) in enumerate(zip(points, centres)):
                axis.plot([y[0], m[0]], [y[1], m[1]], color=colour.ink, lw=0.6)
                axis.plot(*y, "o", ms=4.2, color=hues[i % 5], mec=colour.bg, mew=0.5)
            axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
            axis.set_title(title, fontsize=10)
            axis.set_xlabel(
                f"smallest cell {100 * float(step.masses.min()):.2f} %, largest {100 * float(step.masses.max()):.2f} %",
                fontsize=9,
            )
        return figure


def newton(theme: str, steps: list[Cells], size=(7.2, 2.9)):
    """Left, each cell's mass in units of 1/N by Newton step; right, their L1 error on a logarithmic axis."""
    colour, N = palette(theme), len(steps[0].masses)
    with canvas(theme, *size) as figure:
        left, right = figure.subplots(*((1, 2) if size[0] > 5 else (2, 1))).ravel()
        for i in range(N):
            left.plot([N * float(step.masses[i]) for step in steps], color=colour.cycle[i % 5], lw=0.9, alpha=0.8)
        left.axhline(1, color=colour.ink, lw=1, ls=":")
        left.set(yscale="log", xlabel="Newton step", ylabel="mass of a cell, times N")
        right.plot([step.l1 for step in steps], "D-", ms=4.5, color=colour.green)
        right.axhline(1e-8, color=colour.muted, lw=1, ls="--")
        right.text(0, 1.6e-8, "tolerance", fontsize=9, color=colour.muted)
        right.set(yscale="log", xlabel="Newton step", ylabel="L1 error of the masses")
        for axis in (left, right):
            axis.set_xticks(range(0, len(steps), 2))
        return figure


def smoothing(theme: str, results: list[Smoothing], size=(7.2, 2.4)):
    """Images of the smoothed map at several temperatures over the atoms, with the share of variance that is left."""
    colour = palette(theme)
    shape = (1, len(results)) if size[0] > 5 else (2, -(-len(results) // 2))
    with canvas(theme, *size) as figure:
        axes = figure.subplots(*shape, sharex=True, sharey=True).ravel()
        for axis, row in zip(axes, results):
            axis.plot(*row.images.T.numpy(), ".", ms=1.6, mew=0, color=colour.green, alpha=0.8, rasterized=True)
            axis.plot(*row.atoms.T.numpy(), "o", ms=3.2, mfc="none", mec=colour.ink, mew=0.7)
            axis.set(xticks=[], yticks=[], aspect="equal")
            axis.set_title(f"$\\tau$ = {row.tau:g}", fontsize=10)
            axis.set_xlabel(f"variance {100 * row.kept:.0f} %", fontsize=9)
        return figure
