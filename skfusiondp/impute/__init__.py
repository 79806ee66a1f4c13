"""Impute sensitive columns from public ones: the hybrid view of a table.

`FoundationImputer` is the transformer; the backends do the guessing and can be passed
configured, as ``FoundationImputer(backend=SentenceBackend(model="path"))``. None of them is
imported before it is asked for, so importing this package imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import Any

from ..tables._paired_table import PairedTable
from ._backend import Backend
from ._categorical_predictive import CategoricalPredictive
from ._configurable import Configurable
from ._estimator_backend import EstimatorBackend
from ._foundation_imputer import FoundationImputer
from ._imputation_quality import ImputationQuality
from ._numeric_predictive import NumericPredictive
from ._registry import BACKENDS

_REGISTERED = {known.kind: known for known in BACKENDS.values()}

__all__ = [
    "Backend",
    "CategoricalPredictive",
    "Configurable",
    "EstimatorBackend",
    "FoundationImputer",
    "ImputationQuality",
    "NumericPredictive",
    "PairedTable",
    *_REGISTERED,
]


def __getattr__(name: str) -> Any:
    if name not in _REGISTERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _REGISTERED[name].load()


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
