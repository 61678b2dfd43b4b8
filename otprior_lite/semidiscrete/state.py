"""The state of a long solve: enough to watch it, stop it and go on.

A solver is a generator of states. A state holds the current heights, the random generator's position and the
few numbers and tensors that the method carries along; a solve that starts from a saved state gives bit for bit
what the uninterrupted one gives. The last state holds the Fit. Chapter 7 teaches this module.
"""

import json
import math
from dataclasses import asdict, dataclass, field, replace

import torch

from ..archive import read_own, same_fields, same_names, same_settings, write
from ..estimate import Estimate
from .fit import Check, Fit, MassError

KEY = "otprior_state"
_KEPT = ("method", "step", "samples", "seconds", "numbers")


@dataclass(frozen=True, eq=False)
class State:
    """A moment of a solve. heights (N,) float64: the current answer. step, samples, seconds: so far.

    tensors, numbers: what the method carries; position: the generator's state after this moment.
    history: the checks so far; fit: the result, in the last state only.
    """

    method: str
    heights: torch.Tensor
    position: torch.Tensor
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    tensors: dict = field(default_factory=dict)
    numbers: dict = field(default_factory=dict)
    history: tuple[Check, ...] = ()
    fit: Fit | None = None

    def evolve(self, **changes) -> "State":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    @property
    def share(self) -> float:
        """How much is done of the draws that the next check asks for, in [0, 1]; 0 where the method does not know."""
        numbers = self.numbers
        done, goal = numbers.get("prior", 0.0) + numbers.get("seen", 0.0), numbers.get("goal", math.inf)
        return 1.0 if self.fit else min(1.0, done / goal)

    def save(self, path, settings: dict | None = None) -> None:
        """Write to a safetensors file (no pickle), atomically, without `fit`. settings: what it is a state of, for `load`."""
        tensors = {f"tensor.{k}": v for k, v in self.tensors.items()}
        tensors |= {"heights": self.heights, "position": self.position}
        about = {key: getattr(self, key) for key in _KEPT} | {"history": [asdict(check) for check in self.history]}
        write({k: v.clone() for k, v in tensors.items()}, path, {KEY: json.dumps({"settings": settings or {}, "about": about})})

    @classmethod
    def load(cls, path, settings: dict | None = None) -> "State":
        """Read what `save` wrote; tensors arrive on the CPU. ValueError for another file, or other settings, if given."""
        tensors, words = read_own(path, KEY, "State.save")
        same_names(words, ("settings", "about"), path, "a state")
        if settings is not None:
            same_settings(words["settings"], settings, path, "the state of a solve")
        about, carried = words["about"], {key[7:]: tensors.pop(key) for key in list(tensors) if key.startswith("tensor.")}
        same_names(about, (*_KEPT, "history"), path, "a state")
        same_names(tensors, ("heights", "position"), path, "a state")
        history = tuple(_check(entry, path) for entry in about.pop("history"))
        return cls(tensors=carried, history=history, **tensors, **about)


def _check(entry, file) -> Check:
    error = same_fields(same_fields(entry, Check, file)["error"], MassError, file)
    parts = {key: Estimate(**same_fields(error[key], Estimate, file)) for key in ("l1", "chi2")}
    return Check(**entry | {"error": MassError(**error | parts | {"interval": tuple(error["interval"])})})
