"""Networks, features, the sampled solver and the commands on a GPU: the CPU's answers, within the tolerance each test states.

A GPU rounds convolutions to TF32 unless it is told not to (`exact`); with it, pictures agree to about 1 %, without to 1e-4.
Skipped where there is no GPU.
"""

import json

import numpy as np
import pytest
import torch
from zoo import f64, rng

from otprior_lite import cli, data, features, metrics, priors, samplers, schedules, semidiscrete
from otprior_lite.archive import read
from otprior_lite.score import LearnedDenoiser
from otprior_lite.semidiscrete.sampling import Sampler
from otprior_lite.train import Design, load_model, save_model, train

pytest.importorskip("diffusers")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]
devices = pytest.mark.parametrize("device", ["cuda"])
VP = schedules.ddpm_linear()


@pytest.fixture
def exact():
    """float32 convolutions and products without TF32."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def pictures(n, seed=0):
    return torch.randn(n, 3, 16, 16, generator=rng(seed)).clamp(-1, 1)


def last(states):
    for state in states:
        pass
    return state


def close(found, expected, part):
    """Equal up to `part` of the expected root mean square."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    assert float((found - expected).square().mean().sqrt()) <= part * float(expected.square().mean().sqrt())


def network(seed=1, classes=3):
    """A "tiny" U-Net whose last layer is not zero, so that it answers something."""
    found = Design("tiny", (3, 16, 16), classes).network(pictures(8), rng(seed))
    with torch.no_grad():
        found.raw.unet.conv_out.weight.normal_(0, 0.05, generator=rng(seed + 1))
    return found


# ---- networks


@devices
def test_one_step_has_the_gradients_of_the_cpu(device, exact, tmp_path):
    """Adam's running mean after the first step is a tenth of the gradient: equal to 1e-3, and so are the weights."""
    labels = torch.arange(8) % 3

    def step(where, file):
        options = {"steps": 5, "batch": 8, "every": 1, "labels": labels, "generator": rng(2)}
        next(train(network().to(where), pictures(8), VP, checkpoint=file, **options))
        tensors = sorted(read(file)[0].items())
        pick = lambda start, end: torch.cat([v.flatten() for key, v in tensors if key.startswith(start) and key.endswith(end)])
        return pick("optimizer.", ".exp_avg"), pick("network.raw.", "")

    for found, expected in zip(step(device, tmp_path / "there"), step("cpu", tmp_path / "here")):
        close(found, expected, 1e-3)


@devices
@pytest.mark.parametrize("dtype, part", [(torch.float32, 1e-3), (torch.bfloat16, 0.05)], ids=str)
def test_denoisers_and_samples(device, exact, dtype, part, tmp_path):
    """A model from its file, guided, through ten DDIM steps: 1e-3 in float32; 5 % for one answer under bfloat16 autocast."""
    save_model(Design("tiny", (3, 16, 16), 3), network(), tmp_path / "model.safetensors", torch.float16)
    cpu, here = (load_model(tmp_path / "model.safetensors")[1] for _ in range(2))
    here.network.to(device)
    x = torch.randn(4, 3, 16, 16, generator=rng(3))
    with torch.autocast(torch.device(device).type, dtype, enabled=dtype != torch.float32):
        found = here(x.to(device), 600.0)
    assert found.device.type == device
    close(found, cpu(x, 600.0), part)
    if dtype == torch.float32:
        guided = [LearnedDenoiser(d.network, VP, label=1, guidance=2.0) for d in (here, cpu)]
        draws = [samplers.sample(d, VP, v, steps=10) for d, v in zip(guided, (x.to(device), x))]
        close(*draws, part)


@devices
def test_all_draws_may_be_made_on_the_device(device, tmp_path):
    """Data, labels and generator on the device: a stopped run goes on to the weights of one that was not."""
    x, labels = pictures(8).to(device), (torch.arange(8) % 3).to(device)

    def run(file):
        generator = torch.Generator(device).manual_seed(4)
        options = {"steps": 4, "batch": 8, "every": 2, "labels": labels, "checkpoint": file, "generator": generator}
        return train(network().to(device), x, VP, **options)

    whole = last(run(tmp_path / "whole"))
    for state in run(tmp_path / "stopped"):
        if state.step == 3:
            break
    end = last(run(tmp_path / "stopped"))
    assert end.step == 4 and end.loss == pytest.approx(whole.loss, rel=1e-3)
    for found, expected in zip(end.network.parameters(), whole.network.parameters()):
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)


# ---- features and metrics in them


@devices
def test_features(device, exact):
    """The classifier's features to 1e-4, its classes, and the metrics in them to 1e-3."""
    cpu, here = features.load("emoji32"), features.load("emoji32").to(device)
    x = features.split("emoji32")[1].x[:300]
    close(here.pooled(x.to(device)), cpu.pooled(x), 1e-4)
    assert here.pooled(x.to(device)).device.type == device
    assert torch.equal(here.probabilities(x.to(device)).argmax(1).cpu(), cpu.probabilities(x).argmax(1))
    a, b = x[:150], x[150:]
    there = metrics.frechet(a.to(device), b.to(device), features=here.pooled)
    expected = metrics.frechet(a, b, features=cpu.pooled)
    assert (there.value, there.floor) == pytest.approx((expected.value, expected.floor), rel=1e-3)
    there = metrics.precision_recall(here.pooled(a.to(device)), here.pooled(b.to(device)))
    expected = metrics.precision_recall(cpu.pooled(a), cpu.pooled(b))
    assert there.precision.value == pytest.approx(expected.precision.value, abs=0.02)  # three pictures on a rim


