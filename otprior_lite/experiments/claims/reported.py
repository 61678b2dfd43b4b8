"""Tables 2 and 3, figures 2 and 4b: numbers that only their authors have measured, and what small analogues say.

`REPORTED` repeats a few of the paper's numbers as the report quotes them. None is verified by us; the checks here do
arithmetic on them, or measure something of the same kind on small examples.
"""

import math

import torch

from ... import metrics, schedules, semidiscrete, theorems
from ...forward import marginal
from ...randomness import normal, seeded
from ..pictures_sources import shares
from ..study import load
from .claim import Claim, Finding
from .laws import TWO, normals

REPORTED = {"w2_ddpm_1000": 0.0087, "w2_smoothed_50": 0.0457, "fid_ddpm_1000": 3.31, "fid_smoothed_50": 1.34}
"""CIFAR-10 rows of table 3, as the report quotes them: unverified."""

CIFAR_MEANS = (0.4914, 0.4822, 0.4465)
"""Published channel means of CIFAR-10, pixels in [0, 1]."""


def zero_column():
    """Table 2 in one dimension: the map without smoothing and with it, against the points and against p_T."""
    p = marginal(TWO, schedules.ou(2.0), 1.0)
    points = p.sample(40, seeded(0))
    solved = semidiscrete.solve(points, tolerance=1e-9, generator=seeded(0)).map
    lemma = theorems.lemma_3_5(solved.points, solved.heights, law=p)
    z = torch.special.ndtri((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000)[:, None]
    # on a line both maps increase, so W2 of their images is their L2 distance
    smoothed = {tau: float((solved.smooth(tau)(z) - solved(z)).square().mean().sqrt()) for tau in (0.1, 0.5)}
    return (
        Finding("$W_2$ to the points, no smoothing", lemma.left.value, "equal to", 0.0, "the zero column", 1e-4),
        Finding("$W_2$ to $p_T$, no smoothing", lemma.term("population"), "more than", 0.0, "the zero column", 1e-2),
        Finding("$W_2$ to the points, relative $\\tau = 0.1$", smoothed[0.1], "more than", 0.0, "no smoothing", 1e-3),
        Finding("the same, relative $\\tau = 0.5$", smoothed[0.5], "more than", smoothed[0.1], "$\\tau = 0.1$", 1e-3),
    )


def few_calls():
    """Digits, a learned score, committed rows of chapter 8: five calls from T' = 0.05 against five from N(0, I), and the copies."""
    found: dict[tuple, list[float]] = {}
    for row in load("late_start"):
        if (row["world"], row["score"]) == ("digits", "learned"):
            for name, t, calls, _, energy, _, _, _, nearer, *_ in row["runs"]:
                found.setdefault((row["method"], name, t, calls, "error"), []).append(energy)
                found.setdefault((row["method"], name, t, calls, "nearer"), []).append(nearer)
    mean = lambda *key: sum(found[key]) / len(found[key])
    late = {name: mean("ddim", name, 0.05, 5, "error") for name in ("semi-discrete", "data-initialised")}
    copied = {name: mean("ddim", name, 0.05, 5, "nearer") for name in ("semi-discrete", "oracle")}
    full, what = mean("dpmpp2m", "standard", 4.0, 5, "error"), "energy distance to new digits, five calls from $T' = 0.05$"
    return (
        Finding(f"{what}, the map", late["semi-discrete"], "less than", full, "a full run from $N(0, I)$, as many calls", 0.02),
        Finding(
            f"{what}, noised training points, no map", late["data-initialised"], "less than", late["semi-discrete"], "the map"
        ),
        Finding(
            "share nearer to a training digit than to new ones, the map",
            copied["semi-discrete"],
            "more than",
            0.5,
            "new digits",
            0.4,
        ),
        Finding("the same, a start from new digits, same network", copied["oracle"], "less than", 0.5, "new digits", 0.4),
    )


def units():
    """alpha_T times the length of CIFAR's mean image is a lower bound on W2(p_T, N(0, I)), in pixels of [-1, 1]."""
    schedule = schedules.ddpm_linear()
    mean = torch.tensor([2 * m - 1 for m in CIFAR_MEANS], dtype=torch.float64).repeat_interleave(32 * 32)
    least = float(schedule.alpha(schedule.T)) * float(mean.norm())
    reported = REPORTED["w2_ddpm_1000"]
    quantity = "$\\alpha_T$ times the length of the mean image"
    return (Finding(quantity, least, "more than", reported, "reported $W_2$ of DDPM, $T = 1000$"),)


def columns():
    """Two columns of table 3 against each other: arithmetic on reported numbers."""
    return (
        Finding(
            "reported $W_2$, smoothed, $T' = 50$", REPORTED["w2_smoothed_50"],
            "more than", REPORTED["w2_ddpm_1000"], "reported $W_2$, DDPM",
        ),
        Finding(
            "reported FID, smoothed, $T' = 50$", REPORTED["fid_smoothed_50"],
            "less than", REPORTED["fid_ddpm_1000"], "reported FID, DDPM",
        ),
    )  # fmt: skip


def moving_away():
    """Distance to the nearest point grows with tau from zero; noise over signal grows with T', and fewer pictures come back."""
    points, z, schedule = normals(40, 2, seed=1), normals(2000, 2, seed=2), schedules.ddpm_linear()
    solved = semidiscrete.solve(points, tolerance=1e-6, generator=seeded(0)).map
    away = lambda image: float(metrics.nearest_distance(image, solved.points).square().mean().sqrt())
    small, large = (away(solved.smooth(tau)(z)) for tau in (0.1, 0.5))
    ratio = lambda t: float(schedule.sigma(t) / schedule.alpha(t))
    own = lambda t: shares()["semi-discrete", t]["own"][0]
    back = {t: (own(t), "less than", own(t // 2)) for t in (500, 1000)}
    return (
        Finding(
            "distance of images to the nearest point, no smoothing",
            away(solved(z)),
            "equal to",
            0.0,
            "a stored point",
            1e-9,
        ),
        Finding("the same, relative $\\tau = 0.1$", small, "more than", 0.0, "a stored point", 1e-3),
        Finding("the same, relative $\\tau = 0.5$", large, "more than", small, "$\\tau = 0.1$", 1e-3),
        Finding("noise over signal $\\sigma / \\alpha$ at $T' = 100$", ratio(100), "more than", ratio(50), "at $T' = 50$"),
        Finding("smileys: share of noised pictures that come back, $T' = 500$", *back[500], "at $T' = 250$", 0.1),
        Finding("the same, $T' = 1000$", *back[1000], "at $T' = 500$", 0.1),
    )


def mode_mixture():
    """Two clusters in the plane: the share of images between them, without smoothing and with two temperatures."""
    sides = torch.tensor([-2.0, 2.0], dtype=torch.float64).repeat_interleave(20)
    points = 0.2 * normal((40, 2), seeded(6), dtype=torch.float64) + torch.stack([sides, torch.zeros(40, dtype=torch.float64)], 1)
    solved, z = semidiscrete.solve(points, tolerance=1e-6, generator=seeded(0)).map, normals(20_000, 2, seed=7)
    between = lambda image: float((image[:, 0].abs() < 1).double().mean())
    hard, small, large = between(solved(z)), *(between(solved.smooth(tau)(z)) for tau in (0.1, 0.5))
    error = math.sqrt(0.25 / len(z))
    return (
        Finding("share of images between two clusters, no smoothing", hard, "equal to", 0.0, "none", 1e-12),
        Finding("the same, relative $\\tau = 0.1$", small, "more than", 0.0, "none", error),
        Finding("the same, relative $\\tau = 0.5$", large, "more than", small, "$\\tau = 0.1$", 2 * error),
    )


REPORT = "as the report quotes it; unverified"

CLAIMS = (
    Claim(
        "table-2", "Table 2: the zero column", f"table 2, {REPORT}",
        "Of all starts only the map without smoothing has no prior error; smoothing brings it back, more of it at higher "
        "temperature.",
        "holds for the finite target",
        "On a line we get the same pattern: zero against the points without smoothing, and an error that grows with $\\tau$. "
        "The zero is a zero against the points; against $p_T$ the start is off.",
        "The other starts of the table, and its absolute values. Their normalisation is unknown to us, and we do not "
        "try to reproduce them.",
        (7, 8), zero_column,
    ),
    Claim(
        "table-3-quality", "Table 3: better images in fewer steps", f"table 3, {REPORT}",
        "With 50 or 100 network calls the method has better FID and recall than samplers with up to 1000.",
        "not tested",
        "Something of the same kind, on digits with a small network: a start late enough has the smaller error at few calls. Noising a "
        "training point, without a map, does it as well, and the outputs are copies. Begun from new digits, they are not.",
        "Every number of the table. No measure of memorisation is reported, and FID against training images rewards copies; see the "
        "section on the late start.",
        (8, 11, 13), few_calls,
    ),
    Claim(
        "table-3-units", "Table 3: the distance of DDPM", f"table 3, {REPORT}",
        "After 1000 steps of DDPM on CIFAR-10 the distance between $p_T$ and $N(0, I)$ is the value quoted below.",
        "not tested",
        "Arithmetic, not verification: in pixels scaled to $[-1, 1]$ the mean image alone makes the distance larger than that.",
        "So another normalisation or estimator is behind the table; which one was not seen.",
        (3, 11), units,
    ),
    Claim(
        "table-3-columns", "Table 3: less prior error, better images", f"abstract, version 2, held against table 3, {REPORT}",
        "The prior error degrades the images, and removing it improves them.",
        "not tested",
        "Arithmetic on two reported rows: the smoothed method at $T' = 50$ has a larger distance than DDPM, and the better FID. "
        "So the one column does not explain the other.",
        "The cause of the better FID. Start time, network calls and copies differ as well.",
        (8, 10), columns,
    ),
    Claim(
        "figure-2", "Figure 2: away from the original image", f"figure 2, {REPORT}",
        "A larger $T'$ and a higher temperature move the output away from the stored image; the authors call it generalisation.",
        "not tested",
        "Two things of this kind hold on small examples: images leave the stored points as $\\tau$ grows, and the noise on a "
        "stored image grows with $T'$. On smileys with a small network fewer of the noised pictures come back, the later the start.",
        "The paper's images. Away from the training data is not yet near to new data: that needs held-out images.",
        (8, 11, 12), moving_away,
    ),
    Claim(
        "figure-4b", "Figure 4b: fewer mixed modes", f"figure 4b, {REPORT}",
        "The share of images between two classes is lowest for the map without smoothing. Smoothing raises it, and so does a "
        "larger $T$ for truncated models.",
        "not tested",
        "The same order in the plane with two clusters: none between them without smoothing, more at higher temperature. A "
        "stored point cannot lie between the clusters, so the first zero says nothing about generation.",
        "The paper's classifier, its images, and the comparison with truncated models.",
        (7, 8), mode_mixture,
    ),
)  # fmt: skip
