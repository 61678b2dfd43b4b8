"""Semi-discrete optimal transport from N(0, I) to weighted points. Chapter 7 teaches this package."""

from .brenier import BrenierMap
from .fit import Check, Fit, MassError
from .solve import solve, solve_steps
from .state import State

__all__ = ["BrenierMap", "Check", "Fit", "MassError", "State", "solve", "solve_steps"]
