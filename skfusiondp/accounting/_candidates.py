"""The candidates of a search: every combination of the choices that a check depends on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from .._copies import own
from ._accounted import is_ours

SEARCHES = ("param_grid", "param_distributions", "search_spaces")
_MOST = 300
_DRAWS = 5
# Parameters of this library's own steps that say how much noise a fit has.
_NOISE = ("epsilon", "noise_multiplier")
# Parameters of this library's own steps by which columns are read or handed on.
_OF_OURS = {"sensitive", "imputer", "method", "support", "output", "callbacks"}


def is_search(obj: Any) -> bool:
    """Tell whether an object tries candidates, as GridSearchCV does."""
    return hasattr(obj, "estimator") and any(getattr(obj, n, None) is not None for n in SEARCHES)


@dataclass(frozen=True)
class Candidates:
    """Estimators that a search may fit.

    Parameters
    ----------
    estimators : list of estimator
        At least one.
    untold : str
        Which choices are not among them, as the end of a sentence; empty if all are.
    """

    estimators: list[Any]
    untold: str = ""


def candidates(search: Any) -> Candidates:
    """Make what a search would fit, one estimator for each combination of choices that matters."""
    made, untold = [], ""
    for grid in _grids(search):
        choices = {k: v for k, v in grid.items() if _matters(search.estimator, k, v, grid)}
        combinations = math.prod(len(v) for v in choices.values())
        if combinations > _MOST:
            untold = f"{combinations} combinations of choices that matter, and {_MOST} at most are tried"
        for chosen in itertools.islice(itertools.product(*choices.values()), _MOST):
            made += _with(search.estimator, dict(zip(choices, chosen, strict=True)))
    return Candidates(made or [search.estimator], untold)


def noise_choices(search: Any) -> list[str]:
    """Parameters of a search that give the private fits which it compares different noise."""
    parts = _parts_of(search.estimator)
    stated: dict[str, set[str]] = {}
    for grid in _grids(search):
        for key, values in grid.items():
            path, _, name = key.rpartition("__")
            told = [_noise(parts.get(path), name, v) for v in values]
            stated.setdefault(key, set()).update(filter(None, told))
    return [key for key, values in stated.items() if len(values) > 1]


def _parts_of(estimator: Any) -> dict[str, Any]:
    return {"": estimator, **estimator.get_params(deep=True)}


def _noise(owner: Any, name: str, value: Any) -> str:
    """What a value of an owner's parameter says of the noise of private fits; empty if nothing."""
    if is_ours(owner) and name in _NOISE:
        return f"{name}={value!r}"
    if is_ours(owner) and name == "sensitive" and isinstance(value, Mapping):
        budgets = {c: e for c, d in value.items() if (e := getattr(d, "epsilon", None)) is not None}
        return f"budgets of columns={budgets}"
    if not hasattr(value, "get_params") or isinstance(value, type):
        return ""
    parts = _parts_of(value)
    told = []
    for key, inner in parts.items():
        path, _, parameter = key.rpartition("__")
        if parameter in (*_NOISE, "sensitive") and (said := _noise(parts.get(path), parameter, inner)):
            told.append(f"{path}: {said}")
    return ", ".join(told)


def _with(estimator: Any, parameters: dict[str, Any]) -> list[Any]:
    if not parameters:
        return [estimator]
    try:
        copied = own(estimator)
        # As a search does: a candidate step must not change while it is searched.
        return [copied.set_params(**{k: own(v) for k, v in parameters.items()})]
    except Exception:  # parameters that do not fit together make no fit either
        return []


def _grids(search: Any) -> Iterator[dict[str, list]]:
    grids: Any = next((g for n in SEARCHES if (g := getattr(search, n, None)) is not None), {})
    for grid in [grids] if isinstance(grids, Mapping) else grids:
        # Some libraries pair a grid with the number of draws from it.
        grid = grid[0] if isinstance(grid, tuple) and grid else grid
        if isinstance(grid, Mapping):
            yield {k: values for k, v in grid.items() if (values := _values(v))}


def _values(stated: Any) -> list:
    """The values of one parameter: all that are listed, or a few draws of a distribution."""
    for name in ("categories", "choices"):
        stated = getattr(stated, name, stated)
    if isinstance(stated, list | tuple | np.ndarray):
        return list(stated)
    if hasattr(stated, "rvs"):
        return [stated.rvs(random_state=seed) for seed in range(_DRAWS)]
    return []


def _matters(estimator: Any, key: str, values: list, grid: Mapping) -> bool:
    """Whether what is read, or which columns are handed on, may depend on a parameter."""
    path, _, name = key.rpartition("__")
    if any(path == k or path.startswith(f"{k}__") for k in grid):
        return True  # of a step that is itself chosen
    owner = estimator.get_params(deep=True).get(path) if path else estimator
    if owner is not None and is_ours(owner):
        return name in _OF_OURS
    if owner is None or hasattr(owner, "transform"):
        return True
    return not all(isinstance(v, Number) and not isinstance(v, bool | np.bool_) for v in values)
