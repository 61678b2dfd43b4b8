"""The claims of the paper: every check passes, every number of every check can fail, and nothing is called shown without one."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from otprior_lite import bounds, flow, forward, gap, metrics, priors, samplers, schedules, semidiscrete, targets, theorems
from otprior_lite.experiments import claims
from otprior_lite.experiments.claims import laws, method, reported, thesis
from otprior_lite.experiments.claims import theorems as claimed_theorems
from otprior_lite.score import ExactDenoiser
from otprior_lite.semidiscrete.smooth import SmoothMap

CHECKED = [claim.key for claim in claims.CLAIMS if claim.check]


@pytest.mark.parametrize("key", CHECKED)
def test_the_check_passes(key):
    claim = claims.find(key)
    found = claim.findings()
    assert found and all(finding.passed and math.isfinite(finding.value) for finding in found)
    assert found == claim.findings(), "a check must be deterministic"


# ---- every finding can fail: one slip in the library for each


def valued(estimate, change):
    return replace(estimate, value=change(estimate.value))


def field(name, change):
    """A function whose result has one field changed."""

    def wrap(old):
        def new(*arguments, **options):
            result = old(*arguments, **options)
            value = getattr(result, name)
            return replace(result, **{name: valued(value, change) if hasattr(value, "floor") else change(value)})

        return new

    return wrap


def output(change):
    """A function whose result is changed."""
    return lambda old: lambda *arguments, **options: change(old(*arguments, **options))


def off(old):
    """A solver that stops too early."""

    def solve(points, **options):
        fit = old(points, **options)
        heights = fit.heights + torch.linspace(0, 1, len(fit.heights), dtype=fit.heights.dtype) ** 2
        return replace(fit, map=semidiscrete.BrenierMap(fit.map.points, heights))

    return solve


def swapped(old):
    """Points on a line where the three in the plane should be, and the other way round."""
    other = {id(laws.ATOMS): laws.COLLINEAR, id(laws.COLLINEAR): laws.ATOMS}
    return lambda law, *rest: old(other[id(law)], *rest)


def plane_only(old):
    return lambda law, *rest: old(laws.ATOMS, *rest)


def isotropy_swapped(old):
    """The Gaussian for the standard one, and the other way round."""
    wide = targets.GaussianMixture([1.0], [[0.0, 0.0]], [4.0])
    standard = targets.GaussianMixture([1.0], [[0.0, 0.0]], [1.0])
    return lambda law, *rest: old(wide if torch.equal(law.covariance, standard.covariance) else standard, *rest)


def grown(old):
    """Asymmetry that keeps changing with the end, and decays one order too slowly with the start."""

    def new(law, clock, x, T, s):
        found = old(law, clock, x, T, s)
        return replace(found, rms=found.rms * math.exp(T) * s, matrices=1.1 * found.matrices)

    return new


def slow_flow(old):
    return lambda law, clock, x, T, s: x + math.exp(T) * (old(law, clock, x, T, s) - x)


def term(name, value):
    return output(lambda found: replace(found, terms=tuple((key, value if key == name else v) for key, v in found.terms)))


def turned(old):
    """A velocity with a rotation in it."""
    return lambda law, clock, x, t: old(law, clock, x, t) + 0.1 * x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=x.dtype)


def always_exact(old):
    return lambda schedule, *rest: priors.Oracle(targets.toy("giraffe"), schedule, schedule.T)


def wrong_exact(old):
    """A score that is wrong where it should be exact."""
    return lambda denoiser, *rest: old(denoiser, *rest) - 10 * isinstance(denoiser, ExactDenoiser)


def energy_changed(change):
    return lambda old: lambda y, h: (old(y, h)[0], change(old(y, h)[1], h))


def redrawn(rows, name, column, value):
    """Rows of `late_start` with another value in one column of a start."""
    return [
        {**row, "runs": [[*run[:column], value, *run[column + 1 :]] if run[0] == name else run for run in row["runs"]]}
        for row in rows
    ]


def lost(rows, name):
    """Rows of `conditional` in which the start `name` is no good."""
    return [{**row, "rows": [[*run[:3], 9.0, *run[4:]] if run[0] == name else run for run in row["rows"]]} for row in rows]


zero, one = (lambda value: 0 * value), (lambda value: value + 1)
hard = lambda old: lambda self, *rest, **options: self
Map = semidiscrete.BrenierMap

BREAKS = {
    "mismatch": [(gap, "prior_gap", field("total", zero)), (gap, "prior_gap", field("total", one))],
    "deviation": [(priors, "Standard", always_exact), (samplers, "sample", output(zero))],
    "accumulation": [(bounds, "gaussian_error", field("kl_0", lambda value: 10 * value))],
    "precise-map": [(targets, "normal_to", output(lambda x: -x)), (targets, "normal_to", lambda old: lambda p, z: z)],
    "elimination": [(semidiscrete, "solve", off), (gap, "prior_gap", field("total", one))],
    "universal": [(metrics, "nearest_distance", output(lambda distance: distance / 1000))],
    "instant": [(forward, "velocity", turned), (flow, "benamou_brenier_energy", field("energy", lambda value: 1.1 * value))],
    "whole-path": [(flow, "midpoint_deviation", isotropy_swapped), (flow, "antisymmetry", swapped)],
    "exponential": [
        (flow, "antisymmetry", grown), (flow, "antisymmetry", plane_only), (flow, "antisymmetry", field("rms", lambda value: 1e-6 * value)),
        (flow, "flow_map", slow_flow),
    ],
    "conditional": [(thesis, "load", lambda old: lambda name: lost(old(name), "semi-discrete"))],
    "theorem-3-2": [
        (theorems, "theorem_3_2", field("left", lambda value: value / 10)), (theorems, "theorem_3_2", field("left", lambda value: 10 * value)),
        (bounds, "carried_kl", field("at_0", lambda value: 1.1 * value)), (bounds, "gaussian_error", field("w2_0", one)),
    ],
    "theorem-3-4": [(theorems, "theorem_3_4", field("left", one))],
    "lemma-3-5": [
        (semidiscrete, "solve", off), (theorems, "lemma_3_5", field("left", zero)), (theorems, "lemma_3_5", field("left", lambda value: value + 9)),
        (Map, "cell", lambda old: lambda self, z: old(self, -z)),
    ],
    "theorem-3-6": [(theorems, "theorem_3_6", field("left", one)), (theorems, "theorem_3_6", field("right", one))],
    "corollary-3-7": [
        (targets.GaussianMixture, "posterior_covariance", output(lambda value: 2 * value)), (claimed_theorems, "score", wrong_exact),
    ],
    "theorem-3-11": [(theorems, "theorem_3_11", field("left", one)), (flow, "antisymmetry", grown), (flow, "antisymmetry", swapped)],
    "lemma-d-1": [
        (gap, "prior_gap", field("total", one)), (schedules, "ddpm_linear", lambda old: lambda: schedules.zero_terminal_snr(old())),
    ],
    "energy": [
        (method, "line_masses", energy_changed(lambda E, h: -E)), (method, "line_masses", energy_changed(lambda E, h: E + h[0])),
        (semidiscrete, "solve", off),
    ],
    "smoothing": [
        (SmoothMap, "potential", output(lambda u: u - 0.1)), (SmoothMap, "potential", output(lambda u: u + 0.2)),
        (SmoothMap, "__call__", output(lambda x: 2 * x)),
    ],
    "continuous-maps": [
        (targets, "normal_to", output(lambda x: (2 * x).round() / 2)), (Map, "__call__", lambda old: lambda self, z: z),
    ],
    "late-start": [
        (method, "DDPM", lambda old: schedules.ddpm_linear(200, 1e-4, 0.2)), (metrics, "memorisation", field("value", lambda value: 0.5)),
        (metrics, "memorisation", field("value", lambda value: 1.0)), (metrics, "sliced_w2", field("value", one)),
        (metrics, "sliced_w2", field("value", zero)),
    ],
    "table-2": [(semidiscrete, "solve", off), (theorems, "lemma_3_5", term("population", 0.0)), (Map, "smooth", hard)],
    "table-3-quality": [
        (reported, "load", lambda old: lambda name: redrawn(old(name), "semi-discrete", 4, 9.0)),
        (reported, "load", lambda old: lambda name: redrawn(old(name), "data-initialised", 4, 9.0)),
        (reported, "load", lambda old: lambda name: redrawn(old(name), "semi-discrete", 8, 0.5)),
        (reported, "load", lambda old: lambda name: redrawn(old(name), "oracle", 8, 0.5)),
    ],
    "table-3-units": [(reported, "REPORTED", lambda old: {**old, "w2_ddpm_1000": 0.1})],
    "table-3-columns": [(reported, "REPORTED", lambda old: {**old, "w2_smoothed_50": 0.001, "fid_smoothed_50": 9.0})],
    "figure-2": [
        (Map, "smooth", hard), (metrics, "nearest_distance", output(one)),
        (schedules, "ddpm_linear", lambda old: lambda: SimpleNamespace(sigma=lambda t: 1 / torch.tensor(t), alpha=lambda t: 1)),
        (reported, "shares", lambda old: lambda: {key: {"own": (0.5, 0.0)} for key in old()}),
    ],
    "figure-4b": [(Map, "smooth", hard), (Map, "__call__", output(zero))],
}  # fmt: skip


def test_every_check_is_broken_below():
    assert set(BREAKS) == set(CHECKED)


@pytest.mark.parametrize("key", CHECKED)
def test_every_number_of_the_check_can_fail(key, monkeypatch):
    """Each slip makes the claim refuse its verdict; together they reach every finding."""
    claim, failed = claims.find(key), set()
    for owner, name, wrap in BREAKS[key]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, wrap(getattr(owner, name)))
            missed = {index for index, finding in enumerate(claim.check()) if not finding.passed}
            assert missed, (key, name)
            failed |= missed
    assert failed == set(range(len(claim.check()))), key


def test_a_failing_check_takes_the_verdict_with_it(monkeypatch):
    monkeypatch.setattr(gap, "prior_gap", field("total", zero)(gap.prior_gap))
    with pytest.raises(RuntimeError, match="claim 'mismatch': the verdict 'holds' is not shown: .*DDPM"):
        claims.find("mismatch").findings()


# ---- refusals

GOOD = claims.find("mismatch")


@pytest.mark.parametrize("argument, change", [
    ("verdict", {"verdict": "proved"}), ("verdict", {"verdict": "Holds"}), ("check", {"check": None}), ("shown", {"shown": ""}),
    ("shown", {"verdict": "not tested", "check": None}), ("open", {"open": " "}), ("source", {"source": ""}), ("statement", {"statement": ""}),
])  # fmt: skip
def test_a_claim_without_its_check_is_refused(argument, change):
    with pytest.raises(ValueError, match=f"^{argument}: expected"):
        replace(GOOD, **change)


@pytest.mark.parametrize("verdict", [verdict for verdict in claims.VERDICTS if verdict != "not tested"])
def test_every_verdict_but_not_tested_needs_a_check(verdict):
    with pytest.raises(ValueError, match="check: expected a function"):
        replace(GOOD, verdict=verdict, check=None, shown="")


def test_not_tested_may_stand_alone_and_an_empty_check_shows_nothing():
    assert replace(GOOD, verdict="not tested", check=None, shown="").findings() == ()
    with pytest.raises(RuntimeError, match="no finding"):
        replace(GOOD, check=lambda: ()).findings()


@pytest.mark.parametrize("relation, inside, outside", [
    ("at most", 1.05, 1.15), ("at least", 0.95, 0.85), ("equal to", 1.09, 1.11), ("less than", 0.85, 0.95), ("more than", 1.15, 1.05),
])  # fmt: skip
def test_relations(relation, inside, outside):
    finding = lambda value: claims.Finding("", value, relation, 1.0, "", 0.1)
    assert finding(inside).passed and not finding(outside).passed and not finding(math.nan).passed


def test_findings_refuse():
    with pytest.raises(ValueError, match="relation: expected one of at most"):
        claims.Finding("", 1.0, "at mots", 1.0, "")
    with pytest.raises(ValueError, match="room: expected"):
        claims.Finding("", 1.0, "at most", 1.0, "", -1.0)
    with pytest.raises(ValueError, match="key: expected one of"):
        claims.find("theorem-9")


# ---- the wording


TEXTS = [
    (claim.key, text) for claim in claims.CLAIMS for text in (claim.title, claim.source, claim.statement, claim.shown, claim.open)
]


def test_everything_that_the_paper_states_has_a_row():
    sources = " ".join(claim.source for claim in claims.CLAIMS)
    for name in ("theorem 3.2", "theorem 3.4", "lemma 3.5", "theorem 3.6", "corollary 3.7", "theorem 3.10", "theorem 3.11", "lemma D.1",
                 "algorithm 1", "algorithm 2", "table 1", "table 2", "table 3", "figure 2", "figure 4b",
                 "abstract, version 1", "abstract, version 2"):  # fmt: skip
        assert name in sources, name
    assert len({claim.key for claim in claims.CLAIMS}) == len({claim.title for claim in claims.CLAIMS}) == len(claims.CLAIMS)


def test_every_row_says_how_we_know():
    for claim in claims.CLAIMS:
        assert any(word in claim.source for word in ("abstract", "report")), claim.key


def test_no_number_of_the_tables_is_in_the_text():
    """Reported values appear as references of findings, never as statements of ours."""
    values = [f"{value:g}" for value in reported.REPORTED.values()] + ["1.31", "1.96"]
    assert not [(key, value) for key, text in TEXTS for value in values if value in text]


def test_zero_is_never_claimed_without_the_points():
    for claim in claims.CLAIMS:
        if "eliminat" in claim.title + claim.statement or "zero column" in claim.title:
            assert claim.verdict == "holds for the finite target" and "point" in claim.shown, claim.key
    for key in ("whole-path", "theorem-3-6", "theorem-3-11", "exponential"):
        claim = claims.find(key)
        assert "line" in claim.shown + claim.open, "flow = optimal transport needs 'on a line' or commuting Hessians"
