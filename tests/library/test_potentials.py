"""Potentials: shipped heights against a fresh sample, damage that shows, and refusals of anything they were not solved for."""

import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from zoo import rng

from otprior_lite import data, priors, schedules
from otprior_lite.randomness import permutation, seeded
from otprior_lite.semidiscrete import State, keeping

sys.path.insert(0, str(data.root() / "build"))
from potentials import GROUPS, TIMES, TOLERANCE, points  # noqa: E402

DDPM = schedules.ddpm_linear()
NAMES = [f"{name}_t{t}" for name in GROUPS for t in TIMES]


def solved(x, t=500, seed=0, **options):
    """The last state of a quick solve."""
    *_, state = priors.potential_steps(x, DDPM, t, seed=seed, **({"tolerance": 0.1} | options))
    return state


@pytest.fixture(scope="module")
def x():
    return torch.randn(40, 3, 4, 4, generator=rng(1))


@pytest.fixture(scope="module")
def potential(x):
    return priors.Potential.of(solved(x), x, DDPM, 500)


# ---- the shipped ones


@pytest.fixture(scope="module")
def pictures():
    return {name: points(name) for name in GROUPS}


@pytest.mark.parametrize("name", NAMES)
def test_shipped_heights_still_have_cells_of_equal_mass(name, pictures):
    """A fresh sample, with a seed that no solve used, does not contradict the file: the tolerance is in its interval, or above."""
    potential, x = priors.Potential.load(data.path(f"potentials/{name}")), pictures[name.split("_t")[0]]
    assert potential.heights.dtype == torch.float32 and potential.heights.shape == (len(x),)
    assert potential.error.interval[1] <= potential.tolerance == TOLERANCE
    n = 60_000 if len(x) > 1000 else 300_000
    error = potential.verify(x, DDPM, n=n, generator=seeded(99))
    assert error.n >= n and error.interval[0] <= TOLERANCE and error.l1.value < 2.5 * TOLERANCE
    assert error.interval[0] <= potential.error.interval[1] and potential.error.interval[0] <= error.interval[1]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("smileys")])
def test_damaged_heights_are_seen(name, pictures):
    """Heights exchanged, left out, or of the wrong sign: the pictures would look the same, the masses do not. Close to T, where
    noised pictures are noise of nearly equal length, heights say little: without them the error is .08, at t = 250 .25."""
    potential, x = priors.Potential.load(data.path(f"potentials/{name}")), pictures["smileys"]
    h = potential.heights
    for wrong in (h[permutation(len(h), seeded(1))], torch.zeros_like(h), -h):
        error = replace(potential, heights=wrong).verify(x, DDPM, n=100_000, generator=seeded(99))
        assert error.interval[0] > TOLERANCE, error


def test_the_manifest_says_what_the_files_say():
    from otprior_lite.data.manifest import entry_of

    for name in NAMES:
        entry, potential = entry_of(f"potentials/{name}"), priors.Potential.load(data.path(f"potentials/{name}"))
        assert entry["error"] == round(potential.error.l1.value, 4) and entry["atoms"] == len(potential.heights)
        assert entry["error_below"] <= entry["tolerance"] == potential.tolerance
        assert (entry["t"], entry["seed"], entry["device"]) == (potential.t, potential.seed, potential.device)
        assert data.path(f"potentials/{name}").stat().st_size < 4 * len(potential.heights) + 3000  # heights, no pictures


# ---- replay


def test_replay_is_the_prior_that_was_solved(x, potential, tmp_path):
    """Bit for bit what `SemiDiscrete.fit` gives for the same seed, also after a file."""
    potential.save(tmp_path / "p.safetensors")
    assert (tmp_path / "p.safetensors").stat().st_size < x.nbytes
    again = priors.Potential.load(tmp_path / "p.safetensors")
    fit = priors.SemiDiscrete.fit(x, DDPM, 500, tolerance=0.1, generator=seeded(0))
    for prior in (potential.replay(x, DDPM), again.replay(x, schedules.ddpm_linear())):
        assert torch.equal(prior.map.points, fit.map.points) and torch.equal(prior.map.heights, fit.map.heights)
        assert torch.equal(prior.sample(5, rng(3)), fit.sample(5, rng(3))) and prior.shape == (3, 4, 4)
    assert again.error == potential.error and again.samples == potential.samples and again.t == 500


def test_copies_and_seeds_are_part_of_it(x):
    two = priors.Potential.of(solved(x[:20], seed=5, copies=2), x[:20], DDPM, 500, seed=5, copies=2)
    atoms = two.replay(x[:20], DDPM).map.points
    assert len(atoms) == 40 and not torch.equal(atoms[0], atoms[1])
    fit = priors.SemiDiscrete.fit(x[:20], DDPM, 500, tolerance=0.1, copies=2, generator=seeded(5))
    assert torch.equal(atoms, fit.map.points)


