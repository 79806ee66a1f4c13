"""Refuse modules for which per-row clipping would not mean what it says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..exceptions import InvalidInputError
from ._dropout import shared_dropout
from ._objective import forward_with_representation
from ._own_randomness import OwnRandomness
from ._throwaway import Throwaway, copied
from ._traces import traces

_MIXES_ROWS = {
    "BatchNorm1d": "LayerNorm",
    "BatchNorm2d": "GroupNorm",
    "BatchNorm3d": "GroupNorm",
    "SyncBatchNorm": "LayerNorm",
    "LazyBatchNorm1d": "LayerNorm",
    "LazyBatchNorm2d": "GroupNorm",
    "LazyBatchNorm3d": "GroupNorm",
}


# What one made-up row is changed to, to see whether others notice: rows like encoded ones, and far ones.
_CHANGES = (0.0, 1.0, -1.0, 100.0, -100.0, 1e4)


def check_module(module: nn.Module, x: Tensor, n_outputs: int) -> None:
    """Refuse a module that mixes rows, gives the wrong shape or has randomness of its own.

    Parameters
    ----------
    module : nn.Module
        Not changed: passes run on copies.
    x : Tensor of shape (n_rows, n_features)
        Made-up rows, at least 2.
    n_outputs : int
        Outputs expected of each row.

    Raises
    ------
    InvalidInputError
        Names the layer or the fault, and the remedy.
    """
    for path, layer in module.named_modules():
        kind = type(layer).__name__
        if kind in _MIXES_ROWS:
            raise InvalidInputError(
                f"module has the layer {path!r} ({kind}), which mixes rows, so that clipping one row does "
                f"not bound its influence; use {_MIXES_ROWS[kind]} instead."
            )
    try:
        throwaway = Throwaway(module)
        outputs, _ = _run(throwaway, x)
        before = traces(module)  # what is made at the first pass, once for all, is no trace of rows
        for training in (True, False):
            _run(throwaway, torch.cat([3 * x + 1, 1 - 3 * x]), training=training)
        after, state = traces(module), _state_after(module, x)
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a module of the user's own may raise
        raise InvalidInputError(
            f"module cannot run on encoded rows of shape {tuple(x.shape)} ({type(error).__name__}: {error}); "
            "it gets one float32 tensor (n_rows, n_features), as its parameters are, and takes n_features "
            "and n_outputs as arguments."
        ) from error
    if after != before:
        raise InvalidInputError(
            "module writes to something that its copies share when it is called (an attribute of a class, a "
            "global, a cache, a variable of a closure such as a hook's, or an object whose copy is itself), "
            "so that sensitive rows could stay in it; write to attributes of the module itself, whose copies "
            "are thrown away. A count of calls is no exception: it follows how many rows are sampled."
        )
    if state != _state(module):
        raise InvalidInputError(
            "module makes or replaces parameters or buffers when it is called, which no optimizer and no "
            "copy of it knows; make them in __init__, in their final shape."
        )
    if tuple(outputs.shape) != (len(x), n_outputs):
        raise InvalidInputError(
            f"module gives outputs of shape {tuple(outputs.shape)} for {len(x)} rows; it must give "
            f"({len(x)}, {n_outputs}): one row of {n_outputs} output(s) a row of the table."
        )
    if outputs.grad_fn is None:
        raise InvalidInputError("module has no trainable parameter that its outputs depend on.")
    if not outputs.isfinite().all():
        raise InvalidInputError(
            "module gives outputs that are NaN or infinite for rows of standard normal numbers, as encoded "
            "rows may be; keep what it computes within its range (such as log(1 + x * x) for log(x))."
        )
    # Private steps run in training mode; rows are represented, and predicted, in evaluation mode.
    for training in (True, False):
        _check_rows_apart(throwaway, x, training)
    both, _ = _run(throwaway, torch.cat([x, x]), n_views=2)
    if not torch.allclose(both[: len(x)], both[len(x) :], rtol=1e-4, atol=1e-5):
        raise _unshared_randomness()


def _unshared_randomness() -> InvalidInputError:
    return InvalidInputError(
        "module draws randomness that the two views of a row do not share; use nn.Dropout layers, "
        "whose masks are shared (unless inplace=True), and no functional dropout or other random layer."
    )


def _check_rows_apart(throwaway: Throwaway, x: Tensor, training: bool) -> None:
    """Refuse a module in which a change of one row reaches another's outputs or representation."""

    def passed(rows: Tensor) -> tuple[Tensor, Tensor]:
        return _forward(throwaway.copy(torch.float32, training=training), rows)

    for rows in (x, torch.sigmoid(x)):
        before = passed(rows)
        for change in (rows[-1:] + 1.0, *(torch.full_like(rows[-1:], value) for value in _CHANGES)):
            after = passed(torch.cat([rows[:-1], change]))
            for a, b in zip(before, after, strict=True):
                if not torch.allclose(a[:-1], b[:-1], rtol=1e-4, atol=1e-5, equal_nan=True):
                    raise InvalidInputError(
                        f"module mixes rows{'' if training else ' in evaluation mode'}: changing one row "
                        "changed the outputs of others, so that clipping one row does not bound its "
                        "influence; compute each row's outputs from that row alone."
                    )


def _run(
    throwaway: Throwaway, x: Tensor, n_views: int = 1, *, training: bool = True
) -> tuple[Tensor, Tensor]:
    """Outputs and representation of made-up rows, by a copy: the module keeps nothing of them.

    Refuses a module with randomness of its own.
    """
    with OwnRandomness(0) as own:
        result = _forward(throwaway.copy(None, training=training), x, n_views)
    if own.draws:
        raise _unshared_randomness()
    return result


def _state(module: nn.Module) -> dict[str, tuple]:
    """Shapes of parameters and buffers."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        n: () if isinstance(t, UninitializedBuffer | UninitializedParameter) else tuple(t.shape)
        for n, t in tensors.items()
    }


def _state_after(module: nn.Module, x: Tensor) -> dict[str, tuple]:
    """Shapes of the parameters and buffers of a copy after a pass, where the module's are final."""
    module = copied(module)
    lazy = any(isinstance(p, UninitializedBuffer | UninitializedParameter) for p in module.parameters())
    if not lazy:
        _forward(module, x)
    return _state(module)


def _forward(module: nn.Module, x: Tensor, n_views: int = 1) -> tuple[Tensor, Tensor]:
    masks = np.random.Generator(np.random.PCG64(0))
    with shared_dropout(module, n_views, lambda shape: torch.from_numpy(masks.random(shape, np.float32))):
        return forward_with_representation(module, x)
