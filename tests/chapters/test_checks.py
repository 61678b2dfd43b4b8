"""All exercise checks stand in one namespace: `check.<exercise>` of one chapter must not hide that of another."""

from collections import Counter
from importlib import import_module
from pathlib import Path

from otprior_lite import check

CHAPTERS = sorted(f.stem for f in Path(check.__file__).parent.glob("*.py") if f.stem not in ("__init__", "verdict"))


def test_no_name_is_used_twice_and_every_one_is_reached():
    listed = {name: import_module(f"otprior_lite.check.{name}").__all__ for name in CHAPTERS}
    count = Counter(name for names in listed.values() for name in names)
    assert len(CHAPTERS) >= 11 and [name for name, times in count.items() if times > 1] == []
    for chapter, names in listed.items():
        for name in names:
            assert getattr(check, name).__module__ == f"otprior_lite.check.{chapter}", name
