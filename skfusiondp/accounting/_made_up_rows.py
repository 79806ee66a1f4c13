"""Rows made up from column names, types and declared domains: steps are tried on these alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ._provenance import Column

ROWS = 40
KEPT = ROWS // 2  # a row with others on both sides
_FIRST_DAY = pd.Timestamp("2020-01-01")


def made_up(columns: Sequence[Column], domains: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """A table of `ROWS` ordinary rows; values of columns without a domain differ from seed to seed."""
    rng = np.random.default_rng(seed)
    cells = [_ordinary(c, domains.get(c.name), rng) for c in columns]
    return pd.concat(cells, axis=1).set_axis([c.name for c in columns], axis=1)


def other_contents(
    base: pd.DataFrame, columns: Sequence[Column], domains: Mapping[str, Any]
) -> dict[int, list[pd.Series]]:
    """Other contents of each column that carries sensitive cells, by position, the most telling first."""
    rng = np.random.default_rng(7)
    touched = {i: c for i, c in enumerate(columns) if c.sources}
    return {i: _contents(base.iloc[:, i], c, domains.get(c.name), rng) for i, c in touched.items()}


def variants(
    base: pd.DataFrame,
    columns: Sequence[Column],
    contents: Mapping[int, list[pd.Series]],
    sources: frozenset[str],
) -> Iterator[pd.DataFrame]:
    """Tables that differ from `base` in all cells that carry `sources`, except those of row `KEPT`.

    What a step does to that row, and what it learns, must be the same for all of them if it reads no cell
    of other rows.
    """
    touched = [i for i in contents if columns[i].sources & sources]
    for k in range(max((len(contents[i]) for i in touched), default=0)):
        changed = base.copy()
        for i in touched:
            cells = contents[i][min(k, len(contents[i]) - 1)]
            changed.isetitem(i, _with(cells, [KEPT], base.iloc[KEPT, i]))
        yield changed


def with_missing_cells(base: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Tables whose row `KEPT` lacks cells: a step may fill those from the cells of other rows.

    It lacks them all, all of one kind, and one column at a time.
    """
    places = range(base.shape[1])
    numbers = [i for i in places if base.dtypes.iloc[i].kind == "f"]
    together = [list(places), numbers, [i for i in places if i not in numbers]]
    seen: list[list[int]] = [[]]
    for chosen in [*together, *([i] for i in places)]:
        changed, lacking = base.copy(), []
        for i in chosen:
            cells = _with(base.iloc[:, i], [KEPT], _missing(base.dtypes.iloc[i]))
            if cells.isna().iloc[KEPT]:
                changed.isetitem(i, cells)
                lacking.append(i)
        if lacking not in seen:
            seen.append(lacking)
            yield changed


def _ordinary(column: Column, domain: Any, rng: np.random.Generator) -> pd.Series:
    """Cells as the column may well hold them."""
    kind = _kind(column.dtype)
    if kind == "b":
        return pd.Series(rng.uniform(size=ROWS) < 0.5)
    if domain is not None:
        cells = pd.Series(list(domain.draw(ROWS, rng)))
        is_number = pd.api.types.is_numeric_dtype(cells)
        cells = cells.round() if kind in "iu" and is_number else cells
    elif kind == "M":
        cells = pd.Series(_FIRST_DAY + pd.to_timedelta(rng.integers(0, 700, size=ROWS), unit="D"))
    elif kind == "O":
        # Every category several times; their names depend on the seed, as true ones are unknown too.
        fixed = str(column.dtype) == "category"  # whose list of categories no other cells can change
        names = [letter if fixed else f"{letter}{rng.integers(1000)}" for letter in "abcd"]
        cells = pd.Series([names[i % 4] for i in rng.permutation(ROWS)], dtype=object)
    else:
        cells = pd.Series(rng.uniform(20, 60, size=ROWS).round(0 if kind in "iu" else 2))
    if kind in "iu" and pd.api.types.is_numeric_dtype(cells):
        return cells.astype(column.dtype)
    return cells.astype("category" if str(column.dtype) == "category" else cells.dtype)


def _contents(base: pd.Series, column: Column, domain: Any, rng: np.random.Generator) -> list[pd.Series]:
    """Other contents of one column: each moves some statistic as far as it goes."""
    other = _ordinary(column, domain, rng).astype(base.dtype)
    low, high = domain.far_apart() if domain is not None else tuple(base.drop_duplicates().iloc[:2])
    far: list[Any]
    if base.dtype.kind in "iu":
        far = [120, 0]  # what eight bits hold
    elif base.dtype.kind == "f":
        far = [1e8, -1e8, 0.0]
    elif base.dtype.kind == "M":
        far = [pd.Timestamp("2190-07-15")]
    else:
        far = [] if base.dtype.kind == "b" else ["(new)"]
    missing = [] if base.dtype.kind in "iu" else [_missing(base.dtype)]
    made = [other, *(_with(other, range(ROWS), cell) for cell in (high, low, *far, *missing))]
    return [*made, *(_with(other, [1], cell) for cell in (*far[:1], *missing))]


def _missing(dtype: Any) -> Any:
    return {"f": np.nan, "M": pd.NaT}.get(dtype.kind)


def _with(cells: pd.Series, rows: Sequence[int], cell: Any) -> pd.Series:
    """The column with a cell put in some rows, where its type can hold it."""
    if (
        isinstance(cells.dtype, pd.CategoricalDtype)
        and not pd.isna(cell)
        and cell not in cells.cat.categories
    ):
        return cells
    changed = cells.astype(object)
    changed.iloc[list(rows)] = cell
    try:
        return changed.astype(cells.dtype)
    except (TypeError, ValueError):
        return cells


def _kind(dtype: Any) -> str:
    """What kind of cells a type holds, by numpy's letter: numbers where nothing is known."""
    if dtype is None:
        return "f"
    kind = np.dtype(dtype).kind if dtype in ("float64", "bool", "object") else getattr(dtype, "kind", "O")
    return kind if kind in "biufM" else "O"
