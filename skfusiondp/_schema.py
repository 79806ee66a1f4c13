"""Which columns are sensitive, and the public domain of each.

A domain is public knowledge: bounds and categories are stated by the user or
come from public support rows, never from the training cells that they protect.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ._exceptions import InvalidInputError, report_leak
from ._piecewise import piecewise_linear, quantile_knots
from ._tables import as_frame, is_numeric, numeric_values

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
        _check_own_epsilon(self.epsilon)
        try:
            fine = bool(np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high)
            fine = fine and math.isfinite(float(self.high) - float(self.low))
        except (TypeError, ValueError, OverflowError):
            fine = False
        if not fine:
            raise InvalidInputError(
                f"Numeric(low={self.low!r}, high={self.high!r}): bounds must be finite numbers with "
                "low < high; declare the range that is publicly known, for example Numeric(0, 120)."
            )
        if self.knots is not None:
            object.__setattr__(self, "knots", self._checked_knots())

    def _checked_knots(self) -> tuple[float, ...]:
        try:
            knots = tuple(float(k) for k in self.knots or ())
        except (TypeError, ValueError, OverflowError):
            knots = (float("nan"),)
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

    def clean(self, values: Any, name: str = "") -> np.ndarray:
        """Return float64 values clipped to the interval; missing cells stay NaN.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        column = values if isinstance(values, pd.Series) else pd.Series(values, name=name)
        return np.clip(numeric_values(column, sensitive=True), self.low, self.high)

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

    def excludes(self, values: Any) -> bool:
        """Tell whether cells are present and every one lies outside the interval."""
        column = values if isinstance(values, pd.Series) else pd.Series(values)
        cells = numeric_values(column, sensitive=True)
        cells = cells[~np.isnan(cells)]
        return bool(cells.size) and bool(np.all((cells < self.low) | (cells > self.high)))

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
        _check_own_epsilon(epsilon)
        if isinstance(categories, str) or not isinstance(categories, Sequence | np.ndarray | pd.Index):
            raise InvalidInputError(
                f"Categorical(categories={categories!r}): give a list of the public categories, "
                "for example Categorical(['female', 'male'])."
            )
        # Plain Python scalars hash, compare and pickle alike wherever they came from.
        cats = tuple(c.item() if isinstance(c, np.generic) else c for c in categories)
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
        return f"Categorical(categories={self.categories!r}{_own(self.epsilon)})"

    @property
    def width(self) -> int:
        """Number of encoded features: one a category, "other" and "missing"."""
        return len(self.categories) + 2

    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features."""
        return [f"{column}_{c}" for c in (*self.categories, "(other)", "(missing)")]

    def codes(self, values: Any) -> np.ndarray:
        """Return each cell's position among the categories.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,), int64
            ``k`` (the number of categories) stands for "other", ``k + 1`` for missing.
        """
        cells = pd.Series(values).astype(object)
        k = len(self.categories)
        position = {c: i for i, c in enumerate(self.categories)}
        missing = cells.isna().to_numpy()
        codes = cells.map(lambda v: _lookup(position, v, k)).to_numpy(dtype=float, na_value=k)
        return np.where(missing, k + 1, codes).astype(np.int64)

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

    def excludes(self, values: Any) -> bool:
        """Tell whether cells are present and none is a declared category."""
        codes = self.codes(values)
        present = codes[codes <= len(self.categories)]
        return bool(present.size) and bool(np.all(present == len(self.categories)))

    def to_dict(self) -> dict:
        """The declaration as plain values, for the report."""
        own = {} if self.epsilon is None else {"epsilon": float(self.epsilon)}
        return {"kind": "categorical", "categories": [str(c) for c in self.categories], **own}


def _own(epsilon: float | None) -> str:
    return "" if epsilon is None else f", epsilon={epsilon!r}"


def _check_own_epsilon(epsilon: Any) -> None:
    number = isinstance(epsilon, Real) and not isinstance(epsilon, bool)
    if epsilon is not None and not (number and 0 < epsilon < 1e300):  # what no float holds is refused too
        raise InvalidInputError(
            f"epsilon={epsilon!r} of a domain must be a positive, finite number, or None for the estimator's."
        )


Domain = Numeric | Categorical
Selector = Any  # what ColumnTransformer takes as columns, or a mapping {column: domain}


@dataclass(frozen=True)
class SensitiveSchema:
    """The columns of a table, which of them are sensitive, and their public domains.

    Parameters
    ----------
    columns : tuple of str
        Every column of the table, in order.
    domains : mapping of str to Numeric or Categorical
        Domain of each sensitive column, in table order.
    sources : mapping of str to str
        Where each domain comes from: "declared", "support" or "training cells" (a leak).
    """

    columns: tuple[str, ...]
    domains: Mapping[str, Domain]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", MappingProxyType(dict(self.domains)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __getstate__(self) -> dict:
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in vars(self).items()}

    def __setstate__(self, state: dict) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, MappingProxyType(value) if isinstance(value, dict) else value)

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Names of the sensitive columns, in table order."""
        return tuple(self.domains)

    @property
    def public(self) -> tuple[str, ...]:
        """Names of the public columns, in table order."""
        return tuple(c for c in self.columns if c not in self.domains)

    @property
    def leaks(self) -> tuple[str, ...]:
        """Sensitive columns whose domain was read off the training cells."""
        return tuple(c for c, source in self.sources.items() if source == "training cells")


