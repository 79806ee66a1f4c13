"""The backend that wraps the user's own scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone, is_classifier, is_regressor

from .._parameters import Anything, constraints
from ..exceptions import InvalidInputError
from ..tables._domain import Domain
from ._columnwise import ColumnwiseBackend
from ._heads import EstimatorHead, Head


class EstimatorBackend(ColumnwiseBackend):
    """One clone of a scikit-learn estimator a sensitive column.

    Parameters
    ----------
    estimator : estimator, or mapping of str to estimator
        A regressor for numeric columns, a classifier for categorical ones. Where both kinds
        of columns are sensitive, give a mapping {column: estimator}. The estimators see
        numbers only: standardised columns, gaps filled beside an indicator, one-hot categories.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from skfusiondp import FoundationImputer, Numeric
    >>> public = pd.DataFrame({"lab": np.arange(20.0), "age": 30 + np.arange(20.0)})
    >>> imputer = FoundationImputer(
    ...     {"age": Numeric(0, 100)}, support=public, backend=LinearRegression()
    ... )
    >>> train = pd.DataFrame({"lab": [0.5, 1.5], "age": [61.0, 33.0]})
    >>> imputer.fit_transform(train)["age"].round(6).tolist()
    [30.5, 31.5]
    """

    _plain_values = True

    _constraints = constraints(
        estimator=Anything("an estimator or one a column, checked against the kinds of the columns")
    )

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def _check(self, domains: Mapping[str, Domain]) -> None:
        for column, domain in domains.items():
            estimator = self._estimator_of(column)
            fits = {"regressor": is_regressor, "classifier": is_classifier}[domain.task]
            if not fits(estimator):
                raise InvalidInputError(
                    f"backend={estimator!r} cannot impute the {domain.kind} column {column!r}, which "
                    f"needs a {domain.task}; where numeric and categorical columns are sensitive, "
                    f"pass a mapping, backend={{{column!r}: ..., ...}}."
                )

    def _make_head(self, column: str, domain: Domain) -> Head:
        return EstimatorHead(clone(self._estimator_of(column)), domain)

    def _estimator_of(self, column: str) -> Any:
        if not isinstance(self.estimator, Mapping):
            return self.estimator
        if column not in self.estimator:
            raise InvalidInputError(
                f"backend={{...}} has no estimator for the sensitive column {column!r}; add one."
            )
        return self.estimator[column]
