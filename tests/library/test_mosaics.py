"""What mosaics lose: the formula against determinants written out, and mosaics against what they are cut from."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from zoo import f64, few, rng, seeds

from otprior_lite import features, schedules
from otprior_lite.experiments.mosaics import mosaics, seams, shared
from otprior_lite.priors.patches import cut

OU, DDPM = schedules.ou(3.0), schedules.ddpm_linear()


@few
@given(seeds, st.integers(2, 40), st.floats(0.05, 3), st.sampled_from([1, 2, 4]))
def test_the_nats_are_those_of_the_determinants(seed, n, t, parts):
    """With more and with fewer points than dimensions: (sum log det C_pp - log det C) / 2 from the covariance itself."""
    x = torch.randn(n, 2, 4, 4, generator=rng(seed), dtype=f64) + 1
    covariance = float(OU.alpha(t)) ** 2 * torch.cov(x.flatten(1).T, correction=0)
    covariance += float(OU.sigma(t)) ** 2 * torch.eye(32, dtype=f64)
    index = cut(torch.arange(32)[None], (2, 4, 4), parts)[:, 0]
    blocks = sum(float(torch.logdet(covariance[i][:, i])) for i in index)
    assert shared(x, OU, t, parts) == pytest.approx((blocks - float(torch.logdet(covariance))) / 2, rel=1e-7, abs=1e-9)


def test_two_numbers():
    """-log(1 - rho^2) / 2 for one pair of normal patches with correlation rho."""
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=f64)[:, None]
    alpha2 = float(OU.alpha(1.0)) ** 2
    assert shared(x, OU, 1.0) == pytest.approx(-0.5 * math.log1p(-(alpha2**2)), rel=1e-10)
    assert shared(torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 2)[:, None], OU, 1.0) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="^t: expected"):
        shared(x, OU, 0.0)


def test_mosaics_use_every_patch_once_and_nowhere_else():
    x = torch.randn(20, 3, 4, 4, generator=rng(1))
    made = mosaics(x, 2, rng(2))
    for old, new in zip(cut(x.flatten(1), (3, 4, 4), 2), cut(made.flatten(1), (3, 4, 4), 2)):
        assert torch.equal(old.sort(0).values, new.sort(0).values) and not torch.equal(old, new)
    assert torch.equal(mosaics(x, 1, rng(2)).flatten(1).sort(0).values, x.flatten(1).sort(0).values)


def test_smileys_lose_little_at_the_end_and_much_before():
    """What chapter 12 says: at T patches of smileys are independent for every purpose, at t = 500 they are not; and a classifier
    sees the seams, the more the smaller the patches."""
    train, held = (rows.rows(rows.y == 0).x for rows in (part.distinct() for part in features.split("emoji32")))
    nats = {t: shared(train, DDPM, t) for t in (250, 500, 1000)}
    assert nats[1000] < 1e-4 and 1 < nats[500] < 10 and nats[250] > 20
    seen = [seams(train, held, features.load("emoji32").pooled, parts, rng(0)) for parts in (2, 8)]
    assert seen[0].mosaics > seen[0].pictures + 0.3 and seen[1].mosaics > 2 * seen[0].mosaics
