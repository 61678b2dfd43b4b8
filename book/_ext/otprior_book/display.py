"""What a notebook calls to put a figure, a live widget or a table on its page.

Each function makes one output in two forms: our own MIME type, which `otprior_book.render` turns into a captioned,
numbered figure that follows the reader's theme, and a common one (PNG, plotly, widget, HTML) for a live notebook.
Every picture says in words what it shows: `alt` is required, and a file name is not words.
"""

import base64
import html
import io
import json
import math
import numbers
import re

from . import ROOT, THEMES

FIGURE = "application/vnd.otprior.figure+json"
PLOTLY = "application/vnd.otprior.plotly+json"
WIDGET = "application/vnd.otprior.widget+json"
TABLE = "application/vnd.otprior.table+json"
PROSE = "application/vnd.otprior.prose+json"

LARGEST_SVG = 400_000
"""Above this many bytes an SVG is slower to show than the same picture at twice the screen's resolution."""

_FILE_NAME = re.compile(r"^\S*\.(png|svg|jpe?g|gif|webp|pdf)$|^[\w./\\-]*[\\/_][\w./\\-]*$", re.IGNORECASE)


def check_alt(alt):
    """Return `alt` when it is words that describe a picture; otherwise raise `ValueError`."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt: expected words that say what the picture shows, got {alt!r}")
    if _FILE_NAME.match(alt.strip()):
        raise ValueError(f"alt: expected words that say what the picture shows, got the file name {alt!r}")
    return " ".join(alt.split())


def show(draw, *, alt, caption="", name="", narrow=None):
    """Draw a matplotlib figure for the light and the dark page and display it.

    Parameters
    ----------
    draw : callable
        `draw(theme)` with theme "light" or "dark" returns a Figure or an Axes.
    alt : str
        What the figure shows, in words.
    caption : str
        MyST text under the figure. A figure with a caption is numbered.
    name : str
        Label for `{numref}`.
    narrow : callable, optional
        Like `draw`, about 3.6 inches wide: what a phone shows, its type at real size.
    """
    from IPython.display import display

    alt = check_alt(alt)
    pictures, png = _pictures(draw)
    payload = {**pictures, "alt": alt, "caption": caption, "name": name, "narrow": _pictures(narrow)[0] if narrow else None}
    display({FIGURE: payload, "image/png": png, "text/plain": alt}, metadata={"image/png": {"width": payload["width"]}}, raw=True)


def show_plotly(figure, *, alt, caption="", name=""):
    """Display a plotly figure; its text, grid and background follow the page's theme. Arguments as in `show`."""
    from IPython.display import display

    alt = check_alt(alt)
    live, page = json.loads(figure.to_json()), json.loads(figure.to_json())
    page["layout"].pop("template", None)  # the page sets the colours of its theme
    payload = {"figure": page, "alt": alt, "caption": caption, "name": name}
    display({PLOTLY: payload, "application/vnd.plotly.v1+json": live, "text/plain": alt}, raw=True)


def widget(name, *, alt, caption="", fallback=None, label="", **state):
    """The live widget `book/widgets/NAME.js` with the given state.

    Parameters
    ----------
    name : str
        File name of the ES module, without `.js`.
    alt : str
        What the widget lets the reader do and see, in words.
    caption : str
        MyST text under the widget.
    fallback : callable, optional
        `draw(theme)` as in `show`: the picture seen before JavaScript starts, without it, and in print.
    label : str
        Label for `{numref}`; "widget-NAME" when empty.
    **state
        What `model.get` finds: anything JSON can say; arrays and tensors become lists.

    Returns
    -------
    anywidget.AnyWidget
        Leave it on the last line of its cell.
    """
    import anywidget
    import traitlets

    from .modules import module
    from .theme import css

    source = module(name, ROOT)
    taken = sorted(key for key in state if key == "theme" or hasattr(anywidget.AnyWidget, key))
    if taken:
        raise ValueError(f"state: expected names that anywidget leaves free, got {', '.join(taken)}")
    state = {key: plain(value, key) for key, value in state.items()}
    payload = {
        "widget": name,
        "state": state,
        "alt": check_alt(alt),
        "caption": caption,
        "name": label or f"widget-{name}",
        "fallback": _pictures(fallback)[0] if fallback else None,
    }

    def mimebundle(self, **options):
        data, metadata = anywidget.AnyWidget._repr_mimebundle_(self, **options)
        return {**data, WIDGET: payload}, metadata

    members = {
        "_esm": source,
        "_css": css(),
        "theme": traitlets.Unicode("light").tag(sync=True),
        "_repr_mimebundle_": mimebundle,
        **{key: traitlets.Any(value).tag(sync=True) for key, value in state.items()},
    }
    return type(f"Widget_{name}", (anywidget.AnyWidget,), members)()


