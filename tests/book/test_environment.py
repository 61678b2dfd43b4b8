"""pyproject.toml, constraints.txt, environment.yml and the Makefile describe one environment."""

import re

import pytest
import tomllib
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from otprior_book import ROOT
from otprior_lite import cli

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
DIRECT = [(extra, Requirement(text)) for extra, texts in EXTRAS.items() for text in texts]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("extra, requirement", DIRECT, ids=lambda value: str(value))
def test_every_direct_dependency_is_pinned_inside_its_range(extra, requirement):
    name = canonicalize_name(requirement.name)
    if name == canonicalize_name(PROJECT["name"]):
        assert requirement.extras <= set(EXTRAS)
        return
    assert name in PINS, f"{requirement} of extra {extra!r} is not in constraints.txt"
    assert requirement.specifier.contains(PINS[name], prereleases=True)


def test_every_line_of_constraints_is_a_plain_pin():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(PINS)
    assert not [line for line in lines if "+" in line or "@" in line]


def test_torch_is_pinned_without_a_build():
    assert PINS["torch"] == "2.13.0"


def test_conda_installs_what_make_book_installs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    install = re.search(r"^\.venv/\.book:.*\n\t\$\(PIP\) (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert " ".join(pip) == install.replace('"', "")


def test_conda_python_is_allowed_and_pip_is_there():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "pip" in dependencies
    (python,) = [entry for entry in dependencies if str(entry).startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1] + ".0")


@pytest.mark.parametrize("file", ["environment.yml", "README.md"])
def test_commands_that_are_shown_take_their_options(file, capsys):
    """Every `otprior ...` line, also under torchrun, names options that the command knows; scripts and extras exist."""
    text = (ROOT / file).read_text(encoding="utf-8")
    shown = re.findall(r"^#? *(?:torchrun .*? )?otprior (train|solve|sample|evaluate) (.*)$", text, re.MULTILINE)
    assert len(shown) >= 1
    for command, words in shown:
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        known = capsys.readouterr().out
        assert [word for word in re.findall(r"--[\w-]+", words.split("   ")[0]) if word not in known] == []
    assert all((ROOT / path).is_file() for path in re.findall(r"python ([\w/]+\.py)", text))
    assert {name for names in re.findall(r'-e "\.\[([\w,]+)\]"', text) for name in names.split(",")} <= set(EXTRAS)


def test_every_package_of_the_library_is_installed():
    """A wheel holds what pyproject lists: a new folder of the library must be in the list."""
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    found = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "otprior_lite").rglob("__init__.py")}
    assert found | {"otprior_book", "otprior_lite_data"} == listed
