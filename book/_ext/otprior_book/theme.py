"""The library's colours as the page's style sheet: what figures draw in Python, widgets draw in JavaScript.

`otprior_lite.figures.style` owns the palette; here it becomes the CSS variables `--otp-*`.
"""

from dataclasses import fields

from otprior_lite.figures.style import palette, rc

__all__ = ["css", "palette", "rc"]


def css():
    """The `--otp-*` variables: light for everyone, dark where the page is dark, light again on paper."""

    def block(selector, theme):
        colour = palette(theme)
        lines = [f"  --otp-{field.name}: {getattr(colour, field.name)};" for field in fields(colour)]
        return "\n".join([f"{selector} {{", *lines, "}"])

    return block(":root", "light") + "\n" + block('html[data-theme="dark"]', "dark") + "\n"
