"""A dataset: points with their labels, where they come from and what may be done with them."""

from dataclasses import dataclass, replace
from hashlib import sha256

import torch

from ..errors import expect
from ..randomness import permutation
from .pixels import resize


@dataclass(frozen=True, eq=False)
class Dataset:
    """x: (n, ...) float32. y: (n,) int64 labels or None. classes: their names.

    origin: (n,) int64 or None, who made each row, an index into `origins` (the three vendors of emoji32).
    """

    name: str
    x: torch.Tensor
    y: torch.Tensor | None
    classes: tuple[str, ...]
    source: str
    licence: str
    origin: torch.Tensor | None = None
    origins: tuple[str, ...] = ()

    @property
    def flat(self) -> torch.Tensor:
        """x as (n, d)."""
        return self.x.flatten(1)

    def rows(self, index: torch.Tensor) -> "Dataset":
        """The rows an index (k,) or a mask (n,) picks, such as `emoji.rows(emoji.y == 0)`."""
        pick = lambda column: None if column is None else column[index]
        return replace(self, x=self.x[index], y=pick(self.y), origin=pick(self.origin))

    def split(self, test: int, generator: torch.Generator) -> tuple["Dataset", "Dataset"]:
        """A random split into training data and `test` held-out rows."""
        expect(0 < test < len(self.x), "test", f"between 1 and {len(self.x) - 1} rows", test)
        order = permutation(len(self.x), generator, self.x.device)
        return self.rows(order[test:]), self.rows(order[:test])

    def distinct(self) -> "Dataset":
        """Without the rows that repeat an earlier one exactly; semi-discrete transport asks for distinct atoms.

        A row keeps the label of its first appearance.
        """
        points = (self.flat.cpu() + 0.0).numpy()  # + 0.0: -0.0 and 0.0 are one number
        first: dict[bytes, int] = {}
        for row, point in enumerate(points):
            first.setdefault(sha256(point).digest(), row)
        return self.rows(torch.tensor(list(first.values()), device=self.x.device))

    def resized(self, size: int) -> "Dataset":
        """The pictures as size x size squares: cut to the largest centred square, scaled, still in [-1, 1]."""
        return replace(self, x=resize(self.x, size))
