"""Make data/potentials/NAME_tT.safetensors: `python data/build/potentials.py [NAME ...]` (two minutes a potential on one core).

    emoji32         the training pictures of `features.split("emoji32")`, each once     4,175 atoms
    smileys         those of the first group, what the network "smileys" learned from    351 atoms

Each at three times of ddpm_linear(1000). A file holds one height for each atom; `priors.Potential` makes the atoms again.
What the solver measured on a fresh sample is in the file and in the manifest, and tests measure it once more. A state is kept
in --work: killed at any moment, the same command goes on where it was and writes the same heights.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from otprior_lite import data, features, priors, schedules
from otprior_lite.errors import torch_device
from otprior_lite.provenance import device_name
from otprior_lite.semidiscrete import watched

SEED, TOLERANCE = 0, 0.05
TIMES = (250, 500, 1000)
GROUPS = {"emoji32": None, "smileys": 0}


def points(name: str) -> torch.Tensor:
    """The training pictures (N, 3, 32, 32) of a set of potentials, in [-1, 1]."""
    rows = features.split("emoji32")[0].distinct()
    return (rows if GROUPS[name] is None else rows.rows(rows.y == GROUPS[name])).x


def made(name: str, t: int, work: Path, device: torch.device) -> Path:
    """Solve, write, enter into the manifest."""
    x, schedule = points(name), schedules.ddpm_linear()
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / f"{name}_t{t}.state"
    states = priors.potential_steps(x, schedule, t, seed=SEED, tolerance=TOLERANCE, device=device, checkpoint=checkpoint)
    state = watched(states, desc=f"{name} t = {t}", mininterval=5)
    potential = priors.Potential.of(state, x, schedule, t, seed=SEED, device=device_name(device))
    file = data.root() / "potentials" / f"{name}_t{t}.safetensors"
    potential.save(file)
    facts = {"atoms": len(x), "schedule": schedule.name, "t": t, "seed": SEED, "tolerance": TOLERANCE}
    facts |= {"error": round(potential.error.l1.value, 4), "error_below": round(potential.error.interval[1], 4)}
    facts |= {"rows": potential.error.n, "samples": potential.samples, "seconds": round(potential.seconds, 1)}
    facts |= {"device": potential.device}
    data.register(f"potentials/{name}_t{t}", file, script=f"python data/build/potentials.py {name}", **facts)
    checkpoint.unlink(missing_ok=True)
    return file


def main() -> None:
    """Make the named sets, default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "otprior", help="folder of states")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names or GROUPS:
        for t in TIMES:
            print(made(name, t, options.work, torch_device(options.device)))


if __name__ == "__main__":
    main()
