"""Distances between samples and the quality of samples, each with its noise floor.

Two samples of the same law are never at distance zero. The floor is what the estimator returns then, measured on
fresh splits of the same data. A value near its floor says nothing. In high dimension the floor of W2 swallows
everything; sliced W2, the energy distance and MMD still see, and the last two say how sure they are (a p-value).

`distances` compare geometry, `testing` decides whether two laws differ, `quality` counts what is covered, lost or
mixed, `memory` asks whether samples are copies. For pictures, `features.load` gives the features and
the classes. Chapters 3 and 11 teach this package.
"""

from .distances import frechet, sliced_w2, w2
from .memory import Memorisation, memorisation, nearest_distance
from .quality import PrecisionRecall, TailCoverage, mode_mixture, precision_recall, tail_coverage
from .testing import TwoSampleTest, energy, mmd

__all__ = [
    "w2", "sliced_w2", "frechet", "energy", "mmd", "TwoSampleTest", "tail_coverage", "TailCoverage", "precision_recall",
    "PrecisionRecall", "mode_mixture", "memorisation", "Memorisation", "nearest_distance",
]  # fmt: skip
