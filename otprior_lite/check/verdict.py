"""The answer to an answer: right or wrong, and a hint that names the likely slip."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Verdict:
    """ok: whether the answer is right. message: why, or a hint. True in a condition when ok."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"{'✓' if self.ok else '✗'} {self.message}"


def compare(answer, right: float, slips: dict[str, float], rtol: float = 1e-3, praise: str = "Right.") -> Verdict:
    """Compare a number with the right one, and with the values that known slips lead to.

    slips: hint -> the wrong value it explains. Anything else gets a sense of direction and size.
    """
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return Verdict(False, f"Expected one number, got {type(answer).__name__}.")
    if value != value:
        return Verdict(False, "That is not a number (NaN): look for 0/0 or the logarithm of a negative number.")
    near = lambda other: abs(value - other) <= rtol * max(abs(other), 1e-300)
    if near(right):
        return Verdict(True, praise)
    for hint, wrong in slips.items():
        if near(wrong):
            return Verdict(False, hint)
    return Verdict(False, f"Not yet: your value is too {'large' if value > right else 'small'}.")


def returned(function, arguments: tuple, shape) -> torch.Tensor | Verdict:
    """What the reader's function returns, as a float64 tensor of the wanted shape; or the verdict that says why not."""
    if not callable(function):
        return Verdict(False, f"Expected a function, got {type(function).__name__}.")
    try:
        value = torch.as_tensor(function(*arguments), dtype=torch.float64)
    except Exception as error:  # the reader's code may fail in any way
        return Verdict(False, f"Your function raised {type(error).__name__}: {error}")
    if value.shape != shape:
        return Verdict(False, f"Expected shape {tuple(shape)}, got {tuple(value.shape)}.")
    return value
