"""Impute sensitive columns from public ones: the hybrid view of a table.

`FoundationImputer` is the transformer; the backends do the guessing and can be passed
configured, as ``FoundationImputer(backend=SentenceBackend(model="path"))``. None of them is
imported before it is asked for, so importing this package imports neither torch nor transformers.
"""

from __future__ import annotations

from .._paired import PairedTable
from ._conditional import ConditionalBackend
from ._domain import DomainBackend
from ._estimator import EstimatorBackend
from ._imputer import FoundationImputer
from ._protocol import Backend, CategoricalPredictive, NumericPredictive
from ._sentence import SentenceBackend
from ._tabicl import TabICLBackend
from ._tabpfn import TabPFNBackend

__all__ = [
    "Backend",
    "CategoricalPredictive",
    "ConditionalBackend",
    "DomainBackend",
    "EstimatorBackend",
    "FoundationImputer",
    "NumericPredictive",
    "PairedTable",
    "SentenceBackend",
    "TabICLBackend",
    "TabPFNBackend",
]
