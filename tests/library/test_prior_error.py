"""The study of the prior error: a part made again, its two rulers against other routes, and what it says of the paper's zero."""

import math

import numpy as np
import ot
import pytest
import torch
from scipy import stats

from otprior_lite.experiments import prior_error
from otprior_lite.experiments.study import load
from otprior_lite.experiments.worlds import SIZES, world
from otprior_lite.schedules import ou


@pytest.mark.parametrize("cell", prior_error.STUDY.cells(True), ids=lambda cell: cell["group"])
def test_a_part_is_made_again(cell):
    """The ring at T = 2, one seed: the committed distances of every prior but the learned one."""
    (kept,) = (row for row in load("prior_error") if all(row[key] == value for key, value in cell.items()))
    for name, found in prior_error.measure(cell).items():
        for ruler in prior_error.RULERS:
            assert found[ruler] == pytest.approx(kept[name][ruler], rel=1e-3, abs=1e-5), (name, ruler)


def test_the_rulers_by_other_routes():
    """W2 by POT's own squared distances; the energy distance to X_T by the double sums of its definition for a finite law."""
    x, fresh, atoms = (torch.randn(n, 2, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (40, 50, 30))
    found = prior_error._distances(x, fresh + 1, atoms)
    assert found["fresh"] == pytest.approx(math.sqrt(ot.emd2([], [], ot.dist(x.numpy(), fresh.numpy() + 1))), rel=1e-9)
    between, within_x, within_a = (np.linalg.norm(a[:, None] - b[None], axis=-1) for a, b in ((x, atoms), (x, x), (atoms, atoms)))
    defined = 2 * between.mean() - within_x.sum() / (40 * 39) - within_a.mean()  # X_T: all pairs; the sample: different ones
    assert found["stored_energy"] == pytest.approx(defined, rel=1e-9)


def test_every_map_of_a_world_has_the_same_atoms():
    place, schedule = world("moons", 1), ou(2.0)
    atoms = prior_error.noised(place, schedule, 1.0)
    made = prior_error.maps(place, schedule, 1.0, torch.Generator().manual_seed(2001))
    assert torch.equal(made["semi-discrete"].map.points, atoms) and torch.equal(made["smoothed 0.3"].map.points, atoms)
    assert torch.equal(made["smoothed 0.3, solved again"].map.points, atoms) and len(atoms) == SIZES["moons"]


def paired(first: str, second: str, name: str, t: float, ruler: str):
    """Mean difference over seeds and its 95 % interval by Student's law."""
    values: dict[str, dict[int, float]] = {first: {}, second: {}}
    for row in load("prior_error"):
        for prior in (first, second):
            if (row["world"], row["t"]) == (name, t) and prior in row:
                values[prior][row["seed"]] = row[prior][ruler]
    differences = np.array([values[first][seed] - values[second][seed] for seed in sorted(values[first])])
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / math.sqrt(len(differences))
    return differences.mean() - half, differences.mean() + half, len(differences)


def test_zero_by_one_ruler_and_worse_than_nothing_by_the_other():
    """Ring, N = 300, T = 2, ten seeds: the map sits at the floor of X_T, and by W2 is farther from p_T than N(0, I) is.

    By the energy distance ten seeds do not decide: its interval holds zero, and ends at five times the error of N(0, I).
    """
    low, high, seeds = paired("semi-discrete", "standard", "ring", 2.0, "fresh")
    assert low > 0.05 and seeds == 10
    low, high, _ = paired("semi-discrete", "standard", "ring", 2.0, "fresh_energy")
    nothing = next(
        row.fresh_energy[0] for row in prior_error.table() if (row.world, row.t, row.prior) == ("ring", 2.0, "standard")
    )
    assert low < 0 < 5 * nothing < high
    floor = {row.prior: row for row in prior_error.table() if (row.world, row.t) == ("ring", 2.0)}
    assert abs(floor["semi-discrete"].stored_energy[0] - floor["X_T"].stored_energy[0]) < 3 * floor["X_T"].stored_energy[1] + 1e-3


@pytest.mark.parametrize("name", SIZES)
def test_it_wins_where_the_gap_is_large(name):
    """At T = 0.25 the map beats N(0, I) in every world, and the control without a map is never behind the map."""
    assert paired("semi-discrete", "standard", name, 0.25, "fresh_energy")[1] < 0
    for t in prior_error.TIMES:
        assert paired("data-initialised", "semi-discrete", name, t, "fresh_energy")[0] < 0, t


def test_fresh_noise_has_the_law_of_the_control():
    """Same law, two routes: no difference in any world and at any time beyond chance (15 comparisons at 99.9 %)."""
    rows = {(row.world, row.t, row.prior): row for row in prior_error.table()}
    for name in SIZES:
        for t in prior_error.TIMES:
            a, b = (rows[name, t, prior].fresh_energy for prior in ("fresh noise", "data-initialised"))
            assert abs(a[0] - b[0]) < 5 * math.hypot(a[1], b[1]), (name, t)


def test_w2_of_samples_rewards_shrinking_in_many_dimensions():
    """Digits: the extended start scores below the oracle by W2 and a hundred times above it by the energy distance."""
    rows = {row.prior: row for row in prior_error.table() if (row.world, row.t) == ("digits", 1.0)}
    assert rows["extended"].fresh[0] < rows["oracle"].fresh[0] - 1
    assert rows["extended"].fresh_energy[0] > 0.5 > 100 * abs(rows["oracle"].fresh_energy[0])
