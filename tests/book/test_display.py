"""What notebooks call: figures for both themes with words for them, tables, widgets, quizzes."""

import json
import re
import subprocess
import sys

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

from otprior_book import ROOT, THEMES, display, modules, quiz, show, show_plotly, table, theme, widget  # noqa: E402


@pytest.fixture
def outputs(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    return shown


def line(name):
    figure, axes = plt.subplots(figsize=(4, 2))
    axes.plot([0, 1], [0, 1])
    axes.set_xlabel("time")
    return figure


def test_show_draws_both_themes_and_closes_them(outputs):
    before = plt.get_fignums()
    show(line, alt="A line rises.", caption="Rise.", name="fig-rise")
    (data,) = outputs
    payload = data[display.FIGURE]
    assert payload["mime"] == "image/svg+xml" and payload["width"] == 400
    assert payload["alt"] == "A line rises." and payload["name"] == "fig-rise"
    assert theme.palette("light").ink in payload["light"] and theme.palette("light").ink not in payload["dark"]
    assert theme.palette("dark").ink in payload["dark"]
    assert data["image/png"].startswith("iVBOR")
    assert plt.get_fignums() == before
    json.dumps(data)


def test_show_can_have_a_narrow_picture_for_phones(outputs):
    show(line, alt="A line rises.", narrow=lambda name: plt.figure(figsize=(3.6, 3)))
    payload = outputs[0][display.FIGURE]
    assert payload["width"] == 400 and payload["narrow"]["width"] == 360


def test_show_is_the_same_twice(outputs):
    show(line, alt="A line rises.")
    show(line, alt="A line rises.")
    assert outputs[0] == outputs[1]


def test_show_takes_axes_and_refuses_nothing(outputs):
    show(lambda name: line(name).axes[0], alt="A line rises.")
    assert outputs
    with pytest.raises(ValueError, match="draw: expected .* got NoneType"):
        show(lambda name: None, alt="A line rises.")


def test_a_heavy_figure_becomes_a_bitmap(outputs, monkeypatch):
    monkeypatch.setattr(display, "LARGEST_SVG", 100)
    show(line, alt="A line rises.")
    payload = outputs[0][display.FIGURE]
    assert payload["mime"] == "image/png" and payload["dark"].startswith("iVBOR") and payload["dark"] != payload["light"]


@pytest.mark.parametrize("alt", ["", "   ", None, "figure.png", "../_images/abc123.svg", "fig_1_gap", "a/b", "3f9a7c.PNG"])
def test_alt_must_be_words(alt, outputs):
    with pytest.raises(ValueError, match="alt: expected words"):
        show(line, alt=alt)


@pytest.mark.parametrize("alt", ["A/B test: B wins.", "The score of N(0, 1).", "Giraffe", "Saved as gap.png by the library."])
def test_words_are_accepted(alt):
    assert display.check_alt(alt) == alt


def test_plotly_leaves_colours_to_the_page(outputs):
    go = pytest.importorskip("plotly.graph_objects")
    show_plotly(go.Figure(go.Scatter(x=[0, 1], y=[1, 0])), alt="A line falls.")
    assert "template" not in outputs[0][display.PLOTLY]["figure"]["layout"]
    assert "application/vnd.plotly.v1+json" in outputs[0]
    with pytest.raises(ValueError, match="alt"):
        show_plotly(go.Figure(), alt="")


def test_table_is_accessible_and_aligned():
    result = table([["VP", -9.25, 3], ["<b>", 1e-5, None]], ["Schedule", "log-SNR", "n"], caption="League.")
    page = result._repr_html_()
    assert "<caption>League.</caption>" in page
    assert page.count('scope="col"') == 3 and page.count('scope="row"') == 2
    assert "−9.25" in page and "&lt;b&gt;" in page and "–" in page
    assert result.payload["right"] == [False, True, True]


def test_table_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"rows: expected 2 cells in each row \(a, b\), got \[1\]"):
        table([[1]], ["a", "b"])
    with pytest.raises(ValueError, match="at least one row"):
        table([], ["a"])


