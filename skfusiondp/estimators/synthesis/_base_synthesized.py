"""What synthesized classifiers and regressors share: any estimator, fitted on drawn tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..._contents import clear_padding
from ..._copies import own
from ..._forked import one_thread_after_fork
from ..._parameters import ESTIMATOR, Constraint, Integer, constraints
from ..._refit import all_or_nothing
from ..._spender import Begin, Job
from ...exceptions import InvalidInputError
from ...tables._frames import check_table
from ...tables._groups import without_column
from ...tables._public_encoder import PublicEncoder
from ..offset._public_view import PublicView, views_for
from ._base_synthesis import SYNTHESIS, BaseSynthesis, SynthesisJob

SYNTHESIZED = constraints(
    SYNTHESIS,
    estimator=replace(ESTIMATOR, none=True),
    n_draws=Integer(1, 1000, remedy="5 is a common choice"),
)


class BaseSynthesized(BaseSynthesis):
    """An estimator that is trained on drawn tables and predicts on true rows. Not for users."""

    _constraints: ClassVar[Mapping[str, Constraint]] = SYNTHESIZED

    estimator: Any
    n_draws: int

    def _default_estimator(self, seed: int) -> Any:
        """The estimator where the user gives none."""
        raise NotImplementedError

    def _estimator_target(self, target: np.ndarray) -> np.ndarray:
        """The target as the estimator takes it."""
        raise NotImplementedError

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Release the model of the sensitive columns, and fit the estimator on tables drawn from it.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A pandas or polars frame, or an array.
        y : array-like of shape (n_rows,)
            Target, public.
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, table, domain or target that cannot be used: nothing has been paid for then. For
            an estimator that cannot be fitted on drawn tables, or whose own error this is: that shows once
            they are drawn, when the release has been paid for.
        PrivacyBudgetError
            If the fit would overdraw `budget`; nothing was read.
        PrivacyLeakError
            If ``on_leak="raise"`` and something would read sensitive cells without paying.
        """
        self._require_target(y)
        return self._fit(X, y, groups=groups)

    def _train(self, job: Job, begin: Begin) -> None:
        super()._train(job, begin)
        assert isinstance(job, SynthesisJob)
        public = job.table.sample(job.schema.public).reset_index(drop=True)
        features = self._training_features
        del self._training_features
        tables = [self._completed(public, self._drawn(features, k)) for k in range(self.n_draws)]
        # A row's draws follow one another, so that folds of rows in order keep them together.
        n = job.n_rows
        order = np.arange(n * self.n_draws).reshape(self.n_draws, n).T.ravel()
        table = pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True)
        target = np.repeat(self._estimator_target(job.label.target), self.n_draws)
        self._fit_estimator(table, target)
        clear_padding(self.estimator_)

    def _boosting(self, seed: int) -> dict[str, Any]:
        """Settings of the default estimator: leaves hold rows of the table, each of which is drawn often."""
        return {
            "max_iter": 150,
            "learning_rate": 0.06,
            "max_leaf_nodes": 15,
            "min_samples_leaf": 20 * self.n_draws,
            "l2_regularization": float(self.n_draws),
            "early_stopping": False,
            "random_state": seed,
        }

    def _completed(self, public: pd.DataFrame, sensitive: pd.DataFrame) -> pd.DataFrame:
        sensitive = sensitive.set_axis(public.index)
        return pd.DataFrame(
            {c: sensitive[c] if c in sensitive else public[c] for c in self.schema_.columns},
            index=public.index,
        )

    def _fit_estimator(self, table: pd.DataFrame, target: np.ndarray) -> None:
        columns = PublicEncoder("ordinal", order="name").fit(table)
        if self.estimator is None:
            self._view = PublicView(columns)
            model = self._default_estimator(self._draw_seed % 2**31)
            self.estimator_ = model.fit(self._view(table), target)
            return
        said = []
        for view in views_for(self.estimator, columns, table):
            try:
                self.estimator_, self._view = own(self.estimator).fit(view(table), target), view
                return
            except Exception as error:  # whatever a model raises at columns that it cannot read
                said.append(error)
        raise InvalidInputError(
            f"estimator={type(self.estimator).__name__} can be fitted on the drawn table neither as it is "
            f"nor as numbers ({said[0]}); give one that can, such as a Pipeline that encodes the columns."
        ) from said[0]

    @one_thread_after_fork()
    def _readable(self, X: Any) -> Any:
        """True rows as the estimator has seen drawn ones: cells within their domains, or missing."""
        check_is_fitted(self, "estimator_")
        frame = check_table(self, without_column(X, self.groups), reset=False)
        known = self._model.columns
        clean = {c: known[c].cleaned(frame[c]) if c in known else frame[c] for c in self.schema_.columns}
        return self._view(pd.DataFrame(clean, index=frame.index))

    def predict(self, X: Any) -> np.ndarray:
        """Predict true rows.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        table = self._readable(X)
        return self.estimator_.predict(table)
