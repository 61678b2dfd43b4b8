"""Figures of chapter 8: two rulers, error against calls, copies against the start time, mode mixture, and tau."""

from ..experiments.late_start import STEPS, TIMES
from ..experiments.prior_error import PRIORS, Row
from ..experiments.transported import Late, Temperatures
from .style import MARKERS, canvas, palette

_STARTS = ("standard", "moment-matched", "semi-discrete", "smoothed", "data-initialised")
_NAMES = {"ddim": "probability flow", "ddpm": "reverse SDE"}


def _look(colour, name: str) -> dict:
    """Colour and marker of a start; the book's, and orange for the smoothed map."""
    if name == "smoothed":
        return {"color": colour.orange, "marker": "v"}
    known = name in MARKERS
    return {"color": colour.of_prior(name) if known else colour.muted, "marker": MARKERS[name] if known else "P"}


def _start_axis(axis, colour):
    axis.set_xticks(range(len(TIMES)), [f"{t:g}" for t in TIMES])
    axis.grid(axis="x", lw=0.4)


def rulers(theme: str, results: list[Row], world: str = "ring", times=(0.25, 2.0), narrow: bool = False):
    """W2 of every start at two times, against X_T and against new draws of p_T, with a floor for each."""
    colour = palette(theme)
    rows = {(row.t, row.prior): row for row in results if row.world == world}
    names = [name for name in PRIORS if name != "oracle"]
    with canvas(theme, *((3.6, 8.4) if narrow else (7, 4.6))) as figure:
        axes = figure.subplots(*((2, 1) if narrow else (1, 2)), sharex=True, sharey=not narrow)
        for axis, key, perfect, title in zip(
            axes, ("stored", "fresh"), ("X_T", "oracle"), ("against the stored points $X_T$", "against new draws of $p_T$")
        ):
            for k, (t, fill) in enumerate(zip(times, (False, True))):
                floor, error = getattr(rows[t, perfect], key)
                axis.axvline(floor, color=colour.ink, lw=1.2, ls="-" if fill else ":", label=f"floor, T = {t:g}")
                axis.axvspan(floor - 2 * error, floor + 2 * error, color=colour.grid, alpha=0.8, lw=0, zorder=0)
                for y, name in enumerate(names):
                    value, spread = getattr(rows[t, name], key)
                    tint = colour.of_prior(name) if name in MARKERS else colour.muted
                    axis.errorbar(
                        value, y + 0.3 * k - 0.15, xerr=2 * spread, fmt="o", ms=5.5, capsize=2, color=tint, lw=1.2,
                        mfc=tint if fill else "none",
                    )  # fmt: skip
                axis.plot([], [], "o", ms=5.5, color=colour.muted, mfc=colour.muted if fill else "none", label=f"T = {t:g}")
            axis.set_yticks(range(len(names)), [name.replace(", ", ",\n") if narrow else name for name in names], fontsize=8.5)
            for label, name in zip(axis.get_yticklabels(), names):
                label.set_color(colour.of_prior(name) if name in MARKERS else colour.ink)
            axis.set(xlabel="$W_2$", ylim=(len(names) - 0.4, -0.6))
            axis.set_title(title, fontsize=9 if narrow else 10)
            axis.grid(axis="y", lw=0.4)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def _energy_axis(axis, error: float, colour, top=2.0):
    """Linear up to 0.01, logarithmic above; the band is zero, the floor, and two standard errors of new data."""
    axis.axhspan(-2 * error, 2 * error, color=colour.grid, alpha=0.9, lw=0, zorder=0)
    axis.set_yscale("symlog", linthresh=0.01, linscale=0.9)
    axis.set_ylim(-0.007, top)
    ticks = [t for t in (0, 0.01, 0.1, 1) if t <= top]
    axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()


