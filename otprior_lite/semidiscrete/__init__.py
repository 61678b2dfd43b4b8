"""Semi-discrete optimal transport from N(0, I) to weighted points. Chapter 7 teaches this package."""

from .brenier import BrenierMap
from .evaluate import verify
from .fit import Check, Fit, MassError
from .keeping import watched
from .solve import solve, solve_steps
from .state import State

__all__ = ["BrenierMap", "Check", "Fit", "MassError", "State", "solve", "solve_steps", "verify", "watched"]
