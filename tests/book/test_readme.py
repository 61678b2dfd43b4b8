"""The README's example runs, is the one on the front page, and its picture and paths exist."""

import re

from otprior_book import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", README, re.S)[1]


def test_the_example_runs_and_draws_a_giraffe(capsys):
    names = {}
    exec(EXAMPLE, names)
    assert "floor" in capsys.readouterr().out
    x0, target = names["x0"], names["target"]
    assert x0.shape == (500, 2) and bool(x0.isfinite().all())
    # Moment matching gives the samples the height of the giraffe, which N(0, I) at 50 steps does not.
    assert abs(float(x0[:, 1].std() / target.covariance[1, 1].sqrt()) - 1) < 0.15


def test_the_front_page_shows_the_same_example():
    assert EXAMPLE in (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 11


def test_what_the_readme_names_exists():
    for path in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", README):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for folder in re.findall(r"^\| `(\w+)/` \|", README, re.M):
        assert (ROOT / folder).is_dir(), folder
