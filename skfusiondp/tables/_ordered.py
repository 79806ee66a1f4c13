"""Domains whose cells are points of a public interval: encoded piecewise-linearly, guessed by regression."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ._domain import Domain, as_column
from ._frames import missing_cells, short_text
from ._piecewise import piecewise_linear

_LARGEST_SINGLE = float(np.finfo(np.float32).max) / 2
# Intervals of the piecewise-linear encoding, where a domain states no knots.
_PIECES = 8
# Knots by public cells: even shares of them, and smaller ones towards both ends, where few rows tell much.
_SHARES = [0.02, 0.06, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.94, 0.98]


class Ordered(Domain):
    """A domain that is an interval of numbers, or of what numbers stand for (such as days).

    A subclass is a frozen dataclass with a field `knots`. It says which number a cell stands for
    (`numbers`) and, where cells are no numbers, turns numbers back into cells (`restore`), and bounds and
    knots into numbers and back (`_as_number`, `_as_stated`).
    """

    task = "regressor"
    no_number: ClassVar[str] = "no number"
    """What a cell is that stands for no number, in the words of a warning."""

    low: Any
    high: Any
    knots: tuple | None

    @abstractmethod
    def numbers(self, cells: pd.Series) -> np.ndarray:
        """Cells as numbers, within the bounds or not; NaN for what is none. Nothing is refused."""

    def _as_number(self, stated: Any) -> float:
        """The number that a stated bound or knot stands for."""
        return stated

    def _as_stated(self, number: float) -> Any:
        """A number as a bound or knot is stated."""
        return float(number)

    @property
    def span(self) -> tuple[float, float]:
        """The bounds as numbers."""
        return self._as_number(self.low), self._as_number(self.high)

    @property
    def edges(self) -> np.ndarray:
        """The bounds and the knots between them as numbers, in increasing order."""
        low, high = self.span
        if self.knots is None:
            return low + (high - low) * np.linspace(0, 1, _PIECES + 1)
        return np.array([low, *map(self._as_number, self.knots), high], dtype=float)

    @property
    def apart(self) -> float | None:
        """How far neighbouring values are apart, from the lower bound on; None where that is not known."""
        return None

    def between_values(self, cuts: np.ndarray) -> np.ndarray:
        """Cuts inside the bounds, halfway between neighbouring values where these are known."""
        low, high = self.span
        if self.apart is not None:
            # A value is a whole number of steps, but for rounding.
            cuts = low + (np.floor((cuts - low) / self.apart + 1e-6) + 0.5) * self.apart
        cuts = np.unique(cuts)
        return cuts[(cuts > low) & (cuts < high)]

    def with_knots_of(self, values: np.ndarray) -> Ordered:
        """The same domain with knots at quantiles of public `values`, unless it states its own."""
        if self.knots is not None or not np.isfinite(values).any():
            return self
        low, high = self.span
        knots = np.unique(np.quantile(np.clip(values[np.isfinite(values)], low, high), _SHARES))
        # What is stated may be coarser than the numbers, so that two knots can meet, or a knot a bound.
        stated = {self._as_number(s): s for s in map(self._as_stated, knots)}
        own: Any = self  # a dataclass
        return replace(own, knots=tuple(stated[k] for k in sorted(stated) if low < k < high))

    def informed_by(self, cells: pd.Series) -> Ordered:
        return self.with_knots_of(self.numbers(cells))

    @property
    def width(self) -> int:
        """Number of encoded features: one an interval between knots, and a missingness indicator."""
        return len(self.edges)

    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features."""
        return [*(f"{column}_piece{i}" for i in range(self.width - 1)), f"{column}_(missing)"]

    def clean(self, values: Any) -> np.ndarray:
        """Return float64 numbers clipped to the interval; missing cells stay NaN.

        Nothing is refused, since a refusal would reveal something about a cell: what is no number (a text
        that states none, a date, a list, a complex number) counts as missing.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        return np.clip(self.numbers(as_column(values)), *self.span)

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

    def tree_features(self, values: Any) -> np.ndarray:
        # Trees read single precision, which tells numbers near zero apart and ends at a largest one.
        low, high = self.span
        nearest_zero = min(max(low, 0.0), high)
        return np.clip(self.clean(values) - nearest_zero, -_LARGEST_SINGLE, _LARGEST_SINGLE)[:, None]

    def target(self, values: Any) -> np.ndarray:
        return self.clean(values)

    def restore(self, target: np.ndarray) -> np.ndarray:
        return np.clip(target, *self.span)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` cells uniformly from the interval."""
        return self.restore(rng.uniform(*self.span, size=n))

    def grid(self, n: int) -> np.ndarray:
        return self.restore(np.linspace(*self.span, n))

    def centers(self, n: int) -> np.ndarray:
        low, high = self.span
        return low + (np.arange(n) + 0.5) / n * (high - low)

    def phrases(self, n: int) -> list[str]:
        edges = [short_text(v) for v in self.restore(np.linspace(*self.span, n + 1))]
        return [f"between {low} and {high}" for low, high in pairwise(edges)]

    def bins(self, values: Any, n: int) -> np.ndarray:
        clean = self.clean(values)
        low, high = self.span
        scaled = (clean - low) / (high - low) * n
        inside = np.clip(np.nan_to_num(scaled), 0, n - 1).astype(np.int64)
        return np.where(np.isnan(clean), n, inside)

    def far_apart(self) -> tuple[Any, Any]:
        """The upper end against the lower, or against a missing cell where that is encoded farther away."""
        low, high = self.restore(np.array(self.span)).tolist()
        encoded = self.encode([high, low, None])
        farther = np.linalg.norm(encoded[0] - encoded[2]) > np.linalg.norm(encoded[0] - encoded[1])
        return high, None if farther else low

    def outside(self, cells: pd.Series) -> dict[str, int]:
        numbers = self.numbers(cells)
        nothing = np.isnan(numbers) & ~missing_cells(cells)
        low, high = self.span
        found = {"below": numbers < low, "above": numbers > high, self.no_number: nothing}
        return {what: int(where.sum()) for what, where in found.items()}
