"""One encoding for both views of a table."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted

from .._keywords import KnownKeywords
from .._parameters import ON_LEAK, SENSITIVE, check_parameters, constraints
from ..exceptions import InvalidInputError
from ._frames import check_table
from ._piecewise import piecewise_linear, quantile_knots
from ._public_columns import PublicColumn
from ._schema import SensitiveSchema, resolve_schema
from ._table import FrameTable, Table

_MISSING = "<missing>"
_MAX_CATEGORIES = 64
# Intervals of the piecewise-linear encoding of a public number, each with as many rows.
_PIECES = 4


class TableEncoder(KnownKeywords, TransformerMixin, BaseEstimator):
    """Encode a table as numbers: public columns from the data, sensitive ones from their domains.

    Public numbers and dates are encoded piecewise-linearly between their quartiles and marked where
    they are missing, so that no outlier can blow up an activation. Dates have features of their own for
    what they differ in beside the day: weekdays, the hour, the time of the year. Public categories are
    one-hot encoded, the rarest beyond 64 together. Sensitive columns are encoded by their declared domain
    alone, piecewise-linearly or one-hot, so that fitting reads no sensitive cell.

    Parameters
    ----------
    sensitive : dict of str to domain, list of str or column selector, default=None (every column)
        A dict gives domains: ``{"age": Numeric(18, 90)}``; anything else is what ColumnTransformer
        takes as columns.
    on_leak : {"warn", "raise", "ignore"}, default="warn"
        What happens when a domain is missing and has to be read off the training cells.

    Attributes
    ----------
    schema_ : SensitiveSchema
        Columns, and the domain of each sensitive one.
    sensitive_features_ : ndarray of shape (n_encoded_features,), bool
        Which encoded features come from a sensitive column.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_columns,)
        Names of the columns seen in ``fit``, if they have any.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.preprocessing import TableEncoder
    >>> table = pd.DataFrame({"lab": [1.0, 3.0], "age": [18, 90]})
    >>> encoder = TableEncoder({"age": Numeric(18, 90, knots=[65])}).fit(table)
    >>> encoder.transform(table).tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]]
    >>> encoder.get_feature_names_out().tolist()[-3:]
    ['sensitive__age_piece0', 'sensitive__age_piece1', 'sensitive__age_(missing)']
    """

    _plain_values = True

    _constraints = constraints(sensitive=SENSITIVE, on_leak=ON_LEAK)

    def __init__(self, sensitive: Any = None, *, on_leak: str = "warn"):
        self.sensitive = sensitive
        self.on_leak = on_leak

    def fit(self, X: Any, y: Any = None) -> TableEncoder:
        """Learn the encoding of the public columns, and the domains of the sensitive ones.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : ignored

        Returns
        -------
        self
        """
        check_parameters(self)
        frame = check_table(self, X, reset=True)
        table = FrameTable(frame, X)
        return self._fit_schema(table, resolve_schema(table, self.sensitive, on_leak=self.on_leak))

    def _of_schema(self, table: Table, schema: SensitiveSchema) -> TableEncoder:
        """The encoder of the same table under a schema with other knots; this one stays as it is."""
        return copy.copy(self)._fit_schema(table, schema)

    def _fit_schema(self, table: Table, schema: SensitiveSchema) -> TableEncoder:
        """Fit on a table's public columns: on a sample of rows, where it is large and lies on disk.

        Of the rows beyond the sample, what cannot be encoded is refused before training begins.
        """
        frame = table.sample(schema.public)
        self.schema_ = schema
        self.n_features_in_ = len(schema.columns)
        columns = [PublicColumn.of(frame[c]) for c in schema.public]
        self._numeric = [c for c in columns if c.is_number]
        self._categorical = [c for c in columns if not c.is_number]
        names: list[str] = []
        self._one_hot = None
        numbers = self._numbers(frame).T if self._numeric else np.empty((0, len(frame)))
        known = dict(zip((c.name for c in self._numeric), numbers, strict=True))
        self._knots = {c: quantile_knots(v, _PIECES) for c, v in known.items()}
        self._marked = [c for c, v in known.items() if np.isnan(v).any()]
        for column, knots in self._knots.items():
            names += [f"{column}_piece{i}" for i in range(len(knots) - 1)]
        names += [f"{column}_(missing)" for column in self._marked]
        names += [name for c in self._numeric for name in c.calendar.feature_names(c.name)]
        if self._categorical:
            self._one_hot = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=_MAX_CATEGORIES,
                sparse_output=False,
                dtype=np.float32,
            ).fit(self._categories(frame))
            names += list(self._one_hot.get_feature_names_out([c.name for c in self._categorical]))
        sensitive = [n for c, d in schema.domains.items() for n in d.feature_names(c)]
        self._names = [f"public__{n}" for n in names] + [f"sensitive__{n}" for n in sensitive]
        self.sensitive_features_ = np.arange(len(self._names)) >= len(names)
        if len(frame) < len(table) and columns:
            for _, piece in table.chunks(schema.public):
                self._check(piece)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_encoded_features), float32
            Always finite: public features first, then the sensitive ones.
        """
        check_is_fitted(self, "sensitive_features_")
        return self._encode(check_table(self, X, reset=False))

    def _encode(self, frame: pd.DataFrame, expected: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Encode a frame; the sensitive columns in `expected` come encoded already."""
        expected = expected or {}
        parts = []
        if self._numeric:
            numbers = dict(zip(self._knots, self._numbers(frame).T, strict=True))
            parts += [piecewise_linear(numbers[c], knots) for c, knots in self._knots.items()]
            parts += [np.isnan(numbers[c])[:, None] for c in self._marked]
            parts += [c.calendar.features(numbers[c.name]) for c in self._numeric if c.calendar.parts]
        if self._one_hot is not None:
            parts.append(self._one_hot.transform(self._categories(frame)))
        for column, domain in self.schema_.domains.items():
            encoded = expected.get(column)
            parts.append(domain.encode(frame[column]) if encoded is None else encoded)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the encoded features; the prefix says whether one is public or sensitive.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (n_encoded_features,), object
        """
        check_is_fitted(self, "sensitive_features_")
        return np.array(self._names, dtype=object)

    def _features_of(self, columns: Sequence[str]) -> np.ndarray:
        """Which encoded features are of some sensitive columns: a mask of shape (n_encoded_features,)."""
        sensitive = [c in columns for c, d in self.schema_.domains.items() for _ in range(d.width)]
        public = len(self._names) - len(sensitive)
        return np.array([False] * public + sensitive)

    def _check(self, frame: pd.DataFrame) -> None:
        """Refuse public cells that cannot be encoded."""
        if self._numeric:
            self._numbers(frame)
        for column in self._categorical:
            column.check(frame[column.name])

    def _numbers(self, frame: pd.DataFrame) -> np.ndarray:
        values = np.column_stack([c.numbers(frame) for c in self._numeric])
        infinite = np.isinf(values).any(axis=0)
        if infinite.any():
            column = self._numeric[int(infinite.argmax())].name
            raise InvalidInputError(
                f"The public column {column!r} holds an infinite value; replace it by a number or NaN."
            )
        return values

    def _facts(self) -> str:
        """What was learnt, as a text: equal for equal public columns and domains."""
        numbers = {c: knots.tolist() for c, knots in self._knots.items()}
        zones = [c.calendar.zone for c in self._numeric]
        return repr((self._names, numbers, zones, dict(self.schema_.domains)))

    def _categories(self, frame: pd.DataFrame) -> np.ndarray:
        words = np.column_stack([c.words(frame) for c in self._categorical])
        words[words == None] = _MISSING  # noqa: E711
        return words

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
