"""Pictures: the world keeps its promises, measures see what is known of samples, the budget is right where it is known."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from otprior_lite import data, figures, schedules
from otprior_lite.experiments import pictures, pictures_budget, pictures_groups, pictures_sources, smileys
from otprior_lite.experiments.pictures import MEASURES, NFES, STARTS, TIMES, World
from otprior_lite.experiments.study import load
from otprior_lite.figures.pictures import tile
from otprior_lite.metrics import memorisation
from otprior_lite.randomness import normal, seeded
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser
from otprior_lite.targets import GaussianMixture

SCHEDULE = schedules.ddpm_linear(1000)


@pytest.fixture(scope="module")
def small():
    """Twelve training pictures and the held-out ones; its score is that of the twelve."""
    train, held_out = smileys.smileys()
    return World(SCHEDULE, train[:12], held_out, EmpiricalDenoiser(train[:12], SCHEDULE))


# ---- the world


def test_training_and_held_out_smileys_share_no_picture():
    train, held_out = smileys.smileys()
    assert train.shape == (351, 3, 32, 32) and held_out.shape == (153, 3, 32, 32)
    assert float(torch.cdist(held_out.flatten(1), train.flatten(1)).min()) > 1


def test_halves_split_the_held_out_names_and_keep_the_vendors_together():
    """Read against the names in the file: no name is in both halves, and the halves are all there is."""
    emoji, (_, held_out) = data.load("emoji32"), smileys.smileys()
    with np.load(data.path("emoji32"), allow_pickle=False) as archive:
        names = archive["name"].tolist()
    row_of = {picture.numpy().tobytes(): row % len(names) for row, picture in enumerate(emoji.x)}
    named = lambda pictures: {names[row_of[picture.numpy().tobytes()]] for picture in pictures}
    for seed in pictures.SEEDS:
        oracle, reference = pictures.halves(held_out, seed)
        assert (len(oracle), len(reference)) == (75, 78) == (pictures.SAMPLES, 153 - 75)
        assert not named(oracle) & named(reference) and len(named(oracle)) == 25
        both = torch.cat([oracle, reference]).flatten(1).sum(1).sort().values
        assert torch.equal(both, held_out.flatten(1).sum(1).sort().values)
    assert not torch.equal(pictures.halves(held_out, 0)[0], pictures.halves(held_out, 1)[0])


def test_the_oracle_sees_no_training_picture_and_the_others_no_held_out_one(small):
    """Other training pictures leave the oracle's draws as they are, other held-out ones the six others'."""
    draw = lambda world: {name: prior.sample(3, seeded(1)) for name, prior in pictures.starts(world, 500, 0).items()}
    first, retrained = draw(small), draw(replace(small, train=small.train.flip(3)))
    retested = draw(replace(small, held_out=small.held_out.flip(3)))
    assert tuple(first) == STARTS
    for name in STARTS:
        assert torch.equal(first[name], retrained[name]) == (name in ("oracle", "standard")), name
        assert torch.equal(first[name], retested[name]) == (name != "oracle"), name


def test_the_oracle_draws_every_picture_of_its_half_once(small):
    half = pictures.halves(small.held_out, 2)[0]
    prior = pictures.starts(small, 250, 2)["oracle"]
    alpha, sigma = float(SCHEDULE.alpha(250)), float(SCHEDULE.sigma(250))
    for n, times in ((75, 1), (150, 2)):
        x = prior.sample(n, seeded(0))
        near = torch.cdist(x.flatten(1) / alpha, half.flatten(1)).argmin(1)
        assert near.bincount(minlength=75).tolist() == 75 * [times]
        assert float((x - alpha * half[near]).std()) == pytest.approx(sigma, rel=0.01)


def test_starts_that_take_codes_take_the_same(small):
    """The map sends to its cell the very z that the standard start returns; the noise of the Gaussian one is sigma z."""
    found = pictures.starts(small, 500, 0)
    z = pictures.draws(small, 500, 0, "standard", 5)
    atoms = found["semi-discrete"].map
    assert torch.equal(pictures.draws(small, 500, 0, "semi-discrete", 5).flatten(1), atoms(z.flatten(1)))
    smooth = found["smoothed"].map(z.flatten(1)).reshape(z.shape)
    assert torch.allclose(pictures.draws(small, 500, 0, "smoothed", 5), smooth)
    inside = pictures.draws(small, 500, 0, "moment-matched", 5) - float(SCHEDULE.sigma(500)) * z - found["moment-matched"].mean
    axes = torch.linalg.svd((small.train - small.train.mean(0)).flatten(1), full_matrices=False)[2][:11]
    left = inside.flatten(1) - inside.flatten(1) @ axes.T @ axes
    assert float(left.norm() / inside.norm()) < 1e-3  # what is not sigma z lies in the span of the data


def test_the_gaussian_start_has_all_of_the_covariance(small):
    prior = pictures.starts(small, 250, 0)["moment-matched"]
    v = normal((3072, 4), seeded(3), dtype=torch.float64)
    alpha, sigma = float(SCHEDULE.alpha(250)), float(SCHEDULE.sigma(250))
    x = small.train.flatten(1).double()
    wanted = alpha**2 * ((x - x.mean(0)) @ v).square().mean(0) + sigma**2 * v.square().sum(0)
    got = (prior.covariance.double() @ v.square()) + (prior.factor.double().T @ v).square().sum(0)
    assert torch.allclose(got, wanted, rtol=1e-4)


def test_a_run_of_k_calls_calls_k_times(small):
    calls = []
    counting = replace(small, denoiser=lambda x, t: calls.append(t) or torch.zeros_like(x))
    for t in (TIMES[0], TIMES[-1]):
        for k in NFES:
            calls.clear()
            pictures.ends(counting, torch.zeros(1, 3, 32, 32), t, k)
            assert len(calls) == k and calls[0] == t


# ---- the measures


@pytest.fixture(scope="module")
def judged():
    """MEASURES of samples whose verdict is known."""
    train, held_out = smileys.smileys()
    world = World(SCHEDULE, train, held_out, None)
    oracle, reference = pictures.halves(held_out, 0)
    samples = {
        "copies": train[:75], "held-out": oracle, "reference": reference, "one": oracle[:1].repeat(75, 1, 1, 1),
        "noise": normal((75, 3, 32, 32), seeded(5)),
    }  # fmt: skip
    return {name: dict(zip(MEASURES, pictures.grade(world, 0, x))) for name, x in samples.items()}


def test_copies_are_reported_and_held_out_pictures_are_not(judged):
    copies, fresh = judged["copies"], judged["held-out"]
    assert (copies["nearer"], copies["closer"], copies["copies"], copies["to_train"]) == (1, 1, 1, 0)
    assert 0.65 < fresh["nearer"] < 0.95 and 0.3 < fresh["closer"] < 0.7 and fresh["copies"] < 0.05
    assert fresh["to_train"] > 0.2 and copies["to_held_out"] > 0.2


def test_the_reference_is_at_no_distance_from_itself(judged):
    """Frechet distance and distance to the nearest are zero, the rank against itself is a half, unbiased energies below zero."""
    own = judged["reference"]
    assert own["frechet"] < 1e-3 and own["to_held_out"] == 0 and own["nearer"] == 0 and own["closer"] == 0.5
    assert own["energy"] < 0 and own["pixels"] < 0


def test_one_picture_many_times_and_noise_are_seen(judged):
    assert judged["one"]["repeats"] == 1 and judged["held-out"]["repeats"] == judged["noise"]["repeats"] == 0
    assert judged["one"]["recall"] < 0.1 and judged["noise"]["precision"] < 0.2
    assert judged["noise"]["frechet"] > 3 * judged["held-out"]["frechet"] and judged["noise"]["closer"] == 0


def test_nearest_distances_are_scikit_learns(judged):
    from sklearn.neighbors import NearestNeighbors

    train, held_out = smileys.smileys()
    oracle, reference = pictures.halves(held_out, 0)
    x, y, z = (part.flatten(1).double().numpy() for part in (oracle, train, reference))
    near, rows = NearestNeighbors(n_neighbors=2).fit(y).kneighbors(x)
    values, index = pictures.nearest(oracle, train)
    assert np.allclose(values, near / math.sqrt(3072)) and (index[:, 0].numpy() == rows[:, 0]).mean() > 0.97
    other = NearestNeighbors(n_neighbors=1).fit(z).kneighbors(x)[0][:, 0]
    assert judged["held-out"]["nearer"] == pytest.approx((near[:, 0] < other).mean(), abs=1e-4)
    assert judged["held-out"]["to_train"] == pytest.approx(np.median(near[:, 0]) / math.sqrt(3072), rel=0.02)
    assert judged["held-out"]["copies"] == pytest.approx((near[:, 0] <= near[:, 1] / 3).mean(), abs=1e-4)


def test_equal_numbers_would_hide_copies():
    """Why all training pictures are compared: cut to the number of the reference, the library's share is far from 1."""
    train, held_out = smileys.smileys()
    reference = pictures.halves(held_out, 0)[1]
    order = torch.randperm(len(train), generator=seeded(1))
    assert memorisation(train[:75], train[order], reference).value < 0.8


