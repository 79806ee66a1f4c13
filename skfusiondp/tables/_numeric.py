"""The domain of a numeric column."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import Anything, constraints
from ..exceptions import InvalidInputError
from ._domain import OWN_EPSILON, epsilon_text, own_epsilon, plain
from ._frames import is_numeric, missing_cells, numeric_values
from ._moments import days, holds_only
from ._ordered import Ordered

_LARGEST = 1e307
# Beyond, values a step apart could hardly be told apart in 64 bits.
_MOST_STEPS = 2.0**48
# What rounding may leave of a whole number of steps: bounds and step are decimal numbers in binary.
_NEARLY, _ULPS = 1e-6, 2.0**-50
# numpy rounds to so many decimals at most, and values keep so many of a step's.
_MOST_DECIMALS, _DECIMALS_OF_A_STEP = 300, 3
# What the holder of the data is told of cells that are no whole number of steps from `low`.
_BETWEEN, _NEARLY_A_STEP = "between two steps, where no drawn cell lies", 1e-3
BOUND = Anything("a bound is checked together with the other one")


@dataclass(frozen=True)
class Numeric(Ordered):
    """Domain of a sensitive numeric column: an interval that everybody knows.

    Durations (timedelta) are numbers of days.

    Parameters
    ----------
    low, high : float
        Public bounds, in the column's own unit. Cells outside are clipped to them.
    epsilon : float, optional
        The column's own budget, where it is more or less sensitive than the others; None takes the
        estimator's.
    knots : sequence of float, optional
        Public points inside the interval at which the encoding may bend, such as clinical thresholds.
        None takes quantiles of the public support rows; without support, 7 evenly spaced points. Models that
        draw cells cut the column there too.
    step : float, optional
        What the column's values are apart, where everybody knows it, counted from `low`: 1 for years or
        counts. Cells that are imputed or drawn are then such values. True cells are read as they are.

    Raises
    ------
    InvalidInputError
        If a bound is not finite, ``low >= high``, `epsilon` is not positive, `knots` do not increase
        from `low` to `high`, or `high` is no whole number of steps from `low`, or a bound is 2**48 steps
        or more from 0.

    Examples
    --------
    >>> from skfusiondp import Numeric
    >>> age = Numeric(18, 90, knots=[40, 65])
    >>> age.encode([18, 29, 65, 200, None]).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0],
     [0.0, 0.0, 0.0, 1.0]]
    >>> Numeric(0, 30, step=1).restore([3.2, 3.8]).tolist()
    [3.0, 4.0]
    """

    _plain_values = True

    low: float
    high: float
    epsilon: float | None = None
    # How a column is encoded is no part of what it may hold: domains with other knots are equal.
    knots: tuple[float, ...] | None = field(default=None, compare=False)
    step: float | None = None

    _constraints = constraints(
        low=BOUND,
        high=BOUND,
        epsilon=OWN_EPSILON,
        knots=Anything("checked together with the bounds"),
        step=Anything("checked together with the bounds"),
    )
    kind = "numeric"
    declaration = "Numeric(low, high)"
    outside_remedy = (
        "what lies beyond a bound is clipped to it, and what is no number counts as missing: check unit and "
        "type, or declare the range that is publicly known as Numeric(low, high)"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", own_epsilon(self.epsilon))
        try:
            for name in ("low", "high"):
                object.__setattr__(self, name, _python_number(getattr(self, name)))
            real = isinstance(self.low, Real) and isinstance(self.high, Real)
            fine = real and self.low < self.high and math.isfinite(float(self.high) - float(self.low))
        except OverflowError:
            fine = False
        if not fine:
            raise InvalidInputError(
                f"Numeric(low={self.low!r}, high={self.high!r}): bounds must be finite numbers with "
                "low < high; declare the range that is publicly known, for example Numeric(0, 120)."
            )
        if self.knots is not None:
            object.__setattr__(self, "knots", self._checked_knots())
        if self.step is not None:
            object.__setattr__(self, "step", self._checked_step())

    def _checked_step(self) -> float:
        step: Any = math.nan
        try:
            step = _python_number(self.step)
            fine = isinstance(step, int | float) and not isinstance(step, bool) and 0 < float(step) < math.inf
            steps = (self.high - self.low) / step if fine else math.nan
            farthest = max(abs(self.low), abs(self.high)) / step if fine else math.nan
        except OverflowError:
            steps = farthest = math.nan
        fine = steps > 0.5 and farthest < _MOST_STEPS
        if not (fine and abs(steps - round(steps)) <= _NEARLY + _ULPS * farthest):
            raise InvalidInputError(
                f"step={self.step!r} must be a positive number of which high - low is a whole multiple, as "
                f"in Numeric(low=0, high=120, step=1), and neither bound may be 2**48 steps or more from 0; "
                f"here low={self.low!r}, high={self.high!r}. Change a bound or the step, or leave step=None "
                "where values may lie anywhere."
            )
        return step

    def _checked_knots(self) -> tuple[float, ...]:
        given: Any = self.knots
        try:
            knots = tuple(float(k) if isinstance(k, Real) else math.nan for k in given)
        except (TypeError, OverflowError):
            knots = (math.nan,)
        if not all(a < b for a, b in pairwise((self.low, *knots, self.high))):
            raise InvalidInputError(
                f"knots={self.knots!r} must be numbers that increase, strictly between low={self.low!r} and "
                f"high={self.high!r}; leave them None for evenly spaced ones."
            )
        return knots

    def __repr__(self) -> str:
        knots = "" if self.knots is None else f", knots={list(self.knots)!r}"
        step = "" if self.step is None else f", step={self.step!r}"
        return f"Numeric(low={self.low!r}, high={self.high!r}{epsilon_text(self.epsilon)}{knots}{step})"

    @property
    def apart(self) -> float | None:
        if self.step is None:
            return None
        # A step in fewer bits, such as float32(0.1), is near a share of the interval that ends at `high`.
        width = float(self.high) - float(self.low)
        return width / round(width / self.step)

    def restore(self, target: np.ndarray) -> np.ndarray:
        """Cells of numbers: within the bounds, and values of the column where a step is declared."""
        found = super().restore(target)
        apart = self.apart
        if apart is None:
            return found
        found = self.low + np.rint((found - self.low) / apart) * apart
        # Fifteen digits take off what rounding leaves of a multiple of 0.1.
        decimals = 15 - math.ceil(math.log10(max(abs(self.low), abs(self.high))))
        if decimals <= _MOST_DECIMALS and decimals + math.log10(apart) >= _DECIMALS_OF_A_STEP:
            found = np.round(found, decimals)
        return np.clip(found, self.low, self.high)

    def numbers(self, cells: pd.Series) -> np.ndarray:
        """Cells as numbers, within the bounds or not; NaN for what is none."""
        numbers = numeric_values(cells, sensitive=True)
        return np.where(np.isnan(numbers), days(cells, "duration", sensitive=True), numbers)

    def outside(self, cells: pd.Series) -> dict[str, int]:
        found = super().outside(cells)
        apart = self.apart
        if apart is not None:
            numbers = self.numbers(cells)
            steps = (numbers[(numbers >= self.low) & (numbers <= self.high)] - self.low) / apart
            # Cells in fewer bits, such as float32(0.1), are values of the column too.
            found[_BETWEEN] = int((np.abs(steps - np.rint(steps)) > _NEARLY_A_STEP).sum())
        return found

    def describe(self) -> str:
        """The domain in the words of a report."""
        step = "" if self.step is None else f" in steps of {float(self.step):g}"
        return f"numeric, {float(self.low):g} to {float(self.high):g}{step}"

    def brief(self) -> str:
        """The declaration without knots."""
        return repr(replace(self, knots=None))

    def _facts(self) -> dict:
        knots = {} if self.knots is None else {"knots": list(self.knots)}
        step = {} if self.step is None else {"step": float(self.step)}
        return {"low": float(self.low), "high": float(self.high), **knots, **step}

    @classmethod
    def holds(cls, column: pd.Series) -> bool:
        """Tell whether a column holds durations, or numbers other than truth values."""
        numbers = is_numeric(column) and not pd.api.types.is_bool_dtype(column.dtype)
        return numbers or holds_only(column, "duration")

    @classmethod
    def from_support(cls, column: pd.Series) -> Numeric:
        """The interval from the smallest to the largest of public cells."""
        present = column[column.notna()]
        spans = holds_only(present, "duration")
        values = days(present, "duration") if spans else numeric_values(present)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        if low == high:
            # A constant still needs an interval; one unit to each side is arbitrary but harmless.
            low, high = min(low - 1, np.nextafter(low, -np.inf)), max(high + 1, np.nextafter(high, np.inf))
        return cls(float(low), float(high))

    @classmethod
    def from_training(cls, column: pd.Series) -> Numeric:
        """An interval around training cells whose bounds are none of them."""
        present = column[~missing_cells(column)]
        if len(present) and all(isinstance(v, complex | np.complexfloating) for v in present.tolist()):
            # scikit-learn's words: its estimator checks expect them.
            raise InvalidInputError(
                f"Complex data not supported: column {column.name!r} has no declared domain and holds "
                "complex numbers; declare Numeric(low, high), or leave the column out."
            )
        values = cls(0.0, 1.0).numbers(present)
        values = values[np.isfinite(values)]
        return cls(*coarse_bounds(float(values.min()), float(values.max()))) if values.size else cls(0.0, 1.0)


def _python_number(value: Any) -> Any:
    """Any real number as one of Python's: numpy computes with no fractions, and with eight bits in eight."""
    value = plain(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, int) else value


def coarse_bounds(low: float, high: float) -> tuple[float, float]:
    """Bounds around both, multiples of a power of ten that neither of them reaches."""
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    spread = high - low or max(abs(low), 1.0)
    step = 10.0 ** math.floor(math.log10(max(spread, 1e-300)))
    step = max(step, 2 * max(math.ulp(low), math.ulp(high)))
    return (math.ceil(low / step) - 1) * step, (math.floor(high / step) + 1) * step
