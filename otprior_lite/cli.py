"""The command line: parse, call the library, print. `otprior --help` lists the commands."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run `otprior`; returns the exit status. A refused input prints its reason and returns 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"otprior {options.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otprior", description="The prior gap of diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True)

    about = commands.add_parser("about", help="versions, device and data hashes, as JSON")
    about.set_defaults(run=_about)

    gap = commands.add_parser("gap", help="how far p_t of your data is from the prior")
    gap.add_argument("--data", required=True, help="a dataset name, an .npz file with x (n, ...), or a folder of pictures")
    gap.add_argument("--schedule", default="ddpm_linear", help="a schedule of otprior_lite.schedules (default: ddpm_linear)")
    gap.add_argument("--t", type=float, default=None, help="time in (0, T] (default: T)")
    gap.add_argument("--samples", type=int, default=500, help="samples behind the shape part (default: 500)")
    gap.add_argument("--json", action="store_true", help="print JSON")
    gap.set_defaults(run=_gap)

    data = commands.add_parser("data", help="the datasets and where they are; a name downloads what is missing")
    data.add_argument("names", nargs="*", help="datasets to get, or to check (default: list all)")
    data.add_argument("--check", action="store_true", help="compare every file with its hash, download nothing")
    data.set_defaults(run=_data)

    figures = commands.add_parser("figures", help="write the book's figures, camera-ready")
    figures.add_argument("names", nargs="*", help="figures to make (default: all)")
    figures.add_argument("--out", type=Path, default=Path("figures"), help="folder (default: figures)")
    figures.add_argument("--theme", default="print", help="light, dark or print (default: print)")
    figures.set_defaults(run=_figures)

    experiments = commands.add_parser("experiments", help="make the results under data/results again; goes on where it was stopped")
    experiments.add_argument("names", nargs="*", help="studies to run (default: all)")
    experiments.add_argument("--quick", action="store_true", help="few, small cells, to try it out")
    experiments.add_argument("--out", type=Path, default=None, help="folder (default: data/results; with --quick: results-quick)")
    experiments.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    experiments.set_defaults(run=_experiments)
    return parser


def _about(options) -> None:
    from .provenance import about

    print(json.dumps(about(), indent=2))


def _gap(options) -> None:
    import torch

    from . import data, schedules
    from .errors import count, known
    from .gap import prior_gap
    from .targets import Empirical

    makers = ("ou", "vp", "sub_vp", "ve", "edm", "flow_matching", "trigonometric", "ddpm_linear", "scaled_linear", "cosine")
    schedule = getattr(schedules, known(options.schedule, makers, "--schedule"))()
    dataset = data.load(options.data)
    t = schedule.T if options.t is None else options.t
    gap = prior_gap(Empirical(dataset.flat.to(torch.float64)), schedule, t, n=count(options.samples, "--samples", 2))
    if options.json:
        print(json.dumps({"data": dataset.name, "schedule": schedule.name, "t": t, **_plain(asdict(gap))}, indent=2))
        return
    print(f"{dataset.name}, {len(dataset.x)} points in dimension {dataset.flat.shape[1]}; {schedule.name} at t = {t:g}")
    print(f"W2(p_t, N(0, {gap.reference_std:g}^2 I)) lies in [{gap.lower:.4g}, {gap.upper:.4g}]")
    print(
        f"  mean        {gap.mean:.4g}\n  covariance  {gap.covariance:.4g}\n  shape       {gap.shape}\n  total       {gap.total}"
    )


def _data(options) -> None:
    from . import data
    from .errors import expect, known

    names = [known(name, data.names(), "names") for name in options.names]
    refused = []
    for name in names or data.names():
        if names and not options.check:
            data.fetch(name)
        verdict = data.state(name)
        if options.check and verdict != "not downloaded":
            try:
                data.verify(name)
                verdict += ", whole"
            except (ValueError, FileNotFoundError) as error:
                refused.append(str(error))
                verdict += ", refused"
        print(f"{name:26} {verdict}")
    expect(not refused, "--check", "the hashes of the manifest", "; ".join(refused))


def _plain(numbers: dict) -> dict:
    """The same with null where a number is not known: JSON has no NaN."""
    known = {key: _plain(value) if isinstance(value, dict) else value for key, value in numbers.items()}
    return {key: None if value != value else value for key, value in known.items()}


def _figures(options) -> None:
    import time

    from . import figures
    from .provenance import about

    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or figures.names():
        start = time.perf_counter()
        figure = figures.make(name, options.theme)
        seconds = round(time.perf_counter() - start, 2)
        for kind in ("pdf", "svg", "png"):
            figure.savefig(options.out / f"{name}.{kind}", dpi=200, bbox_inches="tight")
        record = {"figure": name, "theme": options.theme, "seconds": seconds, **about()}
        (options.out / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(options.out / f"{name}.pdf")


def _experiments(options) -> None:
    from tqdm import tqdm

    from . import data, experiments
    from .experiments.study import run

    out = options.out or (Path("results-quick") if options.quick else data.root() / "results")
    for study in [experiments.find(name) for name in options.names or experiments.names()]:
        with tqdm(desc=study.name, unit="cell") as bar:
            for progress in run(study, out, quick=options.quick, jobs=options.jobs):
                bar.total = progress.total
                bar.update(progress.done - bar.n)
        print(out / f"{study.name}.json")


if __name__ == "__main__":
    sys.exit(main())