# ---- the budget


def test_terms_vanish_where_they_must():
    """True draws have no start term, the exact score no score term, as many steps as the reference no discretisation."""
    x = normal((3, 3, 32, 32), seeded(1))
    starts = {"true": x, "other": x + 1}
    exact = lambda x, t: x / 2
    for denoiser, name in ((exact, "exact"), (lambda x, t: x / 3, "other")):
        rows = pictures_budget.terms(denoiser, exact, SCHEDULE, 500, x, starts, (3, 6), fine=6)
        named = {(start, k): dict(zip(pictures_budget.TERMS, values)) for start, k, *values in rows}
        assert all(named["true", k]["start"] == 0 for k in (3, 6))
        assert all(named[start, 6]["discretisation"] == 0 < named[start, 3]["discretisation"] for start in starts)
        assert all((row["score"] == 0) == (name == "exact") for row in named.values())
    assert named["true", 6]["total"] == named["true", 6]["score"] > 0


def test_the_start_term_of_gaussian_data_is_a_known_factor():
    """For data N(0, s^2 I) the exact flow scales by s / sqrt(alpha^2 s^2 + sigma^2): so does the distance of two starts."""
    s, t = 0.5, 500
    law = GaussianMixture(torch.ones(1), torch.zeros(1, 6), s**2 * torch.eye(6)[None])
    exact, x, z = ExactDenoiser(law, SCHEDULE), normal((40, 6), seeded(1)), normal((40, 6), seeded(2))
    (row,) = pictures_budget.terms(exact, exact, SCHEDULE, t, x, {"z": z}, (80,), fine=80)
    alpha, sigma = float(SCHEDULE.alpha(t)), float(SCHEDULE.sigma(t))
    factor = s / math.sqrt(alpha**2 * s**2 + sigma**2)
    assert row[2] == pytest.approx(factor * pictures_budget.rms(x, z), rel=2e-3)
    assert row[3] == row[4] == 0 and row[5] == row[2] >= row[6] > 0


