"""The cost model: known rates come back from made-up timings, bytes are the tensors', predictions follow their formulas."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import few, rng

from otprior_lite import data, semidiscrete
from otprior_lite.experiments import cost, cost_study
from otprior_lite.experiments.cost_model import Rates, draws, fit, peak_bytes, sampler_bytes
from otprior_lite.experiments.study import load
from otprior_lite.figures import cost as drawn
from otprior_lite.randomness import normal
from otprior_lite.semidiscrete.plan import check_size, iid_floor
from otprior_lite.semidiscrete.sampling import Sampler

TRUE = Rates(flop=9e-12, near=2e-10, far=5e-10, memory=1e-9, byte=1.5e-10, block=4e-5)
WORDS = {"reference": 1e11, "seconds": 1.0}


def timings(rates=TRUE, noise=0.0):
    """Blocks of the full study with the seconds of known rates, times log-normal noise."""
    rows = [cell for cell in cost_study.cells(False) if cell["kind"] == "block"]
    factors = (noise * normal((len(rows),), rng(0))).exp().tolist()
    return [{**row, **WORDS, "cpu": rates.seconds(*(row[k] for k in ("N", "d", "base", "shifts"))) * f, "busy": 1.0}
            for row, f in zip(rows, factors)]  # fmt: skip


def made_up(noise=0.0):
    """Rows of a whole study of a machine with known rates."""
    solve = {"kind": "solve", "pictures": "emoji32", "N": 1000, "t": 0, "tolerance": 0.1, "d": 3072, "gain": 5.0, "start": 0.1,
             "busy": 1.2, "steps": 9}  # fmt: skip
    solve["samples"] = draws(1000, 0.1, 5.0, 0.1, 8) * 1.1
    solve["cpu"] = draws(1000, 0.1, 5.0, 0.1, 8) / 64 * TRUE.seconds(1000, 3072) * 1.3
    other = solve | {"samples": 1.2 * solve["samples"], "cpu": 1.4 * solve["cpu"]}
    return [
        *timings(noise=noise), {"kind": "draw", "d": 3072, "base": 64, "cpu": 64 * 3072 * 3e-9, "busy": 1.0}, solve, other,
        {"kind": "memory", "N": 8000, "d": 3072, "sampler": 2e8, "solve": 6e8},
        {"kind": "ties", "N": 16_000, "d": 3072, "error": 2.8e-5, "gap": 12.8, "wrong": 0.0},
        *({"kind": "processes", "world": w, "N": 4000, "d": 3072, "wall": 1 / w, "cpu": [1 / w] * w} for w in (1, 2)),
        *({"kind": "reduction", "world": 2, "N": n, "wall": 1.0, "cpu": [2e-4 + 8e-9 * n, 1e-9]} for n in (10**3, 10**5, 10**7)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return cost.costs(made_up(noise=0.1))


# ---- the fit


def test_known_rates_come_back():
    """Without noise exactly; with 10 % noise within 15 %, and the spread is the noise."""
    exact = fit(timings())
    assert [getattr(exact, k) / getattr(TRUE, k) for k in vars(TRUE)] == pytest.approx([1] * 6, rel=1e-4)
    noisy = fit(timings(noise=0.1))
    assert [getattr(noisy, k) / getattr(TRUE, k) for k in vars(TRUE)] == pytest.approx([1] * 6, rel=0.15)


def test_left_out_errors_and_the_held_out_block(found):
    assert 0.08 < found.fitted.spread < 0.14 and len(found.fitted.left_out) == len(found.fitted.rows) == 54
    assert found.fitted.held_out["N"] == 50_000 and 50_000 not in {row["N"] for row in found.fitted.rows}
    assert found.fitted.extrapolated == pytest.approx(1, abs=0.3)
    again = fit(found.fitted.rows[1:])
    row = found.fitted.rows[0]
    assert found.fitted.left_out[0] == again.seconds(row["N"], row["d"], row["base"], row["shifts"])
    assert found.normal == pytest.approx(3e-9) and found.reduction == pytest.approx((2e-4, 8e-9), rel=1e-6)
    assert found.more_draws == pytest.approx(1.1 * math.sqrt(1.2)) and found.draws_spread == pytest.approx(math.log(1.2) / 2)
    assert found.more_draws * found.more_seconds == pytest.approx(1.3 * math.sqrt(1.4), rel=0.1)
    assert found.seconds_spread == pytest.approx(math.log(1.4) / 2, rel=1e-6)


@settings(few)
@given(st.sampled_from([64, 768, 3072]), st.sampled_from([16, 64, 256]), st.sampled_from([0, 8]))
def test_seconds_count_what_a_block_does(d, base, shifts):
    """Each rate alone: the product's operations, the scores, or one overhead."""
    N = 16_000
    only = lambda **rate: Rates(**{**dict.fromkeys(vars(TRUE), 0.0), **rate}).seconds(N, d, base, shifts)
    assert only(flop=1.0) == 2 * base * N * d and only(block=1.0) == 1
    scores = (1 + 2 * shifts) * base * N
    level = "near" if (12 if shifts else 8) * base * N < 2**21 else "memory" if base > 64 else "far"
    assert {name: only(**{name: 1.0}) for name in ("near", "far", "memory")} == dict(near=0, far=0, memory=0) | {level: scores}
    assert only(byte=1.0) == (4 * N * d if d > 131 else 0)  # 8 MB of atoms or more
    assert TRUE.seconds(N, 3072, 16) == pytest.approx(TRUE.byte * 4 * N * 3072 + 17 * 16 * N * TRUE.far + TRUE.block)


