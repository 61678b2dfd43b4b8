"""An edit of the library, the data, a widget or the pins re-executes the notebooks; nothing else does."""

import pytest

from otprior_book.fingerprint import cache_path, fingerprint

FILES = {
    "otprior_lite/gap.py": "x = 1",
    "otprior_lite/targets/toys.py": "y = 1",
    "data/digits.npz": "numbers",
    "book/widgets/giraffe.js": "export default {}",
    "book/_ext/otprior_book/display.py": "z = 1",
    "constraints.txt": "numpy==2.0",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_an_edit_changes_the_key_and_undoing_it_restores_it(checkout, name):
    before = fingerprint(checkout)
    (checkout / name).write_text(FILES[name] + " ")
    assert fingerprint(checkout) != before
    (checkout / name).write_text(FILES[name])
    assert fingerprint(checkout) == before


@pytest.mark.parametrize("name", ["otprior_lite/new.py", "data/new.npz", "book/widgets/new.js"])
def test_a_new_file_changes_the_key(checkout, name):
    before = fingerprint(checkout)
    (checkout / name).write_text("")
    assert fingerprint(checkout) != before


def test_a_renamed_file_changes_the_key(checkout):
    before = fingerprint(checkout)
    (checkout / "data/digits.npz").rename(checkout / "data/numerals.npz")
    assert fingerprint(checkout) != before


@pytest.mark.parametrize("name", ["book/index.md", "tests/test_gap.py", "otprior_lite/__pycache__/gap.pyc", "README.md"])
def test_other_files_do_not(checkout, name):
    before = fingerprint(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("text")
    assert fingerprint(checkout) == before


def test_old_caches_are_pruned(checkout):
    build = checkout / "_build"
    paths = []
    for version in range(4):
        (checkout / "constraints.txt").write_text(f"numpy=={version}")
        paths.append(cache_path(build, checkout))
    assert len(set(paths)) == 4
    assert paths[-1].is_dir() and not paths[0].exists() and not paths[1].exists()
    assert len(list(paths[0].parent.iterdir())) == 2
