"""Public facts about a table on disk: its schema, and the encoding of its public columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ._disk import DiskTable
from ._frames import (
    as_frame,
    is_numeric,
    missing_cells,
    numeric_values,
)
from ._schema import (
    Selector,
    SensitiveSchema,
    check_support_rows,
    resolve_schema,
)
from ._table_encoder import TableEncoder

# Rows whose public columns give medians, scales and categories; a table of fewer gives all of its rows.
STATISTICS_ROWS = 2**17


def disk_schema(
    table: DiskTable, sensitive: Selector, *, support: Any = None, on_leak: str = "warn", budget: Any = None
) -> SensitiveSchema:
    """As `resolve_schema`, for a table that is read chunk by chunk.

    Parameters
    ----------
    table : DiskTable
    sensitive, support, on_leak, budget
        As in `resolve_schema`.

    Returns
    -------
    SensitiveSchema
        The same as for the same table in memory. Sensitive cells are read for missing domains only.
    """

    def read(columns: Sequence[str]) -> dict[str, pd.Series]:
        return _witnesses(table, columns)

    empty = table.empty()
    schema = resolve_schema(empty, sensitive, support=support, on_leak=on_leak, budget=budget, read=read)
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


def _witnesses(table: DiskTable, columns: Sequence[str]) -> dict[str, pd.Series]:
    """A few cells of each column that give the same domain as all of them."""
    found: dict[str, pd.Series] = {}
    for _, frame in table.chunks(columns):
        for column in columns:
            cells = frame[column]
            present = cells[~missing_cells(cells)]
            kept = pd.concat([found[column], present]) if column in found else present
            found[column] = _extremes(kept) if len(kept) else kept
    return found


def _extremes(cells: pd.Series) -> pd.Series:
    """Of numbers the least and the greatest, of anything else one cell of each kind."""
    if not is_numeric(cells) or pd.api.types.is_bool_dtype(cells.dtype):
        texts = cells.astype(object).map(lambda v: (type(v), str(v)))  # lists cannot be compared
        return cells[~texts.duplicated().to_numpy()]
    values = numeric_values(cells, sensitive=True)
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        return cells.iloc[:1]
    return cells.iloc[[finite[values[finite].argmin()], finite[values[finite].argmax()]]]
