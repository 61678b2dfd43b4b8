"""Patches: cutting and pasting, and the law of the mosaic, which is the product of the patches' laws and nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo import f64, few, rng

from otprior_lite import priors, schedules
from otprior_lite.priors.patches import PatchedMap, cut, paste
from otprior_lite.randomness import seeded

OU = schedules.ou(3.0)


@few
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_patches_are_torchs_and_paste_is_the_inverse(n, channels, rows, columns, parts):
    """Against torch's unfold: the same patches in the same order, whatever the sides."""
    shape = (channels, rows * parts, columns * parts)
    x = torch.randn(n, *shape, generator=rng(n), dtype=f64)
    pieces = cut(x.flatten(1), shape, parts)
    theirs = torch.nn.functional.unfold(x, (rows, columns), stride=(rows, columns))  # (n, d / P, P)
    assert torch.equal(pieces, theirs.permute(2, 0, 1)) and torch.equal(paste(pieces, shape, parts), x.flatten(1))


def test_one_part_is_the_whole_map():
    x = torch.randn(30, 3, 4, 4, generator=rng(1))
    whole = priors.SemiDiscrete.fit(x, OU, 1.0, generator=seeded(2), tolerance=0.1)
    patched = priors.Patched.fit(x, OU, 1.0, generator=seeded(2), tolerance=0.1, parts=1)
    assert torch.equal(patched.sample(20, rng(3)), whole.sample(20, rng(3)))


def test_the_law_is_the_product_of_the_patches():
    """Every patch of a mosaic is that of an atom, each atom's with its share; patches of a sample know nothing of each other."""
    x, n = torch.randn(6, 1, 4, 4, generator=rng(1), dtype=f64), 40_000
    prior = priors.Patched.fit(x, OU, 0.5, generator=rng(2), tolerance=0.02)
    z = prior.codes(n, rng(3))
    cells, atoms = prior.map.cells(z), prior.map.points
    pieces = zip(cut(prior.map(z), (1, 4, 4), 2), cut(atoms, (1, 4, 4), 2), cells.T)
    assert all(torch.equal(part, own[index]) for part, own, index in pieces)
    assert torch.equal(prior.sample(n, rng(3)).flatten(1), prior.map(z))
    for p in range(4):
        share = torch.bincount(cells[:, p], minlength=6) / n
        assert float((share - 1 / 6).abs().sum()) < 0.02 + 6 * 0.8 * (1 / 6 / n) ** 0.5
        for q in range(p):
            table = torch.bincount(6 * cells[:, p] + cells[:, q], minlength=36).double().reshape(6, 6)
            expected = table.sum(1, keepdim=True) * table.sum(0) / n
            assert float(((table - expected).square() / expected).sum()) < 60  # chi2 of 25 degrees of freedom
    assert len(torch.unique(cells, dim=0)) > 1200  # of 6^4 = 1,296 mosaics, where the whole map has 6 pictures


def test_it_is_exact_for_independent_patches_and_loses_the_rest():
    """Two patches with two values each: all four pairs are the product law; two pairs that always go together are not."""
    value = torch.tensor([-1.0, 1.0])
    pairs = torch.cartesian_prod(value, value)[:, None]  # (4, 1, 2), both patches one number
    for points, agree in ((pairs, 0.5), (pairs[[0, 3]], 0.5), (pairs[[0, 0, 3]], 5 / 9)):
        x = priors.Patched.fit(points, OU, 0.0, generator=rng(1), tolerance=1e-6).sample(20_000, rng(2))[:, 0]
        same = float((x[:, 0] == x[:, 1]).double().mean())
        assert abs(same - agree) < 0.015, (points, same)


def test_equal_patches_share_a_cell():
    """Pictures that agree in a corner, as emoji on white do: one cell holds the mass of all of them."""
    x = torch.randn(8, 3, 4, 4, generator=rng(1))
    x[:5, :, :2, :2] = 1.0
    prior = priors.Patched.fit(x, OU, 0.0, generator=rng(2), tolerance=0.05)
    corner = prior.sample(20_000, rng(3))[:, :, :2, :2]
    assert abs(float((corner == 1).flatten(1).all(1).double().mean()) - 5 / 8) < 0.04


def test_a_map_checks_its_parts():
    for points, heights, shape, parts, word in (
        (torch.zeros(3, 16), torch.zeros(4, 2), (1, 4, 4), 2, "heights: expected shape \\(4, 3\\)"),
        (torch.zeros(3, 16), torch.zeros(9, 3), (1, 4, 4), 3, "shape: expected .*multiple of 3"),
        (torch.zeros(3, 16), torch.zeros(1, 3), (16,), 2, "shape: expected \\(channels, \\*sides\\)"),
        (torch.zeros(3, 16), torch.zeros(1, 3), (1, 4, 4), 1.5, "parts: expected an integer"),
    ):
        with pytest.raises(ValueError, match=word):
            PatchedMap(points, heights, shape, parts)
