"""All that needs a GPU, in one command that can be stopped: `python data/build/cifar_scale.py --cifar FILE.npz`.

    tests       pytest -m gpu, and what it said
    modes       pictures a second of training in float32, in bfloat16, and compiled: the fastest that works trains the networks
    train       "small" on CIFAR-10 and on emoji32, told the class         data/weights/*_small.safetensors, float16, 13 MB
    solve       the map from N(0, I) to 50,000 noised pictures             data/potentials/, one number for each picture
    sampling    pictures a second of the trained networks, and a contact sheet in --work
    starts      seven starts of the CIFAR-10 network, three times, four numbers of calls: quality and newness (`cifar_starts.py`)

Every stage leaves WORK/STAGE.json. It is skipped when that file tells of the same settings, and it goes on inside when it was
killed; tests that failed, and ways to train that did not work, are tried again. At the end data/results/cifar_scale.json has
all of them, with the name of the device. Several GPUs or machines that share a disk give the same networks and maps, sooner:
`torchrun --nproc-per-node 8 data/build/cifar_scale.py ...`. So far it has been rehearsed on CPUs only: the recipes of "small"
are guesses from smaller networks.

--cifar is the 60,000 pictures as JPEG (`cifar_pictures.unpack` says how they lie there); the results are then called
"CIFAR-10 (JPEG q75)". Without it the official pictures are taken, if `otprior data cifar10` has fetched them; else the stages
of CIFAR-10 are left out. `--toy` makes every stage tiny, for a rehearsal of two minutes on a CPU, and writes to WORK/data
instead of data/.

This file is the command. `cifar_pictures.py` reads the pictures, `cifar_run.py` keeps what a stage has made, and
`cifar_stages.py` holds the stages.
"""

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import torch
from cifar_pictures import Pictures, collections
from cifar_run import TOY, Run, Scale, agreed
from cifar_stages import SCRIPT, gpu_tests, modes, passed, sampling, seven_starts, solve_map, sources, train_network
from networks import SEED
from tqdm import tqdm

from otprior_lite import data
from otprior_lite.atomic import write_bytes
from otprior_lite.data.files import digest
from otprior_lite.errors import expect, torch_device
from otprior_lite.experiments.pictures import TIMES
from otprior_lite.processes import joined
from otprior_lite.provenance import about

STAGES = ("tests", "modes", "train", "solve", "sampling", "starts")


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
        file, settings = weights(pictures), asdict(pictures.recipe) | {"data": pictures.digest, "dtype": mode["dtype"]}
        if "train" in options.stages:
            run.stage(f"train_{file.stem}", settings, lambda: train_network(run, pictures, mode, file), file)
        if "sampling" in options.stages and agreed(file.exists()):
            drawn = run.machine() | settings | {key: scale[key] for key in ("drawn", "at_once", "nfe")}
            run.stage(f"sampling_{file.stem}", drawn, lambda: sampling(run, pictures, file))
    maps = [(pictures, t) for pictures in found if pictures.recipe.pictures == "cifar10" for t in TIMES]
    for pictures, t in maps:
        file = heights(pictures, t)
        settings = {"data": pictures.digest, "t": t, "tolerance": scale["tolerance"], "seed": SEED}
        if "solve" in options.stages:
            run.stage(f"solve_{file.stem}", settings, lambda: solve_map(run, pictures, t, file), file)
    for pictures, t in maps:
        network, file = weights(pictures), heights(pictures, t)
        if "starts" in options.stages and agreed(network.exists() and file.exists()):
            inputs = {"network": network, "heights": file, "inception": options.inception}
            settings = {key: given and digest(given.read_bytes()) for key, given in inputs.items()} | {"starts": scale["starts"]}
            run.stage(f"starts_{file.stem}", settings, lambda: seven_starts(run, pictures, network, file, options.inception))


def weights(pictures: Pictures) -> Path:
    """The file of the network that learns from them."""
    return data.root() / "weights" / f"{pictures.name}_small.safetensors"


def heights(pictures: Pictures, t: int) -> Path:
    """The file of the map onto them, noised to time t."""
    return data.root() / "potentials" / f"{pictures.name}_t{t}.safetensors"


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
