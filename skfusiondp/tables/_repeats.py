"""Rows that over-sampling or a bootstrap has copied, found by public facts alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from ..exceptions import report_leak
from ._groups import Units
from ._public_columns import PublicColumn
from ._same_rows import row_codes
from ._schema import SensitiveSchema
from ._table import Table

# How many rows of a table on disk are looked at.
_LOOKED_AT = 2**18
# A number column with more values than this has neighbouring values; one with fewer is like a category.
_FEW = 20
# Copies are assumed unless neighbours explain the repeated rows with at least this probability.
_CHANCE = 0.05


def repeated_rows(table: Table, schema: SensitiveSchema, on_leak: str) -> Units:
    """The units of a table without groups: single rows, unless labels or rows are repeated.

    Parameters
    ----------
    table : Table
    schema : SensitiveSchema
    on_leak : {"warn", "raise", "ignore"}
        What happens where rows are repeated.

    Returns
    -------
    Units
        With as many rows as the most repeated label or row has, so that epsilon stays true.
    """
    if not schema.sensitive:
        return Units()
    by_label = _repeated_labels(table.given)
    by_cells = _repeated_cells(_first_rows(table, schema.public), schema.public)
    most = max(by_label, by_cells)
    if most == 1:
        return Units()
    if by_label >= by_cells:
        how, remedy = "index labels occur", "labels that name nobody: reset_index(drop=True)"
    else:
        how, remedy = "rows with the same public cells occur", "drop_duplicates()"
    report_leak(
        f"X holds rows of the same people: {how} up to {most} times, far more than by chance, as after "
        f"over-sampling or a bootstrap. Epsilon is that of a unit of {most} rows. Say whose row it is by "
        f"groups=, or pass each row once ({remedy}).",
        on_leak,
    )
    return Units(most, None, "repeated rows")


def _first_rows(table: Table, columns: tuple[str, ...]) -> pd.DataFrame:
    if table.in_memory:
        return table.sample(columns)
    pieces = itertools.takewhile(lambda piece: piece[0] < _LOOKED_AT, table.chunks(columns))
    return pd.concat([frame for _, frame in pieces], ignore_index=True)


def _repeated_labels(table: Any) -> int:
    """How often the most frequent index label occurs; 1 where labels are numbers of rows."""
    if not isinstance(table, pd.DataFrame) or table.index.is_unique:
        return 1
    labels = table.index
    if pd.api.types.is_integer_dtype(labels):
        values = labels.to_numpy()
        if ((np.diff(values) == 1) | (values[1:] == 0)).all() and values[0] == 0:
            return 1  # several tables concatenated, each numbered from 0
    counts = labels[~labels.isna()].value_counts() if labels.nlevels == 1 else labels.value_counts()
    return int(counts.iloc[0]) if len(counts) else 1


def _repeated_cells(frame: pd.DataFrame, columns: tuple[str, ...]) -> int:
    """How often the most frequent row occurs, if chance does not explain that rows are repeated; else 1.

    Rows of discrete columns coincide by chance. But then other rows coincide in all columns but one, or
    have the next larger number in one column: neighbours. Copied rows are equal and have no such
    neighbours. So rows count as copied if in no column neighbours explain half of the repeated rows.

    Rows of nothing but the commonest cells (nothing earned, nothing measured) coincide without having
    neighbours. Copying does not prefer them, so the rarer half of the rows must look copied too.
    """
    readers = [PublicColumn.of(frame[c]) for c in columns]
    numbers = {reader.name: reader.numbers(frame) for reader in readers if reader.is_number}
    parts: dict[str, np.ndarray] = {}
    kinds: set[bytes] = set()
    labels: list[np.ndarray] = []
    for i, reader in enumerate(readers):
        codes = row_codes(frame, [reader])
        # Of columns that determine each other, such as a code and its name, only one is used: rows never
        # differ in just one of them, and so would never have neighbours.
        kind = pd.factorize(codes)[0]
        if kind.tobytes() not in kinds:
            kinds.add(kind.tobytes())
            parts[reader.name] = codes * _odd(i)
            labels.append(kind)
    if not parts:
        return 1
    whole = np.asarray(np.sum(list(parts.values()), axis=0, dtype=np.uint64))
    first, counts = np.unique(whole, return_index=True, return_counts=True)[1:]
    if counts.max(initial=1) == 1 or not _copied(parts, whole, numbers):
        return 1
    rarity = -np.sum([np.log(np.bincount(kind[first])[kind]) for kind in labels], axis=0)
    rare = rarity >= np.median(rarity[first]) - 1e-9
    halves = {column: part[rare] for column, part in parts.items()}
    few = {column: values[rare] for column, values in numbers.items()}
    return int(counts.max()) if _copied(halves, whole[rare], few) else 1


def _copied(parts: dict[str, np.ndarray], whole: np.ndarray, numbers: dict[str, np.ndarray]) -> bool:
    """Whether some rows repeat, and in no column do neighbours explain half of them."""
    if len(np.unique(whole)) == len(whole):
        return False
    for column, part in parts.items():
        others = whole - part
        values = numbers.get(column, np.empty(0))
        if len(np.unique(values[~np.isnan(values)])) > _FEW:
            same, near = _beside(others, values)
        else:
            same, near = _mixed(others, whole)
        if binom.sf(same - 1, same + near, 0.5) > _CHANCE:
            return False
    return True


def _odd(i: int) -> np.uint64:
    # A factor of its own for each column, so that equal columns do not cancel in the sum.
    return np.uint64((2 * i + 1) * 0x9E3779B97F4A7C15 % 2**64 | 1)


def _mixed(others: np.ndarray, whole: np.ndarray) -> tuple[int, int]:
    """Among groups of rows that agree in all other columns: how many agree in this one too, how many not."""
    order = np.lexsort((whole, others))
    others, whole = others[order], whole[order]
    first = np.flatnonzero(np.r_[True, others[1:] != others[:-1]])
    sizes = np.diff(np.r_[first, len(others)])
    last = first + sizes - 1
    several = sizes > 1
    alike = whole[first] == whole[last]
    return int((several & alike).sum()), int((several & ~alike).sum())


def _beside(others: np.ndarray, values: np.ndarray) -> tuple[int, int]:
    """Among rows that agree in all other columns: how many numbers repeat, how many have a neighbour."""
    distinct = np.unique(values[np.isfinite(values)])
    gaps = np.diff(distinct)
    close = np.quantile(gaps, 0.1) * (1 + 1e-6) if len(gaps) else 0.0
    order = np.lexsort((values, others))
    others, values = others[order], values[order]
    with np.errstate(invalid="ignore"):
        apart = np.diff(values)
    together = others[1:] == others[:-1]
    equal = together & ((apart == 0) | (np.isnan(values[1:]) & np.isnan(values[:-1])))
    starts = equal & ~np.r_[False, equal[:-1]]  # each repeated number once
    near = together & (apart > 0) & (apart <= close)
    return int(starts.sum()), int(near.sum())
