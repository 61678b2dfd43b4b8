"""The digits: their prior gap and spectrum, a contact sheet of samples, and distances to seen and unseen digits."""

import numpy as np

from ..experiments.digits import PRIORS, SCORES, Gaps, Results
from .style import MARKERS, canvas, palette


def gap(theme: str, results: Gaps, narrow: bool = False):
    """First: the parts of the gap against t, with bound and floor. Second: the spread of p_t along each component."""
    colour, times = palette(theme), results.times
    with canvas(theme, *((3.6, 6.6) if narrow else (7.2, 3.7))) as figure:
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, width_ratios=(1.15, 1))
        left.plot(times, [g.upper for g in results.gaps], ":", color=colour.muted, lw=1.6, label="upper bound")
        left.plot(times, [g.mean for g in results.gaps], "-o", color=colour.vermillion, ms=4, label="mean")
        left.plot(times, [g.covariance for g in results.gaps], "-s", color=colour.blue, ms=4, label="covariance")
        seen = [g.shape.value if g.shape.value > g.shape.floor else np.nan for g in results.gaps]
        left.plot(
            times,
            [g.shape.value for g in results.gaps],
            "--^",
            mfc="none",
            color=colour.purple,
            ms=5,
            lw=1,
            label="shape, estimated",
        )
        left.plot(times, seen, "^", color=colour.purple, ms=5)
        floors = [g.shape.floor for g in results.gaps]
        left.fill_between(times, 1e-4, floors, color=colour.purple, alpha=0.16, lw=0, label="floor of the shape")
        left.set(yscale="log", ylim=(1e-4, 20), xlabel="time t (of 1000)", ylabel="$W_2$ to $N(0, I)$")
        left.legend(loc="lower left", fontsize=9, borderpad=0.2, labelspacing=0.25)
        component = np.arange(1, len(results.spectrum) + 1)
        right.axhline(1, color=colour.vermillion, lw=1.4)
        right.text(len(component), 1.04, "prior", ha="right", va="bottom", fontsize=9, color=colour.vermillion)
        shades = (colour.blue, colour.green, colour.purple, colour.ink)
        for t, shade, style in zip((100, 200, 400, 1000), shades, ("-", "--", "-.", ":")):
            right.plot(component, results.stds(t).numpy(), style, color=shade, lw=1.7, label=f"t = {t}")
        right.set(xlabel="principal component", ylabel="standard deviation of $p_t$", ylim=(0, 2.0))
        right.legend(loc="upper right", fontsize=9, bbox_to_anchor=(1, 1.02))
        return figure


def _tile(images, columns: int) -> np.ndarray:
    """Images (n, 64) as one picture of 8 x 8 tiles with a gap of one pixel (NaN) between them."""
    grid = np.full((len(images) // columns * 9 - 1, columns * 9 - 1), np.nan)
    for k, image in enumerate(images):
        row, column = divmod(k, columns)
        grid[row * 9 : row * 9 + 8, column * 9 : column * 9 + 8] = image.reshape(8, 8).clamp(-1, 1).cpu().numpy()
    return grid


def sheet(theme: str, results: Results, times=(100, 400, 1000), each: int = 6, narrow: bool = False):
    """Contact sheet of the first seed: one row per prior, one block per start time, smooth score above, empirical below."""
    from matplotlib.colors import LinearSegmentedColormap

    colour = palette(theme)
    paper = LinearSegmentedColormap.from_list("paper", [colour.grid, colour.ink])
    seed = results.worlds[0].seed
    samples = {(r.score, r.prior, r.t): r.samples for r in results.runs if r.seed == seed}
    each = each // 2 if narrow else each
    with canvas(theme, *((3.6, 3.3) if narrow else (7.2, 4.2))) as figure:
        axes = figure.subplots(len(SCORES), len(times))
        for row, score in zip(axes, SCORES):
            for axis, t in zip(row, times):
                block = [image for name in PRIORS for image in samples[score, name, t][:each]]
                axis.imshow(_tile(block, each), cmap=paper, vmin=-1, vmax=1, interpolation="nearest")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
            row[0].set_yticks([9 * k + 3.5 for k in range(len(PRIORS))], PRIORS, fontsize=9)
            row[0].tick_params(length=0)
            for label, name in zip(row[0].get_yticklabels(), PRIORS):
                label.set_color(colour.of_prior(name))
            row[1].set_title(f"{score} score", fontsize=10.5)
        for axis, t in zip(axes[1], times):
            axis.set_xlabel(f"t′ = {t}" if narrow else f"start at t′ = {t}", fontsize=9.5)
        return figure


def distances(theme: str, results: Results, narrow: bool = False):
    """By score: sliced W2 to held-out digits, and the memorisation share, against the start time."""
    colour = palette(theme)
    times = sorted({row.t for row in results.rows})
    place = np.arange(len(times))
    with canvas(theme, *((3.6, 10.5) if narrow else (7.2, 5.8))) as figure:
        axes = figure.subplots(4, 1, sharex=True).reshape(2, 2).T if narrow else figure.subplots(2, 2, sharex=True, sharey="row")
        floor = max(row.floor for row in results.rows if row.prior != "standard")
        for column, score in enumerate(SCORES):
            top, bottom = axes[:, column]
            top.axhspan(0.01, floor, color=colour.grid, alpha=0.7, lw=0)
            bottom.axhline(0.5, color=colour.muted, lw=1, ls=":")
            for k, name in enumerate(PRIORS):
                rows = [results.row(score, name, t) for t in times]
                style = dict(
                    marker=MARKERS[name], color=colour.of_prior(name), ms=5.5, lw=1.4, ls="--" if name == "oracle" else "-"
                )
                spread = place + 0.07 * (k - 2)
                top.errorbar(spread, *zip(*(row.sliced for row in rows)), label=name, **style)
                bottom.errorbar(spread, *zip(*(row.share for row in rows)), **style)
            top.axhline(results.copies.sliced[0], color=colour.orange, lw=1.4, ls="-.", label="training images")
            top.set(yscale="log", title=f"{score} score", ylim=(0.04, 0.5))
            top.set_yticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
            top.minorticks_off()
            bottom.set(ylim=(0.45, 1.03), xlabel="start time t′")
            bottom.set_xticks(place, [f"{t:g}" for t in times])
            if narrow or column == 0:
                top.set_ylabel("sliced $W_2$ to held-out digits")
                bottom.set_ylabel("memorisation share")
        axes[0, 1].text(len(times) - 0.75, 0.041, "below the noise floor", ha="right", fontsize=9, color=colour.muted)
        axes[1, 1].text(len(times) - 0.75, 0.51, "as new as held-out digits", ha="right", fontsize=9, color=colour.muted)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 3, fontsize=9)
        return figure