# ---- bytes and draws


@settings(few)
@given(st.integers(1, 50), st.integers(3, 300), st.integers(1, 20), st.integers(0, 9))
def test_bytes_are_those_of_the_tensors(N, d, base, shifts):
    sampler = Sampler(torch.zeros(N, d), shifts, base)
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in vars(sampler).values() if torch.is_tensor(t)}
    if N > 1 and d > 1:  # otherwise columns are the atoms themselves
        assert sum(held.values()) == sampler_bytes(N, d, base, shifts)
    assert peak_bytes(N, d) >= sampler_bytes(N, d)


def test_defaults_are_the_samplers():
    for d in (8, 64, 768):
        sampler = Sampler(torch.zeros(10, d))
        assert sampler_bytes(10, d) == sampler_bytes(10, d, sampler.base, sampler.shifts)


def test_expected_draws_are_what_a_solve_uses():
    """Three real solves, none tuned: the formula has no free number, and is right within a third."""
    for d, N, tolerance in ((20, 300, 0.1), (100, 400, 0.1), (300, 300, 0.1)):
        points = normal((N, d), rng(1)) * torch.linspace(0.5, 1.5, d)
        states = list(semidiscrete.solve_steps(points, tolerance=tolerance, generator=rng(2)))
        numbers, fit_ = states[0].numbers, states[-1].fit
        assert fit_.converged and numbers["prior"] > 0
        shifts = Sampler(points).shifts
        expected = draws(N, tolerance, numbers["rows"] / 64, N / numbers["prior"], shifts)
        assert 0.66 < expected / fit_.samples < 1.5


def test_draws_between_a_perfect_and_a_useless_start():
    """A perfect start pays pilot and check only; draws fall as the start improves and scale like N / tolerance^2."""
    perfect, useless = draws(10**5, 0.05, 6.0, 0.0, 8), draws(10**5, 0.05, 6.0, None, 8)
    rows, aim = check_size(10**5, 0.05)
    assert perfect == pytest.approx(4e5 * 5 / 17 + rows / 6)
    assert useless - perfect == pytest.approx(1.15 * 2e5 / math.pi / aim**2 / 6)
    assert perfect < draws(10**5, 0.05, 6.0, 0.004, 8) < useless
    pilot = 4e5 * 5 / 17
    assert (draws(10**5, 0.025, 6.0, None, 8) - pilot) / (useless - pilot) == pytest.approx(4, rel=1e-6)
    assert useless / iid_floor(10**5, 0.05) < 1


