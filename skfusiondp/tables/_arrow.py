"""Arrow tables as pandas frames, whatever their cells hold, each cell as if it were alone in its column."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ._unreadable import UNREADABLE
from ._whole_numbers import with_gaps


def from_arrow(table: Any) -> pd.DataFrame:
    """A pyarrow Table or RecordBatch as a frame, without the columns that were the index of one.

    A column is converted in a way that its type decides, and no cell: pyarrow itself turns whole numbers into
    floats where one is missing, which rounds the others, and refuses the days of a column where one lies
    after the year 9999. Of types that pandas cannot restore the column alone is converted in another way,
    and cells that no object holds are `UNREADABLE`; pyarrow would refuse the table in words that quote one.
    """
    try:
        frame = table.to_pandas()
    except Exception:  # each type has errors of its own
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        names = [n for n in table.schema.names if n not in index]
        columns = dict(enumerate(_column(table, n) for n in names))
        frame = pd.DataFrame(columns, index=range(len(table))).set_axis(names, axis=1)
    own = {name: _of_its_type(table, name) for name in frame.columns if isinstance(name, str)}
    own = {name: column.set_axis(frame.index) for name, column in own.items() if column is not None}
    return frame.assign(**own) if own else frame


def _of_its_type(table: Any, name: str) -> pd.Series | None:
    """Whole numbers with gaps, and days, by their type alone; None for a column of any other type."""
    import pyarrow as pa

    if table.schema.names.count(name) != 1:
        return None
    cells, kind = table.column(name), table.schema.field(name).type
    if isinstance(cells, pa.Array):  # of a batch
        cells = pa.chunked_array([cells])
    if pa.types.is_dictionary(kind) and pa.types.is_date(kind.value_type):
        cells, kind = cells.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) and cells.null_count:
        missing = cells.is_null().to_numpy()
        return pd.Series(with_gaps(cells.fill_null(0).to_numpy(), missing), name=name)
    if pa.types.is_date(kind):
        return pd.Series(_days(cells, "D" if pa.types.is_date32(kind) else "ms"), dtype=object, name=name)
    return None


def _days(cells: Any, unit: str) -> np.ndarray:
    """Days as Python's dates; as numpy's where these end."""
    import pyarrow as pa

    missing = cells.is_null().to_numpy()
    whole = cells.cast(pa.int32() if unit == "D" else pa.int64()).fill_null(0).to_numpy()
    moments = whole.astype(f"datetime64[{unit}]").astype("datetime64[D]")
    found = moments.astype(object)  # whole numbers where there is no such date
    for i in np.flatnonzero([isinstance(day, int) for day in found]):
        found[i] = moments[i]
    found[missing] = None
    return found


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
