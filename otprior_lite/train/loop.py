"""The training loop: a generator that yields its state, and goes on where it stopped.

Noise levels are spread evenly over log-SNR, one in each of `batch` equal strata; the loss is the squared error of the
denoised point in units of c_out, so that every level counts alike,

    loss = E |D(alpha x_0 + sigma eps, alpha, sigma) - x_0|^2 / (d c_out^2).

Everything random comes from one torch.Generator, whose state is in the checkpoint. Points and images go through the same
loop, on one process or several (`parallel`). Chapter 10 teaches this module.
"""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..archive import fingerprint, read_own, resuming, same_names, same_settings, write
from ..atomic import clean, ready
from ..errors import count, expect, real_tensor, within
from ..processes import place
from ..randomness import check_generator, normal
from ..schedules import Schedule
from . import parallel
from .files import fill
from .networks import Preconditioned

KEY = "otprior_checkpoint"
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
    clip: float = 1.0, log_snr: tuple[float, float] | None = None, labels=None, drop: float = 0.1,
    dtype: torch.dtype = torch.float32, compile: bool = False, checkpoint=None, every: int = 1000, generator: torch.Generator,
) -> Iterator[State]:  # fmt: skip
    """Train `network` in place and yield a `State` after every step.

    data: points (N, ...), drawn with replacement, or a law with `sample(n, generator)`. Batches go to the network's device.
    lr: peak rate of Adam, reached after 2 % of the steps, then falling to 0 like a cosine. ema: memory of the running average
    (shorter at first). clip: largest gradient norm. log_snr: lowest and highest level; default the schedule's, cut at
    sigma/alpha = 500 and 0.002. labels: (N,) classes of the points, of which the share `drop` is hidden, so that the network
    learns both answers that guidance needs. dtype: torch.bfloat16 for autocast; the weights stay float32. compile: the raw
    network through torch.compile. checkpoint: a file written every `every` steps and at the end; when it exists the run goes
    on from it, and on a CPU ends with the same bits as one that was never stopped; ValueError when it is of another run: other
    settings, data or seed. A loss that is not finite raises RuntimeError.
    """
    expect(isinstance(network, Preconditioned), "network", "a Preconditioned network, e.g. mlp(2)", type(network).__name__)
    draw = _drawer(data, _labels(labels, data, network))
    for name, value in (("steps", steps), ("batch", batch), ("every", every)):
        count(value, name)
    for name, value in (("lr", lr), ("clip", clip)):
        within(value, 0.0, math.inf, name, open_low=True)
    for name, value in (("ema", ema), ("drop", drop)):
        within(value, 0.0, 1.0, name)
    expect(dtype in (torch.float32, torch.bfloat16), "dtype", "torch.float32 or torch.bfloat16", dtype)
    low, high = _ends(schedule, log_snr)
    t = schedule.t_of_log_snr(torch.linspace(low, high, 4096, dtype=torch.float64))
    settings = {"steps": steps, "batch": batch, "lr": lr, "ema": ema, "clip": clip, "dtype": str(dtype)}
    settings |= {"log_snr": [low, high], "schedule": schedule.name, "predicts": network.predicts}
    settings |= {"drop": None if labels is None else drop, "data": _digest(data, labels)}
    settings |= {"seed": check_generator(generator).initial_seed(), "generator": generator.device.type}
    file = None if checkpoint is None else Path(checkpoint)
    levels = torch.stack([schedule.alpha(t), schedule.sigma(t)], 1)
    parallel.share(batch)
    return _loop(network, draw, levels, generator, settings, file, every, dtype, compile)


def _loop(network, draw, levels, generator, settings, file, every, dtype, compile):
    steps, batch = settings["steps"], settings["batch"]
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings["lr"])
    done, first = 0, place()[0] == 0
    if file is not None and file.exists():
        with resuming():
            done = _restore(file, network, average, optimizer, generator, settings)
    if file is not None and first:
        clean(file)
        ready(file)
    device = next(network.parameters()).device
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # touches the weights of convolutions only
    if compile:
        network.raw.compile()
    while done < steps:
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * _rate(done, steps)
        x0, label = draw(batch, generator)
        label = _hide(label, settings["drop"], generator)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = _loss(network, x0.to(device, torch.float32), label, levels, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        loss = loss.detach()
        parallel.average([loss, *(p.grad for p in network.parameters() if p.grad is not None)])
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings["clip"])
        value = float(loss)
        if not math.isfinite(value):
            raise RuntimeError(f"the loss of step {done + 1} is {value}: a smaller lr may help")
        optimizer.step()
        done += 1
        memory = min(settings["ema"], done / (done + 10))
        with torch.no_grad():
            for old, new in zip(average.parameters(), network.parameters()):
                old.lerp_(new, 1 - memory)
        if file is not None and first and (done % every == 0 or done == steps):
            _save(file, network, average, optimizer, generator, settings, done)
        yield State(done, steps, value, network, average)


