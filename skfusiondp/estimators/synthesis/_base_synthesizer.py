"""What a synthesizer and a resampler share: they keep the public rows, and draw tables of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..._parameters import check_int, store_parameters
from ..._refit import all_or_nothing
from ...exceptions import InvalidInputError
from ...tables._containers import replace_columns
from ...tables._frames import as_frame, check_table, is_arrow, is_frame, is_polars
from ...tables._groups import without_column
from ..joint._label import Label, any_label
from ._base_synthesis import BaseSynthesis
from ._saved_tables import save_tables


class BaseSynthesizer(BaseSynthesis):
    """Tables of training rows whose sensitive cells are drawn. Not for users."""

    # Of `SetOutput`, which has to come before scikit-learn's mixins.
    _contain: Callable[[Any], Any]

    _kind = "synthesizer"

    def __init__(
        self,
        sensitive: Any = None,
        *,
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        noise_multiplier: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    def _read_label(self, y: Any, n_rows: int) -> Label:
        return any_label(y, n_rows)

    @all_or_nothing
    def fit(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Release the sums that the model is made of, and fit it.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A pandas or polars frame, or an array.
        y : array-like of shape (n_rows,), optional
            Label, public: classes or numbers. The cells that are drawn go with it; without one they go with
            the public columns alone, and teach little about any label.
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For a parameter, table, domain or label that cannot be used. Nothing has been paid for then.
        PrivacyBudgetError
            If the fit would overdraw `budget`; nothing was read.
        PrivacyLeakError
            If ``on_leak="raise"`` and something would read sensitive cells without paying.
        """
        self._fit(X, y, groups=groups)
        # The table with no sensitive column, and labels; a file of this object leaves them out.
        self._public_rows = self._public_table(X)
        self._labels = None if y is None else np.array(y)
        self._label_name = str(getattr(y, "name", None) or "label")
        return self

    def sample(self, n_draws: int = 1, *, stacked: bool = True) -> Any:
        """Draw tables: the training rows with their public columns, and sensitive cells drawn anew.

        Each draw is the same whenever it is asked for.

        Parameters
        ----------
        n_draws : int, default=1
            What is trained on several draws, stacked, is less at the mercy of chance.
        stacked : bool, default=True
            One table, in which the draws of a row follow one another, so that folds of rows in order keep
            them together; else a list of tables, as for multiple imputation.

        Returns
        -------
        table : table of shape (n_draws * n_rows, n_columns), or list of tables
        y : ndarray of shape (n_draws * n_rows,), or (n_rows,) for a list
            Labels of the rows; only where the fit was given some.
        """
        check_is_fitted(self, "schema_")
        check_int("n_draws", n_draws)
        if getattr(self, "_public_rows", None) is None:
            raise InvalidInputError(
                "This synthesizer comes from a file or a copy, which hold no training rows; draw tables "
                "before it is saved, or save the tables."
            )
        tables = [self._contain(self._training_table(k)) for k in range(n_draws)]
        drawn = _stacked(tables) if stacked else tables
        if self._labels is None:
            return drawn
        return drawn, np.repeat(self._labels, n_draws if stacked else 1, axis=0)

    def save_tables(self, folder: Any, n_draws: int = 1, *, file_format: str = "csv") -> list[Path]:
        """Write drawn tables to files, with a card that says what they are and promise.

        Parameters
        ----------
        folder : str or Path
            Made, if it is not there; refused where it holds files.
        n_draws : int, default=1
            Tables to draw, a file each; labels are the last column.
        file_format : {"csv", "parquet"}, default="csv"
            Parquet keeps the columns' types, and needs pyarrow.

        Returns
        -------
        list of Path
            The tables' files, then ``card.html`` and ``report.json``.

        Raises
        ------
        InvalidInputError
            For a folder that holds files, or a format that cannot be written.
        """
        drawn = self.sample(n_draws, stacked=False)
        tables, label = (drawn, None) if self._labels is None else drawn
        return save_tables(self, tables, label, self._label_name, folder, file_format)

    def _public_table(self, X: Any) -> Any:
        """The table without its sensitive columns; of an array, a frame."""
        X = without_column(X, self.groups)
        public = list(self.schema_.public)
        frame = check_table(self, X, reset=False)
        self._array_type = self._column_labels = None
        if is_polars(X) or is_arrow(X):
            return X.select(public)
        if not is_frame(X):
            self._array_type = getattr(X, "dtype", np.dtype(object))
            return frame[public]
        # Labels that are numbers, or of several levels, are those of the whole table only.
        self._column_labels = X.columns
        return X.set_axis(list(frame.columns), axis=1)[public]

    def _training_table(self, draw: int) -> Any:
        names = list(self.schema_.columns)
        drawn = self._drawn(self._training_features, draw)
        if self._array_type is not None:
            frame = pd.DataFrame(
                {c: drawn[c] if c in drawn else self._public_rows[c].to_numpy() for c in names}
            )
            return replace_columns(np.empty((0, 0), self._array_type), frame, drawn, names)
        rows = self._public_rows
        table = replace_columns(rows, as_frame(rows), drawn, names)
        return table if self._column_labels is None else table.set_axis(self._column_labels, axis=1)

    def __getstate__(self) -> dict:
        state = super().__getstate__()
        kept_here = ("_public_rows", "_column_labels", "_labels", "_training_features")
        return {k: None if k in kept_here else v for k, v in state.items()}


def _stacked(tables: list[Any]) -> Any:
    """One table in which the same row of all tables follow one another."""
    order = np.arange(len(tables) * len(tables[0])).reshape(len(tables), -1).T.ravel()
    if is_polars(tables[0]):
        import polars as pl

        return pl.concat(tables)[order]
    if isinstance(tables[0], pd.DataFrame):
        return pd.concat(tables, ignore_index=True).iloc[order].reset_index(drop=True)
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables)[order]
    import pyarrow as pa

    return pa.concat_tables(tables).take(order)