def test_repeated_pictures_share_a_cell_where_there_is_no_noise(x):
    """At t = 0 atoms are pictures: three that are equal become one of three times the mass. With noise they are three atoms."""
    repeated = torch.cat([x, x[:1], x[:1]])
    clean = priors.Potential.of(solved(repeated, t=0), repeated, DDPM, 0)
    assert len(clean.heights) == 40
    assert clean.verify(repeated, DDPM, n=200_000, generator=rng(1)).interval[0] <= 0.1
    mass = clean.replay(repeated, DDPM).map.masses(20_000, rng(2))
    assert abs(float(mass[0]) - 3 / 42) < 0.012
    assert len(solved(repeated).heights) == 42


def test_anything_else_is_refused(x, potential, tmp_path):
    for other, schedule, words in (
        (x[:-1], DDPM, r"points: expected the points .* SHA-256 \w{12}, got SHA-256 \w{12}, shape \(39, 3, 4, 4\)"),
        (x + 1e-6, DDPM, "points: expected the points that the heights were solved for"),
        (x.double(), DDPM, "got .*float64"),
        (x.flatten(1), DDPM, "got .*shape \\(40, 48\\)"),
        (x, schedules.cosine(), "schedule: expected ddpm_linear.* got cosine"),
        (x, schedules.ddpm_linear(2000), "schedule: expected"),
    ):
        with pytest.raises(ValueError, match=words):
            potential.replay(other, schedule)
        with pytest.raises(ValueError, match=words):
            potential.verify(other, schedule, n=100, generator=rng())
    for wrong in (potential.heights[:-1], potential.heights[:, None], potential.heights / 0):
        with pytest.raises(ValueError, match="heights: expected 40 finite numbers, one for each atom"):
            replace(potential, heights=wrong).replay(x, DDPM)
    with pytest.raises(RuntimeError, match="did not converge: max_samples"):
        priors.Potential.of(solved(x, tolerance=0.01, max_samples=1000), x, DDPM, 500)
    priors.Standard(DDPM, 2).save(tmp_path / "prior")
    with pytest.raises(ValueError, match="path: expected a file written by Potential.save, got a Standard"):
        priors.Potential.load(tmp_path / "prior")


def test_a_cut_file_is_refused(potential, tmp_path):
    file = tmp_path / "p"
    potential.save(file)
    whole = file.read_bytes()
    for part in (b"", whole[:20], whole[:-4]):
        file.write_bytes(part)
        with pytest.raises(ValueError, match="path: expected a file written by"):
            priors.Potential.load(file)


# ---- a solve that goes on


def test_a_checkpoint_goes_on_to_the_same_bits(x, tmp_path, monkeypatch):
    """Stopped after every few states (every=0 saves each), the heights are those of a solve that nobody touched.

    By a clock that strikes when it is looked at (at the start, at a state, and after it is written) the n-th state of a life
    comes after 2 n - 1 seconds, and lives add up.
    """
    clock = itertools.count()
    monkeypatch.setattr(keeping, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    options, file = {"tolerance": 0.05}, tmp_path / "state"
    whole = solved(x, **options)
    for stop, seconds in ((1, 1), (5, 1 + 9), (9, 1 + 9 + 17)):
        states = priors.potential_steps(x, DDPM, 500, checkpoint=file, every=0, **options)
        for _ in range(stop):
            state = next(states)
        states.close()
        assert State.load(file).seconds == state.seconds == seconds
        assert State.load(file).samples == state.samples and torch.equal(State.load(file).heights, state.heights)
    again = solved(x, checkpoint=file, every=0, **options)
    assert torch.equal(again.heights, whole.heights) and again.fit.error == whole.fit.error
    assert again.samples == whole.samples and again.seconds > 27 and whole.share == 1
    once_more = solved(x, checkpoint=file, **options)  # the file of a finished solve: its end is made again
    assert torch.equal(once_more.heights, whole.heights)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"tolerance": 0.2}, "'tolerance': 0.2}, got {'tolerance': 0.1}"), ({"seed": 1}, "'seed': 1"), ({"t": 499}, "'problem'"),
     ({"method": "asgd"}, "'method': 'asgd'"), ({"warm_start": torch.zeros(40)}, "'problem'")],
)  # fmt: skip
def test_a_checkpoint_of_other_settings_is_refused_and_kept(x, tmp_path, change, words):
    file = tmp_path / "state"
    next(iter(priors.potential_steps(x, DDPM, 500, tolerance=0.1, checkpoint=file, every=0)))
    kept = file.read_bytes()
    with pytest.raises(ValueError, match="state: expected the state of a solve with") as caught:
        solved(x, **({"checkpoint": file} | change))
    assert words in str(caught.value) and file.read_bytes() == kept
    with pytest.raises(ValueError, match="resume: expected None with a checkpoint"):
        solved(x, checkpoint=file, resume=State.load(file))
    file.write_bytes(kept[:100])
    with pytest.raises(ValueError, match="path: expected a file written by State.save"):
        solved(x, checkpoint=file)
