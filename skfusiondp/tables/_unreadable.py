"""Cells and types of columns, also where a library raises at them."""

from __future__ import annotations

from typing import Any

import pandas as pd


class Unreadable:
    """Stands for a cell that has no object: a day of the year 200,000, bytes that are no text.

    It is no number, no date, no category and not missing. An error in its place would tell of the cell.
    """

    def __repr__(self) -> str:
        return "(unreadable)"


UNREADABLE = Unreadable()


def cells_of(column: pd.Series) -> list[Any]:
    """The cells of a column as objects; `UNREADABLE` where the type of the column holds more than objects do.

    Parameters
    ----------
    column : Series of shape (n_rows,)
    """
    try:
        return list(column.astype(object).tolist())
    except Exception:  # each library has errors of its own
        return [_one(column.array, i) for i in range(len(column))]


def is_numeric_type(kind: Any) -> bool:
    """Tell whether a column's type is one of numbers; some of Arrow's types make pandas raise."""
    try:
        return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    except NotImplementedError:
        return False


def _one(cells: Any, i: int) -> Any:
    try:
        return cells[i]
    except Exception:
        return UNREADABLE
