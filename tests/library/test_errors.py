"""What a refusal says, and the small helpers that everything else trusts."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg as scipy_linalg
from scipy import stats
from zoo import f64, few, random_spd, rng, seeds

from otprior_lite import errors, linalg, randomness
from otprior_lite.estimate import Estimate, over_seeds
from otprior_lite.provenance import about


def test_expect_speaks_only_when_broken():
    errors.expect(True, "n", "anything", "nothing")
    with pytest.raises(ValueError, match="^n: expected at least 1, got 0$"):
        errors.expect(False, "n", "at least 1", 0)


@pytest.mark.parametrize("value, dtype", [
    ([1, 2], torch.float64), (np.float32([1, 2]), torch.float32), (torch.tensor([1, 2]), torch.float64),
    (torch.tensor([1.0]), torch.float32), (3, torch.float64), (True, torch.float64),
])  # fmt: skip
def test_real_tensor_keeps_floats_and_widens_integers(value, dtype):
    found = errors.real_tensor(value, "v")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.asarray(value, dtype=float))


def test_real_tensor_does_not_alias_the_callers_array():
    array = np.zeros(3)
    found = errors.real_tensor(array, "v")
    array[0] = 7
    assert float(found[0]) == 0


@pytest.mark.parametrize("value", ["a", [[1.0], [1.0, 2.0]], None, torch.tensor([1j]), [math.nan], [math.inf]])
def test_real_tensor_refuses(value):
    with pytest.raises(ValueError, match="^v: expected .+got"):
        errors.real_tensor(value, "v")


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "3", None])
def test_count_refuses(n):
    with pytest.raises(ValueError, match="^n: expected an integer >= 1, got"):
        errors.count(n)


@few
@given(st.floats(-5, 5), st.floats(-2, 0), st.floats(0, 2))
def test_within_is_the_interval(value, low, high):
    def inside(**options):
        try:
            errors.within(value, low, high, "v", **options)
        except ValueError as error:
            assert str(error).startswith("v: expected values in")
            return False
        return True

    assert inside() == (low <= value <= high)
    assert inside(open_low=True) == (low < value <= high)


def test_within_counts_what_is_outside():
    with pytest.raises(ValueError, match=r"^t: expected values in \[0, 1\], got 2 of 3 outside, e.g. \[2.0\]"):
        errors.within([0.5, 2.0, math.nan], 0, 1, "t")


def test_known_suggests_the_nearest_or_nothing():
    assert errors.known("heun", ("ddim", "heun"), "method") == "heun"
    with pytest.raises(ValueError, match="^method: expected one of ddim, heun, got 'huen'; did you mean 'heun'[?]$"):
        errors.known("huen", ("ddim", "heun"), "method")
    with pytest.raises(ValueError, match="got 'zzz'$"):
        errors.known("zzz", ("ddim", "heun"), "method")


def test_weights_are_checked_not_repaired():
    like = torch.zeros(1, dtype=f64)
    np.testing.assert_array_equal(errors.probability_vector(None, 4, like), [0.25] * 4)
    np.testing.assert_array_equal(errors.probability_vector([0.1, 0.9], 2, like), [0.1, 0.9])
    with pytest.raises(ValueError, match="sum to 1, got sum 2"):
        errors.probability_vector([1.0, 1.0], 2, like)


def test_a_missing_package_names_its_extra():
    with pytest.raises(ModuleNotFoundError, match=r'needs the package \'no_such_package\': pip install "otprior-lite\[book\]"'):
        errors.optional("no_such_package.part", "book")
    assert errors.optional("math", "book") is math


def test_figures_without_matplotlib_name_their_extra():
    """With matplotlib out of reach, drawing says which extra to install; the rest of the package still imports."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from otprior_lite import figures, gap, priors\n"
        "try: figures.make('log_snr')\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "otprior-lite[figures]"' in done.stdout, done.stderr


# ---- random draws


def test_draws_are_normal_and_leave_the_global_state_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    z = randomness.normal((3000,), rng(1), dtype=f64)
    randomness.categorical(torch.ones(3), 5, rng(1)), randomness.permutation(9, rng(1))
    assert torch.equal(before, torch.get_rng_state())
    assert stats.kstest(z.numpy(), "norm").pvalue > 1e-3 and torch.equal(z, randomness.normal((3000,), rng(1), dtype=f64))


def test_categorical_frequencies_and_impossible_outcomes():
    counts = np.bincount(randomness.categorical(torch.tensor([0.0, 1.0, 3.0, 0.0]), 8000, rng(2)).numpy(), minlength=4)
    assert counts[0] == counts[3] == 0 and stats.chisquare(counts[1:3], [2000, 6000]).pvalue > 1e-3


def test_permutations_are_uniform():
    seen = [tuple(randomness.permutation(3, g).tolist()) for g in [rng(3)] for _ in range(1200)]
    counts = np.array([seen.count(p) for p in sorted(set(seen))])
    assert len(counts) == 6 and stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("generator", [None, 0, np.random.default_rng(0)])
def test_a_generator_is_required(generator):
    for call in (
        lambda: randomness.normal((2,), generator),
        lambda: randomness.categorical(torch.ones(2), 1, generator),
        lambda: randomness.permutation(2, generator),
    ):
        with pytest.raises(ValueError, match=r"^generator: expected a torch.Generator, .*manual_seed"):
            call()


# ---- matrices, estimates, provenance


@few
@given(st.integers(1, 5), seeds, st.sampled_from([0.5, -0.5, 2.0]))
def test_matrix_powers_are_scipys(d, seed, exponent):
    S = random_spd(d, seed)
    np.testing.assert_allclose(
        linalg.power(torch.as_tensor(S), exponent), scipy_linalg.fractional_matrix_power(S, exponent), atol=1e-9
    )


@few
@given(st.integers(1, 12), seeds)
def test_squared_distances_are_scipys(d, seed):
    from scipy.spatial.distance import cdist

    x, y = np.random.default_rng(seed).normal(size=(2, 7, d)) + 100
    np.testing.assert_allclose(
        linalg.squared_distances(torch.as_tensor(x), torch.as_tensor(y)), cdist(x, y, "sqeuclidean"), atol=1e-9
    )


def test_an_estimate_reads_as_its_value():
    found = Estimate(0.123456, 0.01, 50)
    assert float(found) == 0.123456 and str(found) == "0.1235 (floor 0.01, n = 50)" and math.isnan(found.error)


def test_about_names_versions_device_and_data():
    from otprior_lite import data

    found = about()
    assert found["versions"]["torch"] == torch.__version__.split("+")[0] or found["versions"]["torch"] == torch.__version__
    assert found["data"] == data.hashes() and found["device"]


def test_a_device_by_name(monkeypatch):
    """ "auto" follows the machine; a GPU that is not there and a word that is no device are refused by argument."""
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
        assert errors.torch_device("auto").type == kind and errors.torch_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="^device: expected a device of this machine, got cuda"):
        errors.torch_device("cuda")
    with pytest.raises(ValueError, match="^--device: expected a device of torch or 'auto', got 'gpu'"):
        errors.torch_device("gpu", "--device")


def test_mean_and_error_over_seeds():
    """3, 5, 10: mean 6, standard deviation sqrt(13), standard error sqrt(13 / 3); one seed has no error."""
    mean, error = over_seeds(v for v in (3.0, 5.0, 10.0))
    assert mean == 6 and error == pytest.approx(math.sqrt(13 / 3))
    assert over_seeds([2.0])[0] == 2 and math.isnan(over_seeds([2.0])[1])
