"""Our semi-discrete solver beside OTT-JAX, POT and AE-OT's Adam, in one run: `make bench`.

For each cloud the peers are tuned over GRIDS with a seed of their own, then every solver runs with each seed, one
after the other, and one fresh sample judges all answers. Each finished cell is written to results.json at once; a
killed run goes on where it stopped. RESULTS.md is made from results.json and nothing else.

    python benchmarks/semidiscrete.py [--quick] [--minutes M] [--report]
"""

import argparse
import json
import sys
import time
from pathlib import Path

import clock

core = clock.pin()

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

import judge  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
from plan import GPU, PLANS, TUNING_SEED, quick  # noqa: E402

HERE = Path(__file__).resolve().parent


class Results:
    """Cells by key, kept in a JSON file; the heights of cells not yet judged lie in a folder beside the build."""

    def __init__(self, file: Path, scratch: Path):
        self.file, self.scratch = file, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self.content = json.loads(file.read_text()) if file.exists() else {"about": {}, "cells": {}}

    @property
    def cells(self) -> dict:
        return self.content["cells"]

    def save(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.content, indent=1) + "\n")
        new.replace(self.file)

    def add(self, key: str, cell: dict, points=()) -> None:
        """Keep a finished cell and the heights (n, N) that the judge must see."""
        if points:
            np.save(self._heights(key), np.stack([p.heights for p in points]))
            cell |= {"seconds": [round(p.seconds, 4) for p in points], "samples": [p.samples for p in points]}
        self.cells[key] = cell
        self.save()

    def _heights(self, key: str) -> Path:
        return self.scratch / (key.replace("/", "~").replace(" ", "_") + ".npy")

    def judge(self, plan, tuning: bool) -> None:
        """Judge all answers on this cloud that are still waiting, in one pass over the sample."""
        waiting = {
            key: np.load(self._heights(key))
            for key, cell in self.cells.items()
            if key.startswith(plan.cloud.name + "/") and "seconds" in cell and "l1" not in cell
            and (f"/{TUNING_SEED}" in key) == tuning and self._heights(key).exists()
        }  # fmt: skip
        if not waiting:
            return
        say(f"judging {sum(map(len, waiting.values()))} answers on {plan.cloud.name}")
        draws, seed = (plan.draws // 8, judge.SEED + 1) if tuning else (plan.draws, judge.SEED)
        seen = judge.l1_errors(plan.cloud, [h for heights in waiting.values() for h in heights], draws, seed)
        for key, heights in waiting.items():
            mine, seen = seen[: len(heights)], seen[len(heights) :]
            self.cells[key] |= {"l1": [round(s["l1"], 14) for s in mine], "empty": [s["empty"] for s in mine]}
        self.save()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {time.process_time():7.1f} CPU s  {text}", flush=True)


def run_peer(results, plan, peer, setting, seed, seconds) -> str:
    key = f"{plan.cloud.name}/{peer}/{setting['name']}/{seconds:g}/{seed}"
    if key not in results.cells:
        points = list(getattr(peers, peer)(plan.cloud, setting, seed, seconds))
        results.add(key, {"peer": peer, "setting": setting, "seed": seed}, points)
        say(f"{key}: {points[-1].seconds:.1f} s, {points[-1].samples} draws")
    return key


def tune(results, plan) -> dict:
    """For each peer the setting of its grid with the smallest error after the tuning time."""
    keys = {
        peer: {run_peer(results, plan, peer, s, TUNING_SEED, plan.tuning): s for s in grid} for peer, grid in plan.grids.items()
    }
    results.judge(plan, tuning=True)
    return {peer: min(tried.items(), key=lambda item: results.cells[item[0]]["l1"][-1])[1] for peer, tried in keys.items()}


def run_ours(results, plan, seed) -> None:
    name = plan.cloud.name
    if (key := f"{name}/ours/run/{seed}") not in results.cells:
        points = list(ours.run(plan.cloud, min(plan.targets), seed, plan.limit))
        results.add(key, {}, points)
        say(f"{key}: {points[-1].seconds:.2f} s")
    for target in plan.certified:
        if (key := f"{name}/ours/certified {target:g}/{seed}") not in results.cells:
            point, converged = ours.certified(plan.cloud, target, seed)
            results.add(key, {"converged": converged}, [point])
            say(f"{key}: {point.seconds:.2f} s")


def run_gpu(results) -> None:
    """Ours on a GPU, in wall seconds; nothing where there is none."""
    if not torch.cuda.is_available():
        return
    for cloud, tolerance in GPU:
        if (key := f"gpu/{cloud.name}/{tolerance:g}") not in results.cells:
            point, converged = ours.certified(cloud, tolerance, 0, device="cuda")
            cell = {"wall": point.seconds, "samples": point.samples, "converged": converged}
            results.add(key, cell | {"device": torch.cuda.get_device_name()})
            say(f"{key}: {point.seconds:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a rehearsal of a minute or two, kept apart from the results")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further cloud after so many minutes")
    parser.add_argument("--report", action="store_true", help="only rewrite RESULTS.md from results.json")
    options = parser.parse_args()
    folder = HERE.parent / "_build" / ("bench-quick" if options.quick else "bench")
    results = Results((folder if options.quick else HERE) / "results.json", folder)
    plans = [quick(plan) for plan in PLANS] if options.quick else PLANS
    if not options.report:
        measure(results, plans, seeds=1 if options.quick else 3, until=time.time() + 60 * options.minutes)
    (results.file.parent / "RESULTS.md").write_text(report.write(results.content, plans))
    say(f"wrote {results.file.parent / 'RESULTS.md'}")


def measure(results, plans, seeds: int, until: float) -> None:
    about = clock.machine() | {"date": time.strftime("%Y-%m-%d"), "core": core}
    results.content["about"] = about | results.content["about"]  # a run that goes on keeps where it began
    for plan in plans:
        if plan.cloud.kind != "moons" and (key := f"{plan.cloud.name}/rates") not in results.cells:
            results.add(key, ours.score_rates(plan.cloud, repeats=40))
            say(key)
    run_gpu(results)
    chosen = {plan.cloud: tune(results, plan) for plan in plans}
    results.content["chosen"] = {c.name: {p: s["name"] for p, s in best.items()} for c, best in chosen.items()}
    for seed in range(seeds):
        for plan in plans:
            if time.time() < until:
                run_ours(results, plan, seed)
                for peer, setting in chosen[plan.cloud].items():
                    for seconds in plan.lengths[peer]:
                        run_peer(results, plan, peer, setting, seed, seconds)
                results.judge(plan, tuning=False)
    results.content["cpu_seconds"] = round(results.content.get("cpu_seconds", 0) + time.process_time())
    results.save()


if __name__ == "__main__":
    sys.exit(main())
