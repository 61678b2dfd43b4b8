"""otprior_lite: the prior gap of diffusion models, exactly and honestly.

A diffusion model is trained down to the forward terminal law p_T, but sampling starts from N(0, I).
This package computes what that mismatch is (`gap`), what it becomes at time 0 (`bounds`), and every
way to start elsewhere (`priors`). Modules form a line, and data flows one way along it:

    targets -> schedules -> forward -> gap -> flow -> bounds -> transport -> semidiscrete
            -> priors -> score -> train -> samplers -> theorems -> metrics -> features -> experiments -> figures

Importing the package is fast: torch loads when the first module is used. The book teaches each module.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = (
    "targets", "schedules", "forward", "gap", "flow", "bounds", "transport", "semidiscrete", "priors", "score", "train",
    "samplers", "theorems", "metrics", "features", "data", "experiments", "figures", "check", "cli",
)  # fmt: skip

__all__ = ["about", "__version__", *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "about":
        return import_module(f"{__name__}.provenance").about
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
