"""One thread on one core, and the CPU seconds it used.

Wall time on a shared machine measures the neighbours, and idle threads that spin are charged as work. So the
process pins itself to one core, every library is told to use one thread before it is imported, and time is
`process_time`: CPU seconds of the whole process, whatever else runs on the machine.
"""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

PEERS = ("torch", "numpy", "scipy", "POT", "ott-jax", "jax", "jaxlib", "optax", "scikit-learn")


def pin() -> int:
    """Pin this process to its last core and all libraries to one thread. Call before numpy, torch or jax load."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    return core


def machine() -> dict:
    """The processor, the cores of the machine, and the versions of what was compared."""
    lines = open("/proc/cpuinfo").read().splitlines() if os.path.exists("/proc/cpuinfo") else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    versions = {"python": platform.python_version()}
    for package in PEERS:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"processor": name, "cores": os.cpu_count(), "versions": versions, "commit": _commit()}


def _commit() -> str:
    """The commit that is measured, with a + if files that git knows were changed."""
    git = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--short", "-uno", "otprior_lite") else "")
