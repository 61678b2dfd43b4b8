"""Networks for images: sizes, what they predict, classes, the loop on U-Nets, and diffusers as the other implementation."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from zoo import few, rng

from otprior_lite import priors, samplers, schedules, train
from otprior_lite.score import LearnedDenoiser
from otprior_lite.train import Design, Preconditioned, adapted, latents, mlp, pretrained, unet
from otprior_lite.train.images import unet_config
from otprior_lite.train.networks import PREDICTS

diffusers = pytest.importorskip("diffusers")

VP = schedules.ddpm_linear()
SMALL = {"sample_size": 8, "block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
BLOCKS = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "attention_head_dim": None}
CHECKPOINT = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": False}


def last(states):
    for state in states:
        pass
    return state


def small_unet(seed=0, **changes):
    """A diffusers U-Net of 13 thousand weights, none of them zero, drawn without the global state."""
    model = diffusers.UNet2DModel(**SMALL, **BLOCKS, **changes).requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(0, 0.15, generator=rng(seed))
    return model.eval()


@pytest.mark.parametrize("size, classes, weights", [("tiny", 0, 1_113_955), ("small", 0, 6_472_195), ("base", 0, 35_746_307)])
def test_sizes(size, classes, weights):
    """About 1 M, 6 M, and DDPM's 35.7 M for CIFAR-10; counted without memory."""
    with torch.device("meta"):
        model = diffusers.UNet2DModel(**unet_config(size, (3, 32, 32), classes))
    assert sum(p.numel() for p in model.parameters()) == weights


def test_base_is_the_network_of_ddpm():
    """The published configuration of google/ddpm-cifar10-32, typed here from its config.json."""
    published = {
        "attention_head_dim": None, "block_out_channels": [128, 256, 256, 256], "center_input_sample": False,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"], "downsample_padding": 0,
        "flip_sin_to_cos": False, "freq_shift": 1, "in_channels": 3, "layers_per_block": 2, "mid_block_scale_factor": 1,
        "norm_eps": 1e-06, "norm_num_groups": 32, "out_channels": 3,
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    }  # fmt: skip
    with torch.device("meta"):
        ours = diffusers.UNet2DModel(**unet_config("base", (3, 32, 32))).config
    assert all(list(ours[k]) == v if isinstance(v, list) else ours[k] == v for k, v in published.items())


class Fixed(torch.nn.Module):
    """A raw network that answers the same whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x, log_snr):
        return self.answer


@few
@given(st.floats(0.05, 3), st.floats(0.05, 3), st.floats(-2, 2), st.floats(0.2, 3))
def test_the_ideal_answer_of_every_kind_gives_the_data_back(alpha, sigma, mean, std):
    """x = alpha x_0 + sigma eps: a network that answers eps, x_0 or v of the centred data recovers x_0 in any channel."""
    x0 = mean + std * torch.randn(5, 3, generator=rng(), dtype=torch.float64)
    eps = torch.randn(5, 3, generator=rng(1), dtype=torch.float64)
    centred = x0 - mean
    answers = {"eps": eps, "x0": centred / std, "v": alpha * eps - sigma * centred}
    for predicts, answer in answers.items():
        network = Preconditioned(Fixed(answer), mean, std, predicts).double()
        network.mean, network.std = torch.tensor([mean, std], dtype=torch.float64)
        found = network(alpha * x0 + sigma * eps, alpha, sigma)
        torch.testing.assert_close(found, x0, rtol=1e-9, atol=1e-9)


def test_the_frames_agree_where_they_should():
    """With unit data in a variance-preserving channel the edm frame is v-prediction with the sign turned."""
    x, answer, a = torch.randn(4, 2, generator=rng()), torch.randn(4, 2, generator=rng(1)), torch.tensor(0.6)
    v, edm = Preconditioned(Fixed(answer), predicts="v"), Preconditioned(Fixed(-answer), predicts="edm")
    torch.testing.assert_close(v(x, a, 0.8), edm(x, a, 0.8))


@pytest.mark.parametrize("predicts", PREDICTS)
def test_every_kind_learns(predicts):
    """Two far clusters: after 400 steps each kind's denoiser is near the exact one at a middle time."""
    points = torch.tensor([[-1.0], [1.0]])
    network = mlp(1, 32, 2, predicts=predicts, generator=rng())
    state = last(train.train(network, points, VP, steps=400, batch=64, lr=5e-3, ema=0.98, generator=rng(1)))
    t = 300.0
    a, s = float(VP.alpha(t)), float(VP.sigma(t))
    x = torch.linspace(-1.5, 1.5, 31)[:, None]
    exact = torch.tanh(a * x / s**2)
    assert float((LearnedDenoiser(state.average, VP)(x, t) - exact).square().mean().sqrt()) < 0.15


