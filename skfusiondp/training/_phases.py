"""The phases of a fit: public epochs, then private ones; what ends a phase, and what ends the fit."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from ..exceptions import TrainingDivergedError, callers_level
from ._average import IterateAverage
from ._batches import RepresentedRows, TrainingRows
from ._parts import NetParts
from ._shrinkage import kept_share, shrink

if TYPE_CHECKING:
    from ..privacy import PrivatePlan
    from ._batches import BatchSchedule
    from ._per_row_engine import PerRowEngine
    from ._process_group import Ranks
    from ._throwaway import Throwaway


class PhasedNet(NetParts):
    """Trains a prepared net phase by phase, each from a fresh optimizer; not for users.

    An EarlyStopping callback ends the present phase. Whatever else ends a phase early, such as Ctrl-C, ends
    the fit, which keeps what was trained.
    """

    plan: PrivatePlan | None
    epoch_steps: Sequence[int]
    ema_decay: float
    public_lr: float
    head_lr: float
    seed: np.random.SeedSequence | None
    private_steps_: int
    correction_kept_: float
    counted: bool
    ranks_: Ranks
    engine_: PerRowEngine | None
    outputs: Callable[[np.ndarray], np.ndarray]
    _represent: Callable[[Tensor], Tensor]
    _batches: BatchSchedule
    _throwaway: Throwaway
    _made_up: Tensor
    _head_only: bool

    def fit_more(self, rows: TrainingRows) -> None:
        """Train an initialised net; Ctrl-C ends it early and keeps what was trained."""
        if self._head_only:
            after = self.warm_up(rows)
            if after is not None:
                self.train_head(after)
            return
        self._run(rows, self.plan, self.epoch_steps, self.lr if self.plan else self.public_lr)

    def warm_up(self, rows: TrainingRows) -> RepresentedRows | None:
        """Train all of the module in the public epochs; then the rows are what the head is trained on.

        Returns
        -------
        RepresentedRows or None
            The rows' representations, which read no sensitive cell but the row's own; None after Ctrl-C.
        """
        if not self._warm_epochs:
            # No phase: callbacks such as checkpoints look at the last epoch when one ends.
            assert self.seed is not None
            self.seed.spawn(1)  # as a warm-up does for its order
            return RepresentedRows.of(rows, self._represent)
        self._head_only = False
        self._run(rows, None, self._warm_epochs, self.public_lr)
        self._head_only = True
        return None if self._interrupted else RepresentedRows.of(rows, self._represent)

    def warm_up_as(self, other: PhasedNet) -> None:
        """Take over the public warm-up of a net that differs in private settings alone."""
        assert self.seed is not None
        self.module_.load_state_dict(other.module_.state_dict())
        self.history = copy.deepcopy(other.history)  # type: ignore[has-type]
        self.seed.spawn(1)  # that of the public order, which the other has drawn

    @property
    def head_epochs(self) -> tuple[int, ...]:
        """Steps of the epochs in which the head alone is trained."""
        return tuple(self.epoch_steps[len(self._warm_epochs) :])

    def train_head(self, rows: TrainingRows) -> None:
        """Train what is private of the head, with a fresh optimizer; all else stays as it is."""
        assert self.engine_ is not None
        start = self.head_start()
        private = {id(p) for n, p in self._trained.named_parameters() if n in self.engine_.names}
        fixed = [p for p in self.module_.parameters() if p.requires_grad and id(p) not in private]
        for parameter in fixed:
            parameter.requires_grad_(False)
            parameter.grad = None
        try:
            self._run(rows, self.plan, self.head_epochs, self.head_lr)
        finally:
            for parameter in fixed:
                parameter.requires_grad_(True)
        self.shrink_head(start)

    def head_start(self) -> list[Tensor]:
        """Copies of the head's parameters."""
        return [p.detach().clone() for p in self.module_.head.parameters()]

    def shrink_head(self, start: Sequence[Tensor]) -> None:
        """Keep of what private steps have learnt beyond `start` the share that is no noise.

        Only where the head corrects a prediction that is there without it (its `corrects`): any other may
        have had to learn everything. It follows from the plan and from released weights: it costs nothing.
        """
        if self.plan is not None and getattr(self.module_.head, "corrects", False):
            self.correction_kept_ = kept_share(self.plan, self.private_steps_)
            shrink(list(self.module_.head.parameters()), start, self.correction_kept_)

    def _run(self, rows: TrainingRows, plan: PrivatePlan | None, epochs: Sequence[int], lr: float) -> None:
        """Some epochs from a fresh optimizer, after which the module is the iterates' average."""
        self._throwaway.forget()
        self.start_optimizer(lr)
        self.average_ = IterateAverage(self.module_, self.ema_decay)
        self._pass_over(rows, plan, epochs)
        if self._stopped and plan is not None and not self.private_steps_:
            # What has ended is learning from public rows.
            self._pass_over(rows, plan, epochs[len(self._warm_epochs) :])
        self.average_.copy_to_module()
        self.ranks_.broadcast(self.module_)
        self._throwaway.forget()
        self._set_training(False)
        self.refuse_diverged()
        if self._interrupted and self.plan is not None and not self.private_steps_:
            known = (
                "none is paid for; of sensitive columns it knows what was imputed"
                if not self.counted
                else "the plan is paid for by the count before; of sensitive columns it knows where cells lie"
            )
            warnings.warn(
                "The fit was interrupted before its first private step: the model has read no true sensitive "
                f"cell by a step, and {known}.",
                UserWarning,
                stacklevel=callers_level(),
            )

    def _pass_over(self, rows: TrainingRows, plan: PrivatePlan | None, epochs: Sequence[int]) -> None:
        """Some epochs with the optimizer as it is."""
        self._schedule, self._stopped = (plan, tuple(epochs)), False
        self.partial_fit(rows, epochs=len(epochs))

    @property
    def _interrupted(self) -> bool:
        """Whether something other than an EarlyStopping callback has ended the last epochs early."""
        return bool(self._batches.remaining) and not self._stopped

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks; see whether it is one of them that ends the epochs, and not Ctrl-C."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            stops = [c for _, c in self.callbacks_ if isinstance(c, EarlyStopping)]
            self._stopped = any(stop.misses_ == stop.patience for stop in stops)
            raise

    def refuse_diverged(self) -> None:
        """Refuse a model that computes no numbers. It is released, so that saying so costs nothing.

        Raises
        ------
        TrainingDivergedError
        """
        finite = all(bool(p.isfinite().all()) for p in self.module_.parameters())
        if finite and np.isfinite(self.outputs(self._made_up.cpu().numpy())).all():
            return
        paid = "nothing is paid"
        if self.private_steps_ or self.counted:
            paid = f"{self.private_steps_} private steps ran, and the plan is paid for"
        raise TrainingDivergedError(
            f"Training diverged: the model's parameters or outputs are NaN or infinite, so that there is no "
            f"model; {paid}. Lower lr={self.lr:g}, "
            f"public_lr={self.public_lr:g} or what optimizer and callbacks make of them."
        )

    @property
    def _warm_epochs(self) -> tuple[int, ...]:
        """Steps of the epochs before the first private one."""
        assert self.plan is not None
        private, count = 0, len(self.epoch_steps)
        while private < self.plan.steps:
            count -= 1
            private += self.epoch_steps[count]
        return tuple(self.epoch_steps[:count])

    @property
    def _trained(self) -> nn.Module:
        """What the current steps train: the module, or its head alone."""
        return self.module_.head if self._head_only else self.module_
