"""From a cell's output to nodes of the page.

Stock Jupyter Book drops plotly and needs a CDN for widgets. This plug-in of myst-nb renders our MIME types: a figure node
with a numbered caption around a pair of images, a plotly div or a widget div, and a numbered table. The divs carry their
data as JSON in the page, so that they work from `file://`; `assets/` has the JavaScript that brings them to life.
"""

import html
import json

from docutils import nodes

from . import THEMES
from .display import FIGURE, PLOTLY, PROSE, TABLE, WIDGET
from .modules import module

WIDGET_ASSETS, PLOTLY_ASSETS = "otp-widget", "otp-plotly"
"""Classes by which `otprior_book.offline` knows which scripts a page needs."""


BARE_PLOTLY, BARE_WIDGET = "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json"
"""What a live notebook shows. In the page it stands only where nobody gave an alt text, and there it is an error."""


class OfflineMimeRenderer:
    """The entry point `myst_nb.mime_renderers`."""

    mime_priority_overrides = [("*", kind, 1) for kind in (FIGURE, PLOTLY, WIDGET, TABLE, PROSE)] + [("*", BARE_PLOTLY, 5)]

    @staticmethod
    def handle_mime(renderer, data, inline):
        """The nodes of one output, or None when myst-nb should render it."""
        if inline or data.mime_type not in _RENDER:
            return None
        return _RENDER[data.mime_type](renderer, data)


def _figure(renderer, data):
    payload = data.content
    # In divs of their own: the theme hides the captions that are siblings of an image for the other theme.
    pictures = [nodes.container("", *_images(renderer, data, payload, payload["alt"]), classes=["otp-picture"])]
    if payload["narrow"]:
        images = _images(renderer, data, payload["narrow"], payload["alt"])
        pictures.append(nodes.container("", *images, classes=["otp-picture", "otp-narrow"]))
    return [_captioned(renderer, data, pictures)]


def _plotly(renderer, data):
    payload = data.content
    div = _html(
        f'<div class="otp-plotly" role="group" aria-label="{html.escape(payload["alt"])}">'
        f"{_json(payload['figure'])}"
        f'<p class="otp-waiting">{html.escape(payload["alt"])} (This figure needs JavaScript.)</p></div>'
    )
    return [_captioned(renderer, data, [div], PLOTLY_ASSETS)]


def _widget(renderer, data):
    payload = data.content
    name, alt = payload["widget"], html.escape(payload["alt"])
    start = _html(
        f'<div class="otp-live" data-widget="{name}" role="group" aria-label="{alt}">'
        f"{_json({'state': payload['state'], 'module': module(name)})}"
        '<div class="otp-stage" hidden></div><div class="otp-fallback">'
    )
    if payload["fallback"]:
        waiting = _images(renderer, data, payload["fallback"], payload["alt"])
    else:
        waiting = [_html(f'<p class="otp-waiting">{alt} (This figure needs JavaScript.)</p>')]
    return [_captioned(renderer, data, [start, *waiting, _html("</div></div>")], WIDGET_ASSETS)]


def _table(renderer, data):
    payload = data.content
    group = nodes.tgroup(cols=len(payload["columns"]))
    group += [nodes.colspec(colwidth=1, stub=int(i == 0)) for i in range(len(payload["columns"]))]
    group += nodes.thead("", _row(renderer, data, payload["columns"]))
    group += nodes.tbody("", *(_row(renderer, data, row) for row in payload["rows"]))
    table = nodes.table("", classes=["otp-table", "colwidths-auto"])
    if payload["caption"]:
        table += _text(renderer, data, nodes.title(), payload["caption"])
    table += group
    return [_named(renderer, table, payload["name"])]


def _prose(renderer, data):
    body = nodes.container("", classes=["otp-prose"])
    with renderer.renderer.current_node_context(body):
        renderer.renderer.nested_render_text(data.content["text"], data.line or 0)
    return [body]


def _bare(renderer, data):
    remedy = "show_plotly" if data.mime_type == BARE_PLOTLY else "otprior_book.widget"
    text = f"This {data.mime_type} output has no alt text: display it with {remedy}."
    return [nodes.paragraph("", "", nodes.problematic(text=text))]


def _row(renderer, data, cells):
    sides = ["otp-right" if right else "otp-left" for right in data.content["right"]]
    entries = [
        nodes.entry("", _text(renderer, data, nodes.paragraph(), cell), classes=[side]) for cell, side in zip(cells, sides)
    ]
    return nodes.row("", *entries)


def _captioned(renderer, data, body, *classes):
    """A figure node around `body` with the caption and the label of the payload."""
    payload = data.content
    figure = nodes.figure("", *body, classes=["otp-figure", *classes])
    if payload["caption"]:
        figure += _text(renderer, data, nodes.caption(), payload["caption"])
    return _named(renderer, figure, payload["name"])


def _named(renderer, node, name):
    if name:
        node["names"].append(nodes.fully_normalize_name(name))
        renderer.renderer.document.note_explicit_target(node, node)
    return node


def _text(renderer, data, node, text):
    """`node` filled with one line of MyST."""
    with renderer.renderer.current_node_context(node):
        renderer.renderer.nested_render_text(text, data.line or 0, inline=True)
    return node


def _images(renderer, data, pictures, alt):
    """An image for each theme, written next to the notebook; the theme shows one of them."""
    images = []
    for theme in THEMES:
        picture = type(data)(pictures["mime"], pictures[theme], line=data.line)
        (image,) = renderer.render_image(picture)
        image["alt"] = alt
        image["width"] = f"{pictures['width']}px"
        image["classes"] += [f"only-{theme}"]
        images.append(image)
    return images


def _html(text):
    return nodes.raw("", text, format="html")


def _json(value):
    """A script element that holds `value`; nothing in it can close the element."""
    return f'<script type="application/json">{json.dumps(value).replace("<", chr(92) + "u003c")}</script>'


_RENDER = {
    FIGURE: _figure,
    PLOTLY: _plotly,
    WIDGET: _widget,
    TABLE: _table,
    PROSE: _prose,
    BARE_PLOTLY: _bare,
    BARE_WIDGET: _bare,
}
