"""Commands that make things: `train` a network, `solve` for a start. What is made of them: `sampling`."""

import time
from pathlib import Path

from .shared import DATA, add_machine, device, writable


def add(commands) -> None:
    """Tell the parser about them."""
    train = commands.add_parser("train", help="train a denoiser; goes on where it was stopped; runs under torchrun, too")
    train.add_argument(
        "--data", required=True, help=f"{DATA}; pictures: floats in [-1, 1], (n, channels, height, width), or bytes"
    )
    train.add_argument("--out", type=Path, required=True, help="folder of checkpoint.safetensors and model.safetensors")
    train.add_argument("--size", default="tiny", help="tiny, small or base: about 1 M, 6 M, 36 M weights (default: tiny)")
    train.add_argument("--steps", type=int, required=True, help="steps of the whole run")
    train.add_argument("--schedule", default="ddpm_linear", help="a schedule of otprior_lite.schedules (default: ddpm_linear)")
    train.add_argument("--predicts", default="edm", help="what the network puts out: edm, eps, x0 or v (default: edm)")
    train.add_argument("--conditional", action="store_true", help="tell the network the labels of the data")
    train.add_argument("--batch", type=int, default=64, help="samples a step, over all processes (default: 64)")
    train.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (default: 0.001)")
    train.add_argument("--ema", type=float, default=0.999, help="memory of the running average (default: 0.999)")
    train.add_argument("--every", type=int, default=500, help="steps between checkpoints (default: 500)")
    train.add_argument("--bf16", action="store_true", help="bfloat16 autocast; the weights stay float32")
    train.add_argument("--compile", action="store_true", help="compile the network first")
    train.add_argument("--tensorboard", type=Path, metavar="DIR", help="folder of the curves (needs the extra tensorboard)")
    add_machine(train)
    train.set_defaults(run=_train)

    solve = commands.add_parser(
        "solve", help="the semi-discrete map from N(0, I) to noised data; goes on where it was stopped; runs under torchrun, too"
    )
    solve.add_argument("--data", required=True, help=DATA)
    solve.add_argument("--schedule", default="ddpm_linear", help="as for train")
    solve.add_argument("--t", type=float, default=None, help="time in (0, T] (default: T)")
    solve.add_argument("--copies", type=int, default=1, help="noised copies of each point (default: 1)")
    solve.add_argument("--tolerance", type=float, default=0.05, help="L1 error of the cell masses (default: 0.05)")
    solve.add_argument("--out", type=Path, required=True, help="a .safetensors file, for sample --prior and priors.load")
    solve.add_argument("--heights", action="store_true", help="keep one number an atom, not the atoms: sample then needs --data")
    solve.add_argument("--every", type=float, default=10.0, help="seconds between saved states, in OUT.state (default: 10)")
    add_machine(solve)
    solve.set_defaults(run=_solve)


def _train(options) -> None:
    import torch
    from tqdm import tqdm

    from .. import data, processes
    from ..atomic import clean
    from ..randomness import seeded
    from ..schedules import named
    from ..train import Design, averaged, recorded, save_model, train

    dataset, generator = data.load(options.data), seeded(options.seed)
    classes = len(dataset.classes) if options.conditional else 0
    design = Design(options.size, dataset.x.shape[1:], classes, options.predicts, options.schedule)
    checkpoint, model = options.out / "checkpoint.safetensors", options.out / "model.safetensors"
    with processes.joined(device(options.device)) as here:
        network, first = design.network(dataset.x, generator).to(here), processes.place()[0] == 0
        states = train(
            network, dataset.x, named(options.schedule), steps=options.steps, batch=options.batch, lr=options.lr, ema=options.ema,
            labels=dataset.y if options.conditional else None, dtype=torch.bfloat16 if options.bf16 else torch.float32,
            compile=options.compile, checkpoint=checkpoint, every=options.every, generator=generator,
        )  # fmt: skip
        if options.tensorboard is not None and first:
            states = recorded(states, options.tensorboard, options.batch)
        with tqdm(total=options.steps, unit="step", disable=not first) as bar:
            before = time.perf_counter()
            for state in states:
                now = time.perf_counter()
                bar.set_postfix(loss=f"{state.loss:.4f}", images=f"{options.batch / (now - before):.0f}/s", refresh=False)
                bar.update(state.step - bar.n)
                before = now
        if first:
            clean(model)
            save_model(design, averaged(network, checkpoint), model)
            print(model)


def _solve(options) -> None:
    from .. import data, processes
    from ..priors import Potential, SemiDiscrete, potential_steps
    from ..priors.semidiscrete import converged
    from ..provenance import device_name
    from ..schedules import named
    from ..semidiscrete import watched

    writable(options.out, ".safetensors")
    schedule, x = named(options.schedule, "--schedule"), data.load(options.data).x
    t = schedule.T if options.t is None else options.t
    checkpoint = options.out.with_name(f"{options.out.name}.state")
    with processes.joined(device(options.device)) as here:
        first, about = processes.place()[0] == 0, {"seed": options.seed, "copies": options.copies}
        states = potential_steps(
            x, schedule, t, device=here, tolerance=options.tolerance, checkpoint=checkpoint, every=options.every, **about
        )
        state = watched(states, disable=not first)
        if not first:
            return
        if options.heights:
            Potential.of(state, x, schedule, t, device=device_name(here), **about).save(options.out)
        else:
            SemiDiscrete(converged(state.fit).map, x.shape[1:], state.seconds, schedule, float(t)).to("cpu").save(options.out)
        checkpoint.unlink(missing_ok=True)
        print(f"{len(state.heights)} atoms at t = {t:g} in {state.seconds:.1f} s: {state.fit.reason}\n{options.out}")
