"""The gap at late times: one cumulant of the data times a power of alpha.

In cumulants, log(p_t / N(0, I)) = sum_k alpha^k kappa_k : He_k / k! + products, and the linearised W2 is the weighted
H^{-1} norm of that sum:

    W2^2 ~ the first non-zero of   alpha^2 |m|^2,   alpha^4 |Sigma - I|^2 / 4,   alpha^6 |kappa_3|^2 / 18,   alpha^8 |kappa_4|^2 / 96.

With alpha = e^{-T} the slopes are -1 (mean), -2 (covariance), -3 (skewness), -4. A prior with p_T's mean and
covariance leaves only the last two. Derived for this book and tested here, not taken from a paper. Chapters 3 and 5.
"""

import math
from dataclasses import dataclass

import torch

from ..errors import expect, known
from ..schedules import Schedule
from .cumulants import cumulant
from .moments import second_moment


@dataclass(frozen=True)
class HermiteAsymptotics:
    """The terms alpha^k |kappa_k| / sqrt(k k!) for k = 1..4 (kappa_2 replaced by Sigma - I), and the leading one.

    order: the first k whose term is not zero; None when all four vanish. Terms that the prior removes are zero.
    value: the leading term, to which W2 tends as alpha -> 0 (relative error O(alpha)); 0 when order is None.
    slope: -order, the slope of log W2 against the OU time -log alpha.
    ou_time: -log alpha.
    """

    order: int | None
    value: float
    terms: tuple[float, float, float, float]
    ou_time: float

    @property
    def slope(self) -> int | None:
        """Slope of log W2 against OU time."""
        return None if self.order is None else -self.order

    @property
    def dominant(self) -> int | None:
        """The order of the largest term at this time; while it is not `order`, the asymptotic regime is not reached."""
        return None if self.order is None else 1 + max(range(4), key=self.terms.__getitem__)


def hermite_asymptotics(target, schedule: Schedule, t=None, *, prior: str = "standard") -> HermiteAsymptotics:
    """Leading term of W2(p_t, prior) as alpha -> 0 under a variance-preserving schedule (alpha^2 + sigma^2 = 1).

    prior: "standard" is N(0, I); "moment_matched" is N(m_t, Sigma_t). t defaults to T. A cumulant counts as zero when it
    is below 1e-12 of its natural size (E|x_0|^2 + d)^{k/2}. Other schedules, and dimensions above 32, raise ValueError.
    """
    known(prior, ("standard", "moment_matched"), "prior")
    t = schedule.T if t is None else float(t)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    expect(
        abs(alpha**2 + sigma**2 - 1) < 1e-9,
        "schedule",
        "alpha^2 + sigma^2 = 1 (variance preserving)",
        f"{schedule.name} at t = {t:g}",
    )
    size = math.sqrt(second_moment(target) + target.d)
    terms = []
    for k in (1, 2, 3, 4):
        tensor = cumulant(target, k)
        if k == 2:
            tensor = tensor - torch.eye(target.d, dtype=tensor.dtype, device=tensor.device)
        norm = 0.0 if prior == "moment_matched" and k < 3 else float(tensor.norm())
        terms.append(alpha**k * norm / math.sqrt(k * math.factorial(k)) if norm > 1e-12 * size**k else 0.0)
    order = next((k for k, term in enumerate(terms, 1) if term > 0), None)
    value = 0.0 if order is None else terms[order - 1]
    return HermiteAsymptotics(order, value, tuple(terms), -math.log(alpha) if alpha > 0 else math.inf)
