"""Copies of the user's estimators: a fit changes no original, and later fits of it change no model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone


def own(given: Any) -> Any:
    """An unfitted copy of an estimator or of a mapping of estimators; of anything else, a deep copy.

    Notes
    -----
    ``clone`` alone leaves out what an estimator has learnt, but hands over itself where the estimator's
    class says so, as ``FrozenEstimator`` does.
    """
    if isinstance(given, Mapping):
        return {name: own(inner) for name, inner in given.items()}
    return copy.deepcopy(clone(given, safe=False))
