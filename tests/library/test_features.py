"""The classifier behind the metrics of pictures: what it puts out, what it may be asked, how good it is.

The last part uses a network of others, ResNet-56 on CIFAR-10: its published numbers come out of our Frechet distance.
"""

import importlib.util
import io
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional
from zoo import rng

from otprior_lite import data, features, metrics
from otprior_lite.archive import read
from otprior_lite.data.manifest import entry_of
from otprior_lite.randomness import permutation
from otprior_lite.train import load_weights, save_weights

SHARED = data.root().parents[1] / "shared" / "data"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small convolutions do not gain from more, and the test machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def seen():
    return features.load("emoji32")


@pytest.fixture(scope="module")
def parts():
    return features.split("emoji32")


@pytest.fixture(scope="module")
def build():
    """The script data/build/features.py as a module; it trains nothing unless it is run."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec = importlib.util.spec_from_file_location("build_features", data.root() / "build" / "features.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


# ---- what it puts out


def test_shapes_and_dtypes(seen, parts):
    x = parts[1].x[:5]
    for dtype in (torch.float32, torch.float64):
        pooled, p = seen.pooled(x.to(dtype)), seen.probabilities(x.to(dtype))
        assert pooled.shape == (5, 96) and p.shape == (5, 9) and pooled.dtype == p.dtype == dtype
        assert not pooled.requires_grad and bool((pooled >= 0).all()) and bool((p >= 0).all())
        torch.testing.assert_close(p.sum(1), torch.ones(5, dtype=dtype), atol=1e-6, rtol=0)


def test_probabilities_are_the_softmax_of_the_pooled_features(seen, parts):
    """By the weights on the disk, so both answers come from one pass and the head is the stored one."""
    x, stored = parts[1].x[:40], read(data.path("weights/emoji32_features"))[0]
    logits = seen.pooled(x) @ stored["head.weight"].float().T + stored["head.bias"].float()
    torch.testing.assert_close(seen.probabilities(x), logits.softmax(1), atol=1e-5, rtol=1e-4)


def test_pictures_do_not_see_each_other(seen, parts):
    """One at a time, in blocks or in another order: the same features. The same call: the same bits."""
    x = parts[1].x[:300]  # more than one block
    pooled = seen.pooled(x)
    assert torch.equal(pooled, seen.pooled(x))
    torch.testing.assert_close(seen.pooled(x.flip(0)).flip(0), pooled, atol=1e-4, rtol=1e-4)
    alone = torch.cat([seen.pooled(x[i : i + 1]) for i in (0, 255, 256, 299)])
    torch.testing.assert_close(alone, pooled[[0, 255, 256, 299]], atol=1e-4, rtol=1e-4)


def test_starts_come_from_the_generator():
    """Equal seeds give equal weights; torch's global state is not touched; layers keep the size of their input."""
    state = torch.get_rng_state()
    first, again, other = (features.Classifier(9, generator=rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters()))
    assert all(torch.equal(a, b) for a, b, _ in pairs) and not all(torch.equal(a, c) for a, _, c in pairs)
    weight = first.blocks[2].second.weight
    assert weight.square().mean().item() == pytest.approx(2 / (96 * 9), rel=0.02)


def test_round_trip(seen, parts, tmp_path):
    """Weights are stored in half precision, so a second rounding changes nothing."""
    save_weights(seen, tmp_path / "w.safetensors", torch.float16)
    empty = features.Classifier(9, generator=rng()).eval()
    x = parts[1].x[:20]
    assert not torch.equal(empty.pooled(x), seen.pooled(x))
    assert torch.equal(load_weights(empty, tmp_path / "w.safetensors").pooled(x), seen.pooled(x))
    file = data.path("weights/emoji32_features")
    assert all(tensor.dtype == torch.float16 for tensor in read(file)[0].values()) and file.stat().st_size < 2**21