def test_a_scaled_score_has_a_known_score_term():
    """One training picture c: every run with its score ends on c, with the score of c / 2 on c / 2."""
    c = normal((1, 3, 4, 4), seeded(4))
    one, half = EmpiricalDenoiser(c, SCHEDULE), EmpiricalDenoiser(c / 2, SCHEDULE)
    x = normal((5, 3, 4, 4), seeded(5))
    (row,) = pictures_budget.terms(half, one, SCHEDULE, 250, x, {"far": x + 3}, (4,), fine=8)
    assert row[2] < 1e-5 and row[3] < 1e-5
    assert row[4:] == pytest.approx(3 * [float(c.square().mean().sqrt()) / 2], rel=1e-3)


def test_the_terms_of_the_study_bound_its_total():
    """Minkowski's inequality, row by row and in the mean; repairing the pairs never costs more."""
    stacks = pictures_budget.stacks()
    assert {(s.t, s.start, s.calls) for s in stacks} == {(t, a, k) for t in TIMES for a in pictures_budget.STARTS for k in NFES}
    for stack in stacks:
        total, matched = stack.terms["total"][0], stack.terms["matched"][0]
        assert matched <= total * 1.001 and total <= stack.bound * 1.001


# ---- what is committed


def test_a_small_part_of_the_study_comes_out_again():
    run, data_row = (pictures.measure(cell) for cell in pictures.cells(True))
    score, held_out = pictures.scores()["semi-discrete", 250, 5], pictures.scores()["held-out", 0, 0]
    for got, committed in ((run["runs"][0][1:], score), (data_row["held-out"], held_out)):
        assert got == pytest.approx([committed.values[name][0] for name in MEASURES], rel=0.01, abs=0.03)


def test_start_terms_of_the_budget_come_out_again():
    (cell,) = pictures_budget.cells(True)
    committed = next(row for row in load("pictures_budget") if (row["seed"], row["t"]) == (cell["seed"], cell["t"]))
    for (start, calls, term, *_), known in zip(pictures_budget.measure(cell)["rows"], committed["rows"]):
        assert [start, calls] == known[:2] and term == pytest.approx(known[2], rel=0.01)


def test_sources_are_what_was_noised():
    """Taken away alpha times the source, a start is noise of the right size, whatever the start; and one row is made again."""
    found = pictures.world()
    for name, t in itertools.product(pictures_sources.STARTS, (250, 500)):
        x, own = pictures.draws(found, t, 1, name), pictures_sources.sources(found, t, 1, name)
        left = (x - float(found.schedule.alpha(t)) * own) / float(found.schedule.sigma(t))
        assert abs(float(left.mean())) < 0.02 and abs(float(left.std()) - 1) < 0.01
    (cell,) = pictures_sources.cells(True)
    committed = next(r for r in load("pictures_sources") if all(r[key] == cell[key] for key in ("seed", "t", "start")))
    assert pictures_sources.measure(cell)["told"] == pytest.approx(committed["told"], abs=0.02)


