"""A fit of a few steps on made-up rows, by copies, before anything is paid."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from skorch.callbacks import Callback, Checkpoint, LRScheduler, TrainEndCheckpoint, logging
from skorch.history import History
from torch.optim.lr_scheduler import ReduceLROnPlateau

from .._parameters import LARGEST_RATE
from ._batches import Batch, Rows, TrainingRows
from ._made_up import made_up_rows
from ._net import FusionDPNet
from ._parts import refused_as
from ._process_group import Ranks
from ._throwaway import Throwaway, copied

# Epochs of each phase, one step each: schedules and early stopping look at the epoch before.
_EPOCHS = 2
_NO_VALIDATION = (
    "no row is set aside for validation, so that an epoch's history has no valid_loss: monitor 'train_loss', "
    "which is that of the free view, or score rows of your own in a callback"
)
# They write elsewhere, or to the screen, what the others have recorded.
_LOGGERS = tuple(
    c for c in vars(logging).values() if isinstance(c, type) and issubclass(c, Callback) and c is not Callback
)


def rehearse(net: FusionDPNet, rows: TrainingRows, n_outputs: int) -> None:
    """Refuse an optimizer or callbacks that fail in a net's training, before it has paid.

    Copies of its parts are trained for a few steps of each phase on made-up rows, with made-up numbers for
    the private gradient. Loggers are left out, and checkpoints write no file.

    Parameters
    ----------
    net : FusionDPNet
        Prepared. Not changed.
    rows : TrainingRows
        Only shapes and types are used.
    n_outputs : int

    Raises
    ------
    InvalidInputError
        Names the optimizer, or the callback, and what it said.
    TrainingDivergedError
        If so few steps already give NaN.
    """
    double = _Double.of(net)
    double.fit_more(made_up_rows(rows, n_outputs, max(8, 2 * n_outputs)))
    phases = [(net.epoch_steps, net.lr if net.plan else net.public_lr)]
    if net._head_only:
        phases = [(net._warm_epochs, net.public_lr), (net.head_epochs, net.head_lr)]
    for callback in (c for _, c in double.callbacks_ if isinstance(c, LRScheduler)):
        for steps, rate in phases:
            double.start_optimizer(rate)
            _walk(double, callback, steps)


class _Double(FusionDPNet):
    """A net that trains copies of another's parts."""

    engine_: Any

    @classmethod
    def of(cls, net: FusionDPNet) -> _Double:
        """A double of a prepared net."""
        double = object.__new__(cls)
        memo: dict[int, Any] = {}
        own = {
            "module_": copied(net.module_, memo),
            "criterion_": copy.deepcopy(net.criterion_, memo),
            "optimizer_": copy.deepcopy(net.optimizer_, memo),
            "_fresh_optimizer": net._fresh_optimizer,
        }
        own["callbacks_"] = [
            (name, _without_files(copy.deepcopy(callback, memo)))
            for name, callback in net.callbacks_
            if not isinstance(callback, _LOGGERS)
        ]
        own |= {"history_": History(), "verbose": 0, "ranks_": Ranks(), "begin": None}
        own |= {"_public_masks": torch.Generator().manual_seed(0), "seed": copy.deepcopy(net.seed)}
        own["_throwaway"] = Throwaway(own["module_"])
        epochs, plan = _few_epochs(net)
        own |= {"epoch_steps": epochs, "plan": plan}
        double.__dict__.update({**vars(net), **own})
        return double

    def _add_public_gradient(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        with refused_as(
            "callbacks",
            [name for name, _ in self.callbacks_],
            "leave a module whose loss has no gradient",
            "a callback such as Freezer must leave parameters to train",
        ):
            return super()._add_public_gradient(rows)

    def _add_private_gradient(self, batch: Batch) -> None:
        generator = torch.Generator().manual_seed(0)
        for name, parameter in self._trained.named_parameters():
            if name in self.engine_.names:
                made_up = 1e-3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
                made_up = made_up.to(parameter)
                parameter.grad = made_up if parameter.grad is None else parameter.grad + made_up

    def step_optimizer(self) -> None:
        with refused_as(
            "optimizer",
            self.optimizer,
            "cannot take a step",
            "a step must need no closure, and take the gradients of all parameters as they are; use "
            "torch.optim.Adam, SGD or their like",
        ):
            super().step_optimizer()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for name, callback in self.callbacks_:
                with refused_as(
                    "callbacks", [name], f"fails in {method_name} on made-up rows", _NO_VALIDATION
                ):
                    getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt:  # how callbacks stop a training: only the present phase's
            self._stopped = True
            raise


def _few_epochs(net: FusionDPNet) -> tuple[tuple[int, ...], Any]:
    """Some epochs of one step each, of each phase that a net has, and the plan for them."""
    if net.plan is None:
        return (1,) * min(_EPOCHS, len(net.epoch_steps)), None
    warm = len(net._warm_epochs)
    private = min(_EPOCHS, len(net.epoch_steps) - warm)
    return (1,) * (min(_EPOCHS, warm) + private), replace(net.plan, steps=private)


def _without_files(callback: Any) -> Any:
    """A checkpoint that writes nothing; any other callback as it is."""
    if isinstance(callback, Checkpoint | TrainEndCheckpoint):
        for name in vars(callback):
            if name.startswith("f_"):
                setattr(callback, name, None)
        inner = getattr(callback, "checkpoint_", None)
        if inner is not None:
            _without_files(inner)
    return callback


def _walk(double: _Double, callback: LRScheduler, epochs: Sequence[int]) -> None:
    """Take a schedule of the learning rate through a phase, which may have an end of its own."""
    if callback.policy_ is ReduceLROnPlateau:
        return
    count = sum(epochs) if callback.step_every == "batch" else len(epochs)
    kind = "steps" if callback.step_every == "batch" else "epochs"
    with refused_as(
        "callbacks",
        [type(callback).__name__],
        f"fails within the {count} {kind} of a phase",
        "each phase, of public epochs or of private ones, begins the schedule anew; let it last that long",
    ):
        callback.on_train_begin(double)
        for _ in itertools.repeat(None, count):
            callback.lr_scheduler_.step()
            rate = max(float(group["lr"]) for group in double.optimizer_.param_groups)
            if not rate <= LARGEST_RATE:
                raise ValueError(f"a learning rate of {rate:g}, above {LARGEST_RATE:g}")