def calls(theme: str, results: Late, times=(0.05, 0.25, 1.0, 2.0), narrow: bool = False):
    """Energy distance to new data against network calls: five starts, four start times, two worlds; the full run in grey."""
    colour = palette(theme)
    places = (("ring", "exact", "ring, exact score"), ("digits", "learned", "digits, learned score"))
    grid = (len(times), 2) if narrow else (2, len(times))
    with canvas(theme, *((3.6, 8.6) if narrow else (7.2, 4.6))) as figure:
        axes = figure.subplots(*grid, sharex=True, sharey=True)
        axes = axes.T if narrow else axes
        for row, (world, score, title) in zip(axes, places):
            for axis, t in zip(row, times):
                for k, name in enumerate(_STARTS):
                    found = [results.of(world, score, "ddim", name, t, n, "energy") for n in STEPS]
                    x = [n * 1.03 ** (k - 2) for n in STEPS]
                    axis.errorbar(x, *zip(*found), ms=4, lw=1.2, capsize=1.5, label=name, **_look(colour, name))
                full = [results.of(world, score, "dpmpp2m", "standard", 4.0, n, "energy")[0] for n in STEPS]
                axis.plot(STEPS, full, ls="--", lw=1.6, color=colour.ink, label="full run from $N(0, I)$, DPM-Solver++")
                _energy_axis(axis, results.new[world, "energy"][1], colour)
                axis.set_xscale("log")
                axis.set_xticks(STEPS, [str(n) for n in STEPS], fontsize=8.5)
                axis.minorticks_off()
                if narrow or world == "ring":
                    axis.set_title(f"$T'$ = {t:g}" + (f"\n{title.split(',')[0]}" if narrow else ""), fontsize=9.5)
            row[0].set_ylabel(f"energy distance\n{title}" if not narrow else "")
        for axis in axes[:, -1] if narrow else axes[-1]:
            axis.set_xlabel("calls")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=1 if narrow else 3, fontsize=9)
        return figure


def copies(theme: str, results: Late, world: str = "digits", score: str = "learned", steps: int = 20, narrow: bool = False):
    """Above, energy distance to new data against T'; below, the share nearer to the training set. Flow and SDE."""
    colour, x = palette(theme), range(len(TIMES))
    with canvas(theme, *((3.6, 8.0) if narrow else (7.2, 5.2))) as figure:
        axes = figure.subplots(4, 1, sharex=True) if narrow else figure.subplots(2, 2, sharex=True, sharey="row")
        columns = (axes[:2], axes[2:]) if narrow else axes.T
        for (top, bottom), method in zip(columns, ("ddim", "ddpm")):
            for axis, measure in ((top, "energy"), (bottom, "nearer")):
                for k, name in enumerate((*_STARTS, "oracle")):
                    found = [results.of(world, score, method, name, t, steps, measure) for t in TIMES]
                    dash = "--" if name == "oracle" else "-"
                    style = {"ms": 4.5, "lw": 1.3, "capsize": 2, "ls": dash, "label": name, **_look(colour, name)}
                    axis.errorbar([i + 0.05 * (k - 2.5) for i in x], *zip(*found), **style)
                full = results.of(world, score, method, "standard", 4.0, steps, measure)[0]
                axis.axhline(full, color=colour.ink, lw=1.2, ls=(0, (4, 2)), label="full run from $N(0, I)$")
                _start_axis(axis, colour)
            top.axhline(results.training[world, "energy"][0], color=colour.muted, ls="-.", lw=1.2, label="training images")
            _energy_axis(top, results.new[world, "energy"][1], colour)
            bottom.axhline(0.5, color=colour.muted, lw=1, ls=":")
            bottom.set(ylim=(-0.03, 1.05))
            top.set_title(_NAMES[method])
            if narrow or method == "ddim":
                top.set_ylabel("energy distance")
                bottom.set_ylabel("memorisation share")
        for axis in axes[-1:] if narrow else axes[-1]:
            axis.set_xlabel("start time $T'$")
        handles, labels = columns[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def mixture(theme: str, results: Late, steps: int = 20, narrow: bool = False):
    """The share of samples between modes against T', by world and sampler, with the share among new data."""
    colour, x = palette(theme), range(len(TIMES))
    places = (("ring", "learned"), ("digits", "learned"))
    with canvas(theme, *((3.6, 8.2) if narrow else (7.2, 4.6))) as figure:
        axes = figure.subplots(4, 1, sharex=True) if narrow else figure.subplots(2, 2, sharex=True, sharey="row")
        for i, (world, score) in enumerate(places):
            for j, method in enumerate(("ddim", "ddpm")):
                axis = axes[2 * i + j] if narrow else axes[i, j]
                for k, name in enumerate((*_STARTS, "oracle")):
                    found = [results.of(world, score, method, name, t, steps, "mixture") for t in TIMES]
                    style = {"ms": 4.5, "lw": 1.3, "capsize": 2, "ls": "--" if name == "oracle" else "-", **_look(colour, name)}
                    axis.errorbar([i + 0.05 * (k - 2.5) for i in x], *zip(*found), label=name, **style)
                full = results.of(world, score, method, "standard", 4.0, steps, "mixture")[0]
                axis.axhline(full, color=colour.ink, lw=1.2, ls=(0, (4, 2)), label="full run from $N(0, I)$")
                value, error = results.new[world, "mixture"]
                axis.axhspan(max(0, value - 2 * error), value + 2 * error, color=colour.grid, alpha=0.9, lw=0, label="new data")
                axis.set_ylim(0, None)
                axis.set_title(f"{world}, {_NAMES[method]}", fontsize=10)
                _start_axis(axis, colour)
                if narrow or j == 0:
                    axis.set_ylabel("mode mixture")
        for axis in axes[-1:] if narrow else axes[-1]:
            axis.set_xlabel("start time $T'$")
        first = axes[0] if narrow else axes[0, 0]
        figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=2 if narrow else 4, fontsize=9)
        return figure


