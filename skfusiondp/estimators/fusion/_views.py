"""The views that each method's branches read, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...impute import FoundationImputer
from ...tables._schema import SensitiveSchema
from ...tables._table import Table
from ...tables._table_encoder import TableEncoder
from ._methods import Method

if TYPE_CHECKING:
    from ...training._batches import Rows, TrainingRows, View


@dataclass(frozen=True)
class FitTable:
    """What a fit knows of its table before it trains.

    `imputer` is fitted; it is None where no hybrid view is made, or the user passed one.
    """

    table: Table
    schema: SensitiveSchema
    imputer: FoundationImputer | None


def training_rows(
    method: Method,
    encoder: TableEncoder,
    source: FitTable,
    target: np.ndarray,
    weight: np.ndarray,
    shard: range,
    tiers: Sequence[tuple[str, ...]] = (),
    extra: Rows | None = None,
    kept: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> TrainingRows:
    """Encode the views that a method's branches read; no other view is made.

    Rows in memory are encoded at once, rows on disk when a batch asks for them. `shard` holds the positions
    of the rows to train on, and `kept` marks those that the private branch may read (None: all); `tiers`
    names the columns that each tier's difference makes true; `extra` are labelled public rows for the
    public branch; `scores` are what a ScoredEncoder takes beside the rows of the table.
    """
    import torch

    from ...training._batches import TrainingRows
    from ...training._lazy_rows import LazyView, TableReader

    table = source.table
    reader = TableReader(table, shard, encoder.schema_.public)
    # Nothing is imputed that the encoder would leave out again.
    left_out = getattr(encoder, "start_alone", False)
    sensitive_part = _sensitive_part(method.imputes and not left_out, source, shard)

    def scores_of(index: np.ndarray) -> tuple[np.ndarray, ...]:
        return () if scores is None else (scores[index + shard.start],)

    def true(index: np.ndarray) -> np.ndarray:
        return encoder._encode(reader.frame(index), None, *scores_of(index))

    def without_sensitive_cells(index: np.ndarray) -> np.ndarray:
        public = reader.frame(index, encoder.schema_.public)
        return encoder._encode(public, sensitive_part(public, index), *scores_of(index))

    def view(encode: Callable[[np.ndarray], np.ndarray]) -> View:
        if table.in_memory:
            return torch.from_numpy(encode(np.arange(len(shard))))
        return LazyView((len(shard), len(encoder.sensitive_features_)), encode)

    kind, private = method.free_view, method.private
    true_view = view(true) if private or kind == "true" else None
    free = None if kind is None else true_view if kind == "true" else view(without_sensitive_cells)
    mine = slice(shard.start, shard.stop)
    return TrainingRows(
        free,
        [v for v in (true_view, free) if v is not None] if private else None,
        torch.from_numpy(target[mine]),
        torch.from_numpy(weight[mine]),
        None if table.in_memory else reader,
        tuple(torch.from_numpy(encoder._features_of(columns)) for columns in tiers),
        extra,
        None if kept is None else kept[mine],
    )


def _sensitive_part(
    imputes: bool, source: FitTable, shard: range
) -> Callable[[pd.DataFrame, np.ndarray], Mapping[str, np.ndarray]]:
    """What stands for the encoded sensitive columns in the free view: a function of public rows, and
    their positions in the shard."""
    from ...training._lazy_rows import Guesses

    domains = source.schema.domains
    imputer = source.imputer
    if not imputes or not domains:
        widths = {c: d.width for c, d in domains.items()}
        return lambda public, index: {c: np.zeros((len(index), k), np.float32) for c, k in widths.items()}
    imputed = imputed_cells(source)
    if imputer is not None and not source.table.in_memory:
        return Guesses(imputer, shard)
    if imputer is not None and len(shard) == len(source.table):
        return lambda public, index: imputer._expected(public)  # quicker than by position
    return lambda public, index: imputed(public, index + shard.start)


def imputed_cells(source: FitTable) -> Callable[[pd.DataFrame, np.ndarray], Mapping[str, np.ndarray]]:
    """Expected encodings of the sensitive columns, by public rows and their positions in the table."""
    views = source.table.views
    if views is not None:
        return lambda public, rows: views[rows].encoded
    assert source.imputer is not None
    return source.imputer._expected
