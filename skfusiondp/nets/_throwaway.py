"""Copies of a module for forward passes over sensitive rows: what such a pass writes is thrown away."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

# What nn.Module itself keeps in an instance; everything else in it is the module's own.
_OF_TORCH = frozenset(vars(nn.Module()))


class Throwaway:
    """Makes copies of a module with its present parameters and buffers, in one precision.

    A module may write to itself in ``forward``: running statistics, a counter, the last attention. After
    a pass over sensitive rows that would be released, and read by the next pass, without noise. So such
    passes run on copies of the module as it was before any pass, each of which is used once.

    Parameters
    ----------
    module : nn.Module
        Before its first forward pass.
    """

    def __init__(self, module: nn.Module):
        self._module = module
        self._pristine = copy.deepcopy(module)

    def copy(self, dtype: torch.dtype = torch.float64, *, training: bool = True) -> nn.Module:
        """A copy that shares nothing with the module.

        Parameters
        ----------
        dtype : torch.dtype
            Of its floating-point parameters and buffers.
        training : bool
            Whether it is in training mode.

        Returns
        -------
        nn.Module
        """
        made = copy.deepcopy(self._pristine).to(dtype)
        with torch.no_grad():
            for kind in (nn.Module.parameters, nn.Module.buffers):
                for mine, now in zip(kind(made), kind(self._module), strict=True):
                    mine.copy_(now)
        return made.train(training)

    def forget(self) -> None:
        """Put back every attribute of the module that forward passes have written; buffers stay."""
        for layer, before in zip(self._module.modules(), self._pristine.modules(), strict=True):
            for name in [n for n in vars(layer) if n not in _OF_TORCH and n not in vars(before)]:
                delattr(layer, name)
            for name, value in copy.deepcopy(own_attributes(before)).items():
                setattr(layer, name, value)


def own_attributes(layer: nn.Module) -> dict[str, Any]:
    """What a layer keeps beside torch's own parameters, buffers, layers, hooks and mode."""
    return {n: v for n, v in vars(layer).items() if n not in _OF_TORCH}
