"""The probability flow as a map: where it sends points, how it stretches them, and how far it is from optimal transport.

The flow of p_t is a composition of infinitesimally optimal steps. The composition is optimal only if its Jacobian is
symmetric everywhere (Brenier), which happens in one dimension, for Gaussians, and wherever the Hessians commute:

    x' = v(x, t),    J' = Dv(x, t) J,    antisymmetry (J - J')/2 = (e^{-5T}/60) [Sigma - I, kappa_3.x] + ...

Chapter 9 teaches this package.
"""

from .energy import Energy, MidpointDeviation, benamou_brenier_energy, midpoint_deviation, monge_ampere_residual
from .maps import Antisymmetry, FlowStep, antisymmetry, flow_jacobian, flow_map
from .rate import RateLaw, rate_law

__all__ = [
    "flow_map", "FlowStep", "flow_jacobian", "Antisymmetry", "antisymmetry", "RateLaw", "rate_law",
    "Energy", "benamou_brenier_energy", "monge_ampere_residual", "MidpointDeviation", "midpoint_deviation",
]  # fmt: skip
