"""What a date says beside its place in time: the day of the week, the hour, the time of the year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ._moments import one_day

WEEKDAY, HOUR, YEARDAY = "weekday", "hour", "yearday"
_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONGEST = {HOUR: 24.0, YEARDAY: 366.0}
# Below this span, in days, the time of the year tells little that the date itself does not.
_SPAN = 180.0
# Beyond these days since 1970 (years 1 and 9999) no time zone is known.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


@dataclass(frozen=True)
class Calendar:
    """Parts of the calendar that public dates differ in.

    Parameters
    ----------
    parts : tuple of {"weekday", "hour", "yearday"}
    zone : str
        The time zone whose weekdays and hours are meant, whatever zone a date is written in.
    """

    _plain_values = True

    parts: tuple[str, ...] = ()
    zone: str = "UTC"

    @classmethod
    def of(cls, days: np.ndarray, zone: str = "UTC") -> Calendar:
        """Decide which parts are worth their features.

        The weekday, if there are several; the hour, if dates differ within a day; the day of the year, if
        the dates span more than half of one.

        Parameters
        ----------
        days : ndarray of shape (n_rows,)
            Days since 1970 in UTC, NaN where missing.
        zone : str
        """
        every = cls((WEEKDAY, HOUR, YEARDAY), zone)
        known = days[np.isfinite(days)]
        if not len(known):
            return cls((), zone)
        weekday, hour, _ = every.numbers(known).T
        worth = (np.ptp(weekday) > 0, np.ptp(hour) > 0, np.ptp(known) > _SPAN)
        return cls(tuple(p for p, w in zip(every.parts, worth, strict=True) if w), zone)

    @classmethod
    def of_times(cls) -> Calendar:
        """That of times of day, which are not on any date."""
        return cls((HOUR,))

    def numbers(self, days: np.ndarray) -> np.ndarray:
        """The parts as numbers, for trees.

        Returns
        -------
        ndarray of shape (n_rows, n_parts)
            Weekdays from 0 (Monday) to 6, hours from 0 to 24, days of the year from 1 to 366; NaN where
            missing.
        """
        local = self._local(days)
        read = {
            WEEKDAY: lambda: (np.floor(local) + 3) % 7,  # 1970 began on a Thursday
            HOUR: lambda: local % 1 * 24,
            YEARDAY: lambda: _yearday(local),
        }
        return np.column_stack([read[p]() for p in self.parts]) if self.parts else np.empty((len(days), 0))

    def features(self, days: np.ndarray) -> np.ndarray:
        """The parts as features from 0 to 1, for networks and linear models.

        Returns
        -------
        ndarray of shape (n_rows, len(feature_names))
            An indicator a weekday; hours and days of the year as points on a circle, so that midnight is
            near midnight. A missing date has no weekday and lies in the middle of each circle.
        """
        columns = [np.empty((len(days), 0))]
        for part, number in zip(self.parts, self.numbers(days).T, strict=True):
            if part == WEEKDAY:
                columns.append(number[:, None] == np.arange(7))
            else:
                angle = 2 * np.pi * number / _LONGEST[part]
                circle = (1 + np.column_stack([np.sin(angle), np.cos(angle)])) / 2
                columns.append(np.nan_to_num(circle, nan=0.5))
        return np.column_stack(columns)

    def feature_names(self, column: str) -> list[str]:
        """Names of `features`."""
        ends = {WEEKDAY: _NAMES, HOUR: ("sin", "cos"), YEARDAY: ("sin", "cos")}
        return [f"{column}_{part}_{end}" for part in self.parts for end in ends[part]]

    def _local(self, days: np.ndarray) -> np.ndarray:
        # The clock in the zone, as days; rounded, since days are no decimal fractions of seconds.
        with np.errstate(over="ignore"):
            seconds = np.round(days * 86_400, 3)
        seconds[~np.isfinite(seconds)] = np.nan
        placed = (days > _FIRST_DAY) & (days < _LAST_DAY)
        if self.zone != "UTC" and placed.any():
            utc = pd.DatetimeIndex((seconds[placed] * 1000).astype("datetime64[ms]")).tz_localize("UTC")
            clock = utc.tz_convert(self.zone).tz_localize(None)
            seconds[placed] = clock.to_numpy().astype("datetime64[ms]").astype(np.int64) / 1000
        return seconds / 86_400


def _yearday(days: np.ndarray) -> np.ndarray:
    dates = np.full(len(days), "NaT", dtype="datetime64[D]")
    usual = np.abs(days) < 1e9  # years that numpy can hold; NaN is none of them
    dates[usual] = np.floor(days[usual]).astype(np.int64).astype("datetime64[D]")
    first = dates.astype("datetime64[Y]").astype("datetime64[D]")
    return np.where(np.isnat(dates), np.nan, (dates - first).astype(np.int64) + 1.0)


def date_in_words(cell: Any) -> str | None:
    """A date of any type as a sentence says it, such as "Fri 2024-03-01" (UTC); None for what is no date."""
    try:
        moment = datetime(1970, 1, 1) + timedelta(milliseconds=round(one_day(cell, "date") * 86_400_000))
    except (ValueError, TypeError, OverflowError):
        return None
    at = "" if moment.time() == datetime.min.time() else f" {moment:%H:%M}"
    return f"{_NAMES[moment.weekday()]} {moment.date().isoformat()}{at}"