# ---- predictions


def test_predictions_grow_like_n_squared(found):
    """Draws like N, seconds like N^2, bytes like N; the interval holds the middle and widens with the spreads."""
    small, large = cost.predict(found, 10**7), cost.predict(found, 10**8)
    for k in (0, 1):
        assert large.draws[k] / small.draws[k] == pytest.approx(10, rel=0.02)
        assert large.cpu[k] / small.cpu[k] == pytest.approx(100, rel=0.02)
        assert large.gpu[k] / small.gpu[k] == pytest.approx(100, rel=0.02)
    assert large.bytes / small.bytes == pytest.approx(10, rel=1e-6)
    middle = draws(10**7, 0.05, found.gain, 0.01, 8) / 64 * found.rates.seconds(10**7, 3072)
    assert small.cpu[0] < middle < small.cpu[1]


def test_gpu_arithmetic():
    """One draw against one atom: 2 d operations and 17 scores of 16 bytes, at 90 % and 40 % of the stated rates."""
    machine = cost.Machine("unit", 1.0, 1.0, 1.0, 1.0)
    low, high = cost.gpu_seconds(machine, 3.0, 5, 7, 8)
    assert (0.9 * low, 0.4 * high) == pytest.approx((15 * (14 + 17 * 16),) * 2)


def test_limits_are_where_they_say(found):
    limits = {limit.what: limit.N for limit in cost.limits(found)}
    assert list(limits.values()) == sorted(limits.values())
    assert cost.predict(found, round(limits["a day of one core"])).cpu[1] == pytest.approx(cost.DAY, rel=1e-3)
    n, m = limits["memory of this machine (24 GB), preparing"], limits["memory of one H100 SXM, preparing"]
    assert 7 * 4 * n * 3072 == pytest.approx(24e9, rel=1e-3) and 7 * 4 * m * 3072 == pytest.approx(80e9, rel=1e-3)
    n = limits["memory of one H100 SXM, sampling"]
    assert sampler_bytes(round(n), 3072, base=1024) == pytest.approx(80e9, rel=1e-3)


def test_rounding_is_rare_and_counts_as_predicted():
    """With coarse rounding wrong winners are common enough to count: error and gap predict their share. float32 is finer."""
    x, y = normal((20_000, 64), rng(0)), normal((500, 64), rng(1))
    exact = x.double() @ y.double().T
    rounded = exact + 0.05 * normal(exact.shape, rng(2), dtype=torch.float64)
    wrong = float((rounded.argmax(1) != exact.argmax(1)).double().mean())
    top = exact.topk(2).values
    row = {"N": 500, "d": 64, "error": 0.05 * math.sqrt(2), "gap": float((top[:, 0] - top[:, 1]).mean())}
    assert cost.rounding(SimpleNamespace(ties=[row]), 500, 64) == pytest.approx(wrong, rel=0.25)
    seen = cost_study.ties(400, 64)
    assert seen["error"] < 1e-5 < seen["gap"] and seen["wrong"] <= 1 / 1024


def test_what_one_would_use_instead(found):
    """Two levels win by sqrt N / 2 once their k-means is paid; noising costs d numbers and no preparation, whatever N."""
    itself, levels, network, noised = cost.instead(found, 10**8)
    means = 10 * 10**8 * 10**4 * 2 * 3072 * found.rates.flop
    assert itself.prepare / (levels.prepare - means) == pytest.approx(10**4 / 2, rel=1e-6)
    assert noised.prepare == 0 and noised.per_draw == pytest.approx(3072 * 3e-9)
    assert network.bytes == cost.instead(found, 10**3)[2].bytes and itself.bytes > 1e12


