"""Run the pages whose outputs are not in the cache, several at a time, before Sphinx reads them one by one.

Sphinx then finds every output in the cache. A page that fails is left to Sphinx, which runs it again and says why.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader


def setup(app):
    """Called by `offline.setup`."""
    app.connect("env-before-read-docs", _fill_cache)


def pages_at_a_time():
    """As many as the processors this process may use, up to four: the pages hold torch to one thread."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, 4)


def _fill_cache(app, env, docnames):
    cache = get_cache(env.mystnb_config.execution_cache_path)
    waiting = [page for name in docnames if (page := _notebook(env, name)) and not _is_cached(cache, page[1])]
    if len(waiting) < 2:
        return
    timeout = env.mystnb_config.execution_timeout
    with ThreadPoolExecutor(pages_at_a_time()) as pool:
        for path, done in pool.map(lambda page: (page[0], _run(*page, timeout)), waiting):
            if done.err is None:
                bundle = CacheBundleIn(done.nb, str(path), data={"execution_seconds": done.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _notebook(env, name):
    """(path, notebook) of a page with code cells, else None; read as myst-nb will read it."""
    path = Path(env.doc2path(name))
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else ""
    reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text) if text else None
    return reader and (path, reader.read(text))


def _is_cached(cache, notebook):
    try:
        return cache.match_cache_notebook(notebook) is not None
    except KeyError:
        return False


def _run(path, notebook, timeout):
    return single_nb_execution(notebook, cwd=str(path.parent), timeout=timeout, allow_errors=False)
