"""Figures of chapter 6: four couplings of one cost matrix, Sinkhorn with and without logarithms, samples of W2."""

from ..experiments.transport import Bias, Coupling, GaussianRuns, Sweep
from .style import canvas, palette


def couplings(theme: str, results: list[Coupling], narrow: bool = False):
    """Each coupling as arrows between the clouds and as a matrix; its cost below the name."""
    colour, n = palette(theme), len(results)
    with canvas(theme, *((3.6, 7.6) if narrow else (7, 4.0))) as figure:
        panels = figure.subplots(n, 2, squeeze=False) if narrow else figure.subplots(2, n, squeeze=False).T
        for (arrows, matrix), result in zip(panels, results):
            _draw_arrows(arrows, result, colour)
            arrows.set_title(f"{result.label}\ncost {result.cost:.2f}")
            side = len(result.matrix)
            matrix.imshow((result.matrix * side).numpy(), cmap="Blues" if theme != "dark" else "Blues_r", vmin=0, vmax=1)
            matrix.set(xticks=[], yticks=[])
            matrix.set_xlabel("$y_j$" if not narrow or result is results[-1] else "", labelpad=2)
        for _, matrix in panels if narrow else panels[:1]:
            matrix.set_ylabel("$x_i$", labelpad=2)
    return figure


def _draw_arrows(axes, result: Coupling, colour) -> None:
    for i, start in enumerate(result.x.tolist()):
        for j, end in enumerate(result.y.tolist()):
            share = min(1.0, float(result.matrix[i, j]) * len(result.x))
            if share > 0.01:
                axes.plot(
                    [start[0], end[0]],
                    [start[1], end[1]],
                    color=colour.muted,
                    linewidth=0.4 + 1.4 * share,
                    alpha=max(0.35, share),
                    zorder=1,
                )
    axes.plot(*result.x.T.numpy(), "o", color=colour.blue, markersize=6, zorder=2)
    axes.plot(*result.y.T.numpy(), "s", color=colour.vermillion, markersize=5.5, zorder=2)
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.margins(0.12)
    axes.set_frame_on(False)


def sinkhorn(theme: str, results: Sweep, narrow: bool = False):
    """Cost of the plan against epsilon: on logarithms, and with the uniform plan put in place of a broken one."""
    colour = palette(theme)
    with canvas(theme, 3.6 if narrow else 7, 3.6 if narrow else 3.3) as figure:
        axes = figure.subplots()
        axes.axhline(results.independent, color=colour.muted, linestyle=":", linewidth=1.2)
        axes.axhline(results.exact, color=colour.ink, linestyle=":", linewidth=1.2)
        axes.text(0.0031, results.independent + 0.05, "independent pairs", color=colour.ink, va="bottom")
        axes.text(0.0031, results.exact - 0.06, "exact plan", color=colour.ink, va="top")
        axes.plot(
            results.epsilon,
            results.careless,
            color=colour.vermillion,
            marker="s",
            markersize=4,
            linewidth=1.4,
            label="naive, uniform when it breaks",
        )
        axes.plot(
            results.epsilon, results.cost, color=colour.blue, marker="o", markersize=3.5, linewidth=1.8, label="on logarithms"
        )
        axes.set(xscale="log", xlabel="$\\varepsilon$, in units of the cost", ylabel="cost of the plan  $\\langle P, C\\rangle$")
        axes.set_ylim(results.exact - 0.5, results.independent + 0.5)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.22), fontsize=10, ncols=1 if narrow else 2)
    return figure


def gaussians(theme: str, results: GaussianRuns, narrow: bool = False):
    """Left: optimal pairs and the affine map. Right: sample W2 and distance from the map against n, with floors."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 6.6) if narrow else (7, 3.5))) as figure:
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        image, partner = results.map(results.x), results.y[results.assignment]
        for start, target, end in zip(results.x.tolist(), image.tolist(), partner.tolist()):
            left.plot([start[0], end[0]], [start[1], end[1]], color=colour.muted, linewidth=0.8, alpha=0.6, zorder=1)
            left.plot([target[0], end[0]], [target[1], end[1]], color=colour.vermillion, linewidth=1.4, zorder=2)
        left.plot(*results.x.T.numpy(), "o", color=colour.blue, markersize=4, label="$x_i$")
        left.plot(*partner.T.numpy(), "s", color=colour.vermillion, markersize=4, label="partner")
        left.plot(*image.T.numpy(), "+", color=colour.ink, markersize=6, label="$T(x_i)$")
        left.set(xticks=[], yticks=[], aspect="equal")
        left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=10, ncols=3, handletextpad=0.2, columnspacing=1)
        n = results.n
        right.axhline(results.truth, color=colour.ink, linestyle=":", linewidth=1.4, label="$W_2$, formula")
        right.errorbar(n, results.w2, results.w2_error, color=colour.blue, marker="o", markersize=4, label="$W_2$, samples")
        right.plot(n, results.partner, color=colour.vermillion, marker="s", markersize=4, label="partner to $T(x_i)$")
        right.fill_between(n, results.floor, 0.05, color=colour.muted, alpha=0.25, linewidth=0, label="floor of $W_2$")
        right.set(xscale="log", yscale="log", xlabel="sample size $n$", ylim=(0.1, 4.5))
        right.set_xticks(n, [str(k) for k in n])
        right.minorticks_off()
        right.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=10, ncols=2, columnspacing=1, handlelength=1.6)
    return figure


def bias(theme: str, results: list[Bias], narrow: bool = False):
    """Sample W2 against n in each dimension: two laws 0.5 apart, one law against itself, and the truth."""
    colour = palette(theme)
    with canvas(theme, *((3.6, 6.6) if narrow else (7, 3.0))) as figure:
        panels = figure.subplots(len(results), 1) if narrow else figure.subplots(1, len(results))
        for axes, result in zip(panels, results):
            axes.axhline(result.truth, color=colour.ink, linestyle=":", linewidth=1.4, label="truth")
            low, high = result.floor - 2 * result.spread, result.floor + 2 * result.spread
            axes.fill_between(result.n, low, high, color=colour.muted, alpha=0.3, linewidth=0)
            axes.plot(
                result.n,
                result.floor,
                color=colour.muted,
                linestyle="--",
                marker="s",
                markersize=4,
                label="floor: one law, two samples",
            )
            axes.plot(result.n, result.apart, color=colour.blue, marker="o", markersize=4, label="two laws")
            axes.set(
                xscale="log",
                xlabel="sample size $n$" if not narrow or result is results[-1] else "",
                ylim=(0, 1.12 * float(max(result.apart.max(), result.floor.max()))),
            )
            axes.set_title(f"$d = {result.d}$")
            axes.set_xticks(result.n[::2], [str(n) for n in result.n[::2]])
            axes.minorticks_off()
        (panels[1] if narrow else panels[0]).set_ylabel("sample $W_2$")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow else 3, fontsize=10)
    return figure
