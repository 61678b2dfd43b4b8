"""A book with a fault does not build: a failing cell, a reference that leads nowhere, a page that is not there."""

import shutil

import pytest

from otprior_book import ROOT
from otprior_book.build import sphinx

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
