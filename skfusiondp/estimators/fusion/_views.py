"""The views that each method's branches read, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...impute import FoundationImputer
from ...tables._disk import DiskTable
from ...tables._paired_table import PairedTable
from ...tables._table_encoder import TableEncoder

if TYPE_CHECKING:
    from ...training._batches import TrainingRows

PRIVATE_METHODS = ("fusiondp", "feature-dp", "dp-sgd")
# What the public branch reads: true cells, no sensitive ones, imputed ones, or nothing.
_FREE_VIEW = {
    "fusiondp": "hybrid",
    "hybrid": "hybrid",
    "feature-dp": "masked",
    "non-private": "true",
    "dp-sgd": None,
}


def training_rows(
    method: str,
    encoder: TableEncoder,
    source: pd.DataFrame | DiskTable | PairedTable,
    imputer: FoundationImputer | None,
    target: np.ndarray,
    weight: np.ndarray,
    shard: range,
    tiers: Sequence[tuple[str, ...]] = (),
) -> TrainingRows:
    """Encode the views that a method's branches read; no other view is made.

    Parameters
    ----------
    method : str
    encoder : TableEncoder
    source : DataFrame, DiskTable or PairedTable
        The original table, or both views of it. One on disk is encoded batch by batch.
    imputer : FoundationImputer or None
        Fitted; makes the hybrid view where `source` does not have it.
    target, weight : ndarray of shape (n_rows, ...)
    shard : range
        Positions of the rows to train on.
    tiers : sequence of tuple of str
        Columns that each tier's difference makes true.

    Returns
    -------
    TrainingRows
    """
    import torch

    from ...training._batches import TrainingRows
    from ...training._lazy_rows import lazy_rows

    mine = slice(shard.start, shard.stop)
    y, weights = torch.from_numpy(target[mine]), torch.from_numpy(weight[mine])
    made_true = [torch.from_numpy(encoder._features_of(columns)) for columns in tiers]
    kind = _FREE_VIEW[method]
    private = method in PRIVATE_METHODS
    if isinstance(source, DiskTable):
        guess = imputer if kind == "hybrid" else None
        return lazy_rows(
            source, shard, encoder, guess, y, weights, free=kind, private=private, tiers=made_true
        )
    part = source[mine] if isinstance(source, PairedTable) else source.iloc[mine]
    true = free = None
    if method != "hybrid":
        true = encoder._encode(part.original if isinstance(part, PairedTable) else part)
    if kind == "true":
        free = true
    elif kind == "masked":
        assert true is not None
        free = np.where(encoder.sensitive_features_, np.float32(0), true)
    elif kind == "hybrid":
        if not isinstance(part, PairedTable):
            assert imputer is not None
            part = imputer._pair(part, None if len(shard) == len(source) else np.array(shard))
        free = encoder._encode(part.hybrid, part.expected)
    views = [torch.from_numpy(v) for v in (true, free) if v is not None] if private else None
    return TrainingRows(None if free is None else torch.from_numpy(free), views, y, weights, tiers=made_true)
