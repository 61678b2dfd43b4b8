"""The prior gap: how far p_T is from the Gaussian that sampling starts from.

W2(p_T, N(0, s^2 I))^2 splits into the shift of the mean |m_T|^2, the Bures distance of the covariances, and
what remains, the shape (`prior_gap`). Bounds need only moments or the KL divergence; one dimension is exact; for
late times the gap is one cumulant of the data times a power of alpha (`hermite_asymptotics`):

    W2^2 >= |m_T|^2 + sum_i (sqrt(lambda_i(Sigma_T)) - s)^2,    W2 ~ alpha^k |kappa_k| / sqrt(k k!).

SNR alone is not the gap. Chapter 3 teaches this package, chapter 5 the moment-matched prior.
"""

from .asymptotics import HermiteAsymptotics, hermite_asymptotics
from .cumulants import cumulant
from .divergence import kl, total_variation
from .inequalities import contraction_bound, gelbrich, kl_bound, pinsker, synchronous_bound, talagrand
from .line import moment_matched_gap
from .split import Gap, RelativeGap, prior_gap, relative_gap

__all__ = [
    "Gap", "prior_gap", "RelativeGap", "relative_gap", "moment_matched_gap", "gelbrich", "synchronous_bound", "kl_bound",
    "talagrand", "pinsker", "contraction_bound", "kl", "total_variation", "HermiteAsymptotics", "hermite_asymptotics", "cumulant",
]  # fmt: skip
