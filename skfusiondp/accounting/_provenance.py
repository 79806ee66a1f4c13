"""Columns on their way through a pipeline: which of them carry sensitive cells."""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..tables._frames import is_polars
from ..tables._paired_table import PairedTable

EVERY = "(every column)"
_ALL = frozenset({EVERY})


@dataclass(frozen=True)
class Column:
    """One column, or as many as only a fit will know.

    Parameters
    ----------
    name : str
        Its name; a pattern such as ``"age_*"`` if `many`.
    sources : frozenset of str
        Sensitive columns of the first table whose cells it is made of; empty for a public column.
    dtype : dtype or None
        None where a step has changed it.
    many : bool
        Whether it stands for an unknown number of columns.
    own : str
        The column of the first table whose cells it holds as they were there; empty if a step made it.
    """

    name: str
    sources: frozenset[str] = frozenset()
    dtype: Any = None
    many: bool = False
    own: str = ""

    def matches(self, name: str) -> bool:
        """Tell whether a name may mean this column."""
        return fnmatch.fnmatchcase(name, self.name) if self.many else name == self.name


@dataclass(frozen=True)
class Flow:
    """The columns that one step hands to the next.

    Parameters
    ----------
    columns : tuple of Column
        In order.
    rest : frozenset of str or None
        Sources of columns whose names are not known; None if `columns` are all there are.
    prefix : str
        What steps have put before the names of `rest`.
    named : bool
        Whether the table has column names, and is not an array.
    protected : frozenset of str or None
        Sources that a ``FoundationImputer(output="paired")`` has declared for the step that follows.
    ordered : bool
        Whether positions are still those of the first table.
    polars : bool
        Whether it is a polars frame, as far as is known.
    """

    columns: tuple[Column, ...] = ()
    rest: frozenset[str] | None = None
    prefix: str = ""
    named: bool = True
    protected: frozenset[str] | None = None
    ordered: bool = True
    polars: bool = False

    @property
    def sources(self) -> frozenset[str]:
        """Sensitive columns that any of these columns is made of."""
        return self.rest_sources.union(*(c.sources for c in self.columns))

    @property
    def rest_sources(self) -> frozenset[str]:
        """Sensitive columns among those without a known name."""
        return self.rest or frozenset()

    def pick(self, key: Any) -> Flow | None:
        """The columns that a ColumnTransformer's key means; None if that cannot be told."""
        if key is None:
            return self
        if callable(key):
            frame = self._empty_frame()
            if frame is None:
                return None
            try:
                key = key(frame)
            except Exception:  # whatever a user's function raises on a table without rows
                return None
        if isinstance(key, Mapping):
            key = list(key)
        if isinstance(key, slice):
            return self._slice(key)
        if isinstance(key, str | int | np.integer):
            key = [key]
        keys = list(key)
        if keys and all(isinstance(k, bool | np.bool_) for k in keys):
            if not self._countable() or len(keys) != len(self.columns):
                return None
            return self._part(c for c, chosen in zip(self.columns, keys, strict=True) if chosen)
        found = [self._one(k) for k in keys]
        if any(c is None for c in found):
            return None
        chosen = dict.fromkeys(c for c in found if c is not None)
        return self._part(chosen)

    def called(self, name: str) -> Column | None:
        """The one column that holds a column of the first table as it was there; None if there is not one."""
        found = [c for c in self.columns if c.own == name and not c.many]
        if found or self.rest is None or any(name in c.sources for c in self.columns):
            return found[0] if len(found) == 1 else None
        return Column(self.prefix + name, self._source_of(name), own=name)

    def possible(self, places: Iterable[int]) -> Flow:
        """The columns that positions may mean where some columns stand for an unknown number.

        A column that is one is taken to be meant before any that stands for several.
        """
        chosen: dict[Column, None] = {}
        for place in places:
            ordered = self.columns if place >= 0 else self.columns[::-1]
            index = place if place >= 0 else -place - 1
            may_be, before, exact = [], 0, True
            for column in ordered:
                if before == index or (before < index and (column.many or not exact)):
                    may_be.append(column)
                before += not column.many
                exact = exact and not column.many
            chosen |= dict.fromkeys([c for c in may_be if not c.many] or may_be)
        return self._part(chosen)

    def without(self, taken: Flow) -> Flow:
        """The columns that are not in `taken`."""
        return replace(self, columns=tuple(c for c in self.columns if c not in taken.columns))

    def renamed(self, rename: Callable[[str], str]) -> Flow:
        """The columns under other names."""
        return replace(
            self,
            columns=tuple(replace(c, name=rename(c.name)) for c in self.columns),
            prefix=rename("*").split("*")[0] + self.prefix if self.rest is not None else "",
        )

    def _part(self, columns: Iterable[Column]) -> Flow:
        return replace(self, columns=tuple(columns), rest=None, prefix="")

    def _countable(self) -> bool:
        return self.rest is None and not any(c.many for c in self.columns)

    def _one(self, key: Any) -> Column | None:
        if isinstance(key, str):
            place = re.fullmatch(r"x(\d+)", key)
            if not self.named and place:
                return self._one(int(place[1]))
            for column in sorted((c for c in self.columns if c.matches(key)), key=lambda c: c.many):
                return replace(column, name=key, many=False) if column.many else column
            if self.rest is None or not key.startswith(self.prefix) or (self.columns and self.by_position):
                return None
            name = key[len(self.prefix) :]
            return Column(key, self._source_of(name))
        if not isinstance(key, int | np.integer):
            return None
        if self.rest is None:
            up_to = self.columns[: key + 1] if key >= 0 else self.columns[key:]
            there = -len(self.columns) <= key < len(self.columns) and not any(c.many for c in up_to)
            return self.columns[key] if there else None
        if self.ordered and key >= 0 and self.by_position:
            # No name is known: positions are names, as scikit-learn has them for arrays.
            name = f"x{int(key)}"
            known = [c for c in self.columns if c.name == name]
            return known[0] if known else Column(name, self._source_of(name))
        return None

    def _source_of(self, name: str) -> frozenset[str]:
        """What a column is made of that is among those without a known name."""
        return frozenset({name}) if self.rest == _ALL else self.rest_sources

    @property
    def by_position(self) -> bool:
        """Whether all known names are those of an array's columns, ``x0, x1, ...``."""
        return all(re.fullmatch(r"x\d+", c.name) for c in self.columns)

    def _slice(self, key: slice) -> Flow | None:
        if not self._countable():
            return self if key == slice(None) else None
        names = [c.name for c in self.columns]
        start, stop = key.start, key.stop
        try:
            start = names.index(start) if isinstance(start, str) else start
            stop = names.index(stop) + 1 if isinstance(stop, str) else stop
        except ValueError:
            return None
        return self._part(self.columns[slice(start, stop, key.step)])

    def _empty_frame(self) -> pd.DataFrame | None:
        """A table of these columns without rows, for selectors that go by name and type."""
        if not self._countable() or not self.named or any(c.dtype is None for c in self.columns):
            return None
        return pd.DataFrame({c.name: pd.Series(dtype=c.dtype) for c in self.columns})


