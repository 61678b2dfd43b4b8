"""Commands after training: `sample` from a network and a start, `evaluate` what came out."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from .shared import DATA, add_machine, device, plain, writable

PRIORS = ("standard", "moment-matched", "data-initialised")


def add(commands) -> None:
    """Tell the parser about them."""
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
    sample.add_argument("--t", type=float, default=None, help="time to start at (default: that of the prior's file, or T)")
    sample.add_argument("--label", type=int, default=None, help="class to sample: 0, 1, ..., the data's labels in order")
    sample.add_argument("--guidance", type=float, default=1.0, help="strength of classifier-free guidance (default: 1, none)")
    sample.add_argument("--out", type=Path, required=True, help="an .npz file; pictures also get a .png beside it")
    add_machine(sample)
    sample.set_defaults(run=_sample)

    evaluate = commands.add_parser("evaluate", help="samples against data: distances with their floors, as JSON")
    evaluate.add_argument("--samples", required=True, help="an .npz file of `otprior sample`")
    evaluate.add_argument("--data", required=True, help=f"the reference: {DATA}")
    evaluate.add_argument("--held-out", default=None, help="data not trained on, to measure memorisation of --data, all of it")
    evaluate.add_argument("--n", type=int, default=2000, help="samples, and rows that distances compare (default: 2000)")
    evaluate.add_argument(
        "--features", default=None, help="emoji32, or a file with the weights of FID's network (default: the pixels themselves)"
    )
    evaluate.add_argument("--out", type=Path, default=None, help="a .json file (default: print)")
    add_machine(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _sample(options) -> None:
    import numpy as np
    import torch
    from tqdm import tqdm

    from ..atomic import replacing
    from ..errors import count, expect
    from ..randomness import seeded
    from ..samplers import sample

    writable(options.out, ".npz")
    (shape, denoiser), here, generator = _model(options.model), device(options.device), seeded(options.seed)
    denoiser.network.to(here).eval()
    denoiser = replace(denoiser, label=options.label, guidance=options.guidance)
    prior, t = _prior(options, denoiser.schedule, shape, generator)
    prior = prior.to(here)
    n, batch, parts = count(options.n, "--n"), count(options.batch, "--batch"), []
    how = {"steps": options.steps, "method": options.method, "t_start": t, "generator": generator}
    with tqdm(total=n, unit="sample") as bar:
        while bar.n < n:
            start = prior.sample(min(batch, n - bar.n), generator)
            expect(start.shape[1:] == shape, "--prior", f"samples of shape {shape}", f"shape {tuple(start.shape[1:])}")
            parts.append(sample(denoiser, denoiser.schedule, start, **how).float().cpu())
            bar.update(len(start))
    x = torch.cat(parts)
    expect(bool(x.isfinite().all()), "samples", "finite numbers", "some that are not: is the model damaged, or --steps too few?")
    x = x.numpy()
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


def _prior(options, schedule, shape, generator):
    """The start, and its time."""
    from .. import data, priors
    from ..errors import expect, known

    def points():
        expect(options.data is not None, "--data", f"the data that the prior {options.prior} is of", None)
        return data.load(options.data).x

    t = schedule.T if options.t is None else options.t
    if options.prior.endswith(".safetensors"):
        kept = priors.load(options.prior)
        t = _time(options, kept, schedule, t)
        return (kept if isinstance(kept, priors.Prior) else kept.replay(points(), schedule)), t
    if known(options.prior, PRIORS, "--prior") == "standard":
        return priors.Standard(schedule, shape), t
    kind = priors.MomentMatched if options.prior == "moment-matched" else priors.DataInitialised
    return kind.fit(points(), schedule, t, generator=generator), t


def _time(options, kept, schedule, t) -> float:
    """The time of a start on disk, where it says one; ValueError where --t or the model's schedule is another there."""
    from ..errors import expect

    if (own := getattr(kept, "t", None)) is None:
        return t
    expect(options.t in (None, own), "--t", f"{own:g}, which {options.prior} is of (or no --t)", options.t)
    at = getattr(kept, "at", None) or kept.schedule
    words = lambda s: f"alpha = {float(s.alpha(own)):.6g}, sigma = {float(s.sigma(own)):.6g} at t = {own:g}"
    expect(words(at) == words(schedule), "--prior", f"a start for the model's schedule, {words(schedule)}", words(at))
    return own


def _evaluate(options) -> None:
    from .. import data, metrics
    from ..atomic import write_bytes
    from ..errors import count
    from ..randomness import permutation, seeded

    generator, here, most = seeded(options.seed), device(options.device), count(options.n, "--n", 2)
    rows = lambda x: x[permutation(len(x), generator)[:most]].to(here)
    train = data.load(options.data).x
    x, y = rows(data.load(options.samples).x), rows(train)
    features, classes = _judge(options.features, here)
    numbers = {"samples": len(x), "data": len(y), "seed": options.seed, "features": options.features or "pixels"}
    for name in ("sliced_w2", "energy"):
        numbers[name] = plain(asdict(getattr(metrics, name)(x, y, generator=generator)))
    for name in ("frechet", "precision_recall"):
        numbers[name] = plain(asdict(getattr(metrics, name)(x, y, features=features, generator=generator)))
    if classes is not None:
        numbers["mode_mixture"] = plain(asdict(metrics.mode_mixture(x, y, classes)))
    if options.held_out is not None:
        held_out = data.load(options.held_out).x.to(here)
        numbers["memorisation"] = plain(asdict(metrics.memorisation(x, train.to(here), held_out)))
    text = json.dumps(numbers, indent=2)
    if options.out is None:
        print(text)
        return
    write_bytes(options.out, (text + "\n").encode())
    print(options.out)


def _judge(name: str | None, here):
    """(features, class probabilities) of --features; None where it has none."""
    from .. import features

    if name is None:
        return None, None
    if Path(name).exists():
        return features.inception(name, here), None
    classifier = features.load(name).to(here)
    return classifier.pooled, classifier.probabilities
