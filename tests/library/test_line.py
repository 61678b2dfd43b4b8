"""The library is a line: imports go one way, nothing heavy loads early, every public thing is documented."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import otprior_lite

ROOT = Path(otprior_lite.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SCRIPTS = sorted((ROOT.parent / "data" / "build").glob("*.py"))

# A module may import those before it. Each row is one stage; modules of one row do not import each other.
STAGES = (
    ("errors", "estimate", "atomic", "processes"),
    ("randomness", "linalg", "archive"),
    ("discrete", "data"),
    ("provenance",),
    ("targets", "channel"),
    ("schedules",),
    ("forward",),
    ("gap",),
    ("flow",),
    ("bounds",),
    ("transport",),
    ("semidiscrete",),
    ("priors",),
    ("score",),
    ("train",),
    ("samplers",),
    ("theorems",),
    ("metrics",),
    ("features",),
    ("experiments",),
    ("figures",),
    ("check",),
    ("cli",),
)
RANK = {module: rank for rank, stage in enumerate(STAGES) for module in stage}
DATA_READERS = {"provenance", "features", "experiments", "figures", "check", "cli"}


def module_of(file: Path) -> str:
    """The first level under the package: `targets` for targets/mixture.py; empty for the package's own __init__."""
    first = file.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    """Modules of the package that a file imports, at any depth of its code."""
    package = ("otprior_lite", *file.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = (*base, *(node.module or "").split(".")) if node.module else base
            found |= {(*name, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
    return {name[1] for name in found if name[0] == "otprior_lite" and len(name) > 1}


GRAPH = {file: imports_of(file) for file in FILES}


def test_every_module_has_its_place():
    assert {module_of(file) for file in FILES} - {""} <= set(RANK)


def test_imports_go_one_way():
    """errors ... targets -> schedules -> forward -> gap -> bounds -> ... -> cli: no import goes back."""
    backward = [
        f"{file.relative_to(ROOT)} imports {other}"
        for file, others in GRAPH.items()
        for other in others
        if (here := module_of(file)) and other != here and not other.startswith("__")
        and RANK.get(other, len(STAGES)) >= RANK[here]
    ]  # fmt: skip
    assert backward == []


def test_the_graph_is_seen():
    """The parser finds the imports that are certainly there: relative, nested in functions, and of packages."""
    assert {"errors", "forward", "semidiscrete"} <= GRAPH[ROOT / "priors" / "semidiscrete.py"]
    assert "data" in GRAPH[ROOT / "provenance.py"]  # inside a function
    assert "linalg" in GRAPH[ROOT / "targets" / "mixture.py"]


def test_data_is_a_leaf():
    """Only the rim reads files: no formula depends on shipped data."""
    assert {name for file in (ROOT / "data").glob("*.py") for name in GRAPH[file]} == {"data", "atomic", "errors", "randomness"}
    assert {module_of(file) for file, others in GRAPH.items() if "data" in others} - {"data"} <= DATA_READERS


def test_metrics_never_plot_and_figures_never_compute():
    """matplotlib is imported by figures alone; figures import no stage of the line but its results."""
    for file in FILES:
        if module_of(file) != "figures":
            assert "matplotlib" not in file.read_text(encoding="utf-8").replace('"matplotlib"', ""), file
        else:
            assert GRAPH[file] <= {"errors", "figures", "experiments", "estimate"}, file


def test_importing_the_package_is_light():
    """`import otprior_lite` loads neither torch nor matplotlib nor POT nor scikit-learn nor scipy nor numpy."""
    code = (
        "import sys, otprior_lite; print(*[m for m in ('torch','matplotlib','ot','sklearn','scipy','numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_line_loads_no_plotting_and_no_pot():
    """POT, scikit-learn and matplotlib load when they are used, not when their module is."""
    modules = "targets, schedules, forward, gap, flow, bounds, transport, semidiscrete, priors, score, train, samplers, theorems, metrics, features, data"
    code = f"import sys; from otprior_lite import {modules}; print(*[m for m in ('matplotlib','ot','sklearn','PIL','pooch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", otprior_lite.__all__)
def test_every_name_resolves(name):
    assert getattr(otprior_lite, name) is not None and name in dir(otprior_lite)


def test_unknown_names_do_not_resolve():
    with pytest.raises(AttributeError, match="no attribute 'wasserstein'"):
        otprior_lite.wasserstein  # noqa: B018


def python_modules():
    names = (".".join(("otprior_lite", *f.relative_to(ROOT).with_suffix("").parts)) for f in FILES)
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", python_modules())
def test_everything_public_is_documented(name):
    """Every module, public class, function, method and property says what it is."""
    module = importlib.import_module(name)
    assert module.__doc__, name
    missing = []
    for key, value in vars(module).items():
        if (
            key.startswith("_")
            or getattr(value, "__module__", None) != name
            or not (inspect.isclass(value) or inspect.isfunction(value))
        ):
            continue
        if not value.__doc__ or (inspect.isclass(value) and value.__doc__.startswith(f"{key}(")):
            missing.append(key)  # a dataclass without a docstring gets its signature as one
        if inspect.isclass(value) and issubclass(value, Exception):
            continue
        for method, member in vars(value).items() if inspect.isclass(value) else ():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            inherited = any(getattr(getattr(base, method, None), "__doc__", None) for base in getattr(value, "__mro__", ())[1:])
            if inspect.isfunction(function) and not method.startswith("_") and not function.__doc__ and not inherited:
                missing.append(f"{key}.{method}")
    assert missing == []


DRAWS = {f"torch.{kind}" for kind in ("rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli")}


@pytest.mark.parametrize("file", FILES + SCRIPTS, ids=lambda f: str(f.relative_to(ROOT.parent)))
def test_modules_are_small_and_touch_no_global_state(file):
    """At most 250 lines; nothing moves to a GPU by itself, seeds torch globally, or draws without a generator."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    every_call = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    calls = {ast.unparse(node.func) for node in every_call}
    draws = [node for node in every_call if ast.unparse(node.func) in DRAWS]
    assert all("generator" in {keyword.arg for keyword in node.keywords} for node in draws)
    names = {ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert not any(call.endswith(".cuda") for call in calls)
    assert not calls & {"torch.manual_seed", "torch.seed", "torch.set_default_dtype", "torch.set_default_device", "random.seed"}
    assert not any(name.startswith(("np.random", "numpy.random")) for name in names)