def joined(parts: Iterable[Flow], named: bool) -> Flow:
    """Tables side by side."""
    parts = list(parts)
    rests = [p.rest for p in parts if p.rest is not None]
    prefixes = {p.prefix for p in parts if p.rest is not None}
    return Flow(
        tuple(c for p in parts for c in p.columns),
        frozenset().union(*rests) if rests else None,
        prefixes.pop() if len(prefixes) == 1 else "",
        named,
        ordered=False,
    )


def flow_of(X: Any) -> Flow | None:
    """The columns of a table, each its own source; None if they cannot be told.

    Parameters
    ----------
    X : None, list of str, table or PairedTable
        No cell is read: pandas and polars frames are asked for names and types, arrays for their
        shape and type. A list gives names alone.
    """
    X = getattr(X, "original", X)
    if isinstance(X, pd.DataFrame):
        labels = list(X.columns)
        if not all(isinstance(label, str) for label in labels):
            labels = [f"x{i}" for i in range(len(labels))]
        return _own(labels, list(X.dtypes))
    if is_polars(X):
        return replace(_own(list(X.columns), [_pandas_type(t) for t in X.schema.values()]), polars=True)
    if isinstance(X, list | tuple | pd.Index) or (isinstance(X, np.ndarray) and X.ndim == 1):
        names = [str(n) for n in X]
        return _own(names, [None] * len(names)) if all(isinstance(n, str) for n in X) else None
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 2:
        return _own([f"x{i}" for i in range(shape[1])], [getattr(X, "dtype", None)] * shape[1])
    return None


def _own(names: list[str], types: list[Any]) -> Flow:
    return Flow(tuple(Column(n, frozenset({n}), t, own=n) for n, t in zip(names, types, strict=True)))


def _pandas_type(kind: Any) -> str:
    return "float64" if kind.is_numeric() else "bool" if str(kind) == "Boolean" else "object"


def start_of(pipe: Any, X: Any) -> Flow:
    """The columns of the table, or those that a fitted pipeline remembers, or none that are known."""
    known = flow_of(X)
    if known is None and not isinstance(X, PairedTable):
        names = _remembered(pipe, "feature_names_in_")
        count = _remembered(pipe, "n_features_in_")
        if names is not None:
            known = flow_of([str(n) for n in names])
        elif isinstance(count, int | np.integer) and not _names_anywhere(pipe):
            known = flow_of([f"x{i}" for i in range(count)])
    return Flow(rest=frozenset({EVERY})) if known is None else known


def _remembered(pipe: Any, name: str) -> Any:
    with contextlib.suppress(Exception):  # unfitted pipelines and searches raise errors of several kinds
        return getattr(pipe, name)
    return None


def _names_anywhere(pipe: Any) -> bool:
    """Whether a step remembers column names, so that the table had some and was no array."""
    parts = pipe.get_params(deep=True).values() if hasattr(pipe, "get_params") else ()
    return any(_remembered(part, "feature_names_in_") is not None for part in parts)
