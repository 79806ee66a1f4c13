"""What kind of cells a public column holds, decided in one place for every encoder of public columns."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._calendar import Calendar
from ._cells import example, sorts_of, word, words_of
from ._frames import numeric_values
from ._moments import KINDS, days, zone_of

_KIND_OF = {"numbers": "number", **{sort: kind for kind, sort in KINDS.items()}}
# Sorts of cells that are read as each kind. Texts that are no dates or times are refused cell by cell.
_READ_AS = {
    "number": {"numbers"},
    "date": {"dates", "texts"},
    "time": {"times of day", "texts"},
    "duration": {"durations"},
}
_REMEDY = {
    "numbers": "pandas.to_numeric, or read the column as numbers everywhere",
    "dates": "pandas.to_datetime",
    "durations": "pandas.to_timedelta",
    "texts": "column.astype(str), or read the column as texts everywhere",
}


@dataclass(frozen=True)
class PublicColumn:
    """How the cells of a public column are read.

    Truth values are numbers. Dates, times of day and durations of any type, resolution and time zone are
    numbers of days (dates: since 1970, in UTC), and so are texts that are all dates such as 2024-02-29 or
    2024-02-29T12:00+01:00, or all times such as 12:30. A column that pandas holds as categories is one of
    categories; so is one that is missing as a whole, unless its type is one of numbers or dates. Categories
    are equal if their values are: 1, 1.0 and True are one, and the text "1" is another.

    Parameters
    ----------
    name : str
    kind : {"number", "date", "time", "duration", "category"}
    holds : tuple of str
        The sorts of cells seen in a column of categories, such as "texts".
    calendar : Calendar
        What is read off dates beside the day.
    """

    _plain_values = True

    name: str
    kind: str
    holds: tuple[str, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)

    @classmethod
    def of(cls, cells: pd.Series) -> PublicColumn:
        """Decide by the public rows that an encoder is fitted on.

        Raises
        ------
        InvalidInputError
            If a cell is a list or another object that is neither a number, a text nor a date.
        """
        name, sorts = str(cells.name), sorts_of(cells)
        if not sorts or isinstance(cells.dtype, pd.CategoricalDtype):
            return cls(name, _kind_of_type(cells.dtype), tuple(sorted(sorts)))
        if len(sorts) == 1 and sorts <= {"numbers", "durations"}:
            return cls(name, _KIND_OF[next(iter(sorts))])
        for kind in ("date", "time"):
            if sorts <= _READ_AS[kind]:
                with contextlib.suppress(InvalidInputError):
                    found = days(cells, kind)
                    calendar = Calendar.of(found, zone_of(cells)) if kind == "date" else Calendar.of_times()
                    return cls(name, kind, calendar=calendar)
        return cls(name, "category", tuple(sorted(sorts)))

    @property
    def is_number(self) -> bool:
        """Whether it is encoded as a number, else as a category."""
        return self.kind != "category"

    def check(self, cells: pd.Series, seen: str = "in the fit", here: str = "now") -> None:
        """Refuse cells that cannot be read as the column that was fitted.

        Parameters
        ----------
        cells : Series of shape (n_rows,)
        seen, here : str
            Where the column was fitted, and where these cells are, for the message.

        Raises
        ------
        InvalidInputError
            That names the column, what it holds in both places and the remedy.
        """
        sorts = self._checked(cells, seen, here)
        if self.kind in ("date", "time") and "texts" in sorts:
            days(cells, self.kind)

    def numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """The column of a table as float64, NaN where it is missing: numbers, or days.

        Raises
        ------
        InvalidInputError
            If a cell is not of the column's kind.
        """
        cells = frame[self.name]
        self._checked(cells)
        return numeric_values(cells) if self.kind == "number" else days(cells, self.kind)

    def words(self, frame: pd.DataFrame) -> np.ndarray:
        """The column's cells as texts, equal where their values are; None where one is missing.

        Raises
        ------
        InvalidInputError
            If a cell is of a sort that the column was not fitted on.
        """
        cells = frame[self.name]
        self._checked(cells)
        return words_of(cells, _quoted if len(self.holds) > 1 else str)

    def _checked(self, cells: pd.Series, seen: str = "in the fit", here: str = "now") -> frozenset[str]:
        """Sorts of cells, of which none is one that the column was not fitted on."""
        sorts = sorts_of(cells)
        known = set(self.holds or sorts) if self.kind == "category" else _READ_AS[self.kind]
        for other in sorted(sorts - known):
            was = " and ".join(self.holds) if self.kind == "category" else KINDS.get(self.kind, "numbers")
            why = (
                " (a text is not a number, even if it is '1')" if {was, other} == {"numbers", "texts"} else ""
            )
            raise InvalidInputError(
                f"The public column {self.name!r} holds {was} {seen} and {other} such as "
                f"{example(cells, other)!r} {here}{why}; convert one of them by "
                f"{_REMEDY.get(was, 'the same function in all tables')}."
            )
        return sorts


def _kind_of_type(dtype: Any) -> str:
    """The kind of a column by its type alone."""
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        return "number"
    return {"M": "date", "m": "duration"}.get(getattr(dtype, "kind", "O"), "category")


def _quoted(text: Any) -> str:
    """A text among cells that are not all texts, so that "1" is not 1."""
    return f"'{word(text)}'" if text[:1].isdigit() or text[:1] in "-'" else text