@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("name", schedules.NAMES)
def test_every_kind_on_every_schedule(predicts, name):
    """Training and sampling from just below T stay finite, where alpha is small, where sigma is large, and where SNR ends at 0."""
    schedule, points = schedules.named(name), torch.randn(9, 2, generator=rng())
    state = last(
        train.train(mlp(2, 8, 1, predicts=predicts, generator=rng()), points, schedule, steps=3, batch=8, generator=rng())
    )
    x = float(schedule.sigma(schedule.T)) * torch.randn(3, 2, generator=rng(1))
    denoiser = LearnedDenoiser(state.average, schedule)
    out = samplers.sample(denoiser, schedule, x, steps=4, t_start=0.98 * schedule.T)
    assert math.isfinite(state.loss) and bool(torch.isfinite(out).all())


def test_no_noise_prediction_without_signal():
    network = mlp(2, 4, 1, predicts="eps", generator=rng())
    with pytest.raises(ValueError, match="alpha: expected positive"):
        network(torch.zeros(1, 2), 0.0, 1.0)


def test_a_unet_starts_as_the_denoiser_of_one_gaussian_and_leaves_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    network = unet("tiny", (1, 8, 8), mean=0.3, std=0.5, generator=rng())
    assert torch.equal(before, torch.get_rng_state())
    x, a, s = torch.randn(2, 1, 8, 8, generator=rng(1)), 0.6, 0.8
    expected = 0.3 + a * 0.25 / (a**2 * 0.25 + s**2) * (x - a * 0.3)
    torch.testing.assert_close(network(x, a, s), expected, rtol=1e-5, atol=1e-5)
    again = unet("tiny", (1, 8, 8), generator=rng())
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), again.parameters()))
    weight = network.raw.unet.mid_block.resnets[0].conv1.weight  # torch's usual start: uniform with variance 1 / (3 fan_in)
    assert float(weight.detach().var()) == pytest.approx(1 / (3 * 64 * 9), rel=0.05)


def test_a_unet_learns_images_and_classes():
    """Two classes of flat images, one white, one black: told the class in full noise, it answers that class.

    Not told, it answers the mean; guidance extrapolates between the two answers.
    """
    labels = torch.arange(2).repeat(4)
    points = (2.0 * labels - 1)[:, None, None, None].expand(8, 1, 4, 4).clone()
    network = unet("tiny", (1, 4, 4), classes=2, predicts="x0", generator=rng())
    options = {"steps": 40, "batch": 16, "lr": 2e-3, "ema": 0.9, "drop": 0.3, "labels": labels, "log_snr": (-9.0, -4.0)}
    state = last(train.train(network, points, VP, generator=rng(1), **options))
    noise, t = torch.randn(6, 1, 4, 4, generator=rng(2)), VP.T
    told = lambda **options: LearnedDenoiser(state.average, VP, **options)(noise, t)
    black, white, plain = told(label=0), told(label=torch.ones(6, dtype=torch.int64)), told()
    assert float(black.mean()) < -0.5 and float(white.mean()) > 0.5 and abs(float(plain.mean())) < 0.25
    torch.testing.assert_close(told(label=1, guidance=2.5), plain + 2.5 * (white - plain))
    torch.testing.assert_close(told(label=1, guidance=0.0), plain)
    torch.testing.assert_close(told(label=-1), plain)


def test_bf16_keeps_float32_weights():
    network = unet("tiny", (1, 4, 4), generator=rng())
    points = torch.randn(8, 1, 4, 4, generator=rng(1))
    run = lambda net, dtype: last(train.train(net, points, VP, steps=2, batch=8, dtype=dtype, generator=rng(2)))
    low = run(network, torch.bfloat16)
    high = run(unet("tiny", (1, 4, 4), generator=rng()), torch.float32)
    assert {p.dtype for p in low.average.parameters()} == {torch.float32}
    assert low.loss == pytest.approx(high.loss, rel=0.02) and low.loss != high.loss


