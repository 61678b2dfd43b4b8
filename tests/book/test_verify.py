"""The checks after a build find what they are for: each fault, planted in a sound book, is reported."""

import pytest

from otprior_book.verify import problems, toc_pages

SOUND = """<html><head><link rel="stylesheet" href="_static/a.css"><script src="_static/a.js?v=1"></script></head>
<body><h1 id="top">Title</h1><p><a href="#top">up</a> <a href="other.html#there">other</a> <a href="https://example.org/x">out</a></p>
<img src="_images/p.svg" alt="A curve falls."></body></html>"""


@pytest.fixture
def book(tmp_path):
    for name, text in {
        "index.html": SOUND,
        "other.html": '<html><body><h1 id="there">Other</h1></body></html>',
        "_static/a.css": "p { color: red }",
        "_static/a.js": "// see https://example.org",
        "_images/p.svg": "<svg/>",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_sound_book_has_no_problems(book):
    assert problems(book, ["index", "other"]) == []


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("A curve falls.", "", "alt: expected words"),
        (' alt="A curve falls."', "", "alt: expected words"),
        ("A curve falls.", "p.svg", "the file name 'p.svg'"),
        ("A curve falls.", "see p.svg", "the alt text is the file's name"),
        ("#there", "#gone", "leads to no such place"),
        ("other.html", "gone.html", "leads nowhere"),
        ("#top", "#gone", "leads to no such place"),
        ("_static/a.js", "https://cdn.example.org/a.js", "<script> asks another host"),
        ("_static/a.js", "//cdn.example.org/a.js", "<script> asks another host"),
        ("_static/a.css", "https://cdn.example.org/a.css", "<link> asks another host"),
        ("_images/p.svg", "_images/gone.svg", "asks for _images/gone.svg, which is not there"),
        ("<h1", "<pre>Traceback (most recent call last)</pre><h1", "a Traceback stands in the page"),
        ("<h1", '<p class="problematic">oh</p><h1', "an error stands in the page"),
    ],
)
def test_a_fault_is_found(book, old, new, message):
    (book / "index.html").write_text(SOUND.replace(old, new))
    found = problems(book, ["index", "other"])
    assert len(found) == 1 and found[0].startswith("index.html: ") and message in found[0]


def test_a_missing_page_is_found(book):
    assert problems(book, ["index", "other", "gone"]) == ["gone: in the table of contents but not built"]


def test_a_style_sheet_that_asks_another_host_is_found(book):
    (book / "_static/a.css").write_text('@import "https://fonts.example.org/x"; p { background: url(//example.org/y.png) }')
    assert len(problems(book, ["index"])) == 2


def test_toc_pages_reads_parts_and_sections(tmp_path):
    (tmp_path / "_toc.yml").write_text("""
format: jb-book
root: index
parts:
  - caption: One
    chapters:
      - file: chapters/a.md
        sections: [{file: chapters/b}]
""")
    assert toc_pages(tmp_path) == ["index", "chapters/a", "chapters/b"]
