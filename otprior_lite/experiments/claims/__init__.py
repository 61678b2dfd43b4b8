"""The claims of arXiv 2410.13431, one by one, each with the check that its verdict rests on.

The paper's text is known to us through its two abstracts and one secondary report of version 2 that did not see the
appendices. The page "Claims of the paper, one by one" shows this table; the tests run every check, and break it.
"""

from ...errors import known
from . import abstract, method, reported, theorems, thesis
from .claim import VERDICTS, Claim, Finding

CLAIMS: tuple[Claim, ...] = (*abstract.CLAIMS, *thesis.CLAIMS, *theorems.CLAIMS, *method.CLAIMS, *reported.CLAIMS)
"""Every claim, in the order of the page."""

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Finding", "find"]


def find(key: str) -> Claim:
    """The claim called `key`."""
    table = {claim.key: claim for claim in CLAIMS}
    return table[known(key, tuple(table), "key")]