@pytest.fixture
def demo_widget(tmp_path, monkeypatch):
    pytest.importorskip("anywidget")
    (tmp_path / "book" / "widgets").mkdir(parents=True)
    (tmp_path / "book" / "widgets" / "demo.js").write_text("export default { render() {} }")
    monkeypatch.setattr(display, "ROOT", tmp_path)


def test_widget_carries_its_state(demo_widget):
    import numpy as np

    live = widget("demo", alt="A slider moves T.", T=1.0, points=np.arange(3.0), fallback=line)
    data, _ = live._repr_mimebundle_()
    payload = data[display.WIDGET]
    assert payload["state"] == {"T": 1.0, "points": [0.0, 1.0, 2.0]}
    assert payload["name"] == "widget-demo" and payload["fallback"]["mime"] == "image/svg+xml"
    assert live.T == 1.0 and live.theme == "light"
    json.dumps(payload)


def test_widget_says_what_is_wrong(demo_widget):
    with pytest.raises(ValueError, match=r"name: expected a widget of book/widgets \(demo\), got 'dmeo'"):
        widget("dmeo", alt="Words.")
    with pytest.raises(ValueError, match="alt"):
        widget("demo", alt="demo.png")
    with pytest.raises(ValueError, match="finite"):
        widget("demo", alt="Words.", T=float("nan"))
    with pytest.raises(ValueError, match="anywidget leaves free, got layout"):
        widget("demo", alt="Words.", layout=1)


QUIZ = """
- ask: What?
  options:
    - {text: "$x$", right: true, why: Because.}
    - {text: 2, why: Not so.}
"""


def test_quiz_is_read_in_order():
    (question,) = quiz.parse(QUIZ)
    assert [option["text"] for option in question["options"]] == ["$x$", "2"]
    assert [option["right"] for option in question["options"]] == [True, False]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a list of questions"),
        ("- ask: [", "expected YAML"),
        (QUIZ.replace("right: true, ", ""), "question 1: expected two options or more, one of them with 'right: true'"),
        (QUIZ.replace(", why: Not so.", ""), "question 1: expected each option to have 'text' and 'why'"),
        (QUIZ.replace("right: true", "rihgt: true"), "question 1: expected 'text', 'why' and 'right: true'"),
        (QUIZ.replace("ask:", "aks:"), "question 1: expected 'ask'"),
    ],
)
def test_a_faulty_quiz_is_refused(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quiz.parse(text)


def test_the_style_sheet_has_the_palettes():
    assert theme.css() in (ROOT / "book" / "_static" / "otprior.css").read_text()


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("name", THEMES)
def test_colours_are_told_from_their_background(name):
    colours = theme.palette(name)

    def contrast(colour):
        low, high = sorted((luminance(colour), luminance(colours.bg)))
        return (high + 0.05) / (low + 0.05)

    assert min(map(contrast, (colours.ink, colours.muted))) >= 4.5
    assert min(map(contrast, colours.cycle)) >= 3


def test_sphinx_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, otprior_book.render, otprior_book.offline; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", modules.names())
def test_a_live_figure_has_the_parts_it_names(name):
    """Each name of the first line is defined in parts.js and used below; a figure that names none carries none."""
    own = (ROOT / "book" / "widgets" / f"{name}.js").read_text()
    parts = (ROOT / "book" / "widgets" / "parts.js").read_text()
    first, rest = own.split("\n", 1)
    if not first.startswith(modules.NEEDS):
        assert modules.module(name) == own and "parts.js" not in own
        return
    for part in first.removeprefix(modules.NEEDS + ": ").rstrip(".").split(", "):
        assert re.search(rf"(function|const) {part}\b", parts) and re.search(rf"\b{part}\b", rest), part
    assert modules.module(name) == parts + "\n" + own


def test_parts_are_no_figure():
    pages = "".join(page.read_text() for page in (ROOT / "book" / "chapters").glob("*.md"))
    assert set(re.findall(r"^widget\(\s*\"(\w+)\"", pages, re.M)) == set(modules.names())
    with pytest.raises(ValueError, match="expected a widget of book/widgets .*got 'parts'"):
        modules.module("parts")
