"""Where a number came from: versions, device and data hashes, for captions and results files."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from . import __version__


def device_name(device=None) -> str:
    """The name of a GPU, else the processor architecture; default: the first GPU when there is one."""
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device is None else device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def about() -> dict:
    """Versions of what computed, the device, and the hashes of the shipped data."""
    from . import data

    versions = {"python": platform.python_version(), "otprior-lite": __version__}
    for package in ("torch", "numpy", "scipy", "POT", "scikit-learn", "matplotlib"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"versions": versions, "device": device_name(), "data": data.hashes()}
