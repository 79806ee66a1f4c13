"""What kind of cells a public column holds, decided in one place for every encoder of public columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._frames import as_text, is_numeric, missing_cells, numeric_values

_MICROSECONDS_A_DAY = 86_400_000_000
_ISO_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", flags=re.ASCII
)


@dataclass(frozen=True)
class PublicColumn:
    """How the cells of a public column are read.

    Truth values are numbers. Dates, times and durations of any type, resolution and time zone are numbers of
    days (since 1970, in UTC), and so are texts that are all dates such as 2024-02-29 or
    2024-02-29T12:00+01:00. A column that pandas holds as categories is one of categories; so is one that is
    missing as a whole, unless its type is one of numbers or dates.

    Parameters
    ----------
    name : str
    kind : {"number", "date", "category"}
    """

    _plain_values = True

    name: str
    kind: str

    @classmethod
    def of(cls, cells: pd.Series) -> PublicColumn:
        """Decide by the public rows that an encoder is fitted on."""
        kind = "date" if _is_date(cells) else "number" if is_numeric(cells) else "category"
        return cls(str(cells.name), kind)

    @property
    def is_number(self) -> bool:
        """Whether it is encoded as a number, else as a category."""
        return self.kind != "category"

    def numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """The column of a table as float64, NaN where it is missing.

        Raises
        ------
        InvalidInputError
            If a cell is not of the column's kind.
        """
        return numeric_values(frame[self.name]) if self.kind == "number" else days(frame[self.name])

    def words(self, frame: pd.DataFrame) -> np.ndarray:
        """The column's cells as texts, so that 1, 1.0 and "1" meet; None where one is missing."""
        words = np.array([as_text(v) for v in frame[self.name].astype(object)], dtype=object)
        words[missing_cells(frame[self.name])] = None
        return words


def days(cells: pd.Series) -> np.ndarray:
    """Dates as days since 1970 in UTC, durations as days; NaN where missing.

    Parameters
    ----------
    cells : Series of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,), float64

    Raises
    ------
    InvalidInputError
        If a cell is no date.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "mM":
        exact = cells.to_numpy().astype(f"{cells.dtype.kind}8[us]")
        return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / _MICROSECONDS_A_DAY)
    found = np.full(len(cells), np.nan)
    values = cells.astype(object).tolist()
    for i in np.flatnonzero(~missing_cells(cells)):
        try:
            found[i] = _microseconds(values[i]) / _MICROSECONDS_A_DAY
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInputError(
                f"Column {cells.name!r} was fitted as dates but holds something that is no date ({error}); "
                "convert it with pandas.to_datetime, or to another form of text before the fit."
            ) from None
    return found


def _is_date(cells: pd.Series) -> bool:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return False
    if getattr(cells.dtype, "kind", "O") in "mM":
        return True
    present = cells[~missing_cells(cells)]
    try:
        for cell in present:  # of most columns of numbers and categories, the first cell decides
            _microseconds(cell)
    except (ValueError, TypeError, OverflowError):
        return False
    return len(present) > 0


def _microseconds(cell: Any) -> int:
    """A date as microseconds since 1970, or a duration as its own."""
    if isinstance(cell, str):
        if not _ISO_DATE.fullmatch(cell):
            raise ValueError(repr(cell))
        cell = datetime.fromisoformat(cell)
    elif isinstance(cell, pd.Period):
        cell = cell.start_time
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        cell = cell.astimezone(UTC).replace(tzinfo=None)
    if isinstance(cell, timedelta | np.timedelta64):
        return int(np.timedelta64(cell, "us").astype(np.int64))
    if isinstance(cell, date | np.datetime64):
        exact: np.datetime64 = np.datetime64(cell, "us")  # type: ignore[call-overload]
        return int(exact.astype(np.int64))
    raise TypeError(repr(cell))
