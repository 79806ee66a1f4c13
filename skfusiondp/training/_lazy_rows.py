"""Rows that stay on disk and are read, imputed and encoded when a batch asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..tables._row_file import RowFile
from ..tables._table import Table

if TYPE_CHECKING:
    from ..impute import FoundationImputer

# Rows encoded at once: encoding takes several times the memory of its result.
_ENCODED = 2**14


class TableReader:
    """Rows of a table, for the views of one fit.

    Parameters
    ----------
    table : Table
    rows : range
        Positions in the table of the rows to train on.
    public : sequence of str
        Columns that the free view is made of.
    """

    def __init__(self, table: Table, rows: range, public: Sequence[str]):
        self._table = table
        self._rows = rows
        self._public = list(public)
        self.rows_ahead = table.rows_ahead
        self._held = np.empty(0, np.int64), pd.DataFrame()

    def read_ahead(self, public: Sequence[np.ndarray], private: Sequence[np.ndarray]) -> None:
        """Hold the rows of some steps; sensitive columns are fetched for private rows only."""
        if not self.rows_ahead:
            return
        index = np.unique(np.concatenate([np.empty(0, np.int64), *public, *private]))
        index = index[index < len(self._rows)]  # labelled support rows follow, and are in memory
        if len(index) > 2 * self.rows_ahead:
            return  # a single step is larger than that; its rows are fetched piece by piece
        columns = None if private else self._public
        self._held = index, self._table.take(index + self._rows.start, columns)

    def frame(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows at positions among the training rows, in the columns named or in all of them."""
        held, frame = self._held
        names = list(self._table.columns if columns is None else columns)
        if len(held) and set(names) <= set(frame.columns):
            place = np.minimum(np.searchsorted(held, index), len(held) - 1)
            if np.array_equal(held[place], index):
                return frame[names].iloc[place].reset_index(drop=True)
        return self._table.take(index + self._rows.start, names)


class LazyView:
    """One view's encoded rows, indexed like a tensor; each access reads and encodes them."""

    def __init__(self, shape: tuple[int, int], encode: Callable[[np.ndarray], np.ndarray]):
        self.shape = shape
        self._encode = encode

    def __getitem__(self, index: Tensor | int) -> Tensor:
        if isinstance(index, Tensor):
            parts = np.split(index.numpy(), range(_ENCODED, len(index), _ENCODED))
            return torch.from_numpy(np.concatenate([self._encode(part) for part in parts]))
        return torch.from_numpy(self._encode(np.array([index])))[0]


class Guesses:
    """Imputed encodings of rows, each imputed once and then kept in a temporary file.

    Parameters
    ----------
    imputer : FoundationImputer
        Fitted.
    rows : range
        Positions of the training rows in the table.
    """

    def __init__(self, imputer: FoundationImputer, rows: range):
        self._imputer = imputer
        self._first = rows.start
        self._widths = {c: d.width for c, d in imputer.schema_.domains.items()}
        self._file = RowFile.temporary(len(rows), sum(self._widths.values()))
        self._known = np.zeros(len(rows), bool)

    def __call__(self, public: pd.DataFrame, index: np.ndarray) -> dict[str, np.ndarray]:
        """Expected encodings of the sensitive columns.

        Parameters
        ----------
        public : DataFrame of shape (n_rows, n_public)
        index : ndarray of shape (n_rows,)
            Positions of these rows among the training rows.

        Returns
        -------
        dict of str to ndarray of shape (n_rows, width of the column's encoding)
        """
        new = ~self._known[index]
        if new.any():
            rows = index[new]
            expected = self._imputer._expected(public[new], rows + self._first)
            self._file.write(rows, np.concatenate([expected[c] for c in self._widths], axis=1))
            self._known[rows] = True
        parts = np.split(self._file.read(index), np.cumsum(list(self._widths.values()))[:-1], axis=1)
        return dict(zip(self._widths, parts, strict=True))
