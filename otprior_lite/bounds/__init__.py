"""What the gap becomes at time 0.

An error at T reaches time 0 multiplied by at most Gamma, the exponential of the largest stretching on the way:

    W2(p_0, q_0) <= Gamma W2(p_T, q_T),    Gamma_ode = exp int (-f + (g^2/2) sup lambda_max(Hess log p_t)) dt.

`amplification` gives Gamma and says what is proved; `gaussian_error` and `carried_w2` give the error itself where it is
known exactly, `reverse_sde_law` the law that the SDE ends in; `carried_kl` checks that the flow keeps KL; `girsanov_budget`
and `gronwall_budget` add the score's error and the discretisation. Chapters 4 and 10 teach this package.
"""

from .amplification import Amplification, amplification
from .budget import ErrorBudget, girsanov_budget, gronwall_budget
from .carried import CarriedError, carried_kl, carried_w2
from .concavity import LogConcavityTime, WeakLogConcavity, log_concavity_time, weak_log_concavity
from .curvature import largest_curvature
from .forgetting import reverse_sde_law
from .gaussian import GaussianError, gaussian_error

__all__ = [
    "Amplification", "amplification", "WeakLogConcavity", "weak_log_concavity", "LogConcavityTime", "log_concavity_time",
    "largest_curvature", "GaussianError", "gaussian_error", "CarriedError", "carried_w2", "carried_kl", "reverse_sde_law",
    "ErrorBudget", "girsanov_budget", "gronwall_budget",
]  # fmt: skip
