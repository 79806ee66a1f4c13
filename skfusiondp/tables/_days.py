"""Dates and durations in sensitive cells as days. No cell is refused, and none depends on another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._frames import missing_cells
from ._moments import exact_days, microseconds

_MICROSECONDS_A_DAY = 86_400_000_000
_KINDS = {"M": "date", "m": "duration"}


def date_days(cells: pd.Series) -> np.ndarray:
    """Dates and times as days since 1970 in UTC; NaN for missing cells and for what is no date.

    Parameters
    ----------
    cells : Series of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,), float64
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_convert(None)
    return _days(cells, "M")


def duration_days(cells: pd.Series) -> np.ndarray:
    """Durations as days; NaN for missing cells and for what is no duration.

    Parameters
    ----------
    cells : Series of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,), float64
    """
    return _days(cells, "m")


def is_duration_column(cells: pd.Series) -> bool:
    """Tell whether the present cells of a column are durations, or its type says so."""
    return _all_are(cells, "m")


def is_date_column(cells: pd.Series) -> bool:
    """Tell whether the present cells of a column are dates, or its type says so."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return False
    return isinstance(cells.dtype, pd.DatetimeTZDtype) or _all_are(cells, "M")


def _all_are(cells: pd.Series, kind: str) -> bool:
    """Whether present cells are all dates ("M") or all durations ("m"); of a column without any, its type."""
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "mM":
        return cells.dtype.kind == kind
    present = cells[~missing_cells(cells)]
    return len(present) > 0 and all(not np.isnan(_day(cell, kind)) for cell in present)


def _days(cells: pd.Series, kind: str) -> np.ndarray:
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == kind:
        return exact_days(cells.to_numpy())
    found = np.full(len(cells), np.nan)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return found
    values = cells.astype(object).tolist()
    for i in np.flatnonzero(~missing_cells(cells)):
        found[i] = _day(values[i], kind)
    return found


def _day(cell: Any, kind: str) -> float:
    try:
        return microseconds(cell, _KINDS[kind]) / _MICROSECONDS_A_DAY
    except Exception:  # cells of other libraries may raise anything
        return np.nan
