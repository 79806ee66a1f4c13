"""What a user passed as X, in memory, on disk or as both views, as one kind of table."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from ..exceptions import InvalidInputError
from ._disk import as_disk_table
from ._frames import as_frame, check_table
from ._paired_table import PairedTable
from ._table import FrameTable, Table


def as_table(X: Any) -> Table:
    """Return anything that a user may pass as a table, without checking that an estimator can use it."""
    if isinstance(X, PairedTable):
        return FrameTable(X.original, X.original, X)
    table = as_disk_table(X)
    return FrameTable(as_frame(X), X) if table is None else table


def read_table(
    estimator: BaseEstimator, X: Any, *, reset: bool, optional: tuple[str, ...] = (), paired: bool = False
) -> Table:
    """Validate what was passed as X, of any kind; of a table on disk no cell is read.

    Parameters
    ----------
    estimator : BaseEstimator
    X : table
        As in `as_table`.
    reset, optional
        As in `check_table`.
    paired : bool
        Whether the estimator can use both views of a `PairedTable`.

    Returns
    -------
    Table
        Without those optional columns that `X` lacks; after fit, under the names seen in it.
    """
    if paired and isinstance(X, PairedTable):
        return FrameTable(check_table(estimator, X.original, reset=reset), X.original, X)
    table = as_disk_table(X)
    if table is None:
        return FrameTable(check_table(estimator, X, reset=reset, optional=optional), X)
    if not len(table):
        raise InvalidInputError(f"The table on disk has no rows; {type(estimator).__name__} needs some.")
    # A made-up row stands for the real ones.
    row = table.empty().reindex(range(1)) if table.labels else np.zeros((1, table.shape[1]))
    return table.known_as(list(check_table(estimator, row, reset=reset, optional=optional).columns))


def count_rows(X: Any) -> int:
    """Number of rows of a table of any kind."""
    table = as_disk_table(X)
    return _num_samples(X) if table is None else len(table)
