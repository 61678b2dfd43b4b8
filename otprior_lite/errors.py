"""What an argument must be, and what to say when it is not.

Every public function checks what it is given and never repairs it silently. A refusal is a `ValueError`
that names the argument, what was expected and what came. The helpers return the value as a tensor, so a
function's first lines read as its contract.
"""

from difflib import get_close_matches
from importlib import import_module

import torch


def expect(condition: bool, argument: str, expected: str, received: object) -> None:
    """Raise `ValueError("argument: expected ..., got ...")` unless `condition` holds."""
    if not condition:
        raise ValueError(f"{argument}: expected {expected}, got {received}")


def real_tensor(value, argument: str) -> torch.Tensor:
    """`value` as a finite floating tensor; Python and integer numbers become float64."""
    try:
        tensor = torch.as_tensor(value) if isinstance(value, torch.Tensor) else _from_array(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{argument}: expected numbers of one shape, got {value!r}") from error
    if not tensor.is_floating_point():
        expect(not tensor.is_complex(), argument, "real numbers", tensor.dtype)
        tensor = tensor.to(torch.float64)
    bad = int((~torch.isfinite(tensor)).sum())
    expect(bad == 0, argument, "finite numbers", f"{bad} NaN or infinite of {tensor.numel()}")
    return tensor


def _from_array(value) -> torch.Tensor:
    import numpy as np

    array = np.asarray(value)
    return torch.from_numpy(array.astype(np.float64) if array.dtype.kind in "iub" else array.copy())


def point_cloud(value, argument: str = "points", d: int | None = None) -> torch.Tensor:
    """`value` as a finite (n, d) tensor with n, d >= 1."""
    points = real_tensor(value, argument)
    wanted = f"shape (n, {'d' if d is None else d}) with n >= 1"
    fits = points.ndim == 2 and points.numel() > 0 and (d is None or points.shape[1] == d)
    expect(fits, argument, wanted, f"shape {tuple(points.shape)}")
    return points


def probability_vector(value, n: int, like: torch.Tensor, argument: str = "weights") -> torch.Tensor:
    """`value` as n non-negative weights that sum to 1; None means uniform."""
    if value is None:
        return torch.full((n,), 1.0 / n, dtype=like.dtype, device=like.device)
    weights = real_tensor(value, argument).to(like)
    expect(weights.shape == (n,), argument, f"shape ({n},)", f"shape {tuple(weights.shape)}")
    expect(bool((weights >= 0).all()), argument, "no negative entry", f"minimum {float(weights.min()):.6g}")
    total = float(weights.double().sum())
    expect(abs(total - 1) < 1e-5, argument, "entries that sum to 1", f"sum {total:.8g} (off by {total - 1:+.3g})")
    return weights


def count(n, argument: str = "n", at_least: int = 1) -> int:
    """`n` as an integer of at least `at_least`."""
    whole = isinstance(n, int) and not isinstance(n, bool)
    expect(whole and n >= at_least, argument, f"an integer >= {at_least}", repr(n))
    return n


def within(value, low: float, high: float, argument: str, open_low: bool = False) -> None:
    """Raise unless every entry of `value` lies in [low, high] (or in (low, high])."""
    tensor = torch.as_tensor(value, dtype=torch.float64)
    inside = ((tensor > low) if open_low else (tensor >= low)) & (tensor <= high)
    bracket, outside = "(" if open_low else "[", tensor[~inside]
    received = value if tensor.numel() == 1 else f"{outside.numel()} of {tensor.numel()} outside, e.g. {outside[:1].tolist()}"
    expect(bool(inside.all()), argument, f"values in {bracket}{low:g}, {high:g}]", received)


def torch_device(name, argument: str = "device") -> torch.device:
    """The torch device called `name`; "auto" is the GPU when there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{argument}: expected a device of torch or 'auto', got {name!r}") from error
    here = chosen.type != "cuda" or torch.cuda.is_available()
    expect(here, argument, "a device of this machine", name)
    return chosen


def known(name: str, names, argument: str) -> str:
    """`name` if it is one of `names`; otherwise an error that suggests the nearest."""
    if name in names:
        return name
    close = get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{argument}: expected one of {', '.join(names)}, got {name!r}{hint}")


def optional(module: str, extra: str):
    """Import an optional package, or say which extra installs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise ModuleNotFoundError(
            f'this needs the package {module.split(".")[0]!r}: pip install "otprior-lite[{extra}]"', name=error.name
        ) from error
