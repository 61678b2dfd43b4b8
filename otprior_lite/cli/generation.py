"""Commands of the whole path: `train` a network, `solve` for a start, `sample` from the two, `evaluate` what came out."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from .shared import add_machine, device, plain

PRIORS = ("standard", "moment-matched", "data-initialised")
_DATA = "a dataset name, an .npz file with x (n, ...), or a folder of pictures"


def add(commands) -> None:
    """Tell the parser about them."""
    train = commands.add_parser("train", help="train a denoiser; goes on where it was stopped; runs under torchrun, too")
    train.add_argument("--data", required=True, help=f"{_DATA}; pictures are float in [-1, 1], (n, channels, height, width)")
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
    solve.add_argument("--data", required=True, help=_DATA)
    solve.add_argument("--schedule", default="ddpm_linear", help="as for train")
    solve.add_argument("--t", type=float, default=None, help="time in (0, T] (default: T)")
    solve.add_argument("--copies", type=int, default=1, help="noised copies of each point (default: 1)")
    solve.add_argument("--tolerance", type=float, default=0.05, help="L1 error of the cell masses (default: 0.05)")
    solve.add_argument("--out", type=Path, required=True, help="a .safetensors file, for sample --prior and priors.load")
    solve.add_argument("--heights", action="store_true", help="keep one number an atom, not the atoms: sample then needs --data")
    solve.add_argument("--every", type=float, default=10.0, help="seconds between saved states, in OUT.state (default: 10)")
    add_machine(solve)
    solve.set_defaults(run=_solve)

    sample = commands.add_parser("sample", help="run the reverse process: an .npz of samples and a contact sheet")
    sample.add_argument(
        "--model", required=True, help="folder or file of `otprior train`, or a diffusers checkpoint (folder or name)"
    )
    sample.add_argument(
        "--prior", default="standard", help=f"{', '.join(PRIORS)}, or a file of `otprior solve` (default: standard)"
    )
    sample.add_argument("--data", default=None, help="what the prior is fitted to, or its heights were solved for")
    sample.add_argument("--n", type=int, default=64, help="samples (default: 64)")
    sample.add_argument("--batch", type=int, default=64, help="samples at once (default: 64)")
    sample.add_argument("--steps", type=int, default=50, help="steps of the sampler (default: 50)")
    sample.add_argument("--method", default="ddim", help="ddim, ddpm, heun, dpmpp2m, ... (default: ddim)")
    sample.add_argument("--t", type=float, default=None, help="time to start at (default: T)")
    sample.add_argument("--label", type=int, default=None, help="class to sample")
    sample.add_argument("--guidance", type=float, default=1.0, help="strength of classifier-free guidance (default: 1, none)")
    sample.add_argument("--out", type=Path, required=True, help="an .npz file; pictures also get a .png beside it")
    add_machine(sample)
    sample.set_defaults(run=_sample)

    evaluate = commands.add_parser("evaluate", help="samples against data: distances with their floors, as JSON")
    evaluate.add_argument("--samples", required=True, help="an .npz file of `otprior sample`")
    evaluate.add_argument("--data", required=True, help=f"the reference: {_DATA}")
    evaluate.add_argument("--held-out", default=None, help="data not trained on, to measure memorisation of --data")
    evaluate.add_argument("--n", type=int, default=2000, help="rows of each, drawn at random (default: 2000)")
    evaluate.add_argument("--out", type=Path, default=None, help="a .json file (default: print)")
    add_machine(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _train(options) -> None:
    import torch
    from tqdm import tqdm

    from .. import data
    from ..atomic import clean
    from ..randomness import seeded
    from ..schedules import named
    from ..train import Design, averaged, parallel, recorded, save_model, train

    dataset, generator = data.load(options.data), seeded(options.seed)
    classes = len(dataset.classes) if options.conditional else 0
    design = Design(options.size, dataset.x.shape[1:], classes, options.predicts, options.schedule)
    checkpoint, model = options.out / "checkpoint.safetensors", options.out / "model.safetensors"
    with parallel.joined(device(options.device)) as here:
        network, first = design.network(dataset.x, generator).to(here), parallel.place()[0] == 0
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
            SemiDiscrete(converged(state.fit).map, x.shape[1:], state.seconds).to("cpu").save(options.out)
        checkpoint.unlink(missing_ok=True)
        print(f"{len(state.heights)} atoms at t = {t:g} in {state.seconds:.1f} s: {state.fit.reason}\n{options.out}")


def _sample(options) -> None:
    import numpy as np
    import torch
    from tqdm import tqdm

    from ..atomic import replacing
    from ..errors import count, expect
    from ..randomness import seeded
    from ..samplers import sample

    (shape, denoiser), here, generator = _model(options.model), device(options.device), seeded(options.seed)
    denoiser.network.to(here).eval()
    denoiser = replace(denoiser, label=options.label, guidance=options.guidance)
    t = denoiser.schedule.T if options.t is None else options.t
    prior = _prior(options, denoiser.schedule, t, shape, generator).to(here)
    n, batch, parts = count(options.n, "--n"), count(options.batch, "--batch"), []
    how = {"steps": options.steps, "method": options.method, "t_start": t, "generator": generator}
    with tqdm(total=n, unit="sample") as bar:
        while bar.n < n:
            start = prior.sample(min(batch, n - bar.n), generator)
            expect(start.shape[1:] == shape, "--prior", f"samples of shape {shape}", f"shape {tuple(start.shape[1:])}")
            parts.append(sample(denoiser, denoiser.schedule, start, **how).float().cpu())
            bar.update(len(start))
    x = torch.cat(parts).numpy()
    labels = {} if options.label is None else {"y": np.full(n, options.label)}
    with replacing(options.out) as new, new.open("wb") as stream:
        np.savez(stream, x=x, **labels)
    print(options.out)
    if len(shape) == 3 and shape[0] in (1, 3):
        from ..figures.sheet import write

        with replacing(options.out.with_suffix(".png")) as new:
            write(x, new)
        print(options.out.with_suffix(".png"))


def _model(name: str):
    """(shape of one sample, denoiser): of `otprior train`, or of diffusers."""
    from ..train import load_model, pretrained

    place = Path(name)
    if place.suffix == ".safetensors" or (place.is_dir() and not (place / "model_index.json").exists()):
        design, denoiser = load_model(place / "model.safetensors" if place.is_dir() else place)
        return design.shape, denoiser
    denoiser = pretrained(name)
    config = denoiser.network.raw.unet.config
    side = config.sample_size
    return (config.in_channels, *((side, side) if isinstance(side, int) else side)), denoiser


def _prior(options, schedule, t, shape, generator):
    from .. import data, priors
    from ..errors import expect, known

    kept = priors.load(options.prior) if options.prior.endswith(".safetensors") else None
    if isinstance(kept, priors.Prior):
        return kept
    if kept is None and known(options.prior, PRIORS, "--prior") == "standard":
        return priors.Standard(schedule, shape)
    expect(options.data is not None, "--data", f"the data that the prior {options.prior} is of", None)
    if kept is not None:
        expect(t == kept.t, "--t", f"the {kept.t:g} that the heights were solved for", t)
        return kept.replay(data.load(options.data).x, schedule)
    kind = priors.MomentMatched if options.prior == "moment-matched" else priors.DataInitialised
    return kind.fit(data.load(options.data).x, schedule, t, generator=generator)


def _evaluate(options) -> None:
    from .. import data, metrics
    from ..atomic import write_bytes
    from ..errors import count
    from ..randomness import permutation, seeded

    generator, here, most = seeded(options.seed), device(options.device), count(options.n, "--n", 2)
    rows = lambda x: x[permutation(len(x), generator)[:most]].to(here)
    x, y = rows(data.load(options.samples).x), rows(data.load(options.data).x)
    numbers = {"samples": len(x), "data": len(y), "seed": options.seed}
    for name in ("sliced_w2", "energy", "frechet", "precision_recall"):
        numbers[name] = plain(asdict(getattr(metrics, name)(x, y, generator=generator)))
    if options.held_out is not None:
        numbers["memorisation"] = plain(asdict(metrics.memorisation(x, y, rows(data.load(options.held_out).x))))
    text = json.dumps(numbers, indent=2)
    if options.out is None:
        print(text)
        return
    write_bytes(options.out, (text + "\n").encode())
    print(options.out)
