"""The page on the paper's claims: every row of the table is on it, with its numbers, and nothing else."""

import re

import pytest

from otprior_book import ROOT, display, prose
from otprior_book import claims as page
from otprior_lite.experiments import claims

SOURCE = (ROOT / "book" / "claims.md").read_text(encoding="utf-8")
SECTION = re.compile(
    r'^\(claim-(.+)\)=\n### (.+)\n\n```\{code-cell\} python\n:tags: \[remove-input\]\nclaim\("(.+)"\)\n```$', re.MULTILINE
)


@pytest.fixture
def outputs(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data._repr_mimebundle_()))
    return shown


def test_the_page_has_a_section_for_every_claim_in_order():
    """Label, heading and key of each section are those of the table."""
    assert SECTION.findall(SOURCE) == [(claim.key, claim.title, claim.key) for claim in claims.CLAIMS]
    assert SOURCE.count("\n### ") == len(claims.CLAIMS) and "summary(claims.CLAIMS" in SOURCE


def test_the_page_explains_every_verdict_and_the_two_sources():
    for verdict in claims.VERDICTS:
        assert f"- *{verdict.capitalize()}*:" in SOURCE and verdict in page.TONE
    assert set(page.TONE) == set(claims.VERDICTS)
    assert "*one*\nreport" in SOURCE and "abstract, in two versions" in SOURCE


@pytest.mark.parametrize("key", ["mismatch", "intrinsic"])
def test_a_section_shows_text_and_numbers(outputs, key):
    claim = claims.find(key)
    page.section(claim)
    text = outputs[0][display.PROSE]["text"]
    for part in (claim.verdict, claim.statement, claim.source, claim.shown or "Nothing: there is no check.", claim.open):
        assert part in text
    rows = [row for output in outputs[1:] for row in output[display.TABLE]["rows"]]
    assert [row[:2] for row in rows] == [[f.quantity, page.number(f.value)] for f in claim.findings()]


def test_a_section_of_a_claim_that_fails_is_not_shown(outputs):
    from dataclasses import replace

    broken = replace(claims.find("mismatch"), check=lambda: (claims.Finding("size", 1.0, "equal to", 0.0, "none"),))
    with pytest.raises(RuntimeError, match="not shown: size"):
        page.section(broken)
    assert outputs == []


def test_summary_links_to_sections():
    few = [claims.find("mismatch"), claims.find("intrinsic")]
    rows = page.summary(few).payload["rows"]
    assert rows[0] == ["{ref}`Sampling starts from the wrong law <claim-mismatch>`", "holds", "3"]
    assert rows[1][1:] == ["not tested", "–"]


@pytest.mark.parametrize("value, text", [
    (0, "0"), (0.25, "0.25"), (-2.0004, "−2"), (1.0, "1"), (1e-9, "10⁻⁹"), (2.9e-10, "2.9\u00a0·\u00a010⁻¹⁰"),
    (-3.4e-5, "−3.4\u00a0·\u00a010⁻⁵"), (123456.0, "1.2\u00a0·\u00a010⁵"), (0.00699, "0.00699"),
])  # fmt: skip
def test_numbers(value, text):
    assert page.number(value) == text


@pytest.mark.parametrize("relation, room, text", [
    ("equal to", 0.5, "equal to 2 ± 0.5 (truth)"), ("at most", 0.5, "at most 2 (truth), room 0.5"), ("at least", 0.0, "at least 2 (truth)"),
    ("more than", 0.5, "more than 2 (truth) by 0.5"), ("less than", 0.0, "less than 2 (truth)"),
])  # fmt: skip
def test_references_in_words(relation, room, text):
    assert page.must_be(claims.Finding("size", 1.0, relation, 2.0, "truth", room)) == text


def test_chapters_are_links_once_the_book_has_them(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text("parts:\n  - chapters:\n      - file: chapters/04_back\n      - file: claims\n")
    assert page.chapter(4, tmp_path) == "{doc}`chapter 4 <chapters/04_back>`"
    assert page.chapter(14, tmp_path) == "chapter 14"


def test_prose_refuses_headings_and_nothing():
    assert prose("**A** $b$").text == "**A** $b$"
    for text in ("", "  ", None, "# Title", "a\n\n## b"):
        with pytest.raises(ValueError, match="text: expected paragraphs of MyST without headings"):
            prose(text)


@pytest.mark.book
def test_the_built_page_shows_every_number(book_html):
    from bs4 import BeautifulSoup

    soup = BeautifulSoup((book_html / "claims.html").read_text(encoding="utf-8"), "html.parser")
    for claim in claims.CLAIMS:
        section = soup.find(id=f"claim-{claim.key}").find_parent("section") or soup.find(id=f"claim-{claim.key}")
        cells = [cell.get_text(strip=True) for cell in section.find_all("td")]
        assert section.find(class_="otp-badge").get_text() == claim.verdict
        assert cells[::2] == [page.number(finding.value) for finding in claim.findings()], claim.key
