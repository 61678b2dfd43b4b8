"""Everything follows the device of its input, and a GPU gives the CPU's numbers. Skipped where there is no GPU."""

import pytest
import torch
from zoo import f64, rng, triangle

from otprior_lite import metrics, priors, samplers, schedules
from otprior_lite.forward import marginal, noise, velocity
from otprior_lite.gap import gelbrich, kl, prior_gap, synchronous_bound
from otprior_lite.score import EmpiricalDenoiser, ExactDenoiser
from otprior_lite.targets import Empirical, normal_to
from otprior_lite.transport import gaussian_map, plan

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]
devices = pytest.mark.parametrize("device", ["cuda"])
VP = schedules.vp()


def same(found, exact, device):
    """`found` lives on `device` and has the CPU's values."""
    assert found.device.type == device
    torch.testing.assert_close(found.cpu(), exact.cpu(), rtol=1e-9, atol=1e-9)


@devices
def test_targets_and_forward(device):
    here, x = triangle().to(device), torch.randn(5, 2, generator=rng(), dtype=f64)
    for name, arguments in (
        ("log_prob", ()),
        ("score", ()),
        ("posterior_mean", (0.6, 0.8)),
        ("posterior_covariance", (0.6, 0.8)),
    ):
        same(getattr(here, name)(x.to(device), *arguments), getattr(triangle(), name)(x, *arguments), device)
    same(here.sample(6, rng(1)), triangle().sample(6, rng(1)), device)
    same(here.covariance, triangle().covariance, device)
    same(marginal(here, VP, 0.4).means, marginal(triangle(), VP, 0.4).means, device)
    same(noise(x.to(device), VP, 0.4, rng(2)), noise(x, VP, 0.4, rng(2)), device)
    same(velocity(here, VP, x.to(device), 0.4), velocity(triangle(), VP, x, 0.4), device)
    line = Empirical([[0.5], [-1.0]]).diffuse(0.5, 0.5)
    z = torch.linspace(-2, 2, 5, dtype=f64)
    same(normal_to(line.to(device), z.to(device)), normal_to(line, z), device)


@devices
@pytest.mark.parametrize("schedule", [VP, schedules.zero_terminal_snr(schedules.scaled_linear(50))], ids=lambda s: s.name)
def test_schedules(device, schedule):
    t = torch.linspace(0.1, 0.9, 5, dtype=f64) * schedule.T
    for name in ("alpha", "sigma", "alpha_dot", "sigma_dot", "log_snr", "drift", "diffusion_squared", "reference_std"):
        same(getattr(schedule, name)(t.to(device)), getattr(schedule, name)(t), device)
    lam = schedule.log_snr(t)
    same(schedule.t_of_log_snr(lam.to(device)), t, device)


@devices
def test_gap_and_transport(device):
    here = triangle().to(device)
    for bound in (gelbrich, synchronous_bound):
        assert bound(here, VP, 0.5) == pytest.approx(bound(triangle(), VP, 0.5), rel=1e-9)
    assert kl(here, VP, 0.5, n=500).value == pytest.approx(kl(triangle(), VP, 0.5, n=500).value, rel=1e-8)
    a, b = (prior_gap(law, VP, 0.3, n=60, generator=rng(1)) for law in (here, triangle()))
    assert a.total.value == pytest.approx(b.total.value, rel=1e-7)
    x, y = torch.randn(2, 8, 3, generator=rng(), dtype=f64)
    same(plan(x.to(device), y.to(device)).matrix, plan(x, y).matrix, device)
    S = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=f64)
    there = gaussian_map(torch.zeros(2).to(device), S.to(device), torch.ones(2).to(device), S.inverse().to(device))
    same(there.matrix, gaussian_map(torch.zeros(2), S, torch.ones(2), S.inverse()).matrix, device)


FITS = {
    priors.Standard: {},
    priors.Offset: {},
    priors.MomentMatched: {"form": "low-rank", "rank": 1},
    priors.SemiDiscrete: {},
    priors.Smoothed: {},
    priors.Extended: {"draws": 2000},
    priors.FreshNoise: {},
    priors.Patched: {},
    priors.DataInitialised: {},
    priors.Mixture: {"components": 2},
    priors.Langevin: {"steps": 3, "start": priors.Standard},
    priors.Learned: {"steps": 3, "batch": 16, "transforms": 2, "hidden": (8,), "strict": False},
}


def fitted(kind, points):
    denoiser = {"denoiser": EmpiricalDenoiser(points, VP)} if kind is priors.Langevin else {}
    return kind.fit(points, VP, 0.4, generator=rng(2), **FITS[kind], **denoiser)


@devices
@pytest.mark.parametrize("kind", [kind for kind in FITS if kind is not priors.Learned], ids=lambda kind: kind.name)
def test_priors(device, kind):
    """The same generator gives the same fit and the same start on every device."""
    points = torch.randn(6, 1, 2, generator=rng(1), dtype=f64)
    draw = lambda p: fitted(kind, p).sample(9, rng(3))
    same(draw(points.to(device)), draw(points), device)