def test_compile_is_asked_for_and_changes_nothing(monkeypatch):
    """compile=True compiles the raw network in place, so names and values stay (an eager backend: no C compiler needed)."""
    asked, real = [], torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: (asked.append(self), real(self, backend="eager"))[0])
    run = lambda **options: last(
        train.train(mlp(2, 8, 1, generator=rng()), torch.eye(2), VP, steps=3, batch=4, generator=rng(1), **options)
    )
    compiled, plain = run(compile=True), run()
    assert asked == [compiled.network.raw] and compiled.loss == pytest.approx(plain.loss, rel=1e-5)
    assert compiled.network.state_dict().keys() == plain.network.state_dict().keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("options", [{}, {"dtype": torch.bfloat16}, {"dtype": torch.bfloat16, "compile": True}], ids=str)
def test_a_gpu_trains_what_the_cpu_trains(options, tmp_path):
    """The same first loss as a CPU in float32; weights of convolutions are channels_last; a stopped run goes on to the end."""
    points = torch.randn(16, 3, 16, 16, generator=rng())
    run = lambda device, **options: train.train(
        unet("tiny", (3, 16, 16), generator=rng(1)).to(device), points, VP, steps=4, batch=16, generator=rng(2), **options
    )
    first, file = next(run("cpu")), tmp_path / "run"
    for state in run("cuda", checkpoint=file, every=2, **options):
        if state.step == 1:
            assert state.loss == pytest.approx(first.loss, rel=0.02 if options else 1e-3)
        if state.step == 3:
            break
    end = last(run("cuda", checkpoint=file, every=2, **options))
    weight = end.network.raw.unet.conv_in.weight
    assert end.step == 4 and weight.is_cuda and weight.is_contiguous(memory_format=torch.channels_last)
    assert all(p.dtype == torch.float32 and bool(torch.isfinite(p).all()) for p in end.average.parameters())
    assert bool(torch.isfinite(LearnedDenoiser(end.average, VP)(points.cuda(), 500.0)).all())


# diffusers as the peer


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_a_checkpoint_of_diffusers_comes_back_as_a_denoiser(tmp_path, kind):
    """Saved by diffusers and loaded by us: x_0 at every step as diffusers' own step finds it."""
    model, scheduler = small_unet(), diffusers.DDIMScheduler(**CHECKPOINT, prediction_type=kind)
    diffusers.DDIMPipeline(model, scheduler).save_pretrained(tmp_path)
    denoiser = pretrained(tmp_path)
    x = torch.randn(2, 3, 8, 8, generator=rng(1))
    scheduler.set_timesteps(1000)
    for k in (0, 1, 137, 500, 999):
        with torch.no_grad():
            theirs = scheduler.step(model(x, k).sample, k, x).pred_original_sample
        ours = denoiser(x, k + 1.0)
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3 * float(theirs.abs().max()))
    assert float(denoiser.schedule.alpha(400.0)) == pytest.approx(float(VP.alpha(400.0)), rel=1e-5)


def test_a_checkpoint_that_is_nowhere_is_refused_in_one_sentence(tmp_path, monkeypatch):
    """A mistyped folder asks nobody; what could be a name of a hub is asked for once; a folder of something else is named."""
    asked = []

    def fetch(name, **_):
        asked.append(name)
        raise OSError("a long story\nin many lines")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", fetch)
    said = "^model: expected a model that is here, or OWNER/NAME of a checkpoint for diffusers to fetch, got "
    for name in ("nothing_here", "./runs/mine", "../mine", tmp_path / "mine", "runs/mine/model.bin"):
        with pytest.raises(ValueError, match=rf"{said}'{re.escape(str(name))}'$"):
            pretrained(name)
    assert asked == []
    with pytest.raises(ValueError, match=f"{said}'runs/mine': not here, and diffusers could not fetch it$"):
        pretrained("runs/mine")
    with pytest.raises(ValueError, match=f"{said}'{tmp_path}': diffusers cannot read what is here$"):
        pretrained(tmp_path)
    assert asked == ["runs/mine", str(tmp_path)]


