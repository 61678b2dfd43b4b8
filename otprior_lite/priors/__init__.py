"""Priors: every way to start the reverse process at time t, behind one interface.

A prior has a `name`, a `cost`, and `sample(n, generator)` that returns (n, *shape). `Standard` is common
practice. `MomentMatched` is the free fix. `SemiDiscrete` is the paper's: an optimal map from N(0, I) to noised
training points. `DataInitialised` is the control every comparison needs: noise a training point. `Oracle`
samples p_t itself, so it is the floor. Chapters 5 and 8 teach this package.
"""

from .gaussian import MomentMatched, Standard
from .mixture import Oracle
from .prior import Cost
from .resampled import DataInitialised
from .semidiscrete import SemiDiscrete

__all__ = ["Cost", "Standard", "MomentMatched", "SemiDiscrete", "DataInitialised", "Oracle"]
