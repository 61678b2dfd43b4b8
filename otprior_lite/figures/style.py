"""One style for every figure: colours that colour-blind readers tell apart, for light pages, dark pages and print.

The hues are Okabe and Ito's; the dark ones are lighter so that each keeps a contrast of at least 3 to 1 with its
background (4.5 to 1 for text). A prior has the same colour in every figure of the book.
"""

from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import known, optional

THEMES = ("light", "dark", "print")


@dataclass(frozen=True)
class Palette:
    """Colours of one theme, as `#rrggbb`."""

    ink: str
    muted: str
    grid: str
    bg: str
    blue: str
    vermillion: str
    green: str
    purple: str
    orange: str

    @property
    def cycle(self) -> tuple[str, ...]:
        """The hues in the order in which lines take them."""
        return (self.blue, self.vermillion, self.green, self.purple, self.orange, self.muted)

    def of_prior(self, name: str) -> str:
        """The colour that a prior has throughout the book."""
        colours = {
            "standard": self.vermillion,
            "moment-matched": self.blue,
            "semi-discrete": self.green,
            "data-initialised": self.purple,
            "oracle": self.ink,
        }
        return colours[known(name, tuple(colours), "name")]


_LIGHT = Palette(
    ink="#1f2933", muted="#5b6670", grid="#d8dde2", bg="#ffffff",
    blue="#0072b2", vermillion="#d55e00", green="#00805f", purple="#a8497f", orange="#b37a00",
)  # fmt: skip
_DARK = Palette(
    ink="#e6e9ec", muted="#a5b0ba", grid="#3a434c", bg="#14181e",
    blue="#56b4e9", vermillion="#ff8c42", green="#2fc79b", purple="#e08fbf", orange="#e6b035",
)  # fmt: skip
_PALETTES = {"light": _LIGHT, "dark": _DARK, "print": _LIGHT}

MARKERS = {"standard": "o", "moment-matched": "s", "semi-discrete": "D", "data-initialised": "^", "oracle": "x"}


def palette(theme: str) -> Palette:
    """The `Palette` of "light", "dark" or "print"."""
    return _PALETTES[known(theme, THEMES, "theme")]


def rc(theme: str) -> dict:
    """matplotlib settings under which text, ticks and background follow `theme`."""
    from cycler import cycler

    colour = palette(theme)
    return {
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "axes.edgecolor": colour.muted, "axes.labelcolor": colour.ink, "axes.titlecolor": colour.ink,
        "axes.prop_cycle": cycler(color=colour.cycle),
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
        "font.size": 10, "grid.color": colour.grid, "text.color": colour.ink,
        "legend.frameon": False, "legend.labelcolor": colour.ink,
        "xtick.color": colour.muted, "xtick.labelcolor": colour.ink,
        "ytick.color": colour.muted, "ytick.labelcolor": colour.ink,
        "pdf.fonttype": 42, "svg.hashsalt": "otprior",
    }  # fmt: skip


@contextmanager
def canvas(theme: str, width: float, height: float, **options):
    """A new Figure of the given size in inches, whose artists are created under `theme`."""
    matplotlib = optional("matplotlib", "figures")
    figure_class = optional("matplotlib.figure", "figures").Figure
    with matplotlib.rc_context(rc(theme)):
        yield figure_class(figsize=(width, height), layout="constrained", **options)
