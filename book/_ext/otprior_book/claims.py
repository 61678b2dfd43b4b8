"""The page on the paper's claims: one table of verdicts, and a section for each claim, from `experiments.claims`.

A claim's findings are measured when the page is built; one that does not pass fails the build. Chapters are links
once the table of contents has them.
"""

import re
from functools import cache

import yaml

from . import ROOT
from .display import prose, table

TONE = {
    "holds": "green",
    "holds for the finite target": "blue",
    "holds to first order": "blue",
    "needs an assumption": "orange",
    "false as stated": "vermillion",
    "not tested": "muted",
}
"""The frame of each verdict's badge; the words say it all, the colour helps to find them."""


@cache
def measured(claim):
    """The findings of a claim, measured once for each page."""
    return claim.findings()


def summary(claims, name=""):
    """The table of all claims: a link to the section, the verdict, how many numbers stand behind it."""
    rows = [[f"{{ref}}`{claim.title} <claim-{claim.key}>`", claim.verdict, len(measured(claim)) or None] for claim in claims]
    caption = "Every claim, our verdict, and how many measured numbers stand behind it."
    return table(rows, ["Claim", "Verdict", "Numbers"], caption=caption, name=name)


def section(claim, root=ROOT):
    """Show one claim: verdict, what is claimed, shown and open, where the book teaches it, and its numbers."""
    from IPython.display import display

    found = measured(claim)
    where = ", ".join(chapter(n, root) for n in claim.chapters)
    parts = [
        f"[{claim.verdict}]{{.otp-badge .otp-{TONE[claim.verdict]}}}",
        f"**Claimed.** {claim.statement} *({claim.source})*",
        f"**Shown.** {claim.shown or 'Nothing: there is no check.'}",
        f"**Open.** {claim.open}",
        f"**In the book**: {where}.",
    ]
    display(prose("\n\n".join(parts)))
    if found:
        display(table([[f.quantity, number(f.value), must_be(f)] for f in found], ["Measured", "Value", "Must be"]))


def must_be(finding):
    """What the value of a finding is held against, in words."""
    relation, reference, room = finding.relation, number(finding.reference), number(finding.room)
    if relation == "equal to":
        return f"{relation} {reference} ± {room} ({finding.against})"
    joined = " by" if relation in ("less than", "more than") else ", room"
    return f"{relation} {reference} ({finding.against}){f'{joined} {room}' if finding.room else ''}"


def number(value):
    """A number as people write it: 0.0123, or 4.2 · 10⁻⁵ when it is small or large."""
    value = float(value)
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    factor = "" if mantissa == "1.0" else f"{mantissa.replace('-', '−')}\u00a0·\u00a0"
    return f"{factor}10{raised}"


def chapter(n, root=ROOT):
    """`chapter N` as MyST: a link if the book's table of contents has it."""
    toc = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    found = [file for file in files if re.match(rf"chapters/{n:02d}_", file)]
    return f"{{doc}}`chapter {n} <{found[0]}>`" if found else f"chapter {n}"
