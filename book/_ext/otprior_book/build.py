"""`python -m otprior_book.build`: build the book, then check what a reader would get.

Sphinx runs with every warning an error; `verify` reads the pages it wrote. Two builds of one checkout wait for each other.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

from . import ROOT
from .execute import pages_at_a_time
from .offline import FAILURE, TIMINGS
from .verify import problems, toc_pages


def main(root=ROOT):
    """Build and check the book of the checkout `root`; 0 when it is fit to be read."""
    start = time.perf_counter()
    build = root / "_build"
    with _alone(build):
        status = sphinx(root)
        if status:
            print(_why(build / FAILURE, status))
            return status
        found = problems(build / "html", toc_pages(root / "book"))
    for problem in found:
        print(f"problem: {problem}")
    _print_timings(build / TIMINGS)
    seconds = time.perf_counter() - start
    if found:
        print(f"\nThe book was built in {seconds:.1f} s but has {len(found)} problem(s), listed above.")
        return 1
    print(f"\nThe book is in {build / 'html' / 'index.html'} ({seconds:.1f} s).")
    return 0


def sphinx(root, **options):
    """Run Jupyter Book, every warning an error, and return its exit status; `options` go to `subprocess.run`."""
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*jupyter_book, "build", "book", "-W", "-n", "--keep-going", "-q"]
    environment = {
        **os.environ,
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one that a user installed elsewhere
        "IPYTHONDIR": str(_ipython(root / "_build" / ".ipython")),
        "MPLBACKEND": "agg",
    }
    return subprocess.run(command, cwd=root, env=environment, **options).returncode


def _why(failure, status):
    """The cell that failed, as the last build left it; otherwise where to look."""
    if failure.is_file():
        return f"\n{failure.read_text(encoding='utf-8')}\nThe book was not built: the cell above failed."
    return f"\nThe book was not built: jupyter-book ended with {status}; the first WARNING or ERROR above says why."


def _ipython(folder):
    """A profile without anyone's start-up files, and without a warning per kernel about local sockets."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n")
    return folder


def _print_timings(path):
    seconds = json.loads(path.read_text()) if path.is_file() else {}
    for page, taken in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{taken:7.1f} s  {page}")
    if seconds:
        print(f"{sum(seconds.values()):7.1f} s  of execution from an empty cache, {pages_at_a_time()} page(s) at a time")


@contextmanager
def _alone(build):
    """Hold `_build/.lock`, where the system has file locks."""
    build.mkdir(exist_ok=True)
    with (build / ".lock").open("w") as lock:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
