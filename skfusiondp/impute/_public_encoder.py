"""Public columns as numbers, for the models that guess the sensitive ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from ..tables._frames import as_text, is_numeric, numeric_values

_MOST_CATEGORIES = 30


class PublicEncoder(BaseEstimator):
    """Encode public columns, fitted on the support rows.

    Parameters
    ----------
    kind : {"dense", "ordinal"}
        "dense" suits any estimator: numbers are standardised and their gaps filled with the
        median beside an indicator; the most frequent categories become indicators.
        "ordinal" suits models that know gaps and categories: numbers as they are, categories
        as positions, NaN for missing or unknown.

    Attributes
    ----------
    columns_ : list of tuple
        (name, None, median, scale, had_gaps) of a number or (name, categories) of a category.
    n_features_ : int
        Number of encoded features.
    """

    def __init__(self, kind: str = "dense"):
        self.kind = kind

    def fit(self, public: pd.DataFrame) -> PublicEncoder:
        """Learn medians, scales and categories from ``public`` of shape (n_support, n_public)."""
        self.columns_ = [_describe(public[name]) for name in public.columns]
        self.n_features_ = self.transform(public.iloc[:1]).shape[1]
        return self

    def transform(self, public: pd.DataFrame) -> np.ndarray:
        """Return the encoded rows, float64 of shape (n_rows, n_features_)."""
        blocks = [np.empty((len(public), 0))]
        for name, categories, *facts in self.columns_:
            if categories is None:
                blocks.append(self._number(public[name], *facts))
            else:
                blocks.append(self._category(public[name], categories))
        return np.hstack(blocks)

    def _number(self, column: pd.Series, median: float, scale: float, gaps: bool) -> np.ndarray:
        values = _finite(column)
        if self.kind == "ordinal":
            return values[:, None]
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - median) / scale)
        return np.column_stack([scaled, missing]) if gaps else scaled[:, None]

    def _category(self, column: pd.Series, categories: list[str]) -> np.ndarray:
        codes = pd.Index(categories).get_indexer(_words(column))
        if self.kind == "ordinal":
            return np.where(codes < 0, np.nan, codes)[:, None]
        shown = min(len(categories), _MOST_CATEGORIES)
        return (codes[:, None] == np.arange(shown)).astype(float)


def _describe(column: pd.Series) -> tuple:
    if not _is_number(column):
        words = pd.Series(_words(column))
        # Ties are broken by name, so that the order of the support rows does not matter.
        counts = words.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        return column.name, [str(c) for c in counts.index]
    values = _finite(column)
    present = values[~np.isnan(values)]
    if not present.size:
        return column.name, None, 0.0, 1.0, True
    scale = float(present.std())
    usable = np.isfinite(scale) and scale > 0
    return (
        column.name,
        None,
        float(np.median(present)),
        scale if usable else 1.0,
        bool(present.size < values.size),
    )


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column.dtype) or is_numeric(column)


def _finite(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        seconds = (column - pd.Timestamp(0, tz=column.dt.tz)).dt.total_seconds()
        return seconds.to_numpy(dtype=float)
    values = numeric_values(column)
    return np.where(np.isfinite(values), values, np.nan)


def _words(column: pd.Series) -> np.ndarray:
    """Cells as text, so that 1, 1.0 and "1" meet, whatever holds them; None where missing."""
    cells = column.astype(object)
    words = np.array([as_text(v) for v in cells], dtype=object)
    words[column.isna().to_numpy()] = None
    return words
