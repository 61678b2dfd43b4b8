"""Times to a target, read from the results, and the goals that were set before the run.

A time is the median over seeds of the first crossing of the target. A run that never gets there is censored at its
length, printed with '>'; one that is there at its first point is printed with '<'. A ratio to such a time is a bound;
a goal that the bound does not decide is 'open', never 'met'.
"""

from dataclasses import dataclass

from judge import crossing
from plan import PEERS

from otprior_lite.semidiscrete.plan import iid_floor


@dataclass(frozen=True)
class Time:
    """value: seconds or draws; bound: ">" if the target was not reached by then, "<" if it was before, else ""."""

    value: float
    bound: str = ""

    def __str__(self) -> str:
        return self.bound + (f"{self.value:.0f}" if self.value >= 100 else f"{self.value:.3g}")


@dataclass(frozen=True)
class Verdict:
    goal: str
    measured: str
    verdict: str


def runs(content: dict, cloud, solver: str) -> list[list[dict]]:
    """The cells of a solver on a cloud, one list for each seed: what is judged and was not used for tuning."""
    by_seed: dict = {}
    for key, cell in content["cells"].items():
        name, *rest = key.split("/")
        if name == cloud.name and "l1" in cell and (rest[0] == solver or rest[:2] == ["ours", "run"] and solver == "ours"):
            if rest[0] != "ours" or rest[1] == "run":
                by_seed.setdefault(rest[-1], []).append(cell)
    return [by_seed[seed] for seed in sorted(by_seed) if int(seed) < 1000]


def reach(content, cloud, solver: str, target: float, what: str = "seconds") -> Time | None:
    """Median over seeds of the seconds (or draws) to an L1 error of `target`; None if nothing was run."""
    found = []
    for cells in runs(content, cloud, solver):
        curve = sorted((x, e) for cell in cells for x, e in zip(cell[what], cell["l1"], strict=True))
        found.append(crossing(*zip(*curve, strict=True), target))
    return _middle(found) if found else None


def certified(content, cloud, target: float) -> Time | None:
    """Median seconds of the whole call of solve at this tolerance."""
    start = f"{cloud.name}/ours/certified {target:g}/"
    cells = [cell for key, cell in content["cells"].items() if key.startswith(start)]
    return _middle([(cell["seconds"][-1], "" if cell["converged"] else ">") for cell in cells]) if cells else None


def _middle(found) -> Time:
    """The median in the order of what is known: '<' before the plain ones, '>' after them."""
    order = sorted(found, key=lambda item: ("< >".index(item[1] or " "), item[0]))
    return Time(*order[len(order) // 2])


def _ratio(name, mine, other, most) -> Verdict:
    if mine is None or other is None:
        return Verdict(name, "not measured here", "not measured")
    ratio = mine.value / other.value
    low, high = mine.bound != ">" and other.bound != "<", mine.bound != "<" and other.bound != ">"
    sign = "" if low and high else "at most " if low else "at least " if high else "about "
    verdict = "met" if ratio <= most and low else "not met" if ratio > most and high else "open"
    size = f"1/{1 / ratio:.1f}" if ratio < 1 else f"{ratio:.1f}"
    return Verdict(name, f"{mine} s / {other} s = {sign}{size}", verdict)


def _bound(name, measured, met: bool) -> Verdict:
    return Verdict(name, measured, "met" if met else "not met")


def verdicts(content: dict, plans) -> list[Verdict]:
    """Every goal of the project's plan that this script can decide."""
    by_kind = {}
    for plan in plans:
        by_kind.setdefault(plan.cloud.kind, []).append(plan.cloud)
    found = []
    for cloud in by_kind["digits"]:
        mine = reach(content, cloud, "ours", 0.05)
        for peer, most in (("ott", 10), ("ott_warm", 8), ("pot", 8), ("adam", 15)):
            name = f"{cloud.name}: to 5 %, at most 1/{most} of {PEERS[peer]}"
            found.append(_ratio(name, mine, reach(content, cloud, peer, 0.05), 1 / most))
        mine = reach(content, cloud, "ours", 0.02)
        rivals = [time for peer in PEERS if (time := reach(content, cloud, peer, 0.03))]
        first = min(rivals, key=lambda t: t.value, default=None)
        found.append(_ratio(f"{cloud.name}: ours at 2 % before any peer is at 3 %", mine, first, 1))
        draws = reach(content, cloud, "ours", 0.05, "samples")
        if draws:
            share = draws.value / iid_floor(cloud.atoms, 0.05)
            found.append(_bound(f"{cloud.name}: base draws at 5 %, at most S/2", f"{draws} = {share:.2f} S", share <= 0.5))
    for cloud in by_kind["images"]:
        for target, peer, most in ((0.1, "ott_warm", 8), (0.1, "ott", 12), (0.05, "ott", 6)):
            if not (cloud.noised and peer == "ott_warm"):
                name = f"{cloud.name}: to {100 * target:g} %, at most 1/{most} of {PEERS[peer]}"
                found.append(_ratio(name, reach(content, cloud, "ours", target), reach(content, cloud, peer, target), 1 / most))
    for cloud in by_kind["moons"][-1:]:
        whole = certified(content, cloud, 1e-8)
        if whole:
            fine = whole.value <= 0.25 and not whole.bound
            found.append(_bound(f"{cloud.name}: to 1e-8 in at most 0.25 s", f"{whole} s", fine))
        for peer in ("ott", "pot", "adam"):
            time = reach(content, cloud, peer, 0.15)
            if time:
                found.append(_bound(f"{cloud.name}: {PEERS[peer]} not at 15 % in 5 s", f"{time} s", time.bound == ">"))
    for key, cell in content["cells"].items():
        if key.endswith("/rates"):
            share = cell["product"] / cell["machine"]
            whole = 100 * cell["plain"] / cell["machine"]
            text = f"{cell['product']:.0f} / {cell['machine']:.0f} GFLOP/s = {100 * share:.0f} %"
            text += f"; with draws, argmax and counts {whole:.0f} %"
            found.append(_bound(f"{key[:-6]}: score product, at least 75 % of the machine's rate", text, share >= 0.75))
    return found
