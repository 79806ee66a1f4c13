"""The rows that a correction is learnt from, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...tables._table import Table
from ..joint._indicators import Indicators

# Rows whose features are formed at once, and the most bytes of features that are kept between passes.
PIECE_ROWS = 2**13
_KEPT_BYTES = 2**30


@dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """Some rows.

    Parameters
    ----------
    features : Indicators
    offset, target : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    """

    features: Indicators
    offset: np.ndarray
    target: np.ndarray
    weight: np.ndarray


class IndicatorRows:
    """All rows, piece by piece; what they are made of is read again for every pass if it is large.

    Parameters
    ----------
    read : callable
        Reads the pieces.
    n_rows, n_features, n_outputs : int
    releases : int
        How many will be made of them: for one, nothing is kept.
    """

    def __init__(
        self, read: Callable[[], Iterator[Piece]], n_rows: int, n_features: int, n_outputs: int, releases: int
    ):
        self._read = read
        self.n_rows, self.n_features, self.n_outputs = n_rows, n_features, n_outputs
        self._keeps = releases > 1
        self._kept: list[Piece] | None = None

    def pieces(self) -> Iterator[Piece]:
        """The rows of one pass."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Piece] | None = [] if self._keeps else None
        for piece in self._read():
            if kept is not None:
                kept.append(piece)
                if piece.features.nbytes * self.n_rows > _KEPT_BYTES * len(piece.features):
                    kept, self._keeps = None, False
            yield piece
        self._kept = kept


def read_pieces(
    table: Table, columns: Sequence[str], kept: np.ndarray, piece: Callable[[pd.DataFrame, np.ndarray], Piece]
) -> Iterator[Piece]:
    """Pieces of those rows of a table that a release may read.

    Parameters
    ----------
    table : Table
    columns : sequence of str
        What is read of it.
    kept : ndarray of shape (n_rows,), bool
    piece : callable
        Makes a piece of a frame and of its rows' positions.
    """
    for start, chunk in table.chunks(columns):
        for first in range(start, start + len(chunk), PIECE_ROWS):
            rows = first + np.flatnonzero(kept[first : min(first + PIECE_ROWS, start + len(chunk))])
            if len(rows):
                yield piece(chunk.iloc[rows - start], rows)
