"""Arrow tables as pandas frames, whatever their cells hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from ._unreadable import UNREADABLE


def from_arrow(table: Any) -> pd.DataFrame:
    """A pyarrow Table or RecordBatch as a frame, without the columns that were the index of one.

    Arrow holds what Python does not, such as days of the year 200,000, and types that pandas cannot restore.
    pyarrow then refuses the whole table in words that quote a cell. Here such a column alone is converted in
    another way, and cells that no object holds are `UNREADABLE`.
    """
    try:
        return table.to_pandas()
    except Exception:  # each type has errors of its own
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        names = [n for n in table.schema.names if n not in index]
        columns = dict(enumerate(_column(table, n) for n in names))
        return pd.DataFrame(columns, index=range(len(table))).set_axis(names, axis=1)


def _column(table: Any, name: str) -> pd.Series:
    cells = table.column(name)
    ways: tuple[Callable[[], pd.Series], ...] = (
        lambda: table.select([name]).to_pandas()[name],  # as pandas had it
        cells.to_pandas,
        lambda: cells.to_pandas(date_as_object=False),
    )
    for way in ways:
        with contextlib.suppress(Exception):
            return way().reset_index(drop=True)
    return pd.Series([_one(cell) for cell in cells], dtype=object)


def _one(cell: Any) -> Any:
    try:
        return cell.as_py()
    except Exception:
        return UNREADABLE
