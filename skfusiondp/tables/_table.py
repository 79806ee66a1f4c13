"""A table of rows, wherever they lie: one interface for frames in memory and for tables on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._frames import is_frame

if TYPE_CHECKING:
    from ._paired_table import PairedTable

# Rows that are read, encoded or predicted at once.
CHUNK_ROWS = 65_536


class Table(ABC):
    """A table that is read by columns and rows, a few rows at a time where it lies on disk.

    Attributes
    ----------
    given : object
        What the user passed: its memory and index labels tell whose rows they are.
    views : PairedTable or None
        Both views of the rows, where the user passed them.
    in_memory : bool
    rows_ahead : int
        How many rows are best fetched at once; 0 where the cost of a row does not grow with the table.
    """

    given: Any
    views: PairedTable | None = None
    in_memory: bool
    rows_ahead: int = 0

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""

    @property
    def labels(self) -> list | None:
        """What the user calls the columns; None where they have no names and go by position."""
        return None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def empty(self) -> pd.DataFrame:
        """No rows, but every column with its type."""

    @abstractmethod
    def take(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows at positions, which may be any and in any order, in the columns named."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        """The whole table in order: the position of a chunk's first row, and the chunk."""

    @abstractmethod
    def sample(self, columns: Sequence[str]) -> pd.DataFrame:
        """Rows from which facts about public columns are learnt: all of them where they lie in memory."""

    @abstractmethod
    def witnesses(self, columns: Sequence[str]) -> Mapping[str, pd.Series]:
        """Cells of each column that give the same domain as all of its cells."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""
        return len(self), len(self.columns)


class FrameTable(Table):
    """A table in memory.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `as_frame` gives it.
    given : table, optional
        What the user passed; the frame itself if not given.
    views : PairedTable, optional
    """

    in_memory = True

    def __init__(self, frame: pd.DataFrame, given: Any = None, views: PairedTable | None = None):
        self.frame = frame
        self.given = frame if given is None else given
        self.views = views
        self._columns = tuple(frame.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        return self._columns

    @property
    def labels(self) -> list | None:
        if self.views is None:
            return list(self.given.columns) if is_frame(self.given) else None
        numbered = [f"x{i}" for i in range(len(self._columns))]  # the views of an array
        return None if list(self._columns) == numbered else list(self._columns)

    def __len__(self) -> int:
        return len(self.frame)

    def empty(self) -> pd.DataFrame:
        return self.frame.iloc[:0]

    def take(self, index: np.ndarray, columns: Sequence[str] | None = None) -> pd.DataFrame:
        # Rows first: a few of them are copied, and not whole columns.
        rows = self.frame.iloc[index]
        return (rows if columns is None else rows[list(columns)]).reset_index(drop=True)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pd.DataFrame]]:
        for start in range(0, len(self), CHUNK_ROWS):
            rows = self.frame.iloc[start : start + CHUNK_ROWS]
            yield start, rows if columns is None else rows[list(columns)]

    def sample(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        return self.frame if columns is None else self.frame[list(columns)]

    def witnesses(self, columns: Sequence[str]) -> Mapping[str, pd.Series]:
        return {c: self.frame[c] for c in columns}
