"""How many steps of which size a fit takes, from public facts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..._parameters import check_int
from ._methods import method_of

# Where nothing else is said: the largest batches, the most private steps of an epoch and the most rows of a
# public one. More of them lowers no loss, however many rows the table has (docs/scaling.md).
_LARGEST_BATCH, _LARGEST_PUBLIC_BATCH, _EPOCH_STEPS, _EPOCH_ROWS = 2**13, 2**12, 32, 2**18


@dataclass(frozen=True)
class Schedule:
    """Steps and batch sizes of a fit, from public facts.

    Parameters
    ----------
    batch_size, public_batch_size : int
    steps : int
        Private steps.
    epoch_steps : tuple of int
        Steps of each epoch: of the public warm-up first, then private ones.
    """

    batch_size: int
    public_batch_size: int
    steps: int
    epoch_steps: tuple[int, ...]


def schedule_of(model: Any, n_rows: int, n_support: int) -> Schedule:
    """The schedule of a FusionDP estimator's fit on so many rows, and labelled support rows beside them."""
    method = method_of(model.method)
    share = max(64, n_rows // 32)
    default = min(n_rows, share, _LARGEST_BATCH)
    batch = check_int("batch_size", model.batch_size, default=default, most=n_rows)
    default = min(batch, _LARGEST_PUBLIC_BATCH)
    public = check_int("public_batch_size", model.public_batch_size, default=default, most=n_rows)
    whole_pass = max(1, (n_rows + n_support) // public)
    some_pass = min(whole_pass, max(1, _EPOCH_ROWS // public))
    # The fewer the rows, the sooner the network memorises imputed cells.
    few = min(10, max(5, n_rows // 400))
    warm = check_int("public_epochs", model.public_epochs, 0, default=few) if method.free_view else 0
    warmup = (some_pass if model.public_epochs is None else whole_pass,) * warm
    per_epoch = math.ceil(n_rows / batch)
    if model.batch_size is None and model.epochs is None and share > _LARGEST_BATCH:
        per_epoch = _EPOCH_STEPS
    if model.steps is not None:
        steps = check_int("steps", model.steps, default=0)
    else:
        # Where the module starts from what the hybrid view says, public epochs have little to add to it.
        done = method.imputes and not method.private and model.module is None
        steps = per_epoch * check_int("epochs", model.epochs, default=0 if done else 20)
    private = (per_epoch,) * (steps // per_epoch)
    if steps % per_epoch:
        private += (steps % per_epoch,)
    if not method.private:
        private = (some_pass if model.epochs is None else whole_pass,) * len(private)
    return Schedule(batch, public, steps, warmup + private)