def test_what_is_refused(seen):
    with pytest.raises(ValueError, match=r"name: expected one of emoji32, got 'emoji'; did you mean 'emoji32'\?"):
        features.load("emoji")
    with pytest.raises(ValueError, match=r"name: expected one of emoji32, got 'digits'"):
        features.split("digits")
    for shape in ((3, 32, 32), (2, 1, 32, 32), (2, 3, 64, 64), (0, 3, 32, 32)):
        with pytest.raises(ValueError, match=r"x: expected pictures \(n, 3, 32, 32\)"):
            seen.pooled(torch.zeros(shape))
    x = torch.zeros(2, 3, 32, 32)
    x[1, 2, 3, 4] = torch.nan
    with pytest.raises(ValueError, match="x: expected finite numbers, got 1 NaN"):
        seen.probabilities(x)
    with pytest.raises(ValueError, match=r"evaluation mode: call .eval\(\), got training mode"):
        features.Classifier(9, generator=rng()).pooled(torch.zeros(1, 3, 32, 32))


# ---- how good it is, on names that it has not seen


def test_the_split_is_by_name(parts):
    """No name, no vendor's version of it, no twin by gender or direction and no equal picture is on both sides."""
    learned, held_out = parts
    with np.load(data.path("emoji32"), allow_pickle=False) as archive:
        names, pictures = archive["name"], archive["x"].reshape(5664, -1)
    by_picture = {}
    for row, picture in enumerate(pictures):
        by_picture.setdefault(picture.tobytes(), []).append(row)
    back = lambda rows: {((x + 1) * 127.5).round().byte().permute(1, 2, 0).numpy().tobytes() for x in rows.x}
    left, right = back(learned), back(held_out)
    assert not left & right
    named = lambda pictures: {names[row] for picture in pictures for row in by_picture[picture]}
    repeated = {names[row] for rows in by_picture.values() if len(rows) > 1 for row in rows}
    assert not (named(left) & named(right)) - repeated
    assert 0.2 < len(held_out.x) / 5664 < 0.3 and 0 < 5664 - len(learned.x) - len(held_out.x) < 20
    assert held_out.y.bincount(minlength=9).min() > 50 and held_out.origin.bincount(minlength=3).min() > 400
    sides = {name: side for side, part in enumerate((left, right)) for name in named(part)}
    pairs = [(man, b"wo" + man) for man in sides if man.startswith(b"man") and b"wo" + man in sides]
    assert len(pairs) > 50 and all(sides[man] == sides[woman] for man, woman in pairs)
    twins = ("man_running_facing_right", "woman-running", "person_running_facing_right")
    assert {features._kin(name) for name in twins} == {"running"}
    assert features._kin("clock130") == features._kin("clock4") == "clock" != features._kin("watch")


def test_accuracy_is_the_manifests(seen, parts):
    """Re-measured; far above the largest group's share, far below what it knows of the pictures it learned from."""
    learned, held_out = parts
    entry = entry_of("weights/emoji32_features")
    right = (seen.probabilities(held_out.x).argmax(1) == held_out.y).double()
    shares = held_out.y.bincount().double() / len(held_out.y)
    assert len(held_out.y) == entry["held_out"]
    assert float(shares.max()) == pytest.approx(entry["chance"], abs=6e-5)
    assert float(right.mean()) == pytest.approx(entry["accuracy"], abs=2e-3)  # three pictures may turn on another CPU
    by_group = [float(right[held_out.y == group].mean()) for group in range(9)]
    assert by_group == pytest.approx([entry["by_group"][name] for name in held_out.classes], abs=0.02)
    assert entry["accuracy"] > 3 * entry["chance"]


# ---- what the metrics say in its features


@pytest.fixture(scope="module")
def halves(parts):
    """Two random halves of the held-out pictures, 722 each: the reference, and perfect samples."""
    held_out = parts[1]
    order = permutation(len(held_out.x), rng(5))
    return held_out.rows(order[:722]), held_out.rows(order[722:])


@pytest.fixture(scope="module")
def reference(seen, halves):
    return seen.pooled(halves[0].x)


def smoothed(x):
    """Each pixel the mean of its neighbours, with weights 1 4 6 4 1."""
    row = torch.tensor([1, 4, 6, 4, 1.0]) / 16
    kernel = torch.outer(row, row).expand(3, 1, 5, 5)
    return functional.conv2d(functional.pad(x, (2,) * 4, mode="replicate"), kernel, groups=3)


