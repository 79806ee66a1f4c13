"""PrivateSynthesizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..._parameters import check_int, store_parameters
from ..._refit import all_or_nothing
from ...exceptions import InvalidInputError
from ...tables._containers import SetOutput, replace_columns
from ...tables._frames import as_frame, check_table, is_arrow, is_frame, is_polars
from ...tables._groups import without_column
from ..joint._label import Label, any_label
from ._base_synthesis import BaseSynthesis
from ._saved_tables import save_tables
from ._synthesis_doc import with_synthesis_docs


@with_synthesis_docs
class PrivateSynthesizer(  # type: ignore[call-arg]
    OneToOneFeatureMixin, SetOutput, TransformerMixin, BaseSynthesis, auto_wrap_output_keys=None
):
    """Release a table once: true public columns and labels, sensitive cells drawn from a private model.

    The cells are drawn given public columns and label, from a model that noised sums over the rows give.
    That is paid for once, by the fit: what is done with the tables drawn from it, training and tuning
    any model, plots, sharing, costs nothing more.

    Parameters
    ----------
    {sensitive}
    {epsilon}
    {delta}
    {support}

    Attributes
    ----------
    {attributes}

    Other Parameters
    ----------------
    {other_parameters}

    See Also
    --------
    SynthesizedClassifier : Fits any classifier on such tables, and predicts on true rows.

    Notes
    -----
    {notes}

    A drawn cell is a guess from public columns and label: never read it as a fact about a person.

    Examples
    --------
    >>> from skfusiondp import PrivateSynthesizer
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> synthesizer = PrivateSynthesizer(adult.sensitive, epsilon=1.0, random_state=0)
    >>> synthesizer = synthesizer.fit(adult.table[:2000], adult.target[:2000])
    >>> table, label = synthesizer.sample(n_draws=2)
    >>> table.shape, label.shape
    ((4000, 12), (4000,))
    """

    _plain_values = True
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
    def fit(self, X: Any, y: Any = None, groups: Any = None) -> PrivateSynthesizer:
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

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, and draw the sensitive cells of the training rows once, given their labels.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,), optional
        **fit_params : dict
            ``groups`` of ``fit``.

        Returns
        -------
        table of shape (n_rows, n_columns)
        """
        return self.fit(X, y, **fit_params)._contain(self._training_table(0))

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Fit, and replace the table by a drawn one, as a step of an imbalanced-learn pipeline.

        Such a pipeline resamples in its fit alone, and predicts on the rows that it is given.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)

        Returns
        -------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
        """
        return self.fit_transform(X, y), y

    def sample(self, n_draws: int = 1, *, stacked: bool = True) -> Any:
        """Draw tables: the training rows with their public columns, and sensitive cells drawn anew.

        Each draw is the same whenever it is asked for.

        Parameters
        ----------
        n_draws : int, default=1
            What is trained on several draws, stacked, is less at the mercy of chance.
        stacked : bool, default=True
            One table, the draws one after the other; else a list of tables, as for multiple imputation.

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
        return drawn, np.concatenate([self._labels] * (n_draws if stacked else 1))

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

    def transform(self, X: Any) -> Any:
        """Draw the sensitive cells of rows whose labels are not known; those that `X` holds are not read.

        Labels are drawn too, from the public model. A model that is to be trained should see draws that go
        with the labels: those of ``sample``, ``fit_transform`` or ``fit_resample``.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack the sensitive columns.

        Returns
        -------
        table of shape (n_rows, n_columns)
            Of the kind given, or that ``set_output`` asks for.
        """
        check_is_fitted(self, "schema_")
        X = without_column(X, self.groups)
        frame = check_table(self, X, reset=False, optional=self.schema_.sensitive)
        drawn = self._drawn(self._features_of(frame[list(self.schema_.public)]), -1)
        return self._contain(
            replace_columns(X, frame, drawn.set_axis(frame.index), list(self.schema_.columns))
        )

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
    if is_polars(tables[0]):
        import polars as pl

        return pl.concat(tables)
    if isinstance(tables[0], pd.DataFrame):
        return pd.concat(tables, ignore_index=True)
    return np.concatenate(tables) if isinstance(tables[0], np.ndarray) else _concatenated(tables)


def _concatenated(tables: list[Any]) -> Any:
    import pyarrow as pa

    return pa.concat_tables(tables)
