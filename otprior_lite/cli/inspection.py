"""Commands that look: `about`, `gap`, `data`."""

import json
from dataclasses import asdict

from .shared import plain


def add(commands) -> None:
    """Tell the parser about them."""
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


def _about(options) -> None:
    from ..provenance import about

    print(json.dumps(about(), indent=2))


def _gap(options) -> None:
    import torch

    from .. import data, schedules
    from ..errors import count
    from ..gap import prior_gap
    from ..targets import Empirical

    schedule = schedules.named(options.schedule, "--schedule")
    dataset = data.load(options.data)
    t = schedule.T if options.t is None else options.t
    gap = prior_gap(Empirical(dataset.flat.to(torch.float64)), schedule, t, n=count(options.samples, "--samples", 2))
    if options.json:
        print(json.dumps({"data": dataset.name, "schedule": schedule.name, "t": t, **plain(asdict(gap))}, indent=2))
        return
    print(f"{dataset.name}, {len(dataset.x)} points in dimension {dataset.flat.shape[1]}; {schedule.name} at t = {t:g}")
    print(f"W2(p_t, N(0, {gap.reference_std:g}^2 I)) lies in [{gap.lower:.4g}, {gap.upper:.4g}]")
    print(
        f"  mean        {gap.mean:.4g}\n  covariance  {gap.covariance:.4g}\n  shape       {gap.shape}\n  total       {gap.total}"
    )


def _data(options) -> None:
    from .. import data
    from ..errors import expect, known

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