def test_frechet_orders_what_is_better(seen, halves, reference):
    """Fresh pictures are at the floor; blurred, more blurred, noised pictures and noise follow in this order."""
    x = halves[1].x
    blocks = functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2)
    noised = x + 0.3 * torch.randn(x.shape, generator=rng(6))
    noise = 2 * torch.rand(x.shape, generator=rng(7)) - 1
    samples = (x, blocks, smoothed(x), noised, noise)
    found = [metrics.frechet(seen.pooled(sample), reference) for sample in samples]
    assert abs(found[0].value - found[0].floor) < 3 * found[0].error
    for better, worse in zip(found, found[1:]):
        assert worse.value - better.value > 5 * max(better.error, worse.error)
    by_hand = metrics.frechet(seen.pooled(x[:60]), reference[:90])
    assert metrics.frechet(x[:60], halves[0].x[:90], features=seen.pooled).value == pytest.approx(by_hand.value, rel=1e-4)


def test_noise_is_no_picture(seen, halves, reference):
    """Sure answers about nothing: noise mixes fewer modes than pictures do, and only precision tells."""
    noise = 2 * torch.rand(300, 3, 32, 32, generator=rng(8)) - 1
    mixed = metrics.mode_mixture(noise, halves[0].x, seen.probabilities)
    assert mixed.value < mixed.floor
    quality = metrics.precision_recall(seen.pooled(noise), reference, repeats=2)
    assert quality.precision.value < 0.3 < 0.85 < quality.precision.floor and quality.recall.value < 0.1


def test_pictures_it_learned_from_look_different(seen, parts, halves, reference):
    """The caution of the module: training pictures are of the same law, yet above the floor, and answered more surely."""
    learned = parts[0].rows(permutation(len(parts[0].x), rng(9))[:722])
    p = seen.probabilities(learned.x)
    apart = metrics.frechet(seen.pooled(learned.x), reference)
    assert apart.value - apart.floor > 3 * apart.error
    assert float((p.argmax(1) == learned.y).double().mean()) > entry_of("weights/emoji32_features")["accuracy"] + 0.1
    mixed = metrics.mode_mixture(learned.x, halves[0].x, seen.probabilities)
    assert mixed.value < mixed.floor - 3 * mixed.error


def test_averages_of_two_groups_mix_modes(seen, halves):
    """Half of one emoji and half of another of a different group: many more mixtures than among real ones."""
    reference, other = halves[0].rows(torch.arange(400)), halves[1].rows(torch.arange(400))
    partner = permutation(len(other.x), rng(10))
    two_groups = other.y != other.y[partner]
    averages = (other.x[two_groups] + other.x[partner][two_groups]) / 2
    real = metrics.mode_mixture(other.x, reference.x, seen.probabilities)
    mixed = metrics.mode_mixture(averages, reference.x, seen.probabilities)
    assert abs(real.value - real.floor) < 4 * real.error
    assert mixed.value - mixed.floor > 5 * mixed.error


# ---- the script


