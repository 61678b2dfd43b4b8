"""What is run: clouds, targets, budgets and the grid of every peer. Change the comparison here.

A peer is tuned on each cloud by itself, at `tuning` CPU seconds a setting, with a seed and a judging sample that are
not used again. `lengths` are the CPU seconds of its runs; OTT-JAX and POT begin anew for each length. OTT-JAX's rate
for another length than the tuning one is scaled like length^{-1/2}, its best law for noisy gradients.
"""

from dataclasses import dataclass, replace

from problems import Cloud

PEERS = {"ott": "OTT-JAX", "ott_warm": "OTT-JAX, our start", "pot": "POT", "adam": "AE-OT Adam"}
TUNING_SEED = 1000


@dataclass(frozen=True, eq=False)
class Plan:
    """One cloud. targets: L1 errors whose times are reported; certified: tolerances of whole calls of `solve`;
    limit: seconds for ours; lengths: seconds of the runs, by peer; tuning: seconds a setting; draws: of the judge;
    grids: settings, by peer."""

    cloud: Cloud
    targets: tuple[float, ...]
    certified: tuple[float, ...]
    limit: float
    tuning: float
    lengths: dict
    draws: int
    grids: dict


def ott_grid(*rates, tuned):
    return [{"name": f"batch 256, rate {r:g}", "batch": 256, "rate": r, "tuned": tuned} for r in rates]


def pot_grid(*settings, batch=256):
    return [
        {"name": f"batch {batch}, rate {rate:g}, exponent {exponent:.3g}", "batch": batch, "rate": rate, "exponent": exponent}
        for rate, exponent in settings
    ]


def adam_grid(*settings):
    return [{"name": f"draws {n} N, rate {r:g}", "draws": n, "rate": r} for n, r in settings]


def digits_plan(noised):
    return Plan(
        Cloud("digits", 1500, noised), targets=(0.1, 0.05, 0.03, 0.02), certified=(0.05,), limit=20, tuning=2.5,
        lengths={"ott": (1, 2.5, 8), "ott_warm": (1, 2.5, 8), "pot": (1, 2.5, 8), "adam": (10,)}, draws=2**20,
        grids={
            "ott": ott_grid(0.004, 0.01, 0.025, 0.06, tuned=2.5), "ott_warm": ott_grid(0.004, 0.01, 0.025, 0.06, tuned=2.5),
            "pot": pot_grid((0.05, 2 / 3), (0.1, 2 / 3), (0.1, 1 / 2), (0.2, 2 / 3)),
            "adam": adam_grid((10, 0.075), (4, 0.03), (4, 0.015)),
        },
    )  # fmt: skip


def images_plan(noised):
    return Plan(
        Cloud("images", 2500, noised), targets=(0.1, 0.05), certified=(0.1,), limit=20, tuning=3,
        lengths={"ott": (6, 18, 33) if noised else (6, 18, 33, 60), "ott_warm": (6, 18, 33), "pot": (9,), "adam": (9,)}, draws=2**18,
        grids={
            "ott": ott_grid(0.06, 0.15, 0.4, tuned=3), "ott_warm": ott_grid(0.012, 0.03, 0.08, 0.2, tuned=3),
            "pot": pot_grid((0.1, 1 / 2), (0.3, 2 / 3), (1, 2 / 3)), "adam": adam_grid((1, 0.04), (1, 0.1), (2, 0.2)),
        },
    )  # fmt: skip


def plane_plan(atoms):
    return Plan(
        Cloud("moons", atoms), targets=(1e-8,), certified=(1e-8,), limit=20, tuning=1,
        lengths={"ott": (5,), "pot": (5,), "adam": (5,)}, draws=1,
        grids={
            "ott": ott_grid(0.03, 0.1, 0.3, tuned=1), "pot": pot_grid((0.03, 2 / 3), (0.1, 2 / 3), (0.3, 2 / 3)),
            "adam": adam_grid((1, 0.003), (1, 0.01), (1, 0.03)),
        },
    )  # fmt: skip


PLANS = (digits_plan(False), digits_plan(True), images_plan(False), images_plan(True), plane_plan(500), plane_plan(2000))

GPU = ((Cloud("images", 10_000, True), 0.05), (Cloud("cifar-like", 50_000, True), 0.1))


def quick(plan: Plan) -> Plan:
    """The same plan small enough for a rehearsal."""
    atoms = plan.cloud.atoms // 5
    grids = {peer: grid[:2] for peer, grid in plan.grids.items()}
    cloud = replace(plan.cloud, atoms=atoms)
    lengths = dict.fromkeys(grids, (0.4,))
    return replace(plan, cloud=cloud, limit=1, tuning=0.2, lengths=lengths, draws=2**14, grids=grids)
