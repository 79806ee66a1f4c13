"""Dropout masks that all views of a row share."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

#: Uniform numbers of a shape whose first axis is the rows.
Uniform = Callable[[tuple[int, ...]], Tensor]


@contextlib.contextmanager
def shared_dropout(module: nn.Module, n_views: int, uniform: Uniform) -> Iterator[None]:
    """Make every ``nn.Dropout`` inside `module` draw one mask a row, used by each of its views.

    Without it the gradient difference of two equal views is not zero, and the zero-out promise
    fails. Rows come view after view: all rows of view 0, then all rows of view 1. No random stream of
    torch's is touched.
    """

    layers = [m for m in module.modules() if type(m) is nn.Dropout and m.training]

    def share(layer: nn.Dropout, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if layer.p == 0:
            return None
        x = args[0]
        keep = 1.0 - layer.p
        mask = uniform((len(x) // n_views, *x.shape[1:])).to(x.device) < keep
        return x * torch.cat([mask] * n_views).to(x.dtype) / (keep or 1.0)

    handles = [m.register_forward_hook(share) for m in layers]
    try:
        for layer in layers:
            layer.eval()  # or it would draw a mask of its own first
        yield
    finally:
        for layer, handle in zip(layers, handles, strict=True):
            layer.train()
            handle.remove()


def taken_from(numbers: Tensor) -> Uniform:
    """Uniform numbers that were drawn before the pass, so that every way to run it uses the same.

    Parameters
    ----------
    numbers : Tensor of shape (n_rows, n_numbers) or, where code runs once for many rows, (n_numbers,)
        Each row's own. A pass that uses more of them than there are starts again with the first ones.
    """
    taken = 0

    def take(shape: tuple[int, ...]) -> Tensor:
        nonlocal taken
        first, taken = taken, taken + math.prod(shape[1:])
        if taken <= numbers.shape[-1]:
            return numbers[..., first:taken].reshape(shape)
        return numbers[..., torch.arange(first, taken) % numbers.shape[-1]].reshape(shape)

    return take


class Counted:
    """Count the uniform numbers that one forward pass uses for each row."""

    def __init__(self) -> None:
        self.numbers = 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        self.numbers += math.prod(shape[1:])
        return torch.zeros(shape)
