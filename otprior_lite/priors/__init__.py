"""Priors: every way to start the reverse process at time t, behind one interface.

A prior has a `name`, a `cost`, and `sample(n, generator)` that returns (n, *shape). `Standard` is common
practice. `MomentMatched` is the free fix. `SemiDiscrete` is the paper's: an optimal map from N(0, I) to noised
training points; `Smoothed`, `Extended`, `FreshNoise` and `Patched` are ways out of returning those points. `Mixture`, `Learned`
and `Langevin` are rivals. `DataInitialised` is the control every comparison needs: noise a training point. `Oracle`
samples p_t itself, so it is the floor. A `Potential` is a solved map without its atoms. Chapters 5 and 8 teach this package.

Not here: zero terminal SNR and a longer T are choices of the schedule (`schedules.zero_terminal_snr`), not of the start.
"""

from .extended import Extended
from .gaussian import MomentMatched, Offset, Standard
from .langevin import Langevin
from .learned import Learned, learn
from .mixture import Mixture, Oracle
from .patches import Patched
from .potential import Potential, potential_steps
from .prior import Cost, Prior
from .resampled import DataInitialised
from .semidiscrete import FreshNoise, SemiDiscrete
from .smoothed import Smoothed
from .storage import load

__all__ = [
    "Prior", "Cost", "load", "Standard", "Offset", "MomentMatched", "SemiDiscrete", "Smoothed", "Extended", "FreshNoise",
    "Patched", "DataInitialised", "Mixture", "Learned", "learn", "Langevin", "Oracle",
    "Potential", "potential_steps",
]  # fmt: skip
