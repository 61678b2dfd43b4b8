"""Two palettes, light and dark, that figures, widgets and the style sheet share.

The hues are Okabe and Ito's, told apart by colour-blind readers; the dark ones are lighter so that each has a contrast of
at least 3 to 1 with its background (4.5 to 1 for text). They reach matplotlib as `rc(theme)` and JavaScript as `--otp-*`.
"""

from dataclasses import dataclass, fields

THEMES = ("light", "dark")


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
    def cycle(self):
        """The hues in the order in which lines take them."""
        return (self.blue, self.vermillion, self.green, self.purple, self.orange, self.muted)


_PALETTES = {
    "light": Palette(
        ink="#1f2933", muted="#5b6670", grid="#d8dde2", bg="#ffffff",
        blue="#0072b2", vermillion="#d55e00", green="#00805f", purple="#a8497f", orange="#b37a00",
    ),
    "dark": Palette(
        ink="#e6e9ec", muted="#a5b0ba", grid="#3a434c", bg="#14181e",
        blue="#56b4e9", vermillion="#ff8c42", green="#2fc79b", purple="#e08fbf", orange="#e6b035",
    ),
}


def palette(theme):
    """The `Palette` of `theme`, "light" or "dark"."""
    if theme not in _PALETTES:
        raise ValueError(f"theme: expected 'light' or 'dark', got {theme!r}")
    return _PALETTES[theme]


def rc(theme):
    """matplotlib settings under which text, ticks and background follow `theme`."""
    colour = palette(theme)
    from cycler import cycler

    return {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.edgecolor": colour.muted,
        "axes.labelcolor": colour.ink,
        "axes.titlecolor": colour.ink,
        "axes.prop_cycle": cycler(color=colour.cycle),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "font.size": 10,
        "grid.color": colour.grid,
        "legend.facecolor": colour.bg,
        "legend.edgecolor": colour.grid,
        "legend.labelcolor": colour.ink,
        "text.color": colour.ink,
        "xtick.color": colour.muted,
        "xtick.labelcolor": colour.ink,
        "ytick.color": colour.muted,
        "ytick.labelcolor": colour.ink,
    }


def css():
    """The style sheet's `--otp-*` variables: light for everyone, dark where the page is dark, light again on paper."""

    def block(selector, theme):
        colour = palette(theme)
        lines = [f"  --otp-{field.name}: {getattr(colour, field.name)};" for field in fields(colour)]
        return "\n".join([f"{selector} {{", *lines, "}"])

    return block(":root", "light") + "\n" + block('html[data-theme="dark"]', "dark") + "\n"
