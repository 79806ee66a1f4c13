"""Train the private heads of many nets step by step together, each of them as it would train alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nets._wide_and_deep import CorrectedHeads, WideAndDeep
from ..privacy import Clipping
from ..training import IterateAverage, PerRowEngine, RowLoss, TwoViewObjective
from ..training._batches import RepresentedRows, TrainingRows
from ..training._net import FusionDPNet

# Rows of one step of all nets; more of them fall out of the cache.
_ROWS_AT_ONCE = 2**14
# Optimizers that treat each number of a parameter by itself.
_BY_NUMBER = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


def why_alone(net: FusionDPNet, rows: TrainingRows) -> str | None:
    """Why a net's head cannot be trained together with others, or None if it can."""
    if net.plan is None:
        return "no step is private"
    if not net._head_only or type(net.module_) is not WideAndDeep:
        return f"{type(net.module_).__name__} is no WideAndDeep of which the head alone is private"
    assert net.engine_ is not None
    if net.engine_.names != ("wide.weight", "wide.bias") or not isinstance(net.criterion_, RowLoss):
        return "private_parameters or criterion are chosen"
    if net.plan.clipping.kind == "automatic":
        return "automatic clipping does not scale with its norm"
    optimizer = net.optimizer_
    if type(optimizer) not in _BY_NUMBER or len(optimizer.param_groups) > 1 or any(net._own_lr):
        return (
            f"optimizer {type(optimizer).__name__} may mix what is not one net's, or has groups of parameters"
        )
    if len(net.plan.tiers) > 1:
        return "columns have budgets of their own"
    if net.callbacks or net.verbose or str(net.device) != "cpu" or net.ranks_.world > 1:
        return "callbacks, verbose output, a device or several processes are asked for"
    views = [rows.free, *(rows.views or [])]
    if not all(isinstance(view, Tensor) for view in views):
        return "the rows are on disk, or none are public"
    if _rows_of_a_step(net) > _ROWS_AT_ONCE:
        return "batches are large"
    return None


