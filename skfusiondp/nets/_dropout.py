"""Dropout masks that all views of a row share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
def shared_dropout(module: nn.Module, n_views: int) -> Iterator[None]:
    """Make every ``nn.Dropout`` inside `module` draw one mask a row, used by each of its views.

    Without it the gradient difference of two equal views is not zero, and the zero-out promise
    fails. Rows come view after view: all rows of view 0, then all rows of view 1.
    """

    def share(layer: nn.Dropout, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not layer.training or layer.p == 0:
            return None
        x = args[0]
        keep = 1.0 - layer.p
        mask = torch.rand(len(x) // n_views, *x.shape[1:], device=x.device, dtype=x.dtype) < keep
        return x * torch.cat([mask] * n_views).to(x.dtype) / (keep or 1.0)

    handles = [m.register_forward_hook(share) for m in module.modules() if type(m) is nn.Dropout]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
