"""What a backend is, and which predictive distribution it returns for which column."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from ..exceptions import MissingDependencyError
from ..tables._domain import Domain
from ._categorical_predictive import CategoricalPredictive
from ._numeric_predictive import NumericPredictive

Predictive = NumericPredictive | CategoricalPredictive
PREDICTIVES = {"regressor": NumericPredictive, "classifier": CategoricalPredictive}
"""What a backend returns for a column, by the task of its domain."""


@runtime_checkable
class Backend(Protocol):
    """What a backend has to offer to `FoundationImputer`.

    A backend sees support rows and public columns, never a sensitive training cell: that is
    what makes the hybrid view free. Derive it from `Configurable`, so that the
    imputer can clone it and a search can reach its parameters as ``backend__name``.
    """

    needs_support: bool
    """Whether it can only impute centres of domains without support rows."""

    def fit(
        self, public_support: pd.DataFrame, sensitive_support: pd.DataFrame, domains: Mapping[str, Domain]
    ) -> Backend:
        """Learn from the support rows.

        Parameters
        ----------
        public_support : DataFrame of shape (n_support, n_public)
            May have no rows (a zero-shot fit) or no columns.
        sensitive_support : DataFrame of shape (n_support, n_sensitive)
            Raw cells: ``domain.target`` turns them into numbers, or positions of categories.
        domains : mapping of str to Domain
            Public domain of each sensitive column.
        """
        ...

    def predict(self, public: pd.DataFrame) -> Mapping[str, Predictive]:
        """Return the predictive distribution of each sensitive column, row by row.

        A row's distribution must not depend on the other rows: rows come in batches.
        """
        ...


def needed(package: str, backend: str, install: str) -> Any:
    """Import an optional package, or say how to install it.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingDependencyError(
            f"backend={backend!r} needs {package.replace('_', '-')}; install it with: pip install {install}"
        ) from None