def test_sharing_among_processes(found):
    """Two processes almost halve the work; the draws that all repeat and the all-reduce bound what more can do."""
    assert cost.speed_up(found, 1, 4000) == pytest.approx(1) and 1.8 < cost.speed_up(found, 2, 4000) < 2
    block, noise = found.rates.seconds(4000, 3072), 64 * 3072 * found.normal
    assert cost.speed_up(found, 10**4, 4000, blocks=10**4) < block / noise
    here, gpus = cost.communication_limit(found)
    call = found.rates.seconds(10**6, 3072) / here
    assert call == pytest.approx(2 * 8e-9 * 10**6, rel=1e-6) and gpus > 100
    assert cost.communication_limit(found, blocks=10)[0] == pytest.approx(10 * here)


# ---- the study and the figures


def test_quick_cells_are_measured_whole():
    cells = [cell for cell in cost_study.cells(True) if cell["kind"] != "memory"][5:]
    rows = [{**cell, **cost_study.measure(dict(cell))} for cell in cells]
    assert all(row["reference"] > 1e8 and row.get("busy", 1) > 0 for row in rows)
    blocks = [row for row in rows if row["kind"] == "block"]
    assert all(0 < row["cpu"] <= row["median"] and row["repeats"] >= 3 for row in blocks)
    solve = next(row for row in rows if row["kind"] == "solve")
    assert solve["converged"] and solve["error"] < 0.2 and solve["samples"] > 0 and 1 < solve["gain"] < 9


def test_solve_rows_repeat_exactly():
    """Counts of a solve are the same each time; only its seconds are not."""
    one, two = (cost_study.solve("digits", 100, 500, 0.3) for _ in range(2))
    counts = lambda row: {key: value for key, value in row.items() if key not in ("cpu", "busy")}
    assert counts(one) == counts(two)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True])
def test_figures_draw_what_was_measured(found, theme, narrow):
    blocks, solves, seconds, memory = drawn.model(theme, found, narrow).axes
    seen = sorted(float(x) for line in blocks.lines[:3] for x in line.get_xdata())
    assert seen == pytest.approx(sorted(row["cpu"] for row in found.fitted.rows))
    assert "arithmetic" in " ".join(text.get_text() for text in seconds.get_legend().get_texts())
    row = found.solves[0]
    assert len(memory.lines) >= 5 and solves.lines[0].get_ydata()[0] == pytest.approx(row["expected"] / row["S"])
    lines = drawn.devices(theme, found, narrow).axes[0].lines
    assert list(lines[3].get_ydata()) == [2.0]


# ---- what is committed


@pytest.fixture(scope="module")
def committed():
    return cost.costs()


def test_the_committed_fit_predicts_what_it_did_not_see(committed):
    """The largest block, draws of whole solves, bytes of the sampler: right within what the page says of them."""
    assert committed.fitted.spread < 0.2 and abs(math.log(committed.fitted.extrapolated)) < 2 * committed.fitted.spread
    assert committed.draws_spread < 0.3 and len(committed.solves) == len(cost_study.SOLVES)
    assert all(row["converged"] and row["error"] < row["tolerance"] for row in committed.solves)
    for row in committed.memory:
        assert row["sampler"] == pytest.approx(sampler_bytes(row["N"], row["d"]), rel=0.1)
        assert 0.9 < row["solve"] / peak_bytes(row["N"], row["d"]) < 1.3


@pytest.mark.parametrize("t", [250, 500, 1000])
def test_shipped_potentials_used_as_many_draws_as_predicted(committed, t):
    """Solves that the study never saw, of all 4,175 emoji to 5 %, lie in the predicted range."""
    entry = json.loads((data.root() / "MANIFEST.json").read_text())[f"potentials/emoji32_t{t}"]
    low, high = cost.predict(committed, entry["atoms"], 3072, entry["tolerance"]).draws
    assert low < entry["samples"] < high


def test_a_committed_solve_repeats():
    """One row of the study, measured again: the same counts."""
    row = next(row for row in load("cost") if row["kind"] == "solve")
    again = cost_study.solve(*(row[key] for key in ("pictures", "N", "t", "tolerance")))
    counts = ("samples", "steps", "checks", "converged", "gain", "start", "error")
    assert [again[key] for key in counts] == [row[key] for key in counts]
