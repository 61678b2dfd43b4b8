"""The state of a long solve: enough to watch it, stop it and go on.

A solver is a generator of states. A state holds the current heights, the random generator's position and the
few numbers and tensors that the method carries along; a solve that starts from a saved state gives bit for bit
what the uninterrupted one gives. The last state holds the Fit. Chapter 7 teaches this module.
"""

import json
import math
from dataclasses import asdict, dataclass, field, replace

import torch

from ..archive import read_own, write
from ..errors import expect
from ..estimate import Estimate
from .fit import Check, Fit, MassError

KEY = "otprior_state"


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
        kept = ("method", "step", "samples", "seconds", "numbers")
        about = {key: getattr(self, key) for key in kept} | {"history": [asdict(check) for check in self.history]}
        write({k: v.clone() for k, v in tensors.items()}, path, {KEY: json.dumps({"settings": settings or {}, "about": about})})

    @classmethod
    def load(cls, path, settings: dict | None = None) -> "State":
        """Read what `save` wrote; tensors arrive on the CPU. ValueError for another file, or other settings, if given."""
        tensors, words = read_own(path, KEY, "State.save")
        about, began = words["about"], words["settings"]
        differ = [] if settings is None else sorted(k for k in began.keys() | settings.keys() if began.get(k) != settings.get(k))
        shown = lambda run: {key: run.get(key) for key in differ}
        expect(not differ, str(path), f"the state of a solve with {shown(settings)}", shown(began))
        history = tuple(_check(entry) for entry in about.pop("history"))
        carried = {key[7:]: value for key, value in tensors.items() if key.startswith("tensor.")}
        return cls(heights=tensors["heights"], position=tensors["position"], tensors=carried, history=history, **about)


def _check(entry: dict) -> Check:
    error = entry["error"]
    l1, chi2 = Estimate(**error.pop("l1")), Estimate(**error.pop("chi2"))
    interval = tuple(error.pop("interval"))
    return Check(entry["step"], entry["samples"], MassError(l1, chi2, interval, **error))