def tau(theme: str, results: list[Temperatures], narrow: bool = False):
    """Against tau: prior error, share of the spread that is left, distance to the nearest stored point; two ways to choose heights."""
    colour = palette(theme)
    rows = {"energy": "prior error (energy)", "trace": "share of variance", "to_atoms": "distance to $X_{T'}$"}
    with canvas(theme, *((3.6, 7.6) if narrow else (7.2, 6.0))) as figure:
        axes = figure.subplots(len(rows), len(results), sharex=True)
        for i, (column, found) in enumerate(zip(axes.T, results)):
            for axis, (measure, label) in zip(column, rows.items()):
                for values, name, tint, mark in (
                    (found.kept, "heights kept (the paper)", colour.orange, "v"),
                    (found.solved, "heights solved again", colour.green, "D"),
                ):
                    axis.errorbar(
                        found.taus, *zip(*values[measure]), color=tint, marker=mark, ms=4.5, lw=1.3, capsize=2, label=name
                    )
                for control in ("standard", "semi-discrete", "moment-matched", "data-initialised", "oracle"):
                    value = found.controls[control, measure][0]
                    ls = {
                        "standard": ":",
                        "semi-discrete": "-",
                        "moment-matched": "-.",
                        "data-initialised": (0, (4, 2)),
                        "oracle": (0, (1, 1)),
                    }[control]
                    label_ = {"semi-discrete": "no smoothing", "oracle": "new draws of $p_{T'}$"}.get(control, control)
                    axis.axhline(value, color=colour.of_prior(control), lw=1.2, ls=ls, label=label_, zorder=1)
                axis.set_xscale("log")
                axis.set_xticks(
                    found.taus, [f"{t:g}" if not narrow or t not in (0.1, 0.3) else "" for t in found.taus], fontsize=8
                )
                axis.minorticks_off()
                if i == 0:
                    axis.set_ylabel(label, fontsize=9)
                axis.set_ylim(0, None)
                if measure == "energy":
                    _energy_axis(axis, found.controls["oracle", "energy"][1], colour, top=3.0)
            column[0].set_title(f"{found.world}, $T'$ = 0.25")
            column[-1].set_xlabel("$\\tau$, in score scales")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=1 if narrow else 3, fontsize=9)
        return figure
