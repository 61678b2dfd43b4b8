"""RESULTS.md from results.json: every number in it is read, none typed."""

from goals import certified, reach, runs, verdicts
from otprior_lite.semidiscrete.plan import iid_floor
from plan import GPU, PEERS

INTRODUCTION = """# Semi-discrete optimal transport from N(0, I): measured side by side

Written by `benchmarks/semidiscrete.py` from `results.json`; do not edit. Repeat it with `make bench`.

**How.** CPU seconds of one process pinned to one core, one thread for every library; compilation and first calls are
left out. Other jobs ran on the machine: CPU seconds do not count them, but they share its caches and memory. Error:
L1 = sum |mass - 1/N| on one fresh sample for all solvers, its noise removed in quadrature; exact in the plane. Median over seeds.
`>`: not reached by the end of the run; `<`: reached
before the first point that was looked at; a ratio to such a time is a bound, and a goal that it does not decide is open. Each peer runs with the best setting of its grid
(below), chosen on each cloud with another seed. OTT-JAX gets a cosine schedule that ends when its run ends. POT draws by numpy, in float32.
"AE-OT Adam" is our transcription of its loop. Ours ran with its defaults: nothing was tuned on these clouds in this run, but the
engine's constants were found on digits and on other made-up images.

"ours" is timed like the peers: when the judge finds its heights good. "ours, certified" is the whole call of
`solve(points, tolerance=...)`, which ends only when its own check on fresh samples passes; the peers promise no such thing.
"""


def write(content: dict, plans) -> str:
    """The whole report."""
    parts = [INTRODUCTION, _about(content), _goals(content, plans), *(_cloud(content, plan) for plan in plans)]
    return "\n".join([*parts, _rates(content), _gpu(content), _grids(content, plans)])


def _table(head, rows) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def _about(content) -> str:
    about = content["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    spent = f" The run used {content['cpu_seconds']} CPU s." if "cpu_seconds" in content else ""
    return f"**Where.** {about['processor']}, {about['cores']} cores, {about['date']}; {versions}.{spent}\n"


def _goals(content, plans) -> str:
    return "## Goals\n\n" + _table(("goal", "measured", ""), [(v.goal, v.measured, f"**{v.verdict}**") for v in verdicts(content, plans)])


def _label(target) -> str:
    return f"{100 * target:g} %" if target >= 0.001 else f"{target:g}"


def _cloud(content, plan) -> str:
    cloud = plan.cloud
    if cloud.kind == "moons":
        return _plane(content, plan)
    rows = [_row(content, plan, "ours", "**ours**")]
    whole = [str(certified(content, cloud, t) or "") for t in plan.targets]
    rows.append(["ours, certified", *whole, "", ""])
    rows += [_row(content, plan, peer, name) for peer, name in PEERS.items() if peer in plan.grids]
    head = ["CPU s to L1", *map(_label, plan.targets), "L1 at the end", "seeds"]
    draws = [(reach(content, cloud, s, t, "samples")) for s in ("ours",) for t in plan.targets]
    shares = [f"{d.value / iid_floor(cloud.atoms, t):.2f}" + (" (not reached)" if d.bound == ">" else "") for d, t in zip(draws, plan.targets, strict=True) if d]
    floor = f"Draws of ours over the floor of independent samples, S = 2N / (pi L1^2), at the same targets: {', '.join(shares)}.\n"
    return f"## {cloud.name}\n\n" + _table(head, rows) + "\n" + floor


def _row(content, plan, solver, name) -> list:
    times = [reach(content, plan.cloud, solver, target) for target in plan.targets]
    cells = [str(time) if time else "" for time in times]
    ends = [max(cell_list, key=lambda c: c["seconds"][-1]) for cell_list in runs(content, plan.cloud, solver)]
    last = sorted(cell["l1"][-1] for cell in ends)
    seconds = max((cell["seconds"][-1] for cell in ends), default=0)
    empty = max((cell["empty"][-1] for cell in ends), default=0)
    end = f"{last[len(last) // 2]:.3f} at {seconds:.1f} s" + (f", {empty} empty cells" if empty else "") if last else ""
    return [name, *cells, end, len(ends)]


def _plane(content, plan) -> str:
    cells = [c for key, c in content["cells"].items() if key.startswith(f"{plan.cloud.name}/ours/certified")]
    rows = []
    if cells:
        error = max(cell["l1"][-1] for cell in cells)
        rows.append(["**ours**, exact Newton", f"{error:.1e}", str(certified(content, plan.cloud, plan.targets[0])), 0, len(cells)])
    for peer, name in PEERS.items():
        if peer in plan.grids and (found := runs(content, plan.cloud, peer)):
            last = sorted(found, key=lambda run: run[-1]["l1"][-1])[len(found) // 2][-1]
            rows.append([name, f"{last['l1'][-1]:.3f}", f"{last['seconds'][-1]:.3g}", last["empty"][-1], len(found)])
    return f"## {plan.cloud.name}, in the plane\n\n" + _table(("", "L1 reached", "CPU s", "empty cells", "seeds"), rows)


def _rates(content) -> str:
    rows = [
        (key[:-6], *(f"{cell[k]:.0f}" for k in ("machine", "product", "plain", "recycled")), f"{100 * cell['product'] / cell['machine']:.0f} %", f"{100 * cell['plain'] / cell['machine']:.0f} %")
        for key, cell in content["cells"].items() if key.endswith("/rates")
    ]  # fmt: skip
    head = ("GFLOP/s, float32", "machine's best", "score product", "plain loop", "recycled loop", "product / best", "plain / best")
    note = "The plain loop draws, multiplies, adds heights, takes the argmax and counts. The recycled loop is credited with one product for each row it delivers.\n"
    return "## Rates of the score loop\n\n" + _table(head, rows) + "\n" + note


def _gpu(content) -> str:
    rows = []
    for cloud, tolerance in GPU:
        cell = content["cells"].get(f"gpu/{cloud.name}/{tolerance:g}")
        what = f"{cell['wall']:.2f} s wall on {cell['device']}, {cell['samples']} draws" if cell else "not measured here"
        rows.append((cloud.name, _label(tolerance), what))
    return "## On a GPU\n\n" + _table(("cloud", "L1", "ours, certified"), rows)


def _grids(content, plans) -> str:
    rows = []
    for plan in plans:
        for peer, grid in plan.grids.items():
            for setting in grid:
                cell = content["cells"].get(f"{plan.cloud.name}/{peer}/{setting['name']}/{plan.tuning:g}/1000")
                best = content.get("chosen", {}).get(plan.cloud.name, {}).get(peer) == setting["name"]
                if cell and "l1" in cell:
                    rows.append((plan.cloud.name, PEERS[peer], setting["name"], f"{cell['l1'][-1]:.3f}", "chosen" if best else ""))
    head = ("cloud", "peer", "setting", "L1 after the tuning time", "")
    text = "A rate of 1 would correct a wrong cell in one step (Adam: by the mean-field slope per cell of mass 1/N); see `peers.py`.\n\n"
    return "## The peers' grids\n\n" + text + _table(head, rows)
