"""The step as a loop over examples: what clipping costs when rows are differentiated one by one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skfusiondp.privacy import Clipping
from skfusiondp.training import TwoViewObjective, forward_with_representation


class LoopEngine:
    """Same sums as PerRowEngine, from one backward pass a row."""

    path, reason = "loop", "a benchmark asked for it"

    def __init__(
        self, module: nn.Module, objective: TwoViewObjective, clipping: Clipping, *_: object, **__: object
    ):
        self.module, self.objective, self.clipping = module, objective, clipping
        self.names = tuple(n for n, _ in module.named_parameters())

    def prepare(self, views: Tensor, y: Tensor, weight: Tensor) -> None:
        """There is nothing to choose."""

    def clipped_sum(self, views: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Sum of clipped gradients, row by row."""
        params = dict(self.module.named_parameters())
        total = {n: torch.zeros_like(p) for n, p in params.items()}
        for i in range(views.shape[1]):
            outputs, hidden = forward_with_representation(self.module, views[:, i])
            value = self.objective(outputs[:, None], hidden[:, None], y[i : i + 1], weight[i : i + 1])
            gradients = torch.autograd.grad(value.sum(), list(params.values()))
            norm = torch.sqrt(sum(g.square().sum() for g in gradients))
            factor = (self.clipping.max_grad_norm / norm).clamp(max=1.0).nan_to_num(0.0)
            for name, g in zip(params, gradients, strict=True):
                total[name] += factor * g
        return total
