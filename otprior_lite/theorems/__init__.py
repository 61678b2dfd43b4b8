"""The paper's theorems on examples: both sides evaluated, the slack, and the state of every assumption.

The statements are those of arXiv 2410.13431v2 as one secondary report gives them; neither the proofs nor the definitions of
the constants were seen. Each function says how it reconstructs them. A passed inequality is an example, not a proof:

    left <= right,    slack = right - left,    every assumption marked checked, proved, given, assumed or unknown.

Chapters 4, 9 and 10 and the page on the paper's claims use this package.
"""

from .inequality import Inequality
from .maps import lemma_3_5, theorem_3_4, theorem_3_11
from .propagation import theorem_3_2, theorem_3_6

__all__ = ["Inequality", "theorem_3_2", "theorem_3_4", "lemma_3_5", "theorem_3_6", "theorem_3_11"]
