"""Averaging of iterates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


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
        def average(kept: Tensors, new: Tensors, count: Tensor | int) -> None:
            # A short run must not remember its start: the average widens as it goes on.
            steps = int(count)
            torch._foreach_lerp_(kept, new, 1 - min(decay, (1 + steps) / (10 + steps)))

        self._model = AveragedModel(module, multi_avg_fn=average)

    def update(self, module: nn.Module) -> None:
        """Take in the module's current parameters."""
        self._model.update_parameters(module)

    def copy_to(self, module: nn.Module) -> None:
        """Replace the module's parameters by their average."""
        module.load_state_dict(self._model.module.state_dict())
