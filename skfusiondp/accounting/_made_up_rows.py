"""Rows made up from column names, types and declared domains: steps are tried on these alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ._provenance import Column

ROWS = 40


@dataclass(frozen=True)
class _Kind:
    """How cells of one column are made up.

    Parameters
    ----------
    draw : function of a generator
        Ordinary cells, one a row.
    contents : function of a generator
        Other contents of the column, the most telling first: each is a statistic's worst case.
    """

    draw: Callable[[np.random.Generator], Any]
    contents: Callable[[np.random.Generator], list[Any]]


def made_up(columns: Sequence[Column], domains: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """A table of `ROWS` ordinary rows."""
    rng = np.random.default_rng(seed)
    kinds = [_kind_of(c, domains.get(c.name), seed) for c in columns]
    made = {i: pd.Series(kind.draw(rng)) for i, kind in enumerate(kinds)}
    return pd.DataFrame(made).set_axis([c.name for c in columns], axis=1)


def variants(
    base: pd.DataFrame, columns: Sequence[Column], domains: Mapping[str, Any], sources: frozenset[str]
) -> Iterator[pd.DataFrame]:
    """Tables that differ from `base` in all cells that carry `sources`, except those of row 0.

    Row 0 and what a step learns must be the same for all of them if the step does not read the cells.
    """
    rng = np.random.default_rng(7)
    touched = [i for i, c in enumerate(columns) if c.sources & sources]
    contents = {i: _kind_of(columns[i], domains.get(columns[i].name), 0).contents(rng) for i in touched}
    for k in range(max((len(c) for c in contents.values()), default=0)):
        parts = [base.iloc[:, i] for i in range(base.shape[1])]
        for i in touched:
            cells = pd.Series(contents[i][min(k, len(contents[i]) - 1)]).astype(parts[i].dtype)
            parts[i] = pd.concat([parts[i].iloc[:1], cells.iloc[1:]])
        yield pd.concat(parts, axis=1).set_axis(base.columns, axis=1)


def _kind_of(column: Column, domain: Any, seed: int) -> _Kind:
    categories, bounds = getattr(domain, "categories", None), (20.0, 60.0)
    if categories is None and hasattr(domain, "low") and hasattr(domain, "high"):
        bounds = (float(domain.low), float(domain.high))
    kind = getattr(column.dtype, "kind", None)
    if column.dtype is not None and not isinstance(column.dtype, str) and kind is None:
        kind = "O"
    elif isinstance(column.dtype, str):
        kind = np.dtype(column.dtype).kind if column.dtype != "category" else "O"
    if kind == "b":
        return _booleans()
    if kind == "M":
        return _dates()
    if categories is not None or kind in ("O", "U", "S", "T"):
        return _texts(categories or [f"{k}{seed}" for k in "abcd"], str(column.dtype) == "category")
    return _numbers(*bounds, whole=kind in ("i", "u"), dtype=column.dtype if kind in ("i", "u") else None)


def _numbers(low: float, high: float, whole: bool, dtype: Any) -> _Kind:
    def cells(values: Any) -> pd.Series:
        return pd.Series(np.round(values).astype(np.int64) if whole else np.round(values, 2), dtype=dtype)

    def spread(rng: np.random.Generator, margin: float) -> pd.Series:
        width = (high - low) * margin
        return cells(rng.uniform(low + width, high - width, size=ROWS))

    far = 120.0 if whole else high + 1e6 * (high - low)  # fits in eight bits

    def contents(rng: np.random.Generator) -> list[Any]:
        one_far, one_missing = spread(rng, 0.3), spread(rng, 0.3)
        one_far.iloc[1] = int(far) if whole else far
        made = [spread(rng, 0.0), cells(np.full(ROWS, high)), cells(np.full(ROWS, far)), one_far]
        if not whole:
            one_missing.iloc[1] = np.nan
            made += [cells(np.full(ROWS, np.nan)), one_missing, cells(np.full(ROWS, -far))]
        return [*made, cells(np.full(ROWS, low)), cells(np.zeros(ROWS))]

    return _Kind(lambda rng: spread(rng, 0.3), contents)


def _texts(categories: Sequence[Any], as_category: bool) -> _Kind:
    known = [*categories]

    def cells(values: Any) -> pd.Series:
        made = pd.Series(list(values), dtype=object)
        return made.astype(pd.CategoricalDtype(known)) if as_category else made

    def draw(rng: np.random.Generator) -> pd.Series:
        # Every category at least once, so that rare ones exist too.
        return cells([known[i % len(known)] for i in rng.permutation(ROWS)])

    def contents(rng: np.random.Generator) -> list[Any]:
        biased = [known[int(i * i * len(known))] for i in rng.uniform(size=ROWS)]
        one_new = list(draw(rng))
        one_new[1] = "(new)" if isinstance(known[0], str) else 10**6
        missing = [None] * ROWS
        return [
            cells(biased),
            cells([known[-1]] * ROWS),
            cells([one_new[1]] * ROWS),
            cells(one_new),
            cells(missing),
            cells([*missing[:2], *biased[2:]]),
            cells([known[0]] * ROWS),
        ]

    return _Kind(draw, contents)


def _booleans() -> _Kind:
    def draw(rng: np.random.Generator) -> Any:
        return rng.uniform(size=ROWS) < 0.5

    return _Kind(draw, lambda rng: [draw(rng), np.ones(ROWS, bool), np.zeros(ROWS, bool)])


def _dates() -> _Kind:
    start = np.datetime64("2020-01-01")

    def draw(rng: np.random.Generator) -> Any:
        return pd.Series(start + rng.integers(0, 700, size=ROWS).astype("timedelta64[D]"))

    def contents(rng: np.random.Generator) -> list[Any]:
        far = pd.Series([np.datetime64("2190-07-15")] * ROWS)
        return [draw(rng), far, pd.Series([pd.NaT] * ROWS), pd.Series([start] * ROWS)]

    return _Kind(draw, contents)
