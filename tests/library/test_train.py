"""Learned denoisers: the frame against closed forms, the loop against a known minimum, and a resume that keeps every bit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from zoo import SCHEDULES, ZERO_SNR, f64, few, gaussian, rng, triangle

from otprior_lite import samplers, schedules
from otprior_lite.archive import read, write
from otprior_lite.forward import marginal
from otprior_lite.randomness import normal
from otprior_lite.score import ExactDenoiser, LearnedDenoiser
from otprior_lite.targets import GaussianMixture
from otprior_lite.train import Preconditioned, load_weights, mlp, save_weights, train
from otprior_lite.train.loop import KEY

OU = schedules.ou(2.0)
TILTED = GaussianMixture([1.0], [[1.0, -0.5]], [[[0.6, 0.2], [0.2, 0.3]]])


def last(states):
    """The final state, and all losses."""
    losses = []
    for state in states:
        losses.append(state.loss)
    return state, losses


def bits(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@few
@given(st.floats(-2, 2), st.floats(0.2, 3), st.sampled_from(sorted(SCHEDULES)), st.floats(0.02, 1))
def test_untrained_network_is_the_denoiser_of_one_gaussian(mean, std, name, share):
    """F = 0: D is the posterior mean of N(mean, std^2 I) for every schedule and time, zero terminal SNR included."""
    schedule = SCHEDULES[name]()
    t = share * schedule.T
    law = GaussianMixture([1.0], [[mean, -mean]], [std**2])
    network = mlp(2, 8, 1, mean=[mean, -mean], std=std, generator=rng()).double()
    x = marginal(law, schedule, t).sample(5, rng(1))
    found, exact = LearnedDenoiser(network, schedule)(x, t), ExactDenoiser(law, schedule)(x, t)
    torch.testing.assert_close(found, exact, rtol=2e-6, atol=2e-6)  # mean and std are kept in float32


class Ideal(torch.nn.Module):
    """The raw network that makes D exact: F = (E[x_0|x] - m - c_skip (x - alpha m)) / c_out at unit input y."""

    def __init__(self, law, mean, std, schedule):
        super().__init__()
        self.law, self.mean, self.std, self.schedule = law, mean, std, schedule
        self.unused = torch.nn.Parameter(torch.zeros(1, dtype=f64))

    def forward(self, y, log_snr):
        t = self.schedule.t_of_log_snr(log_snr[:1])
        a, s = float(self.schedule.alpha(t)), float(self.schedule.sigma(t))
        r = math.hypot(a * self.std, s)
        x = a * self.mean + r * y
        best = self.law.posterior_mean(x, a, s)
        return (best - self.mean - a * self.std**2 / r**2 * (x - a * self.mean)) * r / (self.std * s)


def test_the_frame_undoes_itself():
    """With the ideal raw network, D is E[x_0 | x] of a mixture: c_in, c_skip, c_out and the mean fit together."""
    law, mean = triangle(), torch.tensor([0.3, -0.2], dtype=f64)
    network = Preconditioned(Ideal(law, mean, 0.7, OU), mean, 0.7).double()
    network.mean, network.std = mean, torch.tensor(0.7, dtype=f64)
    for t in (0.05, 0.4, 2.0):
        x = marginal(law, OU, t).sample(6, rng())
        torch.testing.assert_close(LearnedDenoiser(network, OU)(x, t), ExactDenoiser(law, OU)(x, t), rtol=1e-6, atol=1e-7)


def test_learned_denoiser_of_a_gaussian():
    """1000 steps on fresh draws: within 6 % of the data's size of m + alpha S C^{-1} (x - alpha m); untrained is four times worse,
    except at t = 2, where little of the data is left to be learned."""
    network = mlp(2, 32, 2, mean=TILTED.mean, std=0.7, generator=rng())
    start = mlp(2, 32, 2, mean=TILTED.mean, std=0.7, generator=rng())
    state, losses = last(train(network, TILTED, OU, steps=1000, batch=128, lr=4e-3, ema=0.99, generator=rng(1)))
    learned, untrained = LearnedDenoiser(state.average, OU), LearnedDenoiser(start, OU)
    S, m = TILTED.covariances[0].numpy(), TILTED.means[0].numpy()
    for t in (0.02, 0.2, 0.7, 2.0):
        a, s = math.exp(-t), math.sqrt(1 - math.exp(-2 * t))
        x = marginal(TILTED, OU, t).sample(2000, rng(2))
        best = m + (x.numpy() - a * m) @ (a * S @ np.linalg.inv(a**2 * S + s**2 * np.eye(2))).T
        rms = lambda D: float((D(x, t) - torch.from_numpy(best)).square().sum(1).mean().sqrt())  # noqa: B023
        assert rms(learned) < 0.06 * 0.95 and rms(learned) < (0.25 if t < 1 else 1) * rms(untrained)


def known_minimum(law, std, levels=400):
    """The loss of the exact denoiser: the average over log-SNR of tr Cov[x_0 | x] / (d c_out^2); one Gaussian."""
    low, high = float(OU.log_snr(OU.T)), 2 * math.log(500)
    total = 0.0
    for lam in low + (high - low) * (np.arange(levels) + 0.5) / levels:
        a2 = 1 / (1 + math.exp(-lam))
        s2 = 1 - a2
        left = law.covariances[0].inverse().double() + torch.eye(law.d, dtype=f64) * a2 / s2
        total += float(left.inverse().trace()) * (a2 * std**2 + s2) / (std**2 * s2) / law.d / levels
    return total


def test_loss_falls_to_the_known_minimum_and_not_below():
    """Gaussian data: the smallest possible loss is the posterior variance in units of c_out; training reaches it."""
    law, std = gaussian((1.5, 0.1)), math.sqrt(0.8)
    network = mlp(2, 32, 2, std=std, generator=rng())
    _, losses = last(train(network, law, OU, steps=1000, batch=128, lr=4e-3, generator=rng(1)))
    least, tail = known_minimum(law, std), np.array(losses[-300:])
    error = tail.std() / math.sqrt(len(tail))
    assert np.mean(losses[:20]) > 1.1 * least
    assert -4 * error < tail.mean() - least < 0.02 * least + 4 * error


@pytest.mark.parametrize("stop", [7, 13, 20])
@pytest.mark.parametrize("data", [triangle(), torch.randn(50, 2, generator=rng(3))], ids=["law", "points"])
def test_resume_is_exact(tmp_path, stop, data):
    """Stopped anywhere and resumed from the last checkpoint: weights, average, losses and generator are the same bits."""
    options = {"steps": 20, "batch": 16, "every": 5}
    make = lambda seed: mlp(2, 8, 2, generator=rng(seed))
    generator = rng(1)
    whole, losses = last(train(make(0), data, OU, generator=generator, **options))

    file, seen = tmp_path / "run" / "state.safetensors", []
    for state in train(make(0), data, OU, generator=rng(1), checkpoint=file, **options):
        seen.append(state.loss)
        if state.step == stop:
            break
    other, fresh = rng(1), make(7)  # the start does not matter: it is in the file
    normal((3,), other)  # nor does where the generator stands
    again = list(train(fresh, data, OU, generator=other, checkpoint=file, **options))
    kept = stop - stop % 5
    assert len(again) == 20 - kept and seen[:kept] + [s.loss for s in again] == losses
    if again:
        for mine, theirs in ((whole.network, again[-1].network), (whole.average, again[-1].average)):
            assert all(torch.equal(a, b) for a, b in zip(bits(mine).values(), bits(theirs).values()))
    assert torch.equal(generator.get_state(), other.get_state())
    network = {name: tensor for name, tensor in load_file(file).items() if name.startswith("network.")}
    assert all(torch.equal(value, network[f"network.{name}"]) for name, value in bits(whole.network).items())
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_a_run_of_another_seed_is_not_taken_for_this_one(tmp_path):
    """The checkpoint of seed 0 does not end a run of seed 77, nor that of a generator of another device."""
    file, points = tmp_path / "run", torch.randn(9, 2, generator=rng())
    run = lambda generator: last(
        train(mlp(2, 4, 1, generator=rng()), points, OU, steps=2, batch=4, checkpoint=file, generator=generator)
    )
    run(rng(0))
    with pytest.raises(ValueError) as caught:
        run(rng(77))
    way_out = "use another file, or remove this one to start again"
    assert str(caught.value) == f"{file}: expected a run with {{'seed': 77}}, got {{'seed': 0}}; {way_out}"
    tensors, metadata = read(file)
    write(tensors, file, {KEY: metadata[KEY].replace('"generator": "cpu"', '"generator": "cuda"')})
    with pytest.raises(
        ValueError, match=r"run: expected a run with {'generator': 'cpu'}, got {'generator': 'cuda'}; use another"
    ):
        run(rng(0))


def test_a_broken_write_leaves_the_old_file(tmp_path, monkeypatch):
    """When the new file cannot take the old one's name, the old one is whole and nothing else is left behind."""
    file, network = tmp_path / "w.safetensors", mlp(2, 4, 1, generator=rng())
    save_weights(network, file)
    before = file.read_bytes()

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("otprior_lite.atomic.os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_weights(mlp(2, 4, 1, generator=rng(1)), file)
    assert file.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("dtype, error", [(torch.float32, 0.0), (torch.float16, 1e-3)])
def test_weights_come_back(tmp_path, dtype, error):
    network, file = mlp(3, 16, 2, mean=[1.0, 0, 2], std=2.0, generator=rng()), tmp_path / "w.safetensors"
    last(train(network, torch.randn(9, 3, generator=rng()), OU, steps=3, batch=4, generator=rng()))
    save_weights(network, file, dtype)
    back, x = load_weights(mlp(3, 16, 2, generator=rng(5)), file), torch.randn(4, 3, generator=rng(2))
    torch.testing.assert_close(back(x, 0.6, 0.8), network(x, 0.6, 0.8), rtol=error, atol=10 * error)


def test_the_average_is_the_average():
    """average_k = m_k average_{k-1} + (1 - m_k) weights_k with m_k = min(ema, k / (k + 10)), from the first weights."""
    network = mlp(1, 4, 1, generator=rng())
    expected = bits(network)
    for state in train(network, torch.randn(9, 1, generator=rng()), OU, steps=40, batch=8, ema=0.7, generator=rng()):
        memory = min(0.7, state.step / (state.step + 10))
        expected = {k: memory * old + (1 - memory) * state.network.state_dict()[k] for k, old in expected.items()}
        for key, value in state.average.state_dict().items():
            torch.testing.assert_close(value, expected[key])


@pytest.mark.parametrize("schedule", ["vp", "edm", "flow_matching", "scaled_linear", "zero_scaled_linear"])
def test_any_schedule_and_any_shape(schedule):
    """Training runs for every kind of schedule; a raw network of one's own trains on arrays of any shape; sampling is finite."""
    channel = SCHEDULES[schedule]()

    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, log_snr):
            assert log_snr.shape == (len(x),) and bool(torch.isfinite(log_snr).all())
            return self.gain * x

    points = torch.randn(6, 1, 2, 2, generator=rng())
    state, losses = last(train(Preconditioned(Scale()), points, channel, steps=5, batch=8, generator=rng()))
    start = float(channel.reference_std(channel.T)) * torch.randn(3, 1, 2, 2, generator=rng(1))
    out = samplers.sample(LearnedDenoiser(state.average, channel), channel, start, steps=4)
    assert out.shape == start.shape and bool(torch.isfinite(out).all()) and np.isfinite(losses).all()