def train_heads(nets: Sequence[FusionDPNet], rows: RepresentedRows) -> None:
    """Train the heads of nets that share their warm-up, have as many steps, and are not ``why_alone``."""
    for lr in dict.fromkeys(net.head_lr for net in nets):
        alike = [net for net in nets if net.head_lr == lr]
        most = max(1, _ROWS_AT_ONCE // _rows_of_a_step(nets[0]))
        for some in np.array_split(np.arange(len(alike)), math.ceil(len(alike) / most)):
            HeadStack([alike[i] for i in some], rows).train()


def _rows_of_a_step(net: FusionDPNet) -> int:
    assert net.plan is not None
    return net.public_batch_size + 2 * round(net.plan.expected_batch_size)


class HeadStack:
    """The wide parts of many nets' heads as one linear layer, which all their rows go through in a step.

    The per-row engine clips all rows in one pass. So that one norm, 1, does for all of them, a row's loss is
    divided by its net's clipping norm, and its net's sum multiplied by it. Each net pays for its own plan
    and draws its own samples and noise. An optimizer that treats each number by itself trains them all.

    Parameters
    ----------
    nets : sequence of FusionDPNet
        Of one learning rate.
    rows : RepresentedRows
    """

    def __init__(self, nets: Sequence[FusionDPNet], rows: RepresentedRows):
        self.nets = nets
        self.rows = rows
        self.public = rows.public_rows(np.arange(rows.n_public))
        self.heads = [net.module_.head for net in nets]
        self.module = CorrectedHeads(self.heads)
        first = nets[0]
        for net in nets:
            net._schedule = (net.plan, net.head_epochs)
        self.schedules = [net.get_iterator(rows, training=True) for net in nets]
        self.criterion = first.criterion_
        self.norms = torch.tensor([_clipping(net).max_grad_norm for net in nets], dtype=torch.float64)
        one = Clipping(1.0, _clipping(first).kind)
        self.engine = PerRowEngine(self.module, TwoViewObjective(self.criterion), one)
        self._prepare_engine()
        first.start_optimizer(first.head_lr)
        self.optimizer = copy.deepcopy(first.optimizer_)
        self.optimizer.param_groups[0]["params"] = list(self.module.parameters())
        self.average = IterateAverage(self.module, first.ema_decay)

    def _prepare_engine(self) -> None:
        """As a net prepares its own: on made-up rows."""
        views, numbers = self.rows.views, torch.arange(len(self.nets)).repeat(2)
        assert views is not None
        made_up = torch.randn(
            (len(views), len(numbers), views[0].shape[1]), generator=torch.Generator().manual_seed(0)
        )
        few = torch.zeros_like(numbers)
        self.engine.prepare(_numbered(made_up, numbers), self.rows.y[few], self.rows.weight[few])

    def train(self) -> None:
        """Train all epochs, and leave each net with its own head and history."""
        starts = [net.head_start() for net in self.nets]
        for steps in self.nets[0].head_epochs:
            losses = torch.stack([self._step() for _ in range(steps)]).double().mean(0).tolist()
            for net, loss in zip(self.nets, losses, strict=True):
                net.history.new_epoch()
                net.history.record("epoch", len(net.history))
                net.history.record("train_loss", loss)
                net.history.record("train_batch_count", steps)
        self.average.copy_to_module()
        self.module.hand_over(self.heads)
        for net, start in zip(self.nets, starts, strict=True):
            net.shrink_head(start)

    def _step(self) -> Tensor:
        """Train each net by one step; return their public losses before it."""
        drawn = [schedule.draw() for schedule in self.schedules]
        losses, public = self._public_gradient([index for index, _ in drawn])
        for net in self.nets:
            net.begin_private_step()
        private = self._private_gradient([sample[0] for _, sample in drawn])
        for parameter, one, other in zip(self.module.parameters(), public, private, strict=True):
            parameter.grad = one + other.to(one.dtype)
        self.optimizer.step()
        self.average.update()
        return losses

    def _public_gradient(self, indices: Sequence[Any]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The mean loss of each net, and its gradient in the layer's weight and bias."""
        x, y, weight = (part[torch.from_numpy(np.concatenate(indices))] for part in self.public)
        numbers = torch.arange(len(indices)).repeat_interleave(len(indices[0]))
        losses = self.criterion(self.module(_numbered(x, numbers)), y) * weight
        means = losses.unflatten(0, (len(indices), -1)).mean(1)
        return means.detach(), torch.autograd.grad(means.sum(), list(self.module.parameters()))

    def _private_gradient(self, samples: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """The noised gradient of each net, in the layer's weight and bias."""
        clipped = self._clipped_sums(samples)
        noised = torch.stack([net.noised(total, True) for net, total in zip(self.nets, clipped, strict=True)])
        wide = self.module.wide
        weights, biases = noised.tensor_split([wide.weight.numel() // len(samples)], dim=1)
        return weights.reshape(wide.weight.shape), biases.flatten()

    def _clipped_sums(self, samples: Sequence[np.ndarray]) -> Tensor:
        """Each net's sum of its rows' clipped gradients, of shape (n_nets, n_numbers)."""
        numbers = torch.from_numpy(np.repeat(np.arange(len(samples)), [len(s) for s in samples]))
        views, y, weight = self.rows.private_rows(np.concatenate(samples))
        sums = self.engine.clipped_sum(_numbered(views, numbers), y, weight / self.norms[numbers])
        each = torch.cat([total.reshape(len(samples), -1) for total in sums.values()], dim=1)
        return each * self.norms.unsqueeze(1)


def _numbered(x: Tensor, which: Tensor) -> Tensor:
    """Rows, in any number of views, with the number of their head as the last feature."""
    return torch.cat([x, which.to(x.dtype).unsqueeze(1).expand(*x.shape[:-1], 1)], dim=-1)


def _clipping(net: FusionDPNet) -> Clipping:
    assert net.plan is not None
    return net.plan.clipping
