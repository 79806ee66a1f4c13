"""Dates, times and durations of any type as numbers of days. Sensitive cells are never refused."""

from __future__ import annotations

import contextlib
import re
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._frames import missing_cells
from ._unreadable import cells_of, is_numeric_type

MICROSECONDS_A_DAY = 86_400_000_000
_IN_A_DAY = {"D": 1, "h": 24, "m": 1440, "s": 86_400, "ms": 86_400_000, "us": MICROSECONDS_A_DAY}
# Years or months beyond this are taken to be so many: their days would not fit into 64 bits.
_MOST_PERIODS = 10**15
_EPOCH = datetime(1970, 1, 1)
_ISO_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", flags=re.ASCII
)
# Those that numpy reads at once, many times as fast.
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?", flags=re.ASCII)
_ISO_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,9})?)?", flags=re.ASCII)
# How numpy calls the types of each kind.
_TYPES = {"date": "M", "duration": "m"}
# Kinds of public columns that are read as days, as messages call them.
KINDS = {"date": "dates", "time": "times of day", "duration": "durations"}


def days(cells: pd.Series, kind: str = "date", *, sensitive: bool = False) -> np.ndarray:
    """Dates as days since 1970 in UTC, where dates without a zone are taken to be; others as days too.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
    kind : {"date", "time", "duration"}
    sensitive : bool
        Cells of a sensitive column are never refused, and none depends on another: those of other kinds
        count as missing.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        NaN where a cell is missing.

    Raises
    ------
    InvalidInputError
        If a cell of a public column is of another kind.
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_convert(None)
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == _TYPES.get(kind):
        return exact_days(cells.to_numpy())
    return _sensitive_days(cells, kind) if sensitive else _days_of_objects(cells, kind)


def holds_only(cells: pd.Series, kind: str) -> bool:
    """Tell whether the present cells of a column are all of a kind, or its type says so."""
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        return kind == "date"
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "mM":
        return cells.dtype.kind == _TYPES.get(kind)
    present = cells[~missing_cells(cells)]
    return len(present) > 0 and all(not np.isnan(_sensitive_day(cell, kind)) for cell in cells_of(present))


def exact_days(cells: np.ndarray) -> np.ndarray:
    """Days of an array of datetime64 or timedelta64, the same whatever its resolution is, and as `one_day`'s.

    Nothing is converted to another unit, in which a cell might not fit. What is finer than a microsecond is
    cut off, since Python's own dates have none.
    """
    unit, step = np.datetime_data(cells.dtype)
    missing, count = np.isnat(cells), cells.astype(np.int64)
    if step == 1 and unit in _IN_A_DAY:
        whole, rest = np.divmod(count, _IN_A_DAY[unit])
        found = _days_and(whole, rest * (MICROSECONDS_A_DAY // _IN_A_DAY[unit]))
    elif step == 1 and unit == "ns":
        whole, rest = np.divmod(count, 1000 * MICROSECONDS_A_DAY)
        found = _days_and(whole, rest // 1000)
    elif step == 1 and unit == "W":
        found = count * 7.0
    elif cells.dtype.kind == "M" and step == 1 and unit in "YM":
        bounded = np.clip(count, -_MOST_PERIODS, _MOST_PERIODS).astype(cells.dtype)
        found = bounded.astype("datetime64[D]").astype(np.int64).astype(np.float64)
    else:
        with np.errstate(all="ignore"):
            return exact_days(cells.astype(f"{cells.dtype.kind}8[us]"))
    return np.where(missing, np.nan, found)


def _days_and(whole: Any, microseconds: Any) -> Any:
    """Whole days and the rest of one; the one place where a fraction is made."""
    return whole + microseconds / MICROSECONDS_A_DAY


def _days_of_objects(cells: pd.Series, kind: str) -> np.ndarray:
    found = np.full(len(cells), np.nan)
    present = ~missing_cells(cells)
    values = cells.astype(object).to_numpy()
    if kind == "date" and are_plain(values[present]):
        with contextlib.suppress(ValueError):  # no such day: the loop says which
            found[present] = exact_days(values[present].astype("datetime64[us]"))
            return found
    known: dict[Any, float] = {}
    for i in np.flatnonzero(present):
        cell = values[i]
        try:
            if cell not in known:
                known[cell] = one_day(cell, kind)
            found[i] = known[cell]
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInputError(
                f"The public column {cells.name!r} is one of {KINDS[kind]} and holds something that is none "
                f"({error}); convert it with pandas.{_CONVERT[kind]}, or to another form of text before "
                "the fit."
            ) from None
    return found


def _sensitive_days(cells: pd.Series, kind: str) -> np.ndarray:
    found = np.full(len(cells), np.nan)
    if is_numeric_type(cells.dtype):
        return found
    values = cells_of(cells)
    for i in np.flatnonzero(~missing_cells(cells)):
        found[i] = _sensitive_day(values[i], kind)
    return found


def _sensitive_day(cell: Any, kind: str) -> float:
    try:
        return one_day(cell, kind)
    except Exception:  # cells of other libraries may raise anything
        return np.nan


_CONVERT = {"date": "to_datetime", "time": "to_datetime(...).dt.time", "duration": "to_timedelta"}


def are_plain(values: np.ndarray) -> bool:
    """Whether cells are all texts of dates without a time zone."""
    return all(isinstance(v, str) and _PLAIN_DATE.fullmatch(v) for v in values)


def zone_of(cells: pd.Series) -> str:
    """The time zone in which a column of dates is written, if it is one; else UTC."""
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        return _known_zone(str(cells.dtype.tz))
    if getattr(cells.dtype, "kind", "O") == "M" and not isinstance(cells.dtype, pd.ArrowDtype):
        return "UTC"
    values = cells[~missing_cells(cells)].astype(object).to_numpy()
    zones = {"UTC"} if are_plain(values) else {_zone(v) for v in values}
    return _known_zone(zones.pop()) if len(zones) == 1 else "UTC"


def _zone(cell: Any) -> str:
    if isinstance(cell, str):
        cell = datetime.fromisoformat(cell)
    return str(cell.tzinfo) if isinstance(cell, datetime) and cell.tzinfo is not None else "UTC"


def _known_zone(name: str) -> str:
    """The zone of a name, or UTC where the name alone does not say which it is."""
    try:
        pd.Timestamp(0, tz=name)
    except Exception:
        return "UTC"
    return name


def one_day(cell: Any, kind: str) -> float:
    """A date as days since 1970, a time as a part of a day, a duration as days: as `exact_days` has them.

    Raises
    ------
    TypeError, ValueError
        If the cell is nothing of the kind.
    """
    moment = _moment(cell, kind)
    if isinstance(moment, np.datetime64 | np.timedelta64):
        return float(exact_days(np.array([moment]))[0])
    return float(_days_and(moment.days, moment.seconds * 1_000_000 + moment.microseconds))


def _moment(cell: Any, kind: str) -> timedelta | np.datetime64 | np.timedelta64:
    """What a cell says, in its own unit: since 1970 in UTC, since midnight, or by itself."""
    if kind == "time":
        if isinstance(cell, str) and _ISO_TIME.fullmatch(cell):
            cell = time.fromisoformat(cell)
        if not isinstance(cell, time):
            raise TypeError(repr(cell))
        seconds = (cell.hour * 60 + cell.minute) * 60 + cell.second
        return timedelta(seconds=seconds, microseconds=cell.microsecond)
    if kind == "duration":
        if isinstance(cell, pd.Timedelta):
            return cell.asm8
        if not isinstance(cell, timedelta | np.timedelta64):
            raise TypeError(repr(cell))
        return cell
    if isinstance(cell, str):
        if not _ISO_DATE.fullmatch(cell):
            raise ValueError(repr(cell))
        cell = datetime.fromisoformat(cell)
    if isinstance(cell, pd.Period):
        cell = cell.start_time
    if isinstance(cell, pd.Timestamp):
        return cell.to_datetime64()  # in UTC
    if isinstance(cell, datetime):
        # Near the first and the last year UTC may be in a year that Python does not have.
        return cell.replace(tzinfo=None) - _EPOCH - (cell.utcoffset() or timedelta())
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day) - _EPOCH
    if isinstance(cell, np.datetime64):
        return cell
    raise TypeError(repr(cell))