@pytest.mark.parametrize("name", ZERO_SNR)
def test_learned_denoisers_answer_at_zero_snr(name):
    schedule = SCHEDULES[name]()
    x = torch.randn(3, 2, generator=rng(), dtype=f64)
    found = LearnedDenoiser(mlp(2, 4, 1, mean=[1.0, 2.0], generator=rng()), schedule)(x, schedule.T)
    assert found.dtype == f64 and torch.allclose(found, torch.tensor([1.0, 2.0], dtype=f64), atol=1e-4)


def test_training_leaves_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    last(train(mlp(2, 4, 1, generator=rng()), triangle(), OU, steps=2, batch=4, generator=rng()))
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_explodes_is_reported():
    points = torch.full((4, 1), 1e38)
    with pytest.raises(RuntimeError, match="the loss of step 1 is"):
        last(train(mlp(1, 4, 1, generator=rng()), points, OU, steps=2, batch=4, generator=rng()))


def refusals(folder):
    network, points = mlp(2, 4, 1, generator=rng()), torch.zeros(3, 2)
    run = lambda **changes: train(
        **{"network": network, "data": points, "schedule": OU, "steps": 2, "generator": rng()} | changes
    )
    yield "network", lambda: run(network=torch.nn.Linear(2, 2))
    yield "network", lambda: LearnedDenoiser(lambda x, a, s: x, OU)
    yield "data", lambda: run(data=torch.zeros(3))
    yield "data", lambda: run(data=torch.full((3, 2), math.nan))
    yield "steps", lambda: run(steps=0)
    yield "batch", lambda: run(batch=2.5)
    yield "every", lambda: run(every=0)
    yield "lr", lambda: run(lr=0.0)
    yield "clip", lambda: run(clip=-1.0)
    yield "ema", lambda: run(ema=1.5)
    yield "log_snr", lambda: run(log_snr=(3.0, -3.0))
    yield "log_snr", lambda: run(log_snr=(-30.0, 3.0))
    yield "generator", lambda: run(generator=None)
    yield "d", lambda: mlp(0, generator=rng())
    yield "width", lambda: mlp(2, 0, generator=rng())
    yield "mean", lambda: mlp(2, mean=[1.0, 2.0, 3.0], generator=rng())
    yield "std", lambda: mlp(2, std=0.0, generator=rng())
    yield "raw", lambda: Preconditioned(lambda x, s: x)
    yield "x", lambda: LearnedDenoiser(network, OU)(torch.full((1, 2), math.nan), 0.5)
    yield "t", lambda: LearnedDenoiser(network, OU)(torch.zeros(1, 2), 9.0)
    (folder / "broken").write_bytes(b"not weights")
    yield str(folder / "broken"), lambda: load_weights(network, folder / "broken")
    save_weights(mlp(3, 4, 1, generator=rng()), folder / "wide")
    yield str(folder / "wide"), lambda: load_weights(network, folder / "wide")
    last(run(checkpoint=folder / "run"))
    yield str(folder / "run"), lambda: last(run(checkpoint=folder / "run", lr=0.1))
    yield str(folder / "run"), lambda: last(run(checkpoint=folder / "run", data=torch.ones(3, 2)))


def test_train_refuses(tmp_path):
    for argument, call in refusals(tmp_path):
        with pytest.raises(ValueError, match="expected .+got") as caught:
            call()
        assert str(caught.value).startswith(f"{argument}: "), (argument, caught.value)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_weights(mlp(2, generator=rng()), tmp_path / "none")
