"""The computations behind figures and chapters: results in plain dataclasses, no drawing.

One module per subject, the same name as the module of `figures` that draws it. An experiment is deterministic:
every draw comes from the seed it is given. What is too slow for a page is a `Study`: its rows are committed under
`data/results`, and `otprior experiments NAME` makes them again.
"""

from importlib import import_module

from ..errors import known

# study: module here that holds it, as `STUDY`
_STUDIES: dict[str, str] = {
    "blocks": "blocks",
    "budget": "budget_grid",
    "budget_map": "budget_map",
    "late_start": "late_start",
    "conditional": "conditional",
    "cost": "cost_study",
    "estimators": "estimators",
    "pictures": "pictures",
    "pictures_budget": "pictures_budget",
    "pictures_sources": "pictures_sources",
    "prior_error": "prior_error",
    "regimes": "regimes",
    "shootout": "shootout",
    "tau": "tau",
}


def names() -> tuple[str, ...]:
    """Studies with a results file, by name."""
    return tuple(_STUDIES)


def find(name: str):
    """The `Study` called `name`."""
    return import_module(f".{_STUDIES[known(name, names(), 'name')]}", __name__).STUDY
