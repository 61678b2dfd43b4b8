"""A long solve: its state on disk every few seconds, and a bar to watch.

A state is written when the solve has one to give, so a step that takes a minute is a minute without. Saving changes nothing
of the solve, so when that is does not matter: killed at any moment and started again, it ends with the same bits on a CPU.
The file says what it is a state of, and a solve of something else does not go on from it. With several processes the first
one writes; all of them read. Chapter 7 teaches this package.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..archive import resuming
from ..atomic import clean, ready
from ..processes import place
from .state import State


def found(file, settings: dict) -> State | None:
    """The state that a solve with these settings left in `file`, if it is there; ValueError for one of other settings."""
    with resuming():
        return State.load(file, settings) if Path(file).exists() else None


def kept(states: Iterable[State], file, every: float, settings: dict, before: float = 0.0) -> Iterator[State]:
    """The same states with their seconds, `before` included.

    The first one that comes `every` seconds or more after `file` was last written, or the solve began, is written there; a
    kill loses what came since. The last one, which holds the fit, is not written: who keeps the fit removes the file.
    """
    start = saved = time.monotonic()
    writes = file is not None and place()[0] == 0
    if writes:
        clean(Path(file))
        ready(file)
    for state in states:
        now = time.monotonic()
        state = state.evolve(seconds=before + now - start)
        if writes and state.fit is None and now - saved >= every:
            state.save(file, settings)
            saved = time.monotonic()
        yield state


def watched(states: Iterable[State], **bar) -> State:
    """The last state, which holds the fit, of a solve shown as a progress bar; bar: options of tqdm, such as desc.

    The bar is the share of the draws that the next check asks for, with the error (95 % below it) of the last check.
    """
    from tqdm import tqdm

    form = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=1.0, bar_format=form, **bar) as shown:
        for state in states:
            error = f"{state.history[-1].error.interval[1]:.3f}" if state.history else "-"
            shown.set_postfix(draws=state.samples, error=error, refresh=False)
            shown.n = state.share
            shown.update(0)
    return state
