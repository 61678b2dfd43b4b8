"""The training loop: a generator that yields its state, and goes on where it stopped.

Noise levels are spread evenly over log-SNR, one in each of `batch` equal strata; the loss is the squared error of the
denoised point in units of c_out, so that every level counts alike,

    loss = E |D(alpha x_0 + sigma eps, alpha, sigma) - x_0|^2 / (d c_out^2).

Everything random comes from one torch.Generator, whose state is in the checkpoint. Chapter 10 teaches this module.
"""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import count, expect, real_tensor, within
from ..randomness import check_generator, normal
from ..schedules import Schedule
from .files import fill, read, write
from .networks import Preconditioned

CLEAN = 2 * math.log(500)  # levels cleaner than sigma/alpha = 0.002, or noisier than its inverse, are not trained


@dataclass(frozen=True, eq=False)
class State:
    """Where a run is after `step` of `steps` steps.

    loss: of the last batch, before its step. network: being trained. average: its running average, the one to use;
    both are the live modules, copy them to keep them.
    """

    step: int
    steps: int
    loss: float
    network: Preconditioned
    average: Preconditioned


def train(
    network: Preconditioned, data, schedule: Schedule, *, steps: int, batch: int = 256, lr: float = 2e-3, ema: float = 0.999,
    clip: float = 1.0, log_snr: tuple[float, float] | None = None, checkpoint=None, every: int = 1000,
    generator: torch.Generator,
) -> Iterator[State]:  # fmt: skip
    """Train `network` in place and yield a `State` after every step.

    data: points (N, ...), drawn with replacement, or a law with `sample(n, generator)`. Batches go to the network's device.
    lr: peak rate of Adam, reached after 2 % of the steps, then falling to 0 like a cosine. ema: memory of the running average
    (shorter at first). clip: largest gradient norm. log_snr: lowest and highest level; default the schedule's, cut at
    sigma/alpha = 500 and 0.002. checkpoint: a file written every `every` steps and at the end; when it exists the run goes
    on from it, and on a CPU ends with the same bits as one that was never stopped. A loss that is not finite raises RuntimeError.
    """
    expect(isinstance(network, Preconditioned), "network", "a Preconditioned network, e.g. mlp(2)", type(network).__name__)
    draw = _drawer(data)
    for name, value in (("steps", steps), ("batch", batch), ("every", every)):
        count(value, name)
    for name, value in (("lr", lr), ("clip", clip)):
        within(value, 0.0, math.inf, name, open_low=True)
    within(ema, 0.0, 1.0, "ema")
    low, high = _ends(schedule, log_snr)
    t = schedule.t_of_log_snr(torch.linspace(low, high, 4096, dtype=torch.float64))
    settings = {"steps": steps, "batch": batch, "lr": lr, "ema": ema, "clip": clip}
    settings |= {"log_snr": [low, high], "schedule": schedule.name}
    file = None if checkpoint is None else Path(checkpoint)
    levels = torch.stack([schedule.alpha(t), schedule.sigma(t)], 1)
    return _loop(network, draw, levels, check_generator(generator), settings, file, every)


def _loop(network, draw, levels, generator, settings, file, every):
    steps, batch = settings["steps"], settings["batch"]
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings["lr"])
    done = 0
    if file is not None and file.exists():
        done = _restore(file, network, average, optimizer, generator, settings)
    device = next(network.parameters()).device
    while done < steps:
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * _rate(done, steps)
        x0 = draw(batch, generator).to(device, torch.float32)
        loss = _loss(network, x0, levels, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings["clip"])
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RuntimeError(f"the loss of step {done + 1} is {value}: a smaller lr may help")
        optimizer.step()
        done += 1
        memory = min(settings["ema"], done / (done + 10))
        with torch.no_grad():
            for old, new in zip(average.parameters(), network.parameters()):
                old.lerp_(new, 1 - memory)
        if file is not None and (done % every == 0 or done == steps):
            _save(file, network, average, optimizer, generator, settings, done)
        yield State(done, steps, value, network, average)


def _drawer(data):
    """data as a function (n, generator) -> batch."""
    if hasattr(data, "sample"):
        return data.sample
    points = real_tensor(data, "data")
    fits = points.ndim >= 2 and len(points) > 0
    expect(fits, "data", "points (N, ...) or a law with sample(n, generator)", f"shape {tuple(points.shape)}")

    def draw(n, generator):
        index = torch.randint(len(points), (n,), generator=generator, device=generator.device)
        return points[index.to(points.device)]

    return draw


def _ends(schedule: Schedule, log_snr) -> tuple[float, float]:
    if log_snr is None:
        ends = float(schedule.log_snr(schedule.T)), float(schedule.log_snr(0.0))
        return max(ends[0], -CLEAN), min(ends[1], CLEAN)
    low, high = (float(v) for v in log_snr)
    expect(-math.inf < low < high < math.inf, "log_snr", "two finite numbers, the lower first", log_snr)
    return low, high


def _loss(network, x0, levels, generator) -> torch.Tensor:
    n, shape = len(x0), (-1, *[1] * (x0.ndim - 1))
    u = torch.rand((), generator=generator, dtype=torch.float64, device=generator.device).cpu()
    level = ((torch.arange(n, dtype=torch.float64) + u) / n * len(levels)).long()
    alpha, sigma = levels[level].to(x0).T.reshape(2, *shape)
    x = alpha * x0 + sigma * normal(x0.shape, generator, dtype=x0.dtype, device=x0.device)
    error = (network(x, alpha.flatten(), sigma.flatten()) - x0) / network.out_scale(alpha, sigma)
    return error.square().mean()


def _rate(step: int, steps: int) -> float:
    """The learning rate's share of its peak: up over 2 % of the steps, then down like a cosine."""
    return min(1.0, (step + 1) / (0.02 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _save(file, network, average, optimizer, generator, settings, done) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for i, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value for name, value in entry.items()}
    tensors |= {"generator": generator.get_state(), "step": torch.tensor(done)}
    write(tensors, file, {"settings": json.dumps(settings)})


def _restore(file, network, average, optimizer, generator, settings) -> int:
    """Put everything back; a checkpoint of other settings is refused."""
    tensors, metadata = read(file)
    began = json.loads(metadata.get("settings", "{}"))
    expect(began == settings, "checkpoint", f"a run with {settings}", began)
    part = lambda prefix: {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}
    fill(network, part("network."), str(file))
    fill(average, part("average."), str(file))
    state = {}
    for name, value in part("optimizer.").items():
        i, key = name.split(".", 1)
        state.setdefault(int(i), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    generator.set_state(tensors["generator"])
    return int(tensors["step"])
