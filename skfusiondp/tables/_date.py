"""The domain of a column of dates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import Anything, constraints
from ..exceptions import InvalidInputError
from ._domain import OWN_EPSILON, epsilon_text, own_epsilon
from ._moments import MICROSECONDS_A_DAY, days, exact_days, holds_only
from ._numeric import BOUND, coarse_bounds
from ._ordered import Ordered

# The years that Python's dates hold, less one at each end, so that a bound can be moved by a day.
_FIRST, _LAST = (float(np.datetime64(d, "D").astype(np.int64)) for d in ("0002-01-01", "9998-12-31"))


@dataclass(frozen=True)
class Date(Ordered):
    """Domain of a sensitive column of dates, such as births or admissions: an interval everybody knows.

    Dates are numbers of days since 1970, in UTC: a time of day is a fraction of one. Cells may be dates or
    times of any type, resolution and time zone, and texts in ISO form such as ``"1984-02-29"`` or
    ``"2024-02-29T12:00+01:00"``; whatever else a cell holds counts as missing.

    Parameters
    ----------
    low, high : str, date, datetime, pandas.Timestamp or numpy.datetime64
        Public bounds; a text is in ISO form, a time without time zone is in UTC. Cells outside are clipped
        to them. Where both are whole days, the last one counts as a whole, and imputed cells are whole days.
    epsilon : float, optional
        The column's own budget, where it is more or less sensitive than the others; None takes the
        estimator's.
    knots : sequence of dates, optional
        Public dates inside the interval at which the encoding may bend, such as a reform's first day. None
        takes quantiles of the public support rows; without support, 7 evenly spaced ones. Models that draw
        cells cut the column there too.

    Raises
    ------
    InvalidInputError
        If a bound is no date, ``low >= high``, `epsilon` is not positive, or `knots` do not increase from
        `low` to `high`.

    Notes
    -----
    The position in time is encoded, and no calendar: where weekday or season matter, add a sensitive
    column that holds them, such as ``Numeric(0, 6)`` for the day of the week.

    Examples
    --------
    >>> from skfusiondp import Date
    >>> born = Date("1920-01-01", "2006-12-31", knots=["1960-01-01"])
    >>> born.encode(["1940-01-01", "1960-01-01", "2030-05-05", "unknown", None]).tolist()
    [[0.5, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """

    _plain_values = True

    low: str
    high: str
    epsilon: float | None = None
    # How a column is encoded is no part of what it may hold: domains with other knots are equal.
    knots: tuple[str, ...] | None = field(default=None, compare=False)

    _constraints = constraints(
        low=BOUND, high=BOUND, epsilon=OWN_EPSILON, knots=Anything("checked together with the bounds")
    )
    kind = "date"
    declaration = "Date(low, high)"
    no_number = "no date"
    outside_remedy = (
        "they are clipped to the bounds, and what is no date counts as missing: check how dates are "
        "written, or declare the range that is publicly known as Date(low, high)"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", own_epsilon(self.epsilon))
        low, high = _stated_day(self.low), _stated_day(self.high)
        if not low < high:
            raise InvalidInputError(
                f"Date(low={self.low!r}, high={self.high!r}): bounds must be dates (texts in ISO form) with "
                "low < high, from the year 2 to 9998; declare the range that is publicly known, for example "
                "Date('1920-01-01', '2006-12-31')."
            )
        object.__setattr__(self, "low", _iso(low))
        object.__setattr__(self, "high", _iso(high))
        if self.knots is not None:
            object.__setattr__(self, "knots", self._checked_knots())

    def _checked_knots(self) -> tuple[str, ...]:
        given: Any = self.knots
        listed = np.iterable(given) and not isinstance(given, str)
        days = [_stated_day(k) for k in given] if listed else [math.nan]
        low, high = self.span
        if not all(a < b for a, b in pairwise((low, *days, high))):
            raise InvalidInputError(
                f"knots={self.knots!r} must be a list of dates that increase, strictly between "
                f"low={self.low!r} and high={self.high!r}; leave them None for evenly spaced ones."
            )
        return tuple(map(_iso, days))

    def __repr__(self) -> str:
        knots = "" if self.knots is None else f", knots={list(self.knots)!r}"
        return f"Date(low={self.low!r}, high={self.high!r}{epsilon_text(self.epsilon)}{knots})"

    def _as_number(self, stated: Any) -> float:
        return _stated_day(stated)

    def _as_stated(self, number: float) -> str:
        return _iso(number)

    @property
    def _whole_days(self) -> bool:
        return all(bound.is_integer() for bound in self.span)

    def numbers(self, cells: pd.Series) -> np.ndarray:
        """Cells as days since 1970, within the bounds or not; NaN for what is no date."""
        return days(cells, sensitive=True)

    def restore(self, target: np.ndarray) -> np.ndarray:
        """The dates that numbers of days stand for, in UTC: datetime64[us], whole days where bounds are."""
        found = super().restore(target)
        return _datetimes(np.rint(found) if self._whole_days else found)

    def phrases(self, n: int) -> list[str]:
        edges = [_iso(day) for day in exact_days(self.restore(np.linspace(*self.span, n + 1)))]
        return [f"between {low} and {high}" for low, high in pairwise(edges)]

    def outside(self, cells: pd.Series) -> dict[str, int]:
        found = super().outside(cells)
        if self._whole_days:  # any time of the last day lies inside
            found["above"] = int((self.numbers(cells) >= self.span[1] + 1).sum())
        return found

    def describe(self) -> str:
        """The domain in the words of a report."""
        return f"date, {self.low} to {self.high}"

    def brief(self) -> str:
        """The declaration without knots."""
        return repr(replace(self, knots=None))

    def _facts(self) -> dict:
        knots = {} if self.knots is None else {"knots": list(self.knots)}
        return {"low": self.low, "high": self.high, **knots}

    @classmethod
    def holds(cls, column: pd.Series) -> bool:
        """Tell whether a column holds dates or times alone, be it as texts in ISO form."""
        return not isinstance(column.dtype, pd.CategoricalDtype) and holds_only(column, "date")

    @classmethod
    def from_support(cls, column: pd.Series) -> Date:
        """The interval of whole days from the first to the last of public cells."""
        found = _inside(column)
        if not found.size:
            return cls("1970-01-01", "2000-01-01")
        low, high = math.floor(found.min()), math.ceil(found.max())
        # One day still needs an interval.
        return cls(_iso(low), _iso(high)) if low < high else cls(_iso(low - 1), _iso(high + 1))

    @classmethod
    def from_training(cls, column: pd.Series) -> Date:
        """An interval around training cells whose bounds are none of them."""
        found = _inside(column)
        if not found.size:
            return cls("1970-01-01", "2000-01-01")
        low, high = coarse_bounds(float(found.min()), float(found.max()))
        return cls(_iso(max(math.floor(low), _FIRST)), _iso(min(math.ceil(high), _LAST)))


def _stated_day(stated: Any) -> float:
    """A bound or knot as days since 1970; NaN if it is no date that a calendar of four digits holds."""
    if not isinstance(stated, str | date | np.datetime64):
        return math.nan
    day = float(days(pd.Series([stated], dtype=object), sensitive=True)[0])
    return day if _FIRST <= day <= _LAST else math.nan


def _iso(day: float) -> str:
    """A number of days as a date in ISO form, with the time where there is one."""
    text = str(_datetimes(np.array([day]))[0])
    return text.removesuffix("T00:00:00.000000").removesuffix(".000000")


def _inside(column: pd.Series) -> np.ndarray:
    """The dates of a column as days, a day or more from the first and the last that a domain holds."""
    found = days(column, sensitive=True)
    return np.clip(found[np.isfinite(found)], _FIRST + 1, _LAST - 1)


def _datetimes(days: np.ndarray) -> np.ndarray:
    """Numbers of days as datetime64[us]."""
    return np.rint(days * MICROSECONDS_A_DAY).astype(np.int64).astype("datetime64[us]")
