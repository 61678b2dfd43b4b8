"""A book with a fault does not build: a failing cell, a reference that leads nowhere, a page that is not there."""

import shutil

import pytest

from otprior_book import ROOT
from otprior_book.build import sphinx
from otprior_book.execute import pages_at_a_time

NOTEBOOK = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---

# Title

```{code-cell} python
1 / 0
```
"""


@pytest.mark.parametrize(
    "page, toc, message",
    [
        (NOTEBOOK, "root: index", "ZeroDivisionError"),
        ("# Title\n\n{ref}`nowhere`\n", "root: index", "undefined label: 'nowhere'"),
        ("# Title\n", "root: index\nchapters: [{file: gone}]", "gone"),
    ],
    ids=["failing cell", "broken reference", "missing page"],
)
def test_a_fault_stops_the_build(tmp_path, page, toc, message, capfd):
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "book" / "_toc.yml").write_text(f"format: jb-book\n{toc}\n")
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "index.md").write_text(page)
    assert sphinx(tmp_path) != 0
    output = capfd.readouterr()
    assert message in output.out + output.err


def test_pages_wait_for_nobody_and_run_once(tmp_path):
    """Two pages that each need the other to be running: both run, each once, and Sphinx takes what they printed."""
    if pages_at_a_time() < 2:
        pytest.skip("one processor: pages run one after the other")
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: other}]\n")
    (tmp_path / "book" / "references.bib").write_text("")
    for page, other in (("index", "other"), ("other", "index")):
        meet = f"""
from pathlib import Path
import time
with Path("{page}.log").open("a") as log:
    log.write("ran ")
end = time.monotonic() + 60
while not Path("{other}.log").exists():
    assert time.monotonic() < end, "alone"
    time.sleep(0.05)
print("{page} met {other}")"""
        (tmp_path / "book" / f"{page}.md").write_text(NOTEBOOK.replace("1 / 0", meet.strip()))
    assert sphinx(tmp_path) == 0
    for page, other in (("index", "other"), ("other", "index")):
        assert (tmp_path / "book" / f"{page}.log").read_text() == "ran "
        assert f"{page} met {other}\n</pre>" in (tmp_path / "_build" / "html" / f"{page}.html").read_text().replace("</span>", "")
