"""The Sphinx extension: a built book that asks no other host for anything.

MathJax and plotly.js are copied out of installed packages into `_static/vendor`, our own small scripts beside them, and each
page loads only those it uses. It also keys the execution cache (see `fingerprint`) and writes down how long each page took.
"""

import json
import re
import shutil
from importlib import metadata, resources
from pathlib import Path

from docutils import nodes

from . import execute, quiz
from .fingerprint import cache_path
from .render import PLOTLY_ASSETS, WIDGET_ASSETS

MATHJAX = "vendor/mathjax.js"
TIMINGS, FAILURE = "timings.json", "failure.txt"
"""What a build leaves in `_build` for `otprior_book.build` to print."""

_ASSETS = Path(__file__).parent / "assets"


def setup(app):
    """Called by Sphinx."""
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _copy_vendor)
    app.connect("html-page-context", _load_what_the_page_uses, priority=900)
    app.connect("build-finished", _write_report)
    app.add_config_value("comments_config", {}, "")  # Jupyter Book sets it for sphinx_comments, which is not loaded
    quiz.setup(app)
    execute.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def vendored():
    """Name in `_static/vendor` -> the installed file."""
    mathjax = metadata.distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")
    plotly = resources.files("plotly") / "package_data" / "plotly.min.js"
    return {"mathjax.js": Path(mathjax), "plotly.js": Path(str(plotly)), **{path.name: path for path in _ASSETS.glob("*.js")}}


def _configure(app, config):
    config.mathjax_path = MATHJAX
    config.nb_execution_cache_path = str(cache_path(Path(app.outdir).parent))


def _copy_vendor(app):
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "vendor"
    target.mkdir(parents=True, exist_ok=True)
    for name, source in vendored().items():
        if not source.is_file():
            raise FileNotFoundError(f"{name}: expected it at {source}; install the extra 'book' again")
        shutil.copyfile(source, target / name)


def _load_what_the_page_uses(app, pagename, templatename, context, doctree):
    """Add our scripts where they are used, drop widget state that only a live notebook reads, finish the tables."""
    scripts = context["script_files"]
    scripts[:] = [script for script in scripts if not _is_widget_state(script)]
    app.add_js_file("vendor/page.js", loading_method="defer")
    if doctree is None:
        return
    classes = {name for node in doctree.findall(nodes.Element) for name in node.get("classes", ())}
    if PLOTLY_ASSETS in classes:
        app.add_js_file("vendor/plotly.js", loading_method="defer")
        app.add_js_file("vendor/plotly-figures.js", loading_method="defer")
    if WIDGET_ASSETS in classes:
        app.add_js_file("vendor/widgets.js", loading_method="defer")
    if quiz.ASSETS in classes:
        app.add_js_file("vendor/quiz.js", loading_method="defer")
    context["body"] = _scoped_headers(context["body"])


def _is_widget_state(script):
    return getattr(script, "attributes", {}).get("type", "").startswith("application/vnd.jupyter.widget")


def _scoped_headers(body):
    """Say of each header cell whether it names a column or a row (docutils does not)."""
    body = re.sub(r'<th class="([^"]*\bhead\b)', r'<th scope="col" class="\1', body)
    return re.sub(r'<th class="([^"]*\bstub\b)', r'<th scope="row" class="\1', body)


def _write_report(app, exception):
    """Seconds that each page's cells took when they last ran; or which cell failed, and how."""
    folder = Path(app.outdir).parent
    (folder / FAILURE).unlink(missing_ok=True)
    if exception is not None:
        text = re.sub(r"\x1b\[[\d;]*m", "", f"{exception}\n\n{exception.__cause__ or ''}")
        (folder / FAILURE).write_text(text, encoding="utf-8")
    elif hasattr(app.env, "nb_metadata"):
        runs = {page: data["exec_data"] for page, data in app.env.nb_metadata.items() if data.get("exec_data")}
        seconds = {page: run["runtime"] for page, run in sorted(runs.items())}
        (folder / TIMINGS).write_text(json.dumps(seconds, indent=1))