def resolve_schema(
    X: pd.DataFrame,
    sensitive: Selector,
    *,
    support: Any = None,
    on_leak: str = "warn",
    original: Any = None,
) -> SensitiveSchema:
    """Turn the user's ``sensitive=`` into a schema.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_rows, n_columns)
        The training table. Its sensitive cells are read only where neither the user nor
        `support` gives a domain, and then `on_leak` speaks.
    sensitive : None, mapping or column selector
        None protects every column. A mapping gives each column's domain (None: infer it).
        Anything else is what ColumnTransformer takes as columns.
    support : table, optional
        Public rows from which missing domains are inferred.
    on_leak : {"warn", "raise", "ignore"}
        What happens when a domain has to be read off the training cells, or nothing is sensitive.
    original : table, optional
        What the user passed, for callable selectors; `X` if not given.

    Returns
    -------
    SensitiveSchema

    Raises
    ------
    InvalidInputError
        For an unknown column, a declared domain that is none, or one that excludes every cell.
    PrivacyLeakError
        If `on_leak` is "raise" and a domain would be read off the training cells.
    """
    columns = tuple(X.columns)
    declared = _select(X, sensitive, X if original is None else original)
    if not declared:
        report_leak(
            f"sensitive={sensitive!r} selects no column: nothing is protected. Name the sensitive "
            "columns, or pass sensitive=None to protect every column.",
            on_leak,
        )
    support_frame = None if support is None else as_frame(support)
    domains: dict[str, Domain] = {}
    sources: dict[str, str] = {}
    guessed = [
        c
        for c, d in declared.items()
        if d is None and (support_frame is None or c not in support_frame or support_frame[c].isna().all())
    ]
    if guessed:
        report_leak(
            f"No domain is declared for the sensitive column(s) {_brief(guessed)} and no public support "
            "rows give one, so bounds and categories are read off the training cells, which the "
            "privacy guarantee does not cover. Declare them, for example "
            f"sensitive={{{guessed[0]!r}: Numeric(low, high)}}.",
            on_leak,
        )
    for column in columns:
        if column not in declared:
            continue
        domain = declared[column]
        if domain is not None:
            domains[column], sources[column] = domain, "declared"
        elif column in guessed:
            domains[column], sources[column] = _infer(X[column]), "training cells"
        else:
            assert support_frame is not None
            domains[column], sources[column] = _infer(support_frame[column]), "support"
        found = domains[column]
        if isinstance(found, Numeric) and support_frame is not None and column in support_frame:
            public = numeric_values(support_frame[column], sensitive=True)
            domains[column] = found.with_knots_of(public)
        if sources[column] != "training cells" and domains[column].excludes(X[column]):
            raise InvalidInputError(
                f"The domain of the sensitive column {column!r}, {domains[column]!r}, excludes every cell "
                "of the training table; check its bounds, unit, spelling or type."
            )
    return SensitiveSchema(columns, domains, sources)


