"""All that needs a GPU, in one command that can be stopped: `python data/build/cifar_scale.py --cifar FILE.npz`.

    tests       pytest -m gpu, and what it said
    modes       pictures a second of training in float32, in bfloat16, and compiled: the fastest that works trains the networks
    train       "small" on CIFAR-10 and on emoji32, told the class         data/weights/*_small.safetensors, float16, 13 MB
    solve       the map from N(0, I) to 50,000 noised pictures             data/potentials/, one number for each picture
    sampling    pictures a second of the trained networks, and a contact sheet in --work
    starts      seven starts of the CIFAR-10 network, three times, four numbers of calls: quality and newness (`cifar_starts.py`)

Every stage leaves WORK/STAGE.json. It is skipped when that file tells of the same settings, and it goes on inside when it was
killed. At the end data/results/cifar_scale.json has all of them, with the name of the device. Several GPUs or machines that
share a disk: `torchrun --nproc-per-node 8 data/build/cifar_scale.py ...` gives the same networks and maps, sooner. So far it
has been rehearsed on CPUs only: the recipes of "small" are guesses from smaller networks.

--cifar is the 60,000 pictures as JPEG (`unpack` says how they lie there); the results are then called "CIFAR-10 (JPEG q75)".
Without it the official pictures are taken, if `otprior data cifar10` has fetched them; else the stages of CIFAR-10 are left
out. `--toy` makes every stage tiny, for a rehearsal of two minutes on a CPU, and writes to WORK/data instead of data/.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from cifar_starts import Design, measured
from networks import SEED, Recipe, trained
from tqdm import tqdm

from otprior_lite import data, features, samplers, schedules
from otprior_lite.atomic import clean, replacing, write_bytes
from otprior_lite.data.cifar10 import CLASSES
from otprior_lite.data.files import digest
from otprior_lite.data.pixels import unit
from otprior_lite.errors import expect, optional, torch_device
from otprior_lite.experiments.pictures import TIMES
from otprior_lite.figures import sheet
from otprior_lite.forward import noise
from otprior_lite.priors import Potential, Standard, potential_steps
from otprior_lite.processes import joined, place
from otprior_lite.provenance import about, device_name
from otprior_lite.randomness import seeded
from otprior_lite.semidiscrete import watched
from otprior_lite.train import load_model, save_model

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "python data/build/cifar_scale.py"
SCHEDULE = schedules.ddpm_linear()
LARGEST = 16e6  # bytes of a file that is shipped
RECIPES = {
    "cifar10": Recipe("cifar10", None, "small", 40_000, 256, lr=4e-4, ema=0.9995, every=1000),
    "emoji32": Recipe("emoji32", None, "small", 15_000, 256, lr=4e-4, ema=0.9995, every=1000),
}
STAGES = ("tests", "modes", "train", "solve", "sampling", "starts")


@dataclass(frozen=True)
class Scale:
    """How much of everything: pictures of each set; steps of training and batch (None: the recipe's); steps that are timed;
    tolerance of the maps; pictures drawn, at once, and network calls for each; seconds between saved states of a solve; where
    the tests are; the cells of the starts."""

    pictures: int | None = None
    steps: int | None = None
    batch: int | None = None
    size: str | None = None
    every: int | None = None
    timed: int = 40
    tolerance: float = 0.05
    drawn: int = 2000
    at_once: int = 500
    nfe: int = 50
    seconds: float = 60.0
    tests: str = "tests"
    starts: Design = Design()


TOY = Scale(32, 8, 4, "tiny", 1, 3, 0.4, 4, 2, 2, 0.0, "tests/library/test_devices.py", Design((0,), (1, 2), 4, 2, 0.4))


@dataclass(frozen=True, eq=False)
class Pictures:
    """name: in file names. label: in results and titles. rows: for training; held_out: the rest."""

    name: str
    label: str
    recipe: Recipe
    rows: data.Dataset
    held_out: data.Dataset

    @property
    def digest(self) -> str:
        """SHA-256 of the training pictures and classes."""
        return digest(self.rows.x.numpy().tobytes() + self.rows.y.numpy().tobytes())


# ---- pictures


def unpack(file: Path) -> tuple[data.Dataset, data.Dataset]:
    """Training and test pictures of a store of JPEG files.

    Arrays of the .npz: header, bytes that all files begin with; payload, the rest of each without its end marker, one after
    the other; length (n,), of each in the payload; y (n,), classes; n_train, how many of the first are for training.
    """
    image = optional("PIL.Image", "images")
    with np.load(file, allow_pickle=False) as store:
        needed = ("header", "payload", "length", "y", "n_train")
        expect(set(needed) <= set(store.files), str(file), f"arrays {', '.join(needed)}", store.files)
        header, payload, length, y, n_train = (store[name] for name in needed)
    start, body = header.tobytes(), payload.tobytes()
    ends = length.astype(int).cumsum()
    files = (start + body[end - size : end] + b"\xff\xd9" for end, size in zip(ends, length.astype(int)))
    x = unit(np.stack([np.asarray(image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1) for content in files]))
    rows = data.Dataset("cifar10", x, torch.from_numpy(y.astype("int64")), CLASSES, str(file), "none stated; not shipped")
    here = torch.arange(len(x)) < int(n_train)
    return rows.rows(here), rows.rows(~here)


def collections(cifar: Path | None, scale: Scale) -> list[Pictures]:
    """CIFAR-10, where it is, and emoji32; cut and shortened to scale."""
    found = [("emoji32", "emoji32", "emoji32", *features.split("emoji32"))]
    if cifar is not None:
        found.append(("cifar10_jpeg75", "CIFAR-10 (JPEG q75)", "cifar10", *unpack(cifar)))
    elif data.state("cifar10") == "downloaded":
        found.append(("cifar10", "CIFAR-10", "cifar10", data.load("cifar10"), data.load("cifar10_test")))
    else:
        tqdm.write("no CIFAR-10 here (--cifar FILE.npz, or `otprior data cifar10`): its stages are left out")
    changes = {key: value for key in ("steps", "batch", "size", "every") if (value := getattr(scale, key)) is not None}
    some = lambda rows: rows.rows(torch.arange(min(len(rows.x), scale.pictures or len(rows.x))))
    return [
        Pictures(name, label, replace(RECIPES[recipe], **changes), some(rows.distinct()), some(held_out))
        for name, label, recipe, rows, held_out in found
    ]


# ---- stages that can be skipped and resumed


@dataclass(frozen=True)
class Run:
    """work: folder of checkpoints and facts. device: of this process."""

    work: Path
    device: torch.device
    scale: Scale

    @property
    def first(self) -> bool:
        """Is this the process that writes?"""
        return place()[0] == 0

    def generator(self) -> torch.Generator:
        """A seeded generator on the device: a GPU draws faster than its CPU does."""
        return torch.Generator(self.device).manual_seed(SEED)

    def machine(self) -> dict:
        """What a timing depends on."""
        name, threads = device_name(self.device), torch.get_num_threads()
        return {"device": name, "threads": threads, "processes": place()[1], "torch": torch.__version__}

    def stage(self, name: str, settings: dict, make: Callable[[], dict], product: Path | None = None, good=None) -> dict:
        """Facts of a stage: as WORK/NAME.json has them for the same settings and the same product, else made now.

        All processes take part in `make` and get the first one's facts. good: facts -> bool; a stage whose facts are not good
        is written down, and made again the next time. None: all are good.
        """
        file, settings = self.work / f"{name}.json", json.loads(json.dumps(settings))
        facts = agreed(_kept(file, settings, product) if self.first else None)
        if facts is not None and (good is None or good(facts)):
            self.say(f"{name}: is there")
            return facts
        self.say(f"{name} ...")
        start = time.perf_counter()
        facts = {**make(), "stage_seconds": round(time.perf_counter() - start, 1), "machine": self.machine()}
        facts = agreed(facts)
        if self.first:
            made = None if product is None else digest(product.read_bytes())
            write_bytes(file, json.dumps({"settings": settings, "facts": facts, "sha256": made}, indent=1).encode())
        return facts

    def say(self, line: str) -> None:
        """One line, from one process."""
        if self.first:
            tqdm.write(line)


def agreed(value):
    """The first process's value, on every process."""
    if place()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def everywhere(value) -> list:
    """The value of every process, on every process."""
    if place()[1] == 1:
        return [value]
    box = [None] * place()[1]
    dist.all_gather_object(box, value)
    return box


def sources() -> str:
    """A hash of the library and its tests: what a verdict of the tests is about."""
    files = sorted(file for folder in ("otprior_lite", "tests") for file in (ROOT / folder).rglob("*.py"))
    return digest(b"".join(str(file.relative_to(ROOT)).encode() + file.read_bytes() for file in files))


def _kept(file: Path, settings: dict, product: Path | None) -> dict | None:
    kept = json.loads(file.read_text()) if file.exists() else {}
    whole = product is None or (product.exists() and digest(product.read_bytes()) == kept.get("sha256"))
    return kept["facts"] if kept.get("settings") == settings and whole else None


def small_enough(file: Path) -> None:
    """RuntimeError for a product that is too large to be shipped."""
    if file.stat().st_size > LARGEST:
        raise RuntimeError(f"{file}: {file.stat().st_size:,} bytes, more than the {LARGEST:,.0f} of a shipped file")


# ---- the stages


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


# ---- all of it


def all_stages(run: Run, found: list[Pictures], options) -> None:
    """Every stage that was asked for, in order."""
    scale = asdict(run.scale)
    if "tests" in options.stages:
        settings = run.machine() | {"tests": scale["tests"], "sources": sources()}
        run.stage("tests", settings, lambda: gpu_tests(run), good=passed)
    ways = {"bf16": not options.no_bf16, "compiled": not options.no_compile}
    settings = run.machine() | ways | {"timed": scale["timed"], "recipe": asdict(found[0].recipe)}
    mode = run.stage("modes", settings, lambda: modes(run, found[0], **ways), good=lambda facts: not facts["failed"])
    for pictures in found:
        name, file = f"{pictures.name}_small", data.root() / "weights" / f"{pictures.name}_small.safetensors"
        settings = asdict(pictures.recipe) | {"data": pictures.digest, "dtype": mode["dtype"]}
        if "train" in options.stages:
            run.stage(f"train_{name}", settings, lambda: train_network(run, pictures, mode, file), file)
        if "sampling" in options.stages and agreed(file.exists()):
            drawn = run.machine() | settings | {key: scale[key] for key in ("drawn", "at_once", "nfe")}
            run.stage(f"sampling_{name}", drawn, lambda: sampling(run, pictures, file))
    for pictures in found:
        if "solve" in options.stages and pictures.recipe.pictures == "cifar10":
            for t in TIMES:
                file = data.root() / "potentials" / f"{pictures.name}_t{t}.safetensors"
                settings = {"data": pictures.digest, "t": t, "tolerance": scale["tolerance"], "seed": SEED}
                run.stage(f"solve_{file.stem}", settings, lambda: solve_map(run, pictures, t, file), file)
        if "starts" in options.stages and pictures.recipe.pictures == "cifar10":
            network = data.root() / "weights" / f"{pictures.name}_small.safetensors"
            for t in TIMES:
                file = data.root() / "potentials" / f"{pictures.name}_t{t}.safetensors"
                if agreed(network.exists() and file.exists()):
                    of = {key: value and digest(value.read_bytes()) for key, value in
                          (("network", network), ("heights", file), ("inception", options.inception))}  # fmt: skip
                    settings = of | {"starts": scale["starts"]}
                    run.stage(
                        f"starts_{file.stem}", settings, lambda: seven_starts(run, pictures, network, file, options.inception)
                    )


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="the JPEG store; default: the official CIFAR-10, where it was fetched")
    work = Path(tempfile.gettempdir()) / "otprior_cifar_scale"
    parser.add_argument("--work", type=Path, default=work, help="folder to go on from (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="cuda, cpu; auto takes a GPU if there is one (default: auto)")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="only these; modes always (default: all)")
    parser.add_argument("--steps", type=int, help="steps of each training (default: the recipes')")
    parser.add_argument("--inception", type=Path, help="weights of FID's network, for the starts (default: none)")
    parser.add_argument("--no-bf16", action="store_true", help="train in float32")
    parser.add_argument("--no-compile", action="store_true", help="do not try torch.compile")
    parser.add_argument("--toy", action="store_true", help="every stage tiny: a rehearsal")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the stages, write the results; 1 if a GPU test failed."""
    options = options_of(arguments)
    scale = replace(TOY if options.toy else Scale(), **({} if options.steps is None else {"steps": options.steps}))
    device = torch_device(options.device)
    if device.type == "cpu":
        expect(options.toy or options.device == "cpu", "--device", "a GPU, --toy, or --device cpu and weeks", "no GPU here")
        options.no_compile = True
        tqdm.write("no GPU: nothing is compiled")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        options.no_bf16 = True
        tqdm.write("this GPU has no bfloat16: float32 it is")
    work = options.work / "toy" if options.toy else options.work
    work.mkdir(parents=True, exist_ok=True)
    if options.toy and "OTPRIOR_DATA_DIR" not in os.environ:
        os.environ["OTPRIOR_DATA_DIR"] = str(copied(work / "data"))
    with joined(device) as here:
        run = Run(work, here, scale)
        all_stages(run, collections(options.cifar, scale)[::-1], options)  # CIFAR-10 first
        return conclude(run, options.toy) if run.first else 0


def copied(folder: Path) -> Path:
    """A copy of the data folder, for a rehearsal."""
    if not (folder / "MANIFEST.json").exists():
        shutil.copytree(data.root(), folder, dirs_exist_ok=True)
    return folder


def conclude(run: Run, toy: bool) -> int:
    """Write data/results/cifar_scale.json from what all stages have left, this time or earlier; 1 if a GPU test failed."""
    stages = {file.stem: json.loads(file.read_text())["facts"] for file in sorted(run.work.glob("*.json"))}
    record = {key: value for key, value in about().items() if key != "data"}
    file = data.root() / "results" / "cifar_scale.json"
    text = json.dumps({"study": "cifar_scale", "toy": toy, **record, **run.machine(), "stages": stages}, indent=1)
    write_bytes(file, (text + "\n").encode())
    data.register("results/cifar_scale", file, script=SCRIPT)
    run.say(f"{file}")
    return int(not passed(stages.get("tests", {})))


if __name__ == "__main__":
    raise SystemExit(main())
