"""Made-up rows in the shape of a fit's, on which whatever may fail is tried before anything is paid."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ._batches import TrainingRows

# Enough for a change of one row to reach others, few enough to be quick.
FEW = 4


def made_up_views(rows: TrainingRows, n: int = FEW) -> Tensor:
    """Two views of `n` rows of standard normal numbers, of shape (2, n, ...).

    Parameters
    ----------
    rows : TrainingRows
        Only shapes are used.
    n : int
    """
    like = rows.views[0] if rows.views is not None else rows.free
    assert like is not None
    generator = torch.Generator().manual_seed(0)
    return torch.randn((2, n, *like.shape[1:]), generator=generator, dtype=torch.float32)


def made_up_rows(rows: TrainingRows, n_outputs: int, n: int = FEW) -> TrainingRows:
    """Training rows of the same views and kind of target as `rows`, with nothing of their content.

    Parameters
    ----------
    rows : TrainingRows
        Only shapes and types are used.
    n_outputs : int
        Classes, where the target holds positions of classes.
    n : int
    """
    original, hybrid = made_up_views(rows, n)
    if rows.y.is_floating_point():
        # Zeros and ones are labels, and numbers that a regression may have.
        y = (torch.arange(n * rows.y[:1].numel()) % 2).reshape(n, *rows.y.shape[1:]).to(rows.y.dtype)
    else:
        y = torch.from_numpy(np.arange(n) % n_outputs).to(rows.y.dtype)
    views = None if rows.views is None else [original, hybrid][: len(rows.views)]
    free = None if rows.free is None else hybrid
    return TrainingRows(free, views, y, torch.ones(n, dtype=rows.weight.dtype), tiers=rows.tiers)
