"""The stages of `cifar_scale.py`, one function each: run -> facts, and what it leaves in data/ or in the folder of the run.

All processes call them. What only one can do, the first does; the others return nothing and get its facts from `Run.stage`.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from cifar_pictures import Pictures
from cifar_run import Run, everywhere
from cifar_starts import measured
from networks import SEED, trained
from tqdm import tqdm

from otprior_lite import data, samplers, schedules
from otprior_lite.atomic import clean, replacing
from otprior_lite.data.files import digest
from otprior_lite.errors import expect
from otprior_lite.figures import sheet
from otprior_lite.forward import noise
from otprior_lite.priors import Potential, Standard, potential_steps
from otprior_lite.provenance import device_name
from otprior_lite.randomness import seeded
from otprior_lite.semidiscrete import watched
from otprior_lite.train import load_model, save_model

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "python data/build/cifar_scale.py"
SCHEDULE = schedules.ddpm_linear()
LARGEST = 16e6  # bytes of a file that is shipped


def gpu_tests(run: Run) -> dict:
    """What `pytest -m gpu` says, in processes that know nothing of torchrun."""
    folder = ROOT / run.scale.tests
    if not folder.exists():
        return {"summary": "no tests beside this copy of the library"}
    if not run.first:
        return {}
    alone = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    return {"exit": done.returncode, "summary": lines[-1] if lines else "", "lines": lines[-30:]}


def passed(facts: dict) -> bool:
    """Did no GPU test fail? pytest's 5: there is no such test."""
    return facts.get("exit", 0) in (0, 5)


def sources() -> str:
    """A hash of the library and its tests: what a verdict of the tests is about."""
    files = sorted(file for folder in ("otprior_lite", "tests") for file in (ROOT / folder).rglob("*.py"))
    return digest(b"".join(str(file.relative_to(ROOT)).encode() + file.read_bytes() for file in files))


def modes(run: Run, pictures: Pictures, bf16: bool, compiled: bool) -> dict:
    """Training pictures a second of each way to compute, or why it does not work here, and the fastest.

    A way counts if it works in every process. One that fails in some of them only, between two messages that all exchange,
    leaves the others waiting: the limit of `joined` ends that run.
    """
    ways = {"float32": (torch.float32, False)}
    if bf16:
        ways["bfloat16"] = (torch.bfloat16, False)
    if compiled:
        ways["bfloat16, compiled" if bf16 else "float32, compiled"] = (torch.bfloat16 if bf16 else torch.float32, True)
    rates, failed = {}, {}
    recipe = replace(pictures.recipe, steps=run.scale.timed, every=run.scale.timed)
    for name, (dtype, compile) in ways.items():
        rate, wrong = None, ""
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / f"{name}.safetensors"
            try:
                rate = trained(recipe, pictures.rows, checkpoint, run.device, dtype=dtype, compile=compile)[2]
            except Exception as error:  # whatever the compiler or the GPU does not like: the others still work
                wrong = f"{type(error).__name__}: {error}"[:300]
        if wrong := next(filter(None, everywhere(wrong)), ""):
            failed[name] = wrong
            run.say(f"modes: {name} does not work here and is left out: {wrong}")
        else:
            rates[name] = rate
    expect(bool(rates), "modes", "at least one way to train that works", failed)
    best = max(rates, key=rates.get)
    run.say(f"modes: {', '.join(f'{name} {rate:.0f}/s' for name, rate in rates.items())}; {best} it is")
    dtype, compile = ways[best]
    return {"pictures_a_second": rates, "failed": failed, "best": best, "dtype": str(dtype), "compile": compile}


def train_network(run: Run, pictures: Pictures, mode: dict, file: Path) -> dict:
    """Train, round to float16, measure the denoising error on pictures it has and has not seen, enter into the manifest."""
    recipe, checkpoint = pictures.recipe, run.work / f"{file.stem}.safetensors"
    options = {"dtype": getattr(torch, mode["dtype"].removeprefix("torch.")), "compile": mode["compile"]}
    design, network, rate = trained(recipe, pictures.rows, checkpoint, run.device, **options)
    if not run.first:
        return {}
    clean(file)
    save_model(design, network, file, torch.float16)
    small_enough(file)
    facts = asdict(recipe) | {"label": pictures.label, "pictures": len(pictures.rows.x), "mode": mode["best"]}
    facts |= {"pictures_a_second": rate, "rms_error": errors(run, file, pictures)}
    data.register(f"weights/{file.stem}", file, script=SCRIPT, **facts, seed=SEED, **run.machine())
    return facts


