"""Public facts about a table on disk: its schema, and the encoding of its public columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ._disk import DiskTable
from ._domains import Domain
from ._schema import Selector, SensitiveSchema, check_support_rows, resolve_schema
from ._tables import as_frame, is_numeric, numeric_values
from .preprocessing import TableEncoder

# Rows whose public columns give medians, scales and categories; a table of fewer gives all of its rows.
STATISTICS_ROWS = 2**17


def disk_schema(
    table: DiskTable, sensitive: Selector, *, support: Any = None, on_leak: str = "warn"
) -> SensitiveSchema:
    """As `resolve_schema`, for a table that is read chunk by chunk.

    Parameters
    ----------
    table : DiskTable
    sensitive, support, on_leak
        As in `resolve_schema`.

    Returns
    -------
    SensitiveSchema
        The same as for the same table in memory.
    """
    empty = table.empty()
    known = resolve_schema(empty, sensitive, support=support, on_leak=on_leak)
    witnesses = _witnesses(table, known)
    schema = resolve_schema(_joined(empty, witnesses), sensitive, support=support, on_leak="ignore")
    if support is None or not schema.sensitive:
        return schema
    pieces = (frame for _, frame in table.chunks(schema.public))
    found = check_support_rows(pieces, as_frame(support), set(schema.sensitive), on_leak, (None, support))
    return replace(schema, training_support=found)


def fit_encoder(table: DiskTable | pd.DataFrame, schema: SensitiveSchema) -> TableEncoder:
    """Fit the encoder on a table's public columns.

    Of a table on disk no more than 131,072 rows, drawn evenly, give medians, scales and categories;
    one pass over all public cells then refuses what cannot be encoded, before training begins.

    Parameters
    ----------
    table : DiskTable or pandas.DataFrame
    schema : SensitiveSchema

    Returns
    -------
    TableEncoder
    """
    if not isinstance(table, DiskTable):
        return TableEncoder()._fit_schema(table, schema)
    index = np.arange(len(table))
    if len(table) > STATISTICS_ROWS:
        # A fixed seed: which public rows these are is no secret, and a refit takes the same.
        index = np.sort(np.random.default_rng(0).choice(index, STATISTICS_ROWS, replace=False, shuffle=False))
    encoder = TableEncoder()._fit_schema(table.take(index, schema.public), schema)
    for _, frame in table.chunks(schema.public):
        encoder._check_public(frame)
    return encoder


def _witnesses(table: DiskTable, schema: SensitiveSchema) -> dict[str, pd.Series]:
    """A few cells of each sensitive column that speak for all of them in `resolve_schema`.

    A domain that excludes no cell is spoken for by one cell inside it, so that reading ends there.
    """
    found: dict[str, pd.Series] = {}
    waiting = list(schema.sensitive)
    for _, frame in table.chunks(schema.sensitive) if waiting else ():
        for column in list(waiting):
            cells = frame[column]
            present = cells[cells.notna()]
            if column in schema.leaks:
                kept = pd.concat([found[column], present]) if column in found else present
                found[column] = _extremes(kept) if len(kept) else kept
            elif len(present):
                found[column] = _inside_or_any(present, schema.domains[column])
                if not schema.domains[column].excludes(found[column]):
                    waiting.remove(column)
        if not waiting:
            break
    return found


def _extremes(cells: pd.Series) -> pd.Series:
    """Of numbers the least and the greatest, of anything else one cell of each kind."""
    if not is_numeric(cells) or pd.api.types.is_bool_dtype(cells.dtype):
        return cells.drop_duplicates()
    values = numeric_values(cells)
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        return cells.iloc[:1]
    return cells.iloc[[finite[values[finite].argmin()], finite[values[finite].argmax()]]]


def _inside_or_any(cells: pd.Series, domain: Domain) -> pd.Series:
    """One cell inside the domain; if there is none, one outside."""
    if domain.excludes(cells):
        return cells.iloc[:1]
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        if domain.excludes(cells.iloc[low:middle]):
            low = middle
        else:
            high = middle
    return cells.iloc[low:high]


def _joined(empty: pd.DataFrame, witnesses: dict[str, pd.Series]) -> pd.DataFrame:
    """A frame of the witnesses; a short column repeats its last one, which changes no type."""
    length = max((len(w) for w in witnesses.values()), default=0)
    columns = {}
    for name in empty.columns:
        cells = witnesses.get(name)
        if cells is None or not len(cells):
            columns[name] = empty[name].reindex(range(length))
        else:
            columns[name] = cells.iloc[np.minimum(np.arange(length), len(cells) - 1)].reset_index(drop=True)
    return pd.DataFrame(columns, columns=empty.columns)
