"""Rows that over-sampling or a bootstrap has copied, found by public facts alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom

from ..exceptions import report_leak
from ._distinct_rows import DistinctRows
from ._groups import Units
from ._schema import SensitiveSchema
from ._table import Table

# How many rows of a table on disk are looked at.
_LOOKED_AT = 2**18
# Copies are assumed unless chance explains the repeated rows with at least this probability.
_CHANCE = 0.05
# Of rows without neighbours at most this share recurs by chance. Real tables without copies reach .08,
# bootstraps of them .3 to .5.
_RECUR = 0.1
# Rows with up to so many neighbours are looked at, too, if they could have this many.
_FEW_NEIGHBOURS, _MANY_NEIGHBOURS = 2, 6
# So many rows are needed to tell anything.
_FEWEST = 5
# So many different numbers of times have a divisor in common by chance in one table of 500 (1 - 1 / zeta(9)).
_FEWEST_COUNTS = 9


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
        "groups= (groups=numpy.arange(len(X)) in fit where each row is somebody else's), or pass each row "
        f"once ({remedy}).",
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

    Rows of frequent cells coincide by chance, but then other rows differ from them in a single column:
    neighbours. Copying repeats rows of rare cells and without neighbours as often as any. So only such rows
    are looked at, each counted once: what most people have (nothing earned, nothing measured) is no evidence
    however often it occurs.
    """
    rows = DistinctRows.of(frame, columns)
    most = int(rows.counts.max(initial=1))
    if most == 1 or _multiples(rows.counts):
        return most
    neighbours, rare = rows.neighbours(), rows.rare()
    near, counts = neighbours[rare], rows.counts[rare]
    # A row that recurs by chance would as soon have neighbours, and there are several that it could have.
    share = min(_RECUR, (0.25 * (neighbours > 0).sum() + 1) / len(rows.counts))
    if _recur(counts[near == 0], share):
        return most
    if rows.most_neighbours() < _MANY_NEIGHBOURS:
        return 1
    # By chance a row recurs the oftener the more neighbours it has, in proportion to their number and 1.
    some = near <= _FEW_NEIGHBOURS
    return most if some.any() and _recur(counts[some], _RECUR * float((near[some] + 1).mean())) else 1


def _recur(counts: np.ndarray, share: float) -> bool:
    """Whether more rows recur than this share and chance, or more recur twice than a third of the share."""
    if len(counts) < _FEWEST:
        return False
    hits = np.array([(counts > 1).sum(), (counts > 2).sum()])
    return bool((binom.sf(hits - 1, len(counts), [share, share / 3]) <= _CHANCE).any())


def _multiples(counts: np.ndarray) -> bool:
    """Whether all rows occur a multiple of some number of times, as in a table that is there twice.

    In a designed experiment rows occur equally often, so only different numbers of times are evidence.
    """
    different = np.unique(counts)
    return bool(len(different) >= _FEWEST_COUNTS and np.gcd.reduce(different) > 1)
