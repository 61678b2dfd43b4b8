"""Is the built book fit to be read? Checks on its HTML, from the outside, as a reader's browser would see it.

Every page of the table of contents is there, no cell left a traceback, every picture says in words what it shows, every
link inside the book leads somewhere, and nothing is fetched from another host.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

from . import ROOT
from .display import check_alt

FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
"""Elements that make a browser ask for a file, with the attribute that names it. Of `link`, see `_fetches`."""

_CSS_FETCH = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)")


@dataclass(frozen=True)
class Page:
    """One HTML file of the book."""

    path: Path
    html: Path

    @property
    def name(self):
        return self.path.relative_to(self.html).as_posix()

    @cached_property
    def soup(self):
        return BeautifulSoup(self.path.read_text(encoding="utf-8"), "html.parser")

    @cached_property
    def anchors(self):
        return {tag["id"] for tag in self.soup.find_all(id=True)} | {
            tag["name"] for tag in self.soup.find_all("a", attrs={"name": True})
        }


def toc_pages(book=ROOT / "book"):
    """Names of the pages that `book/_toc.yml` lists, the root first."""
    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))

    def files(entry):
        if isinstance(entry, dict):
            yield from (entry[key] for key in ("root", "file") if key in entry)
            for value in entry.values():
                if isinstance(value, list):
                    yield from files(value)
        elif isinstance(entry, list):
            for item in entry:
                yield from files(item)

    return [re.sub(r"\.(md|ipynb|rst)$", "", name) for name in files(toc)]


def problems(html, toc=None):
    """What is wrong with the built book, one sentence each; an empty list when nothing is."""
    names = toc_pages() if toc is None else toc
    missing = [f"{name}: in the table of contents but not built" for name in names if not (html / f"{name}.html").is_file()]
    html = html.resolve()
    pages = {path: Page(path, html) for path in _html_files(html)}
    found = [problem for page in pages.values() for problem in page_problems(page, pages)]
    return missing + found + [problem for path in html.rglob("*.css") for problem in _css_problems(path, html)]


def page_problems(page, pages):
    """What is wrong with one page."""
    if page.name == "search.html" or page.name == "genindex.html":
        checks = (_outside,)
    else:
        checks = (_tracebacks, _alts, _outside, _files, lambda page: _links(page, pages))
    return [f"{page.name}: {problem}" for check in checks for problem in check(page)]


def _tracebacks(page):
    for node in page.soup.select(".cell_output .traceback, .system-message, .problematic"):
        yield f"an error stands in the page: {node.get_text()[:120]!r}"
    if "Traceback (most recent call last)" in page.soup.get_text():
        yield "a Traceback stands in the page"


def _alts(page):
    for image in page.soup.find_all("img"):
        if "logo__image" in " ".join(image.get("class", [])):
            continue
        try:
            check_alt(image.get("alt"))
        except ValueError as problem:
            yield f"{image.get('src', 'an image')}: {problem}"
        else:
            if Path(urlsplit(image["src"]).path).name in image["alt"]:
                yield f"{image['src']}: the alt text is the file's name"


def _outside(page):
    for element, url in _fetches(page):
        if urlsplit(url).netloc:
            yield f"<{element}> asks another host for {url}"


def _files(page):
    for element, url in _fetches(page):
        parts = urlsplit(url)
        if not parts.scheme and not parts.netloc and parts.path and not (page.path.parent / unquote(parts.path)).is_file():
            yield f"<{element}> asks for {url}, which is not there"


def _fetches(page):
    """Every (element, url) that loading the page asks for."""
    for element, attribute in FETCHED.items():
        for tag in page.soup.find_all(element, attrs={attribute: True}):
            yield element, tag[attribute]
    for tag in page.soup.find_all("link", href=True):
        if set(tag.get("rel", [])) & {
            "stylesheet",
            "icon",
            "preload",
            "modulepreload",
            "prefetch",
            "preconnect",
            "dns-prefetch",
            "manifest",
        }:
            yield "link", tag["href"]


def _links(page, pages):
    for link in page.soup.find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        if not target.exists():
            yield f"the link {link['href']} leads nowhere"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"the link {link['href']} leads to no such place on that page"


def _css_problems(path, html):
    for url in _CSS_FETCH.findall(path.read_text(encoding="utf-8", errors="replace")):
        yield f"{path.relative_to(html).as_posix()}: asks another host for {url}"


def _html_files(html):
    return [path.resolve() for path in sorted(html.rglob("*.html")) if "_static" not in path.relative_to(html).parts]