def _infer(column: pd.Series) -> Domain:
    """Domain of a column whose cells may be read: public support rows, or a leak that was reported."""
    present = column[column.notna()]
    if is_numeric(column) and not pd.api.types.is_bool_dtype(column.dtype):
        values = numeric_values(present)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        if low == high:
            # A constant still needs an interval; one unit to each side is arbitrary but harmless.
            low, high = np.nextafter(low - 1, -np.inf), np.nextafter(high + 1, np.inf)
        return Numeric(float(low), float(high))
    try:
        categories = sorted(pd.unique(present.astype(object)), key=lambda v: (str(type(v)), str(v)))
    except TypeError:
        raise InvalidInputError(
            f"Column {column.name!r} holds cells that are no numbers and no categories, such as lists; "
            "convert them to texts or numbers, or drop the column."
        ) from None
    return Categorical(categories or ["missing"])


def _select(X: pd.DataFrame, sensitive: Selector, original: Any) -> dict[str, Domain | None]:
    """Resolve a selector to {column name: declared domain or None}."""
    if sensitive is None:
        return dict.fromkeys(X.columns)
    if isinstance(sensitive, Mapping):
        chosen: dict[str, Domain | None] = {}
        for key, domain in sensitive.items():
            if domain is not None and not isinstance(domain, Numeric | Categorical):
                raise InvalidInputError(
                    f"sensitive[{key!r}]={domain!r} is not a domain; declare Numeric(low, high) or "
                    "Categorical([...]), or None to infer it from the public support rows."
                )
            chosen[_names(X, [key])[0]] = domain
        return chosen
    if isinstance(sensitive, Callable):  # type: ignore[arg-type]
        return _select(X, _call_selector(sensitive, X, original), original)
    return dict.fromkeys(_names(X, sensitive))


def _call_selector(selector: Callable, X: pd.DataFrame, original: Any) -> Any:
    # make_column_selector needs pandas; a user's own callable may want what was passed.
    try:
        chosen = selector(original if isinstance(original, pd.DataFrame) else X)
    except Exception as error:
        raise InvalidInputError(
            f"sensitive={selector!r} was called with the table and raised {type(error).__name__}; pass a "
            "callable that takes a table and returns its sensitive columns."
        ) from error
    if chosen is None or callable(chosen):
        raise InvalidInputError(
            f"sensitive={selector!r} was called with the table and returned {chosen!r}, which selects no "
            "columns; return names, positions, a mask, a slice or a mapping {column: domain}."
        )
    return chosen


def _names(X: pd.DataFrame, key: Any) -> list[str]:
    """Resolve a column key (name, position, slice, mask or list of them) to names."""
    columns = list(X.columns)
    if isinstance(key, str | int | np.integer) and not isinstance(key, bool):
        key = [key]
    if isinstance(key, slice):
        bounds = [columns.index(_one(columns, b)) if isinstance(b, str) else b for b in (key.start, key.stop)]
        if isinstance(key.stop, str):
            bounds[1] += 1  # labels are inclusive, as in pandas and ColumnTransformer
        return columns[slice(bounds[0], bounds[1], key.step)]
    try:
        keys = list(key)
    except TypeError:
        raise InvalidInputError(
            f"sensitive={key!r} selects no columns; pass names, positions, a mask, a slice, a callable "
            "or a mapping {column: domain}."
        ) from None
    if keys and all(isinstance(k, bool | np.bool_) for k in keys):
        if len(keys) != len(columns):
            raise InvalidInputError(
                f"The mask sensitive=... has {len(keys)} entries for {len(columns)} columns; give each one."
            )
        return [c for c, chosen in zip(columns, keys, strict=True) if chosen]
    return [_one(columns, k) for k in keys]


def _one(columns: list[str], key: Any) -> str:
    if isinstance(key, str) and key in columns:
        return key
    if (
        isinstance(key, int | np.integer)
        and not isinstance(key, bool)
        and -len(columns) <= key < len(columns)
    ):
        return columns[int(key)]
    near = difflib.get_close_matches(str(key), columns, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; the table has {_brief(columns)}."
    raise InvalidInputError(f"sensitive names the column {key!r}, which the table does not have{hint}")


def _brief(names: Sequence, most: int = 8) -> str:
    shown = ", ".join(repr(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _lookup(position: dict, value: Any, other: int) -> int:
    try:
        return position.get(value, other)
    except TypeError:  # an unhashable cell is no declared category
        return other
