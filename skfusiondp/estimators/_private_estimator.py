"""What FusionDP and OffsetFusion have in common beyond the contract: a target, an imputer, support rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _check_sample_weight

from .._parameters import Together
from .._spender import Spender
from ..exceptions import InvalidInputError
from ..impute import FoundationImputer
from ..tables._frames import as_frame
from ..tables._groups import without_column
from ..tables._table import Table
from ..tables._targets import check_support_target

_MIN_ROWS = 11
SUPPORT_OF_TARGET = Together(
    "support_target", lambda model: model._given_support(), "support; give the rows that it labels"
)


class PrivateEstimator(Spender):
    """A model of a public target, part of which reads sensitive training cells. Not for users."""

    epsilon: float | None
    noise_multiplier: float | None
    imputer: Any
    support: Any
    support_target: Any
    groups: Any
    max_rows_per_unit: int | None

    def _require_rows(self, n_rows: int, n_columns: int) -> None:
        if n_rows < _MIN_ROWS:
            raise InvalidInputError(
                f"X has n_samples={n_rows} rows (n_features={n_columns}); private training needs at least "
                f"{_MIN_ROWS}, and gives useful models from some thousands on: add rows."
            )

    def _row_weight(self, sample_weight: Any, table: Table) -> np.ndarray:
        """Public weights of rows, of mean 1."""
        if sample_weight is None:
            return np.ones(len(table))
        like = np.empty((len(table), 1))
        try:
            weight = _check_sample_weight(sample_weight, like, ensure_non_negative=True)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(
                f"sample_weight cannot be used: {error}; give each row a finite number of at least 0."
            ) from error
        if not weight.any():
            raise InvalidInputError("sample_weight is zero for every row; give some rows a weight.")
        # Relative to the largest: sums of weights near the largest float would overflow.
        weight = weight / weight.max()
        return weight / weight.mean()

    def _unfitted_imputer(self, seed: Callable[[], int | None]) -> FoundationImputer:
        """A copy of the imputer: with this object's support rows, and a seed, unless it has its own."""
        imputer = FoundationImputer() if self.imputer is None else clone(self.imputer)
        if imputer.support is None and self.support is not None:
            imputer.set_params(support=self.support)
        if imputer.random_state is None:
            imputer.set_params(random_state=seed())
        return imputer

    def _given_support(self) -> Any:
        """The support rows: this object's, or else its imputer's."""
        return self.imputer.support if self.support is None and self.imputer is not None else self.support

    def _support_frame(self) -> Any:
        """The support rows as a frame, or None."""
        given = self._given_support()
        if given is None:
            return None
        support = as_frame(without_column(given, self.groups), "support")
        if not len(support):
            raise InvalidInputError("support has no rows; give public rows, or support=None.")
        if self.support_target is not None:
            check_support_target(self.support_target, len(support))
        return support

    def _table_facts(self) -> list[str]:
        """What of the table every method but one takes as known; rows and parameters, which all do, first."""
        plan = ", the plan" if self.plan_ is not None else ""
        return [
            f"the number of rows{plan} and the parameters",
            "the labels and the weights of rows",
            f"the public columns: {', '.join(self.schema_.public) or 'none'}",
        ]

    def _common_facts(self) -> list[str]:
        facts = self._domain_facts()
        if self.imputer_ is not None:
            facts.append("what the imputer learnt: its support rows or its pretrained model")
        return facts

    imputer_: FoundationImputer | None