def table(rows, columns, *, caption="", name=""):
    """A table whose first column names its rows.

    Parameters
    ----------
    rows : list of lists
        Strings (with `$math$`) and numbers; a float gets 3 significant digits.
    columns : list of str
        Headers, one for each column.
    caption, name : str
        As in `show`.
    """
    columns = [str(column) for column in columns]
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"rows: expected {len(columns)} cells in each row ({', '.join(columns)}), got {row!r}")
    if not rows:
        raise ValueError("rows: expected at least one row, got none")
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(_is_number(row[i]) or row[i] is None for row in rows) for i in range(len(columns))]
    return Table({"columns": columns, "rows": cells, "right": right, "caption": caption, "name": name})


class Table:
    """The displayable result of `table`."""

    def __init__(self, payload):
        self.payload = payload

    def _repr_mimebundle_(self, **options):
        return {TABLE: self.payload, "text/html": self._repr_html_(), "text/plain": self.payload["caption"] or "table"}

    def _repr_html_(self):
        page, text = self.payload, html.escape
        sides = [' style="text-align:right"' if right else "" for right in page["right"]]
        head = "".join(f'<th scope="col"{side}>{text(cell)}</th>' for cell, side in zip(page["columns"], sides))
        body = ""
        for first, *rest in page["rows"]:
            data = "".join(f"<td{side}>{text(cell)}</td>" for cell, side in zip(rest, sides[1:]))
            body += f'<tr><th scope="row">{text(first)}</th>{data}</tr>'
        caption = f"<caption>{text(page['caption'])}</caption>" if page["caption"] else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def prose(text):
    """Paragraphs of MyST that a cell has written: math, roles and links work, headings do not."""
    expected = isinstance(text, str) and text.strip()
    if not expected or any(line.startswith("#") for line in text.splitlines()):
        raise ValueError(f"text: expected paragraphs of MyST without headings, got {text!r}")
    return Prose(text)


class Prose:
    """The displayable result of `prose`."""

    def __init__(self, text):
        self.text = text

    def _repr_mimebundle_(self, **options):
        return {PROSE: {"text": self.text}, "text/markdown": self.text, "text/plain": self.text}


def plain(value, name="state"):
    """`value` as JSON can say it: arrays and tensors become lists, NaN and infinity are refused."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: expected finite numbers, got {value!r}")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{name}: expected numbers, strings, lists, dicts or arrays, got {type(value).__name__}")


def _pictures(draw):
    """Both themes of a drawing, as SVG or, where that would be heavy, as PNG; and a PNG for a live notebook."""
    drawn = {theme: _save(draw, theme, "svg") for theme in THEMES}
    width = drawn["light"][1]
    if max(len(data) for data, _ in drawn.values()) <= LARGEST_SVG:
        pictures = {"mime": "image/svg+xml", **{theme: data.decode() for theme, (data, _) in drawn.items()}}
    else:
        pictures = {"mime": "image/png", **{theme: _text(_save(draw, theme, "png")[0]) for theme in THEMES}}
    return {**pictures, "width": width}, _text(_save(draw, "light", "png", opaque=True)[0])


def _save(draw, theme, kind, opaque=False):
    """The drawing as bytes, and its width in pixels at 100 to the inch."""
    import matplotlib.pyplot as plt

    from .theme import palette, rc  # here: Sphinx imports this module, and need not load torch

    with plt.rc_context({**rc(theme), "svg.hashsalt": "otprior"}):
        drawn = draw(theme)
        figure = drawn if hasattr(drawn, "savefig") else getattr(drawn, "figure", None)
        if not hasattr(figure, "savefig"):
            raise ValueError(f"draw: expected a function that returns a Figure or an Axes, got {type(drawn).__name__}")
        buffer = io.BytesIO()
        options = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 200}
        figure.savefig(buffer, format=kind, facecolor=palette(theme).bg if opaque else "none", **options)
        plt.close(figure)
    return buffer.getvalue(), round(100 * figure.get_figwidth())


def _text(data):
    return base64.b64encode(data).decode()


def _is_number(value):
    return isinstance(value, numbers.Number) and not isinstance(value, bool)


def _cell(value):
    """A cell as text. Minus signs are real ones; nothing is written as a bare NaN or None."""
    if value is None:
        return "–"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        text = (
            "not a number" if math.isnan(value) else "∞" if value == math.inf else "−∞" if value == -math.inf else f"{value:.3g}"
        )
    else:
        text = str(value)
    return "−" + text[1:] if _is_number(value) and text.startswith("-") else text
