"""Public columns as numbers, for the models beside the network (which has `TableEncoder`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ._public_columns import PublicColumn

_MOST_CATEGORIES = 30
# Trees hold numbers in single precision.
_LARGEST = 1e30


@dataclass(frozen=True)
class _Learnt:
    """What the fit learnt of a column: its categories, or the scale of its numbers."""

    _plain_values = True

    column: PublicColumn
    categories: tuple[str, ...] = ()
    median: float = 0.0
    scale: float = 1.0
    gaps: bool = True


class PublicEncoder:
    """Encode public columns as float64.

    Parameters
    ----------
    form : {"dense", "ordinal"}
        "dense" suits any estimator: numbers are standardised and their gaps filled with the
        median beside an indicator; the most frequent categories become indicators, and so do
        weekdays; hours and days of the year are points on a circle.
        "ordinal" suits trees and other models that know gaps: numbers as they are, categories
        as positions, parts of a date as numbers, NaN for missing or unknown.
    order : {"frequency", "name"}
        Of categories.
    """

    _plain_values = True

    def __init__(self, form: str = "dense", order: str = "frequency"):
        self.form = form
        self.order = order

    def fit(self, frame: pd.DataFrame, more: pd.DataFrame | None = None) -> PublicEncoder:
        """Learn kinds, medians, scales and categories from a table of public columns.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_public)
        more : DataFrame of shape (n_more, at least n_public), optional
            Further rows, which give medians, scales and categories too, but no kinds.
        """
        columns = [PublicColumn.of(frame[name]) for name in frame.columns]
        tables = [frame] if more is None else [frame, more]
        self.learnt_ = [self._learn(column, tables) for column in columns]
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the encoded rows, float64 of shape (n_rows, n_features)."""
        blocks = [np.empty((len(frame), 0))]
        for known in self.learnt_:
            blocks.append(
                self._number(known, frame) if known.column.is_number else self._category(known, frame)
            )
        return np.hstack(blocks)

    @property
    def category_positions(self) -> list[int]:
        """Which features are categories, in the ordinal form."""
        return self.positions_of(-1)

    def positions_of(self, many: int) -> list[int]:
        """Which features are columns of more categories than this, in the ordinal form."""
        widths = [1 + len(known.column.calendar.parts) for known in self.learnt_]
        first = np.cumsum([0, *widths]).tolist()
        return [
            i
            for i, known in zip(first, self.learnt_, strict=False)
            if not known.column.is_number and len(known.categories) > many
        ]

    def _learn(self, column: PublicColumn, tables: list[pd.DataFrame]) -> _Learnt:
        if not column.is_number:
            words = np.concatenate([column.words(table) for table in tables])
            counts = pd.Series(words, dtype=object).value_counts().sort_index()
            if self.order == "frequency":
                # Ties are broken by name, so that the order of the rows does not matter.
                counts = counts.sort_values(ascending=False, kind="stable")
            return _Learnt(column, tuple(str(c) for c in counts.index))
        values = np.concatenate([self._finite(column, table) for table in tables])
        present = values[~np.isnan(values)]
        if not present.size:
            return _Learnt(column)
        scale = float(present.std())
        usable = np.isfinite(scale) and scale > 0
        return _Learnt(
            column,
            median=float(np.median(present)),
            scale=scale if usable else 1.0,
            gaps=present.size < values.size,
        )

    def _finite(self, column: PublicColumn, frame: pd.DataFrame) -> np.ndarray:
        values = column.numbers(frame)
        return np.where(np.isfinite(values), values, np.nan)

    def _number(self, known: _Learnt, frame: pd.DataFrame) -> np.ndarray:
        values, calendar = self._finite(known.column, frame), known.column.calendar
        if self.form == "ordinal":
            return np.column_stack([np.clip(values, -_LARGEST, _LARGEST), calendar.numbers(values)])
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - known.median) / known.scale)
        marks = [missing] if known.gaps else []
        return np.column_stack([scaled, *marks, calendar.features(values)])

    def _category(self, known: _Learnt, frame: pd.DataFrame) -> np.ndarray:
        # As objects: pandas would make texts of a type of its own, which does not hold half a character.
        words = pd.Index(known.column.words(frame), dtype=object)
        codes = pd.Index(known.categories, dtype=object).get_indexer(words)
        if self.form == "ordinal":
            return np.where(codes < 0, np.nan, codes)[:, None]
        shown = min(len(known.categories), _MOST_CATEGORIES)
        return (codes[:, None] == np.arange(shown)).astype(float)
