"""Impute sensitive columns from public ones: the hybrid view of a table.

`FoundationImputer` is the transformer; the backends do the guessing and can be passed
configured, as ``FoundationImputer(backend=SentenceBackend(model="path"))``. None of them is
imported before it is asked for, so importing this package imports neither torch nor transformers.
"""

from __future__ import annotations

from ..tables._paired_table import PairedTable
from ._backend import Backend, CategoricalPredictive, NumericPredictive
from ._conditional_backend import ConditionalBackend
from ._domain_backend import DomainBackend
from ._estimator_backend import EstimatorBackend
from ._foundation_imputer import FoundationImputer
from ._sentence_backend import SentenceBackend
from ._tabicl_backend import TabICLBackend
from ._tabpfn_backend import TabPFNBackend

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