@devices
def test_pictures_agree_with_tf32(device):
    """As a GPU comes: 1 %."""
    x = features.split("emoji32")[1].x[:64]
    close(features.load("emoji32").to(device).pooled(x.to(device)), features.load("emoji32").pooled(x), 1e-2)


# ---- the sampled solver


def cloud(n=60, d=6, seed=5):
    return torch.randn(n, d, generator=rng(seed), dtype=f64) * torch.linspace(0.3, 1.5, d, dtype=f64)


@devices
@pytest.mark.parametrize("shifts", [0, 3])
def test_the_same_draws_fall_into_the_same_cells(device, shifts):
    """Given blocks of one size, counts are equal and means of the top score agree to 1e-9 (float64)."""
    points, heights = cloud(), 0.1 * torch.randn(60, generator=rng(6), dtype=f64)
    count = lambda where: Sampler(points.to(where), shifts, 64).counts(heights.to(where), 5, rng(7))
    (found, tops), (expected, expected_tops) = count(device), count("cpu")
    assert found.device.type == device and torch.equal(found.cpu(), expected)
    torch.testing.assert_close(tops.cpu(), expected_tops, rtol=1e-9, atol=1e-9)


@devices
@pytest.mark.parametrize("method", ["newton", "asgd"])
def test_a_map_solved_there_holds_here(device, method):
    """The tolerance on a fresh sample of the CPU, and the CPU's W2 within four standard errors."""
    options = {"tolerance": 0.15, "method": method}
    there = semidiscrete.solve(cloud(), generator=torch.Generator(device).manual_seed(1), device=device, **options)
    here = semidiscrete.solve(cloud(), generator=rng(1), **options)
    assert there.converged and here.converged
    on_cpu = semidiscrete.BrenierMap(cloud(), there.heights.cpu())
    assert semidiscrete.verify(on_cpu, n=40_000, generator=rng(2)).l1.value < 0.15
    error = (there.w2_squared.error**2 + here.w2_squared.error**2) ** 0.5
    assert there.w2_squared.value == pytest.approx(here.w2_squared.value, abs=4 * error + 0.01 * here.w2_squared.value)


@devices
def test_a_potential_solved_there_is_replayed_here(device, tmp_path):
    """Killed after three states and gone on; one float for each picture; the atoms are made again on the CPU, bit for bit."""
    x, options = pictures(40), {"tolerance": 0.3, "checkpoint": tmp_path / "state", "every": 0.0}
    steps = priors.potential_steps(x, VP, 500.0, seed=3, device=device, **options)
    for k, _ in enumerate(steps):
        if k == 3:
            break
    steps.close()
    assert (tmp_path / "state").exists()
    state = last(priors.potential_steps(x, VP, 500.0, seed=3, device=device, **options))
    priors.Potential.of(state, x, VP, 500.0, seed=3, device=device).save(tmp_path / "potential.safetensors")
    potential = priors.Potential.load(tmp_path / "potential.safetensors")
    assert potential.heights.shape == (40,) and potential.heights.device.type == "cpu"
    assert potential.verify(x, VP, n=20_000, generator=rng(4)).interval[0] < 0.3
    here = potential.replay(x, VP)
    there = here.to(device)
    codes = here.codes(50, rng(5))
    assert torch.equal(there.map.cell(codes.to(device)).cpu(), here.map.cell(codes))
    assert torch.equal(there.sample(50, rng(5)).cpu(), here.sample(50, rng(5)))


# ---- commands


@devices
def test_commands(device, tmp_path, capsys):
    """train, solve, sample, evaluate with --device: files that a CPU reads."""
    y = np.arange(24) % 2
    x = (2.0 * y[:, None, None, None] - 1) * np.random.default_rng(0).uniform(0.5, 1, (24, 3, 8, 8))
    np.savez(tmp_path / "data.npz", x=x.astype("float32"), y=y)
    file, model, prior, out = (tmp_path / name for name in ("data.npz", "model", "prior.safetensors", "x.npz"))
    common = ["--device", device]
    words = ["--data", file, "--out", model, "--steps", 3, "--batch", 8, "--bf16", "--conditional", "--every", 2]
    assert cli.main(["train", *map(str, words), *common]) == 0
    words = ["--data", file, "--t", 500, "--tolerance", 0.3, "--heights", "--out", prior]
    assert cli.main(["solve", *map(str, words), *common]) == 0
    words = ["--model", model, "--prior", prior, "--data", file, "--t", 500, "--n", 6, "--steps", 3, "--label", 1, "--out", out]
    assert cli.main(["sample", *map(str, words), *common]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", *map(str, ["--samples", out, "--data", file]), *common]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 6
    assert data.load(out).x.shape == (6, 3, 8, 8)
    assert next(load_model(model / "model.safetensors")[1].network.parameters()).device.type == "cpu"