def test_steps_between_steps():
    """The step told to the network inverts the table, in between linearly, and stays inside its ends."""
    raw = adapted(small_unet(), diffusers.DDPMScheduler(**CHECKPOINT)).network.raw
    times = torch.tensor([1.0, 2.0, 137.25, 600.5, 1000.0], dtype=torch.float64)
    torch.testing.assert_close(raw.step(VP.log_snr(times).float()), times.float() - 1, rtol=0, atol=2e-3)
    assert raw.step(torch.tensor([30.0, -30.0])).tolist() == [0.0, 999.0]


def test_our_samples_start_a_scheduler_of_diffusers():
    """Our prior through diffusers' own DDIM loop ends where our sampler ends."""
    model, scheduler = small_unet(), diffusers.DDIMScheduler(**CHECKPOINT, timestep_spacing="trailing")
    denoiser = adapted(model, scheduler)
    scheduler.set_timesteps(10)
    prior = priors.MomentMatched.fit(torch.randn(20, 3, 8, 8, generator=rng()), VP, VP.T)
    x = scheduler.init_noise_sigma * latents(prior, 2, VP, VP.T, scheduler, rng(1))
    ours = samplers.sample(denoiser, VP, prior.sample(2, rng(1)), steps=10, spacing="trailing")
    with torch.no_grad():
        for k in scheduler.timesteps:
            x = scheduler.step(model(x, k).sample, k, x).prev_sample
    torch.testing.assert_close(x, ours, rtol=2e-3, atol=2e-3 * float(ours.abs().max()))