def _drawer(data, labels):
    """data as a function (n, generator) -> (batch, its labels or None)."""
    if hasattr(data, "sample"):
        return lambda n, generator: (data.sample(n, generator), None)
    points = real_tensor(data, "data")
    fits = points.ndim >= 2 and len(points) > 0
    expect(fits, "data", "points (N, ...) or a law with sample(n, generator)", f"shape {tuple(points.shape)}")

    def draw(n, generator):
        index = torch.randint(len(points), (n,), generator=generator, device=generator.device)
        return points[index.to(points.device)], None if labels is None else labels[index.to(labels.device)]

    return draw


def _labels(labels, data, network):
    """Labels (N,) of the points that the network can be told, or None."""
    if labels is None:
        return None
    expect(not hasattr(data, "sample"), "labels", "None for data that are a law", "labels")
    labels = torch.as_tensor(labels)
    whole = labels.ndim == 1 and len(labels) == len(data) and labels.dtype in (torch.int64, torch.int32)
    expect(whole, "labels", f"whole numbers of shape ({len(data)},)", f"{labels.dtype} of shape {tuple(labels.shape)}")
    expect(network.classes > 0, "labels", "None: this network knows no classes", "labels")
    fits = 0 <= int(labels.min()) and int(labels.max()) < network.classes
    expect(fits, "labels", f"0 to {network.classes - 1}", f"{int(labels.min())} to {int(labels.max())}")
    return labels


def _digest(data, labels) -> str | None:
    """A hash of points and labels, so that a run does not go on with others; None for a law."""
    if hasattr(data, "sample"):
        return None
    columns = [real_tensor(data, "data")] + ([] if labels is None else [torch.as_tensor(labels)])
    return fingerprint(*columns)[:16]


def _hide(label, drop, generator):
    """Labels with a random share hidden: -1."""
    if label is None:
        return None
    hidden = torch.rand(len(label), generator=generator, device=generator.device).to(label.device) < drop
    return label.masked_fill(hidden, -1)


def _ends(schedule: Schedule, log_snr) -> tuple[float, float]:
    if log_snr is None:
        ends = float(schedule.log_snr(schedule.T)), float(schedule.log_snr(0.0))
        return max(ends[0], -CLEAN), min(ends[1], CLEAN)
    low, high = (float(v) for v in log_snr)
    expect(-math.inf < low < high < math.inf, "log_snr", "two finite numbers, the lower first", log_snr)
    return low, high


def _loss(network, x0, label, levels, generator) -> torch.Tensor:
    n, shape = len(x0), (-1, *[1] * (x0.ndim - 1))
    u = torch.rand((), generator=generator, dtype=torch.float64, device=generator.device).cpu()
    level = ((torch.arange(n, dtype=torch.float64) + u) / n * len(levels)).long()
    noise = normal(x0.shape, generator, dtype=x0.dtype, device=x0.device)
    mine = parallel.share(n)
    x0, noise, level = x0[mine], noise[mine], level[mine]
    alpha, sigma = levels[level].to(x0).T.reshape(2, *shape)
    x = alpha * x0 + sigma * noise
    if x.is_cuda and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    told = () if label is None else (label[mine],)
    error = (network(x, alpha.flatten(), sigma.flatten(), *told) - x0) / network.out_scale(alpha, sigma)
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
    write(tensors, file, {KEY: json.dumps(settings)})


def _restore(file, network, average, optimizer, generator, settings) -> int:
    """Put everything back; a checkpoint of other settings is refused."""
    tensors, began = read_own(file, KEY, "train")
    same_settings(began, settings, file, "a run")
    same_names({name: v for name, v in tensors.items() if "." not in name}, ("generator", "step"), file, "a checkpoint")
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
