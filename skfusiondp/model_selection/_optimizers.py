"""Adam and SGD for a stack of models, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def why_no_stacked_rule(optimizer: torch.optim.Optimizer) -> str | None:
    """Why an optimizer cannot be stacked, or None if it can."""
    kind = type(optimizer)
    if kind not in (torch.optim.Adam, torch.optim.SGD):
        return f"optimizer {kind.__name__} has no stacked rule, only Adam and SGD have"
    if len(optimizer.param_groups) != 1:
        return "the optimizer has parameter groups"
    group = optimizer.param_groups[0]
    for name in (
        "weight_decay",
        "amsgrad",
        "maximize",
        "nesterov",
        "dampening",
        "capturable",
        "differentiable",
    ):
        if group.get(name):
            return f"optimizer__{name} has no stacked rule"
    return None


class StackedOptimizer:
    """What torch's optimizer does, for a flat tensor of models.

    Parameters
    ----------
    optimizers : list of torch optimizers
        One a model, as ``why_no_stacked_rule`` accepts; they give the settings and are not stepped.
    lr : sequence of float
        One a model, in place of its optimizer's own.
    flat : Tensor of shape (n_models, n_parameters)
        Changed in place.
    """

    def __init__(self, optimizers: list[Any], lr: Sequence[float], flat: Tensor):
        self.flat = flat
        self.lr = torch.tensor([float(rate) for rate in lr]).unsqueeze(1)
        self.adam = isinstance(optimizers[0], torch.optim.Adam)
        self.settings = optimizers[0].param_groups[0]
        self.steps = 0
        self.first = torch.zeros_like(flat)
        self.second = torch.zeros_like(flat) if self.adam else torch.empty(0)

    def step(self, gradient: Tensor) -> None:
        """One step of every model."""
        self.steps += 1
        if not self.adam:
            momentum = self.settings["momentum"]
            if momentum:
                self.first.mul_(momentum).add_(gradient)
                gradient = self.first
            self.flat.sub_(self.lr * gradient)
            return
        beta1, beta2 = self.settings["betas"]
        self.first.lerp_(gradient, 1 - beta1)
        self.second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (self.second / (1 - beta2**self.steps)).sqrt_().add_(self.settings["eps"])
        self.flat.addcdiv_(self.first * (-self.lr / (1 - beta1**self.steps)), root)