def test_our_samples_are_the_latents_of_a_pipeline():
    """A pipeline that takes latents, with a scheduler in x / alpha: what its network sees first is our sample."""
    model, scheduler = small_unet(), diffusers.CMStochasticIterativeScheduler()
    schedule = schedules.edm(80.0)
    pipeline = diffusers.ConsistencyModelPipeline(model, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    prior = priors.Standard(schedule, (3, 8, 8))
    scheduler.set_timesteps(1)
    start = latents(prior, 2, schedule, schedule.T, scheduler, rng())
    seen, forward = [], model.forward
    model.forward = lambda x, *rest, **options: (seen.append(x), forward(x, *rest, **options))[1]
    pipeline(batch_size=2, num_inference_steps=1, latents=start, output_type="pt")
    sigma, data = float(scheduler.sigmas[0]), scheduler.config.sigma_data
    torch.testing.assert_close(seen[0] * math.sqrt(sigma**2 + data**2), prior.sample(2, rng()), rtol=1e-4, atol=1e-3)


def test_latents_of_a_scheduler_in_x_over_alpha():
    """Euler's variable is x / alpha: multiplied by init_noise_sigma, as pipelines do, latents are that."""
    scheduler = diffusers.EulerDiscreteScheduler(beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing")
    scheduler.set_timesteps(20)
    prior, t = priors.Standard(VP, (2,)), float(scheduler.timesteps[0]) + 1
    x = scheduler.init_noise_sigma * latents(prior, 5, VP, t, scheduler, rng())
    sigma = float(scheduler.sigmas[0])  # in units of alpha, so alpha = 1 / sqrt(1 + sigma^2)
    torch.testing.assert_close(x / math.sqrt(1 + sigma**2), prior.sample(5, rng()), rtol=1e-3, atol=1e-4)


# models on disk


def test_a_model_comes_back(tmp_path):
    design = Design("tiny", (2, 4, 4), classes=3, predicts="v", schedule="cosine")
    points = torch.randn(5, 2, 4, 4, generator=rng())
    network = design.network(points, rng(1))
    with torch.no_grad():
        network.raw.unet.conv_out.weight.normal_(generator=rng(2))
    train.save_model(design, network, tmp_path / "model.safetensors")
    back, denoiser = train.load_model(tmp_path / "model.safetensors")
    assert back == design and denoiser.schedule.name == schedules.cosine().name
    x = torch.randn(3, 2, 4, 4, generator=rng(3))
    torch.testing.assert_close(denoiser.network(x, 0.6, 0.8, 2), network(x, 0.6, 0.8, 2))
    torch.testing.assert_close(network.mean, points.mean(0))
    train.save_model(design, network, tmp_path / "half.safetensors", torch.float16)
    whole, half = (load_file(tmp_path / f"{name}.safetensors") for name in ("model", "half"))
    assert {tensor.dtype for tensor in half.values()} == {torch.float16}
    rounded = train.load_model(tmp_path / "half.safetensors")[1].network
    assert all(torch.equal(rounded.state_dict()[key], tensor.half().float()) for key, tensor in whole.items())


def refusals(folder):
    points, three = torch.randn(6, 1, 4, 4, generator=rng()), unet("tiny", (1, 4, 4), classes=3, generator=rng())
    plain, flat = mlp(2, 4, 1, generator=rng()), torch.zeros(6, 2)
    run = lambda network, data, **options: train.train(network, data, VP, steps=1, batch=2, generator=rng(), **options)
    yield "size", lambda: unet("huge", (3, 32, 32), generator=rng())
    yield "shape", lambda: unet("tiny", (3, 30, 30), generator=rng())
    yield "shape", lambda: unet("tiny", (32, 32), generator=rng())
    yield "classes", lambda: unet("tiny", (3, 32, 32), classes=-1, generator=rng())
    yield "predicts", lambda: unet("tiny", (3, 32, 32), predicts="noise", generator=rng())
    yield "predicts", lambda: mlp(2, predicts="z", generator=rng())
    yield "generator", lambda: unet("tiny", (3, 32, 32), generator=None)
    yield "label", lambda: three(points, 0.6, 0.8, 3)
    yield "label", lambda: three(points, 0.6, 0.8, 0.5)
    yield "label", lambda: plain(flat, 0.6, 0.8, 0)
    yield "guidance", lambda: LearnedDenoiser(plain, VP, guidance=2.0)
    yield "guidance", lambda: LearnedDenoiser(three, VP, label=1, guidance=-1.0)
    yield "labels", lambda: run(plain, flat, labels=torch.zeros(6, dtype=torch.int64))
    yield "labels", lambda: run(three, points, labels=torch.full((6,), 3))
    yield "labels", lambda: run(three, points, labels=torch.zeros(5, dtype=torch.int64))
    yield "labels", lambda: run(three, points, labels=torch.zeros(6))
    yield "drop", lambda: run(three, points, labels=torch.zeros(6, dtype=torch.int64), drop=1.5)
    yield "dtype", lambda: run(plain, flat, dtype=torch.float16)
    yield "name", lambda: schedules.named("cosin")
    yield "betas", lambda: schedules.from_betas("one step", torch.tensor([0.5]))
    yield "betas", lambda: schedules.from_betas("no noise", torch.tensor([0.5, 0.0]))
    yield "beta_max", lambda: schedules.from_betas("too much", torch.tensor([0.5, 1.5]))
    yield "schedule", lambda: Design("tiny", (2,), schedule="cosin")
    yield "shape", lambda: Design("tiny", (2, 2))
    yield "classes", lambda: Design("tiny", (2,), classes=2)
    yield "points", lambda: Design("tiny", (2,)).network(torch.zeros(4, 3), rng())
    yield "points", lambda: Design("tiny", (2,)).network(torch.zeros(4, 2), rng())
    yield "prediction_type", lambda: adapted(small_unet(), diffusers.EDMEulerScheduler(prediction_type="flow"))
    yield "unet", lambda: adapted(small_unet(out_channels=6), diffusers.DDPMScheduler())
    yield "unet", lambda: adapted(small_unet(num_class_embeds=4), diffusers.DDPMScheduler())
    euler = diffusers.EulerDiscreteScheduler()
    euler.set_timesteps(5)
    flow = schedules.flow_matching()
    yield "t", lambda: latents(priors.Standard(flow, (2,)), 3, flow, 1.0, euler, rng())
    train.save_weights(plain, folder / "weights")
    yield "path", lambda: train.load_model(folder / "weights")
    train.save_model(Design("tiny", (2,)), plain, folder / "other")
    yield str(folder / "other"), lambda: train.load_model(folder / "other")
    whole = (folder / "other").read_bytes()
    (folder / "cut").write_bytes(whole[: len(whole) // 2])
    yield "path", lambda: train.load_model(folder / "cut")


def test_images_refuse(tmp_path):
    for argument, call in refusals(tmp_path):
        with pytest.raises(ValueError, match="expected .+got") as caught:
            call()
        assert str(caught.value).startswith(f"{argument}: "), (argument, caught.value)
