"""Copies of a module for forward passes over sensitive rows: what such a pass writes is thrown away."""

from __future__ import annotations

import copy
from collections.abc import Iterator
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
        self._pristine = copied(module)
        # Torch's layers and this package's write at most to buffers, which are set before every pass: one
        # copy can serve all passes.
        self._writes_nothing = all(_is_ours_or_torchs(layer) for layer in module.modules())
        self._copies: dict[torch.dtype | None, nn.Module] = {}

    def copy(self, dtype: torch.dtype | None = torch.float64, *, training: bool = True) -> nn.Module:
        """A copy for one pass, that shares nothing with the module.

        Parameters
        ----------
        dtype : torch.dtype or None
            Of its floating-point parameters and buffers; None for the module's own.
        training : bool
            Whether it is in training mode.

        Returns
        -------
        nn.Module
        """
        made = self._copies.get(dtype)
        if made is None:
            made = copy.deepcopy(self._pristine)
            made = made if dtype is None else made.to(dtype)
        if self._writes_nothing:
            self._copies[dtype] = made
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


def copied(module: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A deep copy of a module, also where it keeps what it has computed with a gradient.

    Torch refuses to copy such tensors; ``torch.nn.utils.weight_norm`` keeps one, and so does a module that
    keeps a layer's output. Their copies have no gradient.

    Parameters
    ----------
    module : nn.Module
    memo : dict, optional
        As of ``copy.deepcopy``: gets the copies that were made.
    """
    memo = {} if memo is None else memo
    for layer in module.modules():
        for value in _tensors(list(own_attributes(layer).values())):
            if not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _tensors(part)


def _is_ours_or_torchs(layer: nn.Module) -> bool:
    home = type(layer).__module__
    hooks = layer._forward_hooks or layer._forward_pre_hooks
    return home.startswith(("torch.nn.modules.", "skfusiondp.nets.")) and not hooks


def own_attributes(layer: nn.Module) -> dict[str, Any]:
    """What a layer keeps beside torch's own parameters, buffers, layers, hooks and mode."""
    return {n: v for n, v in vars(layer).items() if n not in _OF_TORCH}
