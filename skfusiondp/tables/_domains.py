"""The public domains of sensitive columns: what everybody knows that a cell may hold.

Bounds and categories are stated by the user or come from public support rows, never from the training
cells that they protect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import as_float
from ..exceptions import InvalidInputError
from ._frames import as_text, missing_cells, numeric_values
from ._piecewise import piecewise_linear, quantile_knots

# Intervals of the piecewise-linear encoding of a numeric column, where its domain states no knots.
_PIECES = 8


@dataclass(frozen=True)
class Numeric:
    """Domain of a sensitive numeric column: an interval that everybody knows.

    Parameters
    ----------
    low, high : float
        Public bounds, in the column's own unit. Cells outside are clipped to them.
    epsilon : float, optional
        The column's own budget, where it is more or less sensitive than the others; None takes the
        estimator's.
    knots : sequence of float, optional
        Public points inside the interval at which the encoding may bend, such as clinical thresholds.
        None takes quantiles of the public support rows; without support, 7 evenly spaced points.

    Raises
    ------
    InvalidInputError
        If a bound is not finite, ``low >= high``, `epsilon` is not positive, or `knots` do not increase
        from `low` to `high`.

    Examples
    --------
    >>> from skfusiondp import Numeric
    >>> age = Numeric(18, 90, knots=[40, 65])
    >>> age.encode([18, 29, 65, 200, None]).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0],
     [0.0, 0.0, 0.0, 1.0]]
    """

    low: float
    high: float
    epsilon: float | None = None
    # How a column is encoded is no part of what it may hold: domains with other knots are equal.
    knots: tuple[float, ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", _own_epsilon(self.epsilon))
        # Plain Python numbers: the difference of two bounds of eight bits may not fit in eight bits.
        for name in ("low", "high"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        try:
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
        return f"Numeric(low={self.low!r}, high={self.high!r}{_own(self.epsilon)}{knots})"

    @property
    def edges(self) -> np.ndarray:
        """The bounds and the knots between them, in increasing order."""
        if self.knots is None:
            return self.low + (self.high - self.low) * np.linspace(0, 1, _PIECES + 1)
        return np.array([self.low, *self.knots, self.high], dtype=float)

    def with_knots_of(self, values: np.ndarray) -> Numeric:
        """The same domain with knots at quantiles of public `values`, unless it states its own."""
        if self.knots is not None or not np.isfinite(values).any():
            return self
        inside = np.clip(values[np.isfinite(values)], self.low, self.high)
        knots = quantile_knots(inside, _PIECES)
        return replace(self, knots=tuple(float(k) for k in knots if self.low < k < self.high))

    @property
    def center(self) -> float:
        """The value imputed when nothing is known: the middle of the interval."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> int:
        """Number of encoded features: one an interval between knots, and a missingness indicator."""
        return len(self.edges)

    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features."""
        return [*(f"{column}_piece{i}" for i in range(self.width - 1)), f"{column}_(missing)"]

    def clean(self, values: Any) -> np.ndarray:
        """Return float64 values clipped to the interval; missing cells stay NaN.

        Nothing is refused, since that would tell of a cell: what is no number (a text that states none,
        a date, a list, a complex number) counts as missing.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        return np.clip(numeric_values(_column(values), sensitive=True), self.low, self.high)

    def encode(self, values: Any) -> np.ndarray:
        """Encode piecewise-linearly between bounds and knots, and mark missing cells.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows, n_intervals + 1), float32
            How far the value has come through each interval, from 0 to 1 (0 where missing); the last
            column is the missingness indicator.
        """
        clean = self.clean(values)
        share = piecewise_linear(clean, self.edges)
        return np.column_stack([share, np.isnan(clean)]).astype(np.float32)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` values uniformly from the interval."""
        return rng.uniform(self.low, self.high, size=n)

    def to_dict(self) -> dict:
        """The declaration as plain values, for the report."""
        own: dict = {} if self.epsilon is None else {"epsilon": float(self.epsilon)}
        own |= {} if self.knots is None else {"knots": list(self.knots)}
        return {"kind": "numeric", "low": float(self.low), "high": float(self.high), **own}


@dataclass(frozen=True)
class Categorical:
    """Domain of a sensitive categorical column: the categories that everybody knows.

    Parameters
    ----------
    categories : sequence of hashable
        Public categories. A cell that is none of them is encoded as "other".
    epsilon : float, optional
        The column's own budget, where it is more or less sensitive than the others; None takes the
        estimator's.

    Raises
    ------
    InvalidInputError
        If there are no categories, one occurs twice, one is missing (NaN, None), or `epsilon` is not
        positive.

    Examples
    --------
    >>> from skfusiondp import Categorical
    >>> unit = Categorical(["medical", "surgical"])
    >>> unit.encode(["surgical", "burns", None]).tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    categories: tuple
    epsilon: float | None

    def __init__(self, categories: Sequence, epsilon: float | None = None) -> None:
        epsilon = _own_epsilon(epsilon)
        listed = isinstance(categories, Sequence | pd.Index) and not isinstance(categories, str)
        if not (listed or (isinstance(categories, np.ndarray) and categories.ndim)):
            raise InvalidInputError(
                f"Categorical(categories={categories!r}): give a list of the public categories, "
                "for example Categorical(['female', 'male'])."
            )
        # Plain Python scalars hash, compare and pickle alike wherever they came from.
        cats = tuple(_plain(c) for c in categories)
        try:
            distinct = len(set(cats)) == len(cats) and not any(pd.isna(c) is True or c is pd.NA for c in cats)
        except TypeError:  # what cannot be hashed cannot be looked up
            distinct = False
        if not cats or not distinct:
            raise InvalidInputError(
                f"Categorical(categories={list(cats)!r}): categories must be distinct, not missing, "
                "and at least one; missing cells need no category of their own."
            )
        object.__setattr__(self, "categories", cats)
        object.__setattr__(self, "epsilon", epsilon)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(categories={self.categories!r}{_own(self.epsilon)})"

    @property
    def width(self) -> int:
        """Number of encoded features: one a category, "other" and "missing"."""
        return len(self.categories) + 2

    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features."""
        return [f"{column}_{c}" for c in (*self.categories, "(other)", "(missing)")]

    def codes(self, values: Any) -> np.ndarray:
        """Return each cell's position among the categories.

        Nothing is refused: a cell that cannot be looked up, such as a list, is "other". A number is
        found among texts too, since arrays of texts hold numbers as texts.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,), int64
            ``k`` (the number of categories) stands for "other", ``k + 1`` for missing.
        """
        cells = _column(values).astype(object)
        k = len(self.categories)
        missing = missing_cells(cells)
        codes = np.array(self._positions(cells.tolist()), dtype=np.int64)
        return np.where(missing, k + 1, codes)

    def _positions(self, cells: list) -> list[int]:
        """Position of each cell; the number of categories where it is none of them."""
        position = {c: i for i, c in enumerate(self.categories)}
        return [_lookup(position, v, len(position)) for v in cells]

    def encode(self, values: Any) -> np.ndarray:
        """One-hot encode over the declared categories, "other" and "missing".

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows, n_categories + 2), float32
        """
        return np.eye(self.width, dtype=np.float32)[self.codes(values)]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` categories uniformly."""
        return self.decode(rng.integers(len(self.categories), size=n))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the categories at positions `codes`, as an object array of shape (n_rows,)."""
        table = np.empty(len(self.categories), dtype=object)
        table[:] = self.categories
        return table[codes]

    def to_dict(self) -> dict:
        """The declaration as plain values, for the report."""
        own = {} if self.epsilon is None else {"epsilon": float(self.epsilon)}
        return {"kind": "categorical", "categories": [str(c) for c in self.categories], **own}


def _own(epsilon: float | None) -> str:
    return "" if epsilon is None else f", epsilon={epsilon!r}"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _own_epsilon(epsilon: Any) -> float | None:
    # What no float holds is refused too.
    if epsilon is not None and not 0 < as_float(epsilon) < 1e300:
        raise InvalidInputError(
            f"epsilon={epsilon!r} of a domain must be a positive, finite number, or None for the estimator's."
        )
    return None if epsilon is None else as_float(epsilon)


def _lookup(position: dict, value: Any, other: int) -> int:
    try:
        found = position.get(value)
        if found is None and isinstance(value, int | float | np.number | np.bool_):
            found = position.get(as_text(value), position.get(str(value)))
    except Exception:
        # What cannot be hashed, compared or written (a whole number of 5,000 digits) is no declared category.
        return other
    return other if found is None else found


def _column(values: Any) -> pd.Series:
    """Cells as a column. The types of a list are left as they are: pandas would refuse some."""
    if isinstance(values, pd.Series):
        return values
    return pd.Series(values, dtype=None if isinstance(values, np.ndarray | pd.Index) else object)


Domain = Numeric | Categorical
