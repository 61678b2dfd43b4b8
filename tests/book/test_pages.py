"""The built book is whole."""

import re

import pytest

from otprior_book import ROOT
from otprior_book.verify import Page, problems, toc_pages

pytestmark = pytest.mark.book
PAGES = toc_pages()


def test_no_problems(book_html):
    assert problems(book_html) == []


def test_every_page_source_is_in_the_table_of_contents():
    sources = {path.relative_to(ROOT / "book").with_suffix("").as_posix() for path in (ROOT / "book" / "chapters").glob("*.md")}
    assert sources <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_page_has_one_title_and_no_raw_markup(book_html, name):
    page = Page(book_html / f"{name}.html", book_html)
    assert len(page.soup.select("article h1")) == 1
    body = page.soup.find("article")
    for element in body.select("script, pre, code, .math"):
        element.decompose()
    left = re.findall(r"\{[a-z:]+\}`[^`]*`|```|\{\{.*?\}\}|:::", body.get_text(" "))
    assert not left, f"MyST that was not rendered: {left}"


@pytest.mark.parametrize("name", PAGES)
def test_pictures_come_in_pairs_with_the_same_words(book_html, name):
    soup = Page(book_html / f"{name}.html", book_html).soup
    light, dark = ([image["alt"] for image in soup.select(f"img.only-{theme}")] for theme in ("light", "dark"))
    assert light == dark


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("chapters/")])
def test_chapter_shows_a_captioned_figure_and_asks_a_question(book_html, name):
    soup = Page(book_html / f"{name}.html", book_html).soup
    assert soup.select("figure.otp-figure figcaption")
    assert soup.select(".otp-question, .exercise")


@pytest.mark.parametrize("name", PAGES)
def test_table_headers_say_what_they_head(book_html, name):
    soup = Page(book_html / f"{name}.html", book_html).soup
    assert not [str(cell) for cell in soup.select("article th") if cell.get("scope") not in ("col", "row")]


def test_the_vendored_scripts_are_there_and_used_only_where_needed(book_html):
    for name in ("mathjax.js", "plotly.js", "page.js", "widgets.js", "quiz.js"):
        assert (book_html / "_static" / "vendor" / name).stat().st_size > 100
    for name in PAGES:
        soup = Page(book_html / f"{name}.html", book_html).soup
        loaded = {tag["src"].split("?")[0].rsplit("/", 1)[-1] for tag in soup.select("script[src]")}
        assert ("plotly.js" in loaded) == bool(soup.select("div.otp-plotly"))
        assert ("widgets.js" in loaded) == bool(soup.select(".otp-live"))
        assert ("quiz.js" in loaded) == bool(soup.select(".otp-question"))
        assert not any("thebe" in name or "require" in name for name in loaded)
