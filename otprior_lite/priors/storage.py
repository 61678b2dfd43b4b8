"""Priors on disk and on other devices: one file of tensors, one line of JSON, nothing executed.

A prior is a frozen dataclass made of tensors, numbers and other dataclasses (maps, mixtures, priors). Both jobs walk
down that tree: to save, tensors go into a safetensors file and the rest into its metadata; to move, tensors move. A
schedule is a pair of functions, which no file should hold, so a saved prior keeps alpha and sigma at its own time only.
A denoiser is not saved either: `load` asks for it. Chapter 5 teaches this module.
"""

import copy
import json
from dataclasses import dataclass, fields, is_dataclass

import torch

from ..archive import read_own, same_fields, write
from ..errors import expect
from ..estimate import Estimate
from ..schedules import Schedule
from ..semidiscrete import BrenierMap, MassError
from ..semidiscrete.extension import ExtendedMap
from ..semidiscrete.projected import ProjectedMap
from ..semidiscrete.smooth import SmoothMap
from ..targets import Empirical, GaussianMixture
from .flow import Flow
from .prior import Prior

KEY = "otprior_prior"


@dataclass(frozen=True)
class Instant:
    """A schedule of which one time is known: alpha and sigma at t, and the standard deviation of its usual prior."""

    name: str
    t: float
    prior_std: float
    at: tuple[float, float]

    @classmethod
    def of(cls, schedule: Schedule, t) -> "Instant":
        """What `schedule` is at t."""
        return cls(schedule.name, float(t), schedule.prior_std, (float(schedule.alpha(t)), float(schedule.sigma(t))))

    def alpha(self, t) -> torch.Tensor:
        """Signal coefficient; ValueError at another time than the one that was kept."""
        return self._known(t)[0]

    def sigma(self, t) -> torch.Tensor:
        """Noise standard deviation; ValueError at another time than the one that was kept."""
        return self._known(t)[1]

    def _known(self, t) -> torch.Tensor:
        expect(float(t) == self.t, "t", f"the time {self.t:g} that the file kept", float(t))
        return torch.tensor(self.at, dtype=torch.float64)


def _classes() -> dict[str, type]:
    from .patches import PatchedMap
    from .potential import Potential

    kept = (*Prior.__subclasses__(), *(c for base in Prior.__subclasses__() for c in base.__subclasses__()), Potential)
    maps = (BrenierMap, SmoothMap, ExtendedMap, ProjectedMap, PatchedMap)
    parts = (*maps, GaussianMixture, Empirical, Instant, MassError, Estimate)
    return {kind.__name__: kind for kind in (*kept, *parts) if is_dataclass(kind)}


def save(prior, path) -> None:
    """Write a prior, or a potential, to a safetensors file."""
    tensors = {}
    tree = _pack(prior, "", tensors)
    write(tensors, path, {KEY: json.dumps(tree, allow_nan=False)})


def load(path, *, device="cpu", denoiser=None):
    """The prior that `Prior.save` wrote, with bit for bit the same samples; or the `Potential` of `Potential.save`.

    denoiser: the callable (x, t) of a `Langevin` prior, which the file does not hold.
    Raises ValueError for another file, or if `denoiser` is missing.
    """
    tensors, tree = read_own(path, KEY, "Prior.save")
    return move(_unpack(tree, tensors, denoiser, path), torch.device(device))


def _pack(value, path: str, tensors: dict, t: float | None = None):
    """`value` as JSON; its tensors go into `tensors` under their path in the tree."""
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": path}
    if isinstance(value, Schedule):
        value = Instant.of(value, value.T if t is None else t)
    if is_dataclass(value) and type(value).__name__ in _classes():
        t = getattr(value, "t", None)
        parts = {f.name: _pack(getattr(value, f.name), f"{path}.{f.name}".lstrip("."), tensors, t) for f in fields(value)}
        return {"class": type(value).__name__, "fields": parts}
    if isinstance(value, Flow):
        state = {key: _pack(entry, f"{path}.{key}", tensors) for key, entry in value.state_dict().items()}
        return {"flow": value.design, "state": state}
    if isinstance(value, (torch.dtype, torch.device)):
        return {type(value).__name__: str(value).removeprefix("torch.")}
    if isinstance(value, tuple):
        return [_pack(entry, f"{path}.{k}", tensors) for k, entry in enumerate(value)]
    return {"given": path} if callable(value) else value


def _unpack(tree, tensors: dict, denoiser, file):
    unpack = lambda entry: _unpack(entry, tensors, denoiser, file)
    if isinstance(tree, list):
        return tuple(map(unpack, tree))
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        expect(tree["tensor"] in tensors, str(file), f"a tensor {tree['tensor']}", f"only {', '.join(sorted(tensors))}")
        return tensors[tree["tensor"]]
    if "class" in tree:
        kinds = _classes()
        expect(tree["class"] in kinds, str(file), f"a prior made of {', '.join(sorted(kinds))}", tree["class"])
        kind = kinds[tree["class"]]
        return _rebuild(kind, {key: unpack(value) for key, value in same_fields(tree.get("fields"), kind, file).items()})
    if "flow" in tree:
        return Flow.restore(tree["flow"], {key: unpack(value) for key, value in tree["state"].items()})
    if "given" in tree:
        expect(denoiser is not None, "denoiser", "the denoiser of this Langevin prior, load(path, denoiser=...)", "None")
        return denoiser
    (kind, name), = tree.items()  # fmt: skip
    return getattr(torch, name) if kind == "dtype" else torch.device(name)


def _rebuild(kind: type, values: dict):
    """An instance with these fields, derived ones included: nothing is computed again, so nothing can differ."""
    instance = object.__new__(kind)
    for key, value in values.items():
        object.__setattr__(instance, key, value)
    return instance


def move(value, device: torch.device):
    """`value` with all its tensors on `device`; what holds none is returned as it is."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, torch.device):
        return device
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).to(device)
    if isinstance(value, tuple):
        return tuple(move(entry, device) for entry in value)
    if is_dataclass(value) and not isinstance(value, (Schedule, type)):
        return _rebuild(type(value), {f.name: move(getattr(value, f.name), device) for f in fields(value)})
    return value
