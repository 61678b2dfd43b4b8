"""Figures by name: results in, a themed matplotlib Figure out. Figures never compute.

`make(name, theme)` runs the experiment behind a figure once and draws it; a chapter that already has results
calls the drawing function itself, `figures.giraffe.samples(theme, results)`.
"""

from functools import cache
from importlib import import_module

from ..errors import known, optional

# name: (module here and in experiments, drawing function, experiment)
_FIGURES = {
    "cover": ("giraffe", "pair", "pair"),
    "giraffe": ("giraffe", "samples", "runs"),
    "giraffe_errors": ("giraffe", "errors", "averages"),
    "log_snr": ("noise", "log_snr", "curves"),
    "zero_snr": ("noise", "zero_snr", "rescaling"),
    "gap_decay": ("gaps", "decay", "decay"),
    "gap_parts": ("gaps", "parts", "parts"),
    "gap_slack": ("gaps", "slack", "slack"),
    "gap_floors": ("floors", "floors", "floors_and_truths"),
    "gap_spectrum": ("spectrum", "spectrum", "pair"),
    "gap_directions": ("spectrum", "directions", "pair"),
    "cost_model": ("cost", "model", "costs"),
    "cost_devices": ("cost", "devices", "costs"),
    "free_fix_clouds": ("free_fix", "clouds", "clouds"),
    "free_fix_errors": ("free_fix", "errors", "starts"),
    "free_fix_orders": ("free_fix", "late_times", "late_times"),
    "free_fix_points": ("moments", "fitting", "fitting"),
    "free_fix_spectrum": ("moments", "spectrum", "spectrum"),
    "back_fan": ("back", "fan", "fan"),
    "back_landscape": ("back", "landscape", "landscape"),
    "back_spectrum": ("back", "spectrum", "spectrum"),
    "back_propagation": ("back", "propagation", "propagation"),
    "back_kl": ("keeping", "kl_pairs", "kl_pairs"),
    "transport_couplings": ("transport", "couplings", "couplings"),
    "transport_sinkhorn": ("transport", "sinkhorn", "sweep"),
    "transport_gaussians": ("transport", "gaussians", "gaussians"),
    "transport_bias": ("transport", "bias", "bias"),
    "laguerre_cells": ("laguerre", "cells", "newton"),
    "laguerre_newton": ("laguerre", "newton", "newton"),
    "laguerre_training": ("counting", "training", "training"),
    "laguerre_recycling": ("counting", "recycling", "recycling"),
    "laguerre_race": ("counting", "race", "race"),
    "laguerre_smoothing": ("laguerre", "smoothing", "smoothing"),
    "transported_rulers": ("transported", "rulers", "rulers"),
    "transported_calls": ("transported", "calls", "late"),
    "transported_copies": ("transported", "copies", "late"),
    "transported_traces": ("tracing", "traces", "traces"),
    "transported_tau": ("transported", "tau", "temperatures"),
    "transported_mixture": ("transported", "mixture", "late"),
    "dynamic_paths": ("dynamic", "paths", "paths"),
    "dynamic_basins": ("dynamic", "basins", "basins"),
    "dynamic_energies": ("dynamic", "energies", "energies"),
    "curl_fields": ("curl", "fields", "fields"),
    "curl_rates": ("curl", "rates", "rates"),
    "curl_limit": ("curl", "limit", "limit"),
    "rivals_plane": ("rivals", "plane", "plane"),
    "rivals_price": ("rivals", "price", "plane"),
    "rivals_regimes": ("rivals", "regimes", "regimes"),
    "rivals_classes": ("rivals", "classes", "classes"),
    "rivals_coupling": ("coupling", "coupling", "rows"),
    "rivals_points": ("quantised", "quantised", "quantised"),
    "rivals_shipped": ("shipped", "sheet", "sheet"),
    "digits_gap": ("digits", "gap", "gaps"),
    "digits_sheet": ("digits", "sheet", "runs"),
    "digits_distances": ("digits", "distances", "runs"),
    "digits_estimators": ("estimators", "estimators", "curves"),
    "digits_cells": ("occupancy", "cells", "occupancy"),
    "pictures_sheet": ("pictures", "sheet", "atlas"),
    "pictures_quality": ("pictures", "quality", "scores"),
    "pictures_memory": ("pictures", "memory", "scores"),
    "pictures_neighbours": ("pictures", "neighbours", "neighbours"),
    "pictures_budget": ("pictures_budget", "budget", "stacks"),
    "pictures_groups": ("pictures_groups", "groups", "groups"),
    "budget_stacks": ("budget", "stacks", "stacks"),
    "budget_slack": ("budget", "slack", "every_stack"),
    "budget_ablation": ("budget", "ablation", "ablation"),
    "budget_trade": ("budget", "trade", "trade"),
    "budget_gains": ("budget", "gains", "gains"),
}


def names() -> tuple[str, ...]:
    """Names that `make` accepts."""
    return tuple(_FIGURES)


def make(name: str, theme: str = "light"):
    """The figure called `name` in "light", "dark" or "print", as a matplotlib Figure."""
    module, draw, experiment = _FIGURES[known(name, names(), "name")]
    optional("matplotlib", "figures")  # before the experiment runs
    return getattr(import_module(f".{module}", __name__), draw)(theme, results(module, experiment))


@cache
def results(module: str, experiment: str):
    """What the experiment returns with its default arguments, computed once."""
    return getattr(import_module(f"..experiments.{module}", __name__), experiment)()
