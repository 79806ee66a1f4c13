"""What sort of thing a public cell is, and how categories are written: by value, whatever type holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Complex
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._frames import as_text, missing_cells
from ._unreadable import cells_of

# What a public cell may be, as messages call several of them. numpy's durations are whole numbers too,
# and Python's truth values as well as its dates with a time are caught by the wider type.
_SORTS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((timedelta, np.timedelta64), "durations"),
    ((date, np.datetime64, pd.Period), "dates"),
    ((time,), "times of day"),
    ((str, bytes), "texts"),
    ((Complex, Decimal, np.bool_, np.number), "numbers"),
    ((Enum, UUID, pd.Interval), "labels"),
)


def sorts_of(cells: pd.Series) -> frozenset[str]:
    """The sorts of a public column's present cells.

    Parameters
    ----------
    cells : Series of shape (n_rows,)

    Raises
    ------
    InvalidInputError
        If a cell is a list, a dict, an array, a set or another object that is neither a number, a text
        nor a date.
    """
    kind = cells.dtype
    if isinstance(kind, pd.CategoricalDtype):
        used = np.unique(cells.cat.codes)
        cells = pd.Series(kind.categories[used[used >= 0]], name=cells.name).astype(object)
    elif pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return frozenset({"numbers"} if cells.notna().any() else ())
    elif isinstance(kind, pd.StringDtype):
        return frozenset({"texts"} if cells.notna().any() else ())
    elif getattr(kind, "kind", "O") in "mM":
        sort = "dates" if kind.kind == "M" else "durations"
        return frozenset({sort} if cells.notna().any() else ())
    values = cells_of(cells)
    types = set(map(type, values))
    if any(t in (type(None), float, type(pd.NA), type(pd.NaT), Decimal) for t in types):
        present = ~missing_cells(cells)
        types = {type(v) for v, here in zip(values, present, strict=True) if here}
    return frozenset(_sort(t, cells.name) for t in types)


def _sort(kind: type, column: Any) -> str:
    for types, name in _SORTS:
        if issubclass(kind, types):
            return name
    raise InvalidInputError(
        f"The public column {column!r} holds cells of type {kind.__name__}, which are neither numbers, texts "
        "nor dates; spread them over columns of their own, convert them to texts, or drop the column."
    )


def example(cells: pd.Series, sort: str) -> Any:
    """The first cell of a sort."""
    present = cells[~missing_cells(cells)].astype(object)
    return next(v for v in present.tolist() if _sort(type(v), cells.name) == sort)


def word(cell: Any) -> str:
    """A category as a text: equal for equal values, whatever type holds them."""
    if isinstance(cell, bool | np.bool_):
        return str(int(cell))
    try:
        if isinstance(cell, date | np.datetime64):
            moment = pd.Timestamp(cell)
            utc = moment if moment.tzinfo is None else moment.tz_convert("UTC").tz_localize(None)
            return str(utc).removesuffix(" 00:00:00")
        return as_text(float(cell) if isinstance(cell, Decimal | Fraction) else cell)
    except (ValueError, OverflowError):  # a number or a date of a size that is not written or held
        return hex(cell) if isinstance(cell, int) else repr(cell)


def words_of(cells: pd.Series, distinct: Callable[[str], str]) -> np.ndarray:
    """Cells as texts, None where one is missing; `distinct` rewrites cells that are texts themselves."""
    written: dict[Any, str] = {}

    def write(cell: Any) -> str:
        return distinct(cell) if isinstance(cell, str) else word(cell)

    if isinstance(cells.dtype, pd.CategoricalDtype):
        each = np.array([*_each(cells.dtype.categories.astype(object), write, written), None], dtype=object)
        return each[cells.cat.codes.to_numpy()]
    words = np.empty(len(cells), dtype=object)
    here = ~missing_cells(cells)
    words[here] = list(_each(cells[here].astype(object).tolist(), write, written))
    return words


def _each(cells: Iterable[Any], write: Callable[[Any], str], written: dict[Any, str]) -> Iterable[str]:
    """Write each cell, each value once."""
    for cell in cells:
        if cell not in written:
            written[cell] = write(cell)
        yield written[cell]
