"""Commands that make the book's figures and results again: `figures`, `experiments`."""

import json
from pathlib import Path


def add(commands) -> None:
    """Tell the parser about them."""
    figures = commands.add_parser("figures", help="write the book's figures, camera-ready")
    figures.add_argument("names", nargs="*", help="figures to make (default: all)")
    figures.add_argument("--out", type=Path, default=Path("figures"), help="folder (default: figures)")
    figures.add_argument("--theme", default="print", help="light, dark or print (default: print)")
    figures.set_defaults(run=_figures)

    experiments = commands.add_parser(
        "experiments", help="make the results under data/results again; goes on where it was stopped"
    )
    experiments.add_argument("names", nargs="*", help="studies to run (default: all)")
    experiments.add_argument("--quick", action="store_true", help="few, small cells, to try it out")
    experiments.add_argument("--out", type=Path, default=None, help="folder (default: data/results; with --quick: results-quick)")
    experiments.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    experiments.set_defaults(run=_experiments)


def _figures(options) -> None:
    import time

    from .. import figures
    from ..provenance import about

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

    from .. import data, experiments
    from ..experiments.study import run

    out = options.out or (Path("results-quick") if options.quick else data.root() / "results")
    for study in [experiments.find(name) for name in options.names or experiments.names()]:
        with tqdm(desc=study.name, unit="cell") as bar:
            for progress in run(study, out, quick=options.quick, jobs=options.jobs):
                bar.total = progress.total
                bar.update(progress.done - bar.n)
        print(out / f"{study.name}.json")