def test_places_are_counted():
    x = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    others = torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 0.0]])
    assert pictures_sources.places(x, torch.tensor([[0.0, 2.0], [5.0, 0.0]]), others).tolist() == [1, 0]
    assert pictures_sources.places(x, torch.tensor([[9.0, 0.0], [4.0, 9.0]]), others).tolist() == [3, 3]


def test_scores_hold_every_cell_and_pair_the_seeds():
    found = pictures.scores()
    grid = {(name, t, k) for name in STARTS for t in TIMES for k in NFES}
    assert set(found) == grid | {("held-out", 0, 0), ("training", 0, 0)}
    assert all(len(score.values["frechet"]) == len(pictures.SEEDS) for score in found.values())
    a, b = found["standard", 250, 10], found["oracle", 250, 10]
    gaps = [x - y for x, y in zip(a.values["frechet"], b.values["frechet"])]
    assert a.minus(b, "frechet")[0] == pytest.approx(np.mean(gaps))
    assert a.minus(b, "frechet")[1] == pytest.approx(np.std(gaps, ddof=1) / math.sqrt(len(gaps)))


def test_the_atlas_shows_the_study_and_its_neighbours():
    """Its first pictures are drawn again, with their neighbours; rounding changes others for one as near but for a hundredth."""
    found, world = pictures.atlas(), pictures.world()
    assert found.outputs.shape[:3] == (len(STARTS), len(TIMES), len(NFES)) and found.outputs.abs().max() <= 1
    k, (i, t), oracle = found.outputs.shape[3], (0, TIMES[0]), STARTS.index("oracle")
    x = pictures.ends(world, pictures.draws(world, t, 0, "oracle")[:k], t, 5)
    assert torch.allclose(found.outputs[oracle, i, 0], x.clamp(-1, 1), atol=1 / 31 + 0.01)
    reference = pictures.halves(world.held_out, 0)[1]
    for y, rows in ((world.train, found.near_train), (reference, found.near_held_out)):
        assert torch.equal(pictures.nearest(x, y)[1][:, 0], rows[oracle, i, 0])
        apart = torch.cdist(found.outputs.flatten(4).flatten(0, 3), y.flatten(1)) / math.sqrt(3072)
        assert (apart.gather(1, rows.flatten()[:, None])[:, 0] - apart.min(1).values).max() < 0.01


def test_neighbours_are_the_pictures_of_their_rows():
    train, held_out = smileys.smileys()
    block = pictures.neighbours(("oracle",), (250,))[0]
    assert (block.start, block.t) == ("oracle", 250)
    apart = lambda x: (block.outputs - x).square().flatten(1).sum(1)
    every = (block.outputs[:, None] - train).square().flatten(2).sum(2).min(1).values
    assert torch.allclose(apart(block.train), every, rtol=0.02)
    assert not any(torch.equal(picture, other) for picture in block.held_out for other in train)


def test_groups_start_from_the_same_codes_and_are_judged(monkeypatch):
    """A network that paints the told group grey: guidance g makes g times the grey, and the same for every code."""

    class Grey(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x, alpha, sigma, label=None):
            level = torch.zeros(len(x)) if label is None else label / 100
            return level[:, None, None, None].expand_as(x)

    from otprior_lite.score import LearnedDenoiser

    monkeypatch.setattr(pictures_groups.data, "path", lambda name: name)
    monkeypatch.setattr(pictures_groups, "load_model", lambda file: (None, LearnedDenoiser(Grey(), SCHEDULE)))
    out = pictures_groups.drawn(2)
    assert out.shape == (3, 9, 2, 3, 32, 32)
    wanted = torch.tensor(pictures_groups.GUIDANCE)[:, None] * torch.arange(9) / 100
    assert torch.allclose(out.mean((2, 3, 4, 5)), wanted, atol=1e-4)


def test_committed_groups_have_nine_rows():
    found = pictures_groups.groups()
    assert found.outputs.shape[:2] == (len(pictures_groups.GUIDANCE), 9) == (len(found.right), len(found.names))
    assert 0.5 < found.held_out < 1


def test_tiles_are_where_they_should_be():
    """Row by row, clipped, clear between."""
    images = torch.stack([torch.full((3, 4, 4), v) for v in (-1.0, 0.0, 7.0)])
    grid = tile(images, 2, gap=1)
    assert grid.shape == (9, 9, 4)
    for place, level in (((0, 0), 0.0), ((3, 5), 0.5), ((5, 3), 1.0)):
        assert grid[place].tolist() == [level, level, level, 1]
    assert not grid[4].any() and not grid[:, 4].any() and not grid[5:, 5:].any()


def test_figures_are_registered():
    names = ("sheet", "quality", "memory", "neighbours", "budget", "groups")
    assert {f"pictures_{name}" for name in names} <= set(figures.names())