@devices
@pytest.mark.parametrize("kind", FITS, ids=lambda kind: kind.name)
def test_priors_move(device, kind, tmp_path):
    """A prior moved to the device, or read from a file onto it, draws what it drew on the CPU."""
    points = torch.randn(6, 1, 2, generator=rng(1), dtype=f64)
    prior = fitted(kind, points)
    same(prior.to(device).sample(9, rng(3)), prior.sample(9, rng(3)), device)
    prior.save(tmp_path / "prior")
    there = EmpiricalDenoiser(points.to(device), VP) if kind is priors.Langevin else None
    same(priors.load(tmp_path / "prior", device=device, denoiser=there).sample(9, rng(3)), prior.sample(9, rng(3)), device)


@devices
def test_a_potential_of_the_device_is_replayed_anywhere(device, tmp_path):
    """Heights solved on the device, stopped and gone on with, and read on the CPU: atoms and masses are the CPU's."""
    points, options = torch.randn(60, 3, 4, 4, generator=rng(1)), {"device": device, "tolerance": 0.1}
    next(priors.potential_steps(points, VP, 0.4, checkpoint=tmp_path / "state", every=0, **options))
    for checkpoint in (None, tmp_path / "state"):
        *_, state = priors.potential_steps(points, VP, 0.4, checkpoint=checkpoint, **options)
        potential = priors.Potential.of(state, points, VP, 0.4)
        potential.save(tmp_path / "heights")
        potential = priors.Potential.load(tmp_path / "heights")
        for here in (points, points.to(device)):
            error = potential.verify(here, VP, n=200_000, generator=rng(9))
            assert error.interval[0] <= 0.1 and error.l1.value < 0.15
        there, here = (potential.replay(x, VP).sample(9, rng(3)) for x in (points.to(device), points))
        torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=1e-5)


@devices
def test_a_flow_trains_on_the_device(device):
    points = torch.randn(40, 1, 2, generator=rng(1))
    prior = fitted(priors.Learned, points.to(device))
    x = prior.sample(9, rng(3))
    assert x.device.type == device and x.shape == (9, 1, 2) and bool(x.isfinite().all())


@devices
@pytest.mark.parametrize("method", samplers.METHODS)
def test_samplers_and_denoisers(device, method):
    points, x = torch.randn(6, 1, 2, 2, generator=rng(1), dtype=f64), torch.randn(4, 1, 2, 2, generator=rng(2), dtype=f64)
    options = {"steps": 8, "method": method, "t_start": 0.8, "generator": rng(3)}
    cpu = samplers.sample(EmpiricalDenoiser(points, VP), VP, x, **options)
    options["generator"] = rng(3)
    same(samplers.sample(EmpiricalDenoiser(points.to(device), VP), VP, x.to(device), **options), cpu, device)
    flat = x.flatten(1)[:, :2]
    same(ExactDenoiser(triangle().to(device), VP)(flat.to(device), 0.5), ExactDenoiser(triangle(), VP)(flat, 0.5), device)


@devices
def test_metrics(device):
    x, y, z = torch.randn(3, 30, 12, generator=rng(), dtype=f64)
    for metric in (metrics.w2, metrics.sliced_w2, metrics.energy):
        here, cpu = metric(x.to(device), y.to(device)), metric(x, y)
        assert (here.value, here.floor) == pytest.approx((cpu.value, cpu.floor), rel=1e-8)
    assert metrics.tail_coverage(x.to(device), y.to(device), q=0.2) == metrics.tail_coverage(x, y, q=0.2)
    here, cpu = metrics.memorisation(*(v.to(device) for v in (x, y, z))), metrics.memorisation(x, y, z)
    assert here.value == cpu.value and here.to_train == pytest.approx(cpu.to_train, rel=1e-9)
    for metric in (metrics.mmd, metrics.frechet):
        here, cpu = metric(x.to(device), y.to(device)), metric(x, y)
        assert (here.value, here.floor, here.error) == pytest.approx((cpu.value, cpu.floor, cpu.error), rel=1e-7, abs=1e-10)
    assert metrics.mmd(x.to(device), y.to(device)).p_value == metrics.mmd(x, y).p_value
    assert metrics.precision_recall(x.to(device), y.to(device)) == metrics.precision_recall(x, y)
    classes = lambda v: v[:, :3].softmax(1)
    assert metrics.mode_mixture(x.to(device), y.to(device), classes) == metrics.mode_mixture(x, y, classes)
    unequal = metrics.sliced_w2(x.to(device), y[:17].to(device)).value
    assert unequal == pytest.approx(metrics.sliced_w2(x, y[:17]).value, rel=1e-8)
