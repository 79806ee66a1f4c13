"""Averaging of iterates."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class IterateAverage:
    """Exponential average of a module's parameters over training steps.

    Averaging noised iterates is post-processing: it costs no privacy.

    Parameters
    ----------
    module : nn.Module
    decay : float in [0, 1)
        0 follows the last iterate.
    """

    def __init__(self, module: nn.Module, decay: float):
        self._parameters: list[Tensor] = list(module.parameters())
        self._kept = [p.detach().clone() for p in self._parameters]
        self._decay = decay
        self._count = 0

    def update(self) -> None:
        """Take in the module's current parameters."""
        # A short run must not remember its start: the average widens as it goes on.
        weight = 1 - min(self._decay, (1 + self._count) / (10 + self._count)) if self._count else 1.0
        with torch.no_grad():
            torch._foreach_lerp_(self._kept, self._parameters, weight)
        self._count += 1

    def copy_to_module(self) -> None:
        """Replace the module's parameters by their average."""
        with torch.no_grad():
            torch._foreach_copy_(self._parameters, self._kept)
