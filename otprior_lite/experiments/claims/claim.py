"""One claim of the paper: what is said and where, our verdict in words, and the check behind it.

A verdict other than "not tested" needs a check, and the check must be able to fail: it returns findings, each a
measured value against a reference, with the room that rounding or sampling leaves.

    passed  <=>  value `relation` reference, up to (at most, at least, equal to) or beyond (less than, more than) the room.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import expect, known

VERDICTS = (
    "holds",
    "holds for the finite target",
    "holds to first order",
    "needs an assumption",
    "false as stated",
    "not tested",
)
"""The only verdicts there are."""

RELATIONS: dict[str, Callable[[float, float, float], bool]] = {
    "at most": lambda value, reference, room: value <= reference + room,
    "at least": lambda value, reference, room: value >= reference - room,
    "equal to": lambda value, reference, room: abs(value - reference) <= room,
    "less than": lambda value, reference, room: value < reference - room,
    "more than": lambda value, reference, room: value > reference + room,
}
"""How a value may have to stand to its reference. NaN passes none of them."""


@dataclass(frozen=True)
class Finding:
    """One measured number. quantity and against say in words (with $math$) what value and reference are.

    room: rounding, quadrature or sampling error; for "less than" and "more than" the value must clear it.
    """

    quantity: str
    value: float
    relation: str
    reference: float
    against: str
    room: float = 0.0

    def __post_init__(self):
        known(self.relation, tuple(RELATIONS), "relation")
        expect(self.room >= 0, "room", "a number >= 0", self.room)

    @property
    def passed(self) -> bool:
        """Whether the value stands to the reference as it must."""
        return bool(RELATIONS[self.relation](self.value, self.reference, self.room))


@dataclass(frozen=True)
class Claim:
    """One sentence or theorem of the paper.

    key: its label on the page. title, statement: in our words. source: where the paper says it, and how we know.
    verdict: one of `VERDICTS`. shown, open: what our numbers show, and what they do not. chapters: where the book teaches it.
    check: returns the findings, deterministic; None only for "not tested", and then nothing may be called shown.
    """

    key: str
    title: str
    source: str
    statement: str
    verdict: str
    shown: str
    open: str
    chapters: tuple[int, ...]
    check: Callable[[], tuple[Finding, ...]] | None = None

    def __post_init__(self):
        known(self.verdict, VERDICTS, "verdict")
        tested = self.check is not None
        expect(tested or self.verdict == "not tested", "check", f"a function, for the verdict {self.verdict!r}", None)
        expect(tested or not self.shown, "shown", "no text without a check", repr(self.shown))
        expect(not tested or bool(self.shown), "shown", "what the check shows, in words", repr(self.shown))
        for name in ("key", "title", "source", "statement", "open"):
            expect(bool(getattr(self, name).strip()), name, "text", repr(getattr(self, name)))

    def findings(self) -> tuple[Finding, ...]:
        """What the check measures now; empty without a check. Raises RuntimeError when a finding does not pass."""
        found = self.check() if self.check else ()
        failed = [finding.quantity for finding in found if not finding.passed]
        if failed or (self.check and not found):
            why = "; ".join(failed) or "no finding"
            raise RuntimeError(f"claim {self.key!r}: the verdict {self.verdict!r} is not shown: {why}")
        return found
