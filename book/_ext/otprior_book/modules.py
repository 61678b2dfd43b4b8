"""The JavaScript of a live figure: `book/widgets/NAME.js`, with the shared parts before it where its first line asks for them.

A page must work from a file, where modules cannot import each other; so what several figures use is put into each.
"""

from . import ROOT

PARTS = "parts"
NEEDS = "// Needs parts.js"


def names(root=ROOT):
    """The live figures there are."""
    return sorted(path.stem for path in (root / "book" / "widgets").glob("*.js") if path.stem != PARTS)


def module(name, root=ROOT):
    """The text of one self-contained ES module."""
    if name not in names(root):
        raise ValueError(f"name: expected a widget of book/widgets ({', '.join(names(root)) or 'none yet'}), got {name!r}")
    folder = root / "book" / "widgets"
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    return (folder / f"{PARTS}.js").read_text(encoding="utf-8") + "\n" + text if text.startswith(NEEDS) else text