@torch.no_grad()
def errors(run: Run, file: Path, pictures: Pictures) -> dict:
    """Root mean square of D - x_0 a pixel, at a few times, for training and for held-out pictures of the same number."""
    denoiser = load_model(file)[1]
    denoiser.network.to(run.device)
    n = min(2 * run.scale.at_once, len(pictures.held_out.x), len(pictures.rows.x))
    found = {"t": [100, 300, 500, 700, 900], "n": n}
    for name, rows in (("train", pictures.rows), ("held_out", pictures.held_out)):
        x, generator = rows.x[:n].to(run.device), seeded(SEED)
        parts = lambda t: torch.cat([denoiser(noise(b, SCHEDULE, t, generator), t) - b for b in x.split(run.scale.at_once)])
        found[name] = [round(float(parts(t).square().mean().sqrt()), 5) for t in found["t"]]
    return found


def solve_map(run: Run, pictures: Pictures, t: int, file: Path) -> dict:
    """Solve for the heights of noised training pictures and keep them, one number for each, with what they were solved for."""
    checkpoint, points = run.work / f"{file.stem}.state", pictures.rows.x
    states = potential_steps(
        points, SCHEDULE, t, seed=SEED, device=run.device, tolerance=run.scale.tolerance, checkpoint=checkpoint,
        every=run.scale.seconds,
    )  # fmt: skip
    state = watched(states, desc=file.stem, mininterval=5, disable=not run.first)
    run.say(f"{file.stem}: {state.fit.reason}")
    if not run.first:
        return {}
    potential = Potential.of(state, points, SCHEDULE, t, seed=SEED, device=device_name(run.device))
    clean(file)
    potential.save(file)
    small_enough(file)
    facts = {"label": pictures.label, "t": t, "atoms": len(potential.heights), "tolerance": potential.tolerance}
    facts |= {"l1_error": potential.error.l1.value, "interval": list(potential.error.interval), "draws": potential.samples}
    facts |= {"seconds": potential.seconds, "draws_a_second": potential.samples / potential.seconds}
    data.register(f"potentials/{file.stem}", file, script=SCRIPT, **facts, seed=SEED, **run.machine())
    checkpoint.unlink(missing_ok=True)
    return facts


@torch.no_grad()
def sampling(run: Run, pictures: Pictures, file: Path) -> dict:
    """Pictures a second with `nfe` calls of the network each, and a sheet of them."""
    if not run.first:
        return {}
    scale, generator = run.scale, run.generator()
    design, denoiser = load_model(file)
    denoiser.network.to(run.device)
    prior = Standard(SCHEDULE, design.shape).to(run.device)
    draw = lambda: samplers.sample(denoiser, SCHEDULE, prior.sample(scale.at_once, generator), steps=scale.nfe).float().cpu()
    draw()  # kernels are chosen
    start = time.perf_counter()
    parts = [draw() for _ in tqdm(range(-(-scale.drawn // scale.at_once)), desc=f"draw {file.stem}", unit="batch")]
    rate = len(parts) * scale.at_once / (time.perf_counter() - start)
    with replacing(run.work / f"{file.stem}.png") as new:
        sheet.write(torch.cat(parts)[:64], new)
    return {"label": pictures.label, "pictures_a_second": rate, "nfe": scale.nfe}


def seven_starts(run: Run, pictures: Pictures, network: Path, heights: Path, inception: Path | None) -> dict:
    """What the network makes of each start at the time of a map."""
    if not run.first:
        return {}
    potential, facts = Potential.load(heights), {"label": pictures.label}
    return facts | measured(network, potential, pictures.rows.x, pictures.held_out.x, run.scale.starts, run.device, inception)


def small_enough(file: Path) -> None:
    """RuntimeError for a product that is too large to be shipped."""
    if file.stat().st_size > LARGEST:
        raise RuntimeError(f"{file}: {file.stat().st_size:,} bytes, more than the {LARGEST:,.0f} of a shipped file")
