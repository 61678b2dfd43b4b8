"""What the pages of the book call, and the Sphinx extension that renders it offline.

Pages import five functions from here (`show`, `show_plotly`, `widget`, `table`, `prose`) and the colours (`palette`);
Sphinx loads `otprior_book.offline`. Everything is imported when it is first used, so that Sphinx never imports matplotlib or torch.
The authors' guide is `book/_ext/README.md`.
"""

from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The checkout: `book/`, `data/`, `otprior_lite/` and `_build/` lie in it."""

THEMES = ("light", "dark")
"""The two looks of a page; every picture is drawn for both."""

_HOME = {**dict.fromkeys(("show", "show_plotly", "widget", "table", "prose"), "display"), "palette": "theme"}

__all__ = ["ROOT", "THEMES", *_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
