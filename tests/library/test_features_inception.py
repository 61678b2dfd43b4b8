"""True FID: the adapter to Inception v3 against torch-fidelity's own computation, with random weights and no download."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from zoo import rng

from otprior_lite import features, metrics


@pytest.fixture(scope="module")
def fidelity():
    try:
        import torch_fidelity
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another build than torch
        pytest.skip(f"no torch-fidelity, which is in the extra fid and not in that of the tests: {error}")
    return torch_fidelity


@pytest.fixture(scope="module")
def files(fidelity, tmp_path_factory):
    """Random weights of Inception v3, as a .pth and a .safetensors file."""
    kind, folder = fidelity.FeatureExtractorInceptionV3, tmp_path_factory.mktemp("inception")
    with pytest.MonkeyPatch.context() as patch:  # its constructor wants weights; these come later
        patch.setattr(sys.modules[kind.__module__], "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(kind, "load_state_dict", lambda self, state: None)
        network = kind("inception", ["2048"])
    generator = rng(1)
    for name, tensor in network.state_dict().items():
        if name.endswith("weight") and tensor.ndim == 4:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5, generator=generator)
    torch.save(network.state_dict(), folder / "inception.pth")
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "inception.safetensors")
    return folder


def pictures(n, side, seed):
    """Blobs of colour that go a little beyond [-1, 1]."""
    small = torch.randn(n, 3, 4, 4, generator=rng(seed))
    return torch.nn.functional.interpolate(small, (side, side), mode="bicubic")


class Bytes(torch.utils.data.Dataset):
    """Pictures as torch-fidelity takes them: one uint8 tensor each."""

    def __init__(self, x):
        self.x = ((x.clamp(-1, 1) + 1) * 127.5).round().byte()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return self.x[row]


def test_the_distance_is_that_of_the_package(fidelity, files):
    """The square of our Frechet distance is the FID that torch-fidelity finds for the same files, to one part in 100,000."""
    x, y = pictures(12, 32, 2), 0.8 * pictures(14, 40, 3) + 0.1
    found = metrics.frechet(x, y, features=features.inception(files / "inception.pth"), repeats=1).value ** 2
    options = {"fid": True, "cuda": False, "verbose": False, "cache": False, "batch_size": 8, "save_cpu_ram": True}
    paths = {"feature_extractor_weights_path": str(files / "inception.pth")}
    theirs = fidelity.calculate_metrics(input1=Bytes(x), input2=Bytes(y), **options, **paths)
    assert found == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)


def test_features_follow_the_pictures(files):
    """Shape, dtype, clipping, 8 bits; both kinds of file; pictures do not see each other."""
    seen, same = (features.inception(files / f"inception.{kind}") for kind in ("pth", "safetensors"))
    x = pictures(3, 32, 4)
    found = seen(x)
    assert found.shape == (3, 2048) and found.dtype == torch.float32 and not found.requires_grad
    assert torch.equal(same(x.clamp(-1, 1)), found)
    torch.testing.assert_close(seen(x[1:2].double()), found[1:2].double(), rtol=1e-4, atol=1e-4)
    eighth = ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1  # what a file of 8 bits holds
    assert torch.equal(seen(eighth[:1] + 1e-3), found[:1]) and not torch.equal(seen(eighth[:1] + 1e-2), found[:1])
    for shape in ((3, 32, 32), (2, 1, 32, 32), (0, 3, 32, 32)):
        with pytest.raises(ValueError, match=r"x: expected pictures \(n, 3, height, width\)"):
            seen(torch.zeros(shape))


class Trap:
    """A pickle that writes a file when it is read carelessly."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_files_that_are_no_weights_are_refused_and_never_executed(fidelity, files, tmp_path):
    (tmp_path / "text.pth").write_text("not a file of torch")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    whole = (files / "inception.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "trap.pth")
    for name in ("text.pth", "other.pth", "cut.safetensors", "trap.pth"):
        with pytest.raises(ValueError, match=f"{name}: expected .+, got"):
            features.inception(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(FileNotFoundError, match="no such file: .*none.pth"):
        features.inception(tmp_path / "none.pth")


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "otprior-lite\[fid\]"'):
        features.inception("weights.pth")