def test_training_repeats_its_bits(build, parts):
    """Same seed, same weights, on one thread. Two passes over 200 pictures already beat the largest group's share."""
    some = parts[0].rows(torch.arange(0, len(parts[0].x), 21))
    first, again = (build.trained(some, 2, rng(1)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    assert not first.training


def test_pictures_are_moved_mirrored_and_tinted(build):
    """One dark pixel on white stays one pixel, at most 4 away from its place or its mirror image; white stays white."""
    x = torch.ones(400, 3, 32, 32)
    x[:, :, 20, 8] = torch.tensor([0.5, 0.0, -0.5])
    varied = build.varied(x, rng())
    dark = (varied != 1).any(1).nonzero()
    assert len(dark) == 400 and dark[:, 0].tolist() == list(range(400))
    row, column = dark[:, 1] - 20, dark[:, 2]
    assert set(row.tolist()) == set(range(-4, 5))
    assert set(column.tolist()) == set(range(4, 13)) | set(range(19, 28))
    tint = (1 - varied[torch.arange(400), :, dark[:, 1], column]) / torch.tensor([0.5, 1.0, 1.5])
    assert 0.8 <= float(tint.min()) < 0.82 and 1.18 < float(tint.max()) <= 1.2001


# ---- another network: ResNet-56 on CIFAR-10

# Squared Frechet distances to the 4,000 exact training images, in the 64 pooled features of ResNet-56, computed elsewhere with
# other code (shared/data/README.md), and the standard deviation of `without_bias` over 30 draws of 250 of the pictures.
ELSEWHERE = {"jpeg": (2.27, 0.15), "blurred": (25.4, 1.1), "noise": (67.1, 1.6)}


@pytest.fixture(scope="module")
def cifar():
    """Weights, exact pictures, labels and the same pictures as JPEG."""
    names = ("cifar10_resnet56_weights.npz", "cifar10_lossless_5k.npz", "cifar10_jpeg60k.npz")
    missing = [name for name in names if not (SHARED / name).exists()]
    if missing:
        pytest.skip(f"{SHARED} has no {', '.join(missing)}: CIFAR-10's pictures may not be shipped")
    return [np.load(SHARED / name) for name in names]


def unit(pictures):
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype("float32")) / 127.5 - 1


def jpeg(store, n):
    """The first n pictures of the JPEG store."""
    from PIL import Image

    header, payload = store["header"].tobytes(), store["payload"].tobytes()
    ends = store["length"][:n].astype(int).cumsum()
    files = (header + payload[end - length : end] + b"\xff\xd9" for end, length in zip(ends, store["length"]))
    return unit(np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]))


def resnet56(arrays):
    """Pooled features (n, 64) of pictures in [-1, 1]; shortcuts without weights. Source: He et al. 2016, section 4.2."""
    w = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    statistics = ("running_mean", "running_var", "weight", "bias")

    def convolved(h, name, number, stride=1):
        h = functional.conv2d(h, w[f"{name}conv{number}.weight"], stride=stride, padding=1)
        return functional.batch_norm(h, *(w[f"{name}bn{number}.{key}"] for key in statistics))

    def pooled(x):
        h = convolved(((x + 1) / 2 - mean) / std, "", 1).relu()
        for stage in (1, 2, 3):
            for block in range(9):
                stride, name = (2 if stage > 1 and block == 0 else 1), f"layer{stage}.{block}."
                inner = convolved(convolved(h, name, 1, stride).relu(), name, 2)
                if stride == 2:
                    h = functional.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, h.shape[1] // 2, h.shape[1] // 2))
                h = (inner + h).relu()
        return h.mean((2, 3))

    return torch.no_grad()(lambda x: torch.cat([pooled(block) for block in x.split(50)]))


def without_bias(x, y):
    """Squared Frechet distance at n -> infinity: its bias falls like 1/n, so 2 F(n) - F(n/2). Chong and Forsyth 2020."""
    square = lambda a, b: metrics.frechet(a, b, repeats=1).value ** 2
    halves = [square(x[i::2], y[i::2]) for i in (0, 1)]
    return 2 * square(x, y) - sum(halves) / 2


def test_frechet_of_another_network(cifar):
    """The numbers that others got for JPEG, blurred pictures and noise, from 250 pictures instead of 4,000.

    The network is the right one: it names 250 test pictures as well as its authors say (92.6 %).
    """
    weights, exact, store = cifar
    network, n = resnet56(weights), 250
    x = unit(exact["x_train"][:n])
    reference = network(x)
    blurred = functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2)
    noise = 2 * torch.rand(x.shape, generator=rng(11)) - 1
    for name, samples in (("jpeg", jpeg(store, n)), ("blurred", blurred), ("noise", noise)):
        expected, spread = ELSEWHERE[name]
        assert without_bias(network(samples), reference) == pytest.approx(expected, abs=3 * spread), name
    test = network(unit(exact["x_test"][:n]))
    assert abs(without_bias(test, reference)) < 3 * 0.4  # the same law
    logits = test @ torch.from_numpy(weights["linear.weight"]).T + torch.from_numpy(weights["linear.bias"])
    right = (logits.argmax(1).numpy() == exact["y_test"][:n]).mean()
    assert right == pytest.approx(0.926, abs=3 * (0.926 * 0.074 / n) ** 0.5)
