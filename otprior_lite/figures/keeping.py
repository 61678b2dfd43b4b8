"""Figure of chapter 4: KL at time 0 against KL at T, for many laws."""

from ..experiments.keeping import KlPair
from .back import NAMES, of_kind
from .style import canvas, palette

_MARKS = {"ode": ("o", "D"), "sde": ("v", "^")}  # a line, a plane


def kl_pairs(theme: str, results: list[KlPair], width: float = 5.6):
    """The diagonal is "nothing forgotten". Bars: one standard error, where an end was sampled."""
    colour = palette(theme)
    with canvas(theme, width, 4.4) as figure:
        axes = figure.subplots()
        axes.plot([1e-5, 10], [1e-5, 10], color=colour.muted, lw=1)
        for kind in NAMES:
            for d in (1, 2):
                group = [p for p in results if (p.kind, p.d) == (kind, d) and p.at_0.value > 0]
                x, y = ([getattr(p, end) for p in group] for end in ("at_T", "at_0"))
                axes.errorbar(
                    [e.value for e in x], [e.value for e in y], [e.error for e in y], [e.error for e in x],
                    fmt=_MARKS[kind][d - 1], ms=6.5, capsize=2, lw=1, color=of_kind(theme, kind),
                    mfc="none" if d == 2 else None, label=f"{NAMES[kind]}, {'line, exact' if d == 1 else 'plane, sampled'}",
                )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=(8e-3, 2), ylim=(1e-3, 2))
        axes.set(xlabel="KL$(p_T \\,\\|\\, q_T)$", ylabel="KL$(p_0 \\,\\|\\, q_0)$")
        axes.legend(loc="upper left", fontsize=9)
    return figure
