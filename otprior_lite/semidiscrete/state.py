"""The state of a long solve: enough to watch it, stop it and go on.

A solver is a generator of states. A state holds the current heights, the random generator's position and the
few numbers and tensors that the method carries along; a solve that starts from a saved state gives bit for bit
what the uninterrupted one gives. The last state holds the Fit. Chapter 7 teaches this module.
"""

import json
from dataclasses import asdict, dataclass, field, replace

import torch

from ..errors import expect
from ..estimate import Estimate
from .fit import Check, Fit, MassError


@dataclass(frozen=True, eq=False)
class State:
    """A moment of a solve. heights (N,) float64: the current answer. step, samples: so far.

    tensors, numbers: what the method carries; position: the generator's state after this moment.
    history: the checks so far; fit: the result, in the last state only.
    """

    method: str
    heights: torch.Tensor
    position: torch.Tensor
    step: int = 0
    samples: int = 0
    tensors: dict = field(default_factory=dict)
    numbers: dict = field(default_factory=dict)
    history: tuple[Check, ...] = ()
    fit: Fit | None = None

    def evolve(self, **changes) -> "State":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def save(self, path) -> None:
        """Write to a safetensors file (no pickle), without `fit`."""
        from safetensors.torch import save_file

        tensors = {f"tensor.{k}": v for k, v in self.tensors.items()}
        tensors |= {"heights": self.heights, "position": self.position}
        about = {"method": self.method, "step": self.step, "samples": self.samples, "numbers": self.numbers}
        about["history"] = [asdict(check) for check in self.history]
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, str(path), {"otprior_state": json.dumps(about)})

    @classmethod
    def load(cls, path) -> "State":
        """Read what `save` wrote; tensors arrive on the CPU. ValueError for another file."""
        from safetensors import safe_open

        with safe_open(str(path), "pt") as file:
            about = (file.metadata() or {}).get("otprior_state")
            expect(about is not None, "path", "a file written by State.save", str(path))
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        about = json.loads(about)
        history = tuple(_check(entry) for entry in about.pop("history"))
        carried = {key[7:]: value for key, value in tensors.items() if key.startswith("tensor.")}
        return cls(heights=tensors["heights"], position=tensors["position"], tensors=carried, history=history, **about)


def _check(entry: dict) -> Check:
    error = entry["error"]
    l1, chi2 = Estimate(**error.pop("l1")), Estimate(**error.pop("chi2"))
    interval = tuple(error.pop("interval"))
    return Check(entry["step"], entry["samples"], MassError(l1, chi2, interval, **error))
