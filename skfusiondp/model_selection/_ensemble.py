"""Train a stack of models at once, each with its own sample, clip, noise and learning rate."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..training import TwoViewObjective
from ..training._batches import BatchSchedule
from ._optimizers import StackedOptimizer, why_no_stacked_rule
from ._stack import (
    Layout,
    Private,
    StackedMLP,
    clipped_sums,
    trained_parameters,
    why_not_stackable,
)

# Rows times models of one batched step: activations of more would fall out of the cache.
_ROWS_AT_ONCE = 2**11


@dataclass
class Member:
    """One model of a stack.

    Parameters
    ----------
    net : FusionDPNet
        Prepared and untrained; holds the trained module afterwards.
    rows : TrainingRows
    same_start : hashable or None
        Models with an equal value share their public warm-up: one is trained, the others start
        from a copy. None shares with nobody.
    random : Tensor or None
        State of torch's generator from which a warm-up draws its dropout masks.
    """

    net: Any
    rows: Any
    same_start: Any = None
    random: Any = None
    schedule: BatchSchedule = field(init=False)
    seconds: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if not self.net._head_only:
            self.schedule = self.net.get_iterator(self.rows, training=True)

    @property
    def stack_key(self) -> tuple:
        """Members with an equal key can be stacked."""
        net, plan = self.net, self.net.plan
        group = {k: v for k, v in net.optimizer_.param_groups[0].items() if k not in ("params", "lr")}
        return (
            id(self.rows),
            repr(net.module_),
            tuple(net.epoch_steps),
            net.public_batch_size,
            None if plan is None else (plan.steps, plan.clipping.kind),
            (net.averaging, net.consistency_bound, type(net.optimizer_), repr(group)),
        )


def why_not(net: Any, rows: Any) -> str | None:
    """Why a net cannot be a stack's member, or None if it can."""
    reason = why_not_stackable(net.module_, net._head_only) or why_no_stacked_rule(net.optimizer_)
    if reason:
        return reason
    if net.callbacks or net.max_epochs != len(net.epoch_steps):
        return "callbacks follow one net"
    if str(net.device) != "cpu" or net.verbose:
        return "a device or verbose output is asked for"
    if type(net.criterion_).__name__ != "RowLoss" or next(net.module_.parameters()).dtype != torch.float32:
        return "criterion or precision is not the usual one"
    if net.plan is not None and len(net.plan.tiers) > 1:
        return "columns have budgets of their own"
    if net.engine_ is not None:
        names = tuple(n for n, _ in net.module_.named_parameters())
        if net._head_only:
            names = ("wide.weight", "wide.bias")
        if net.engine_.names != names or net.engine_.path != "book-keeping":
            return "private_parameters are chosen, or the net is not followed layer by layer"
    views = [rows.free, *(rows.views if rows.views is not None else [])]
    if not all(isinstance(v, Tensor) for v in views if v is not None):
        return "the rows are on disk"
    return None


def train(members: list[Member]) -> None:
    """Train members with one ``stack_key``, and leave each one's result in its net."""
    if members[0].net._head_only:
        _train_heads(members)
        return
    size = members[0].net.public_batch_size
    plan = members[0].net.plan
    rows = size + (0 if plan is None else 2 * plan.expected_batch_size)
    at_once = max(1, round(_ROWS_AT_ONCE / rows))
    starts: dict[Any, Ensemble] = {}
    for first in range(0, len(members), at_once):
        _train_chunk(members[first : first + at_once], starts)


def _train_chunk(members: list[Member], starts: dict[Any, Ensemble]) -> None:
    began = time.perf_counter()
    schedule = members[0].schedule
    plan = members[0].net.plan
    warm = sum(schedule.epochs) - (0 if plan is None else plan.steps)
    keys = {m.same_start for m in members}
    if warm and plan is not None and len(keys) == 1 and None not in keys:
        key = keys.pop()
        if key not in starts:
            starts[key] = Ensemble(members[:1])
            starts[key].run(warm)
        ensemble = Ensemble(members)
        ensemble.start_from(starts[key])
    else:
        ensemble = Ensemble(members)
    try:
        ensemble.run(sum(schedule.epochs) - ensemble.steps)
    finally:
        ensemble.finish()
    for member in members:
        member.seconds = (time.perf_counter() - began) / len(members)


def _train_heads(members: list[Member]) -> None:
    """Warm up what may differ once, then train all heads on the rows that it represents."""
    began = time.perf_counter()
    groups: dict[Any, list[Member]] = {}
    for number, member in enumerate(members):
        key = number if member.same_start is None else member.same_start
        groups.setdefault(key, []).append(member)
    for group in groups.values():
        first, *others = group
        with torch.random.fork_rng():
            if first.random is not None:
                torch.set_rng_state(first.random)
            rows = first.net.warm_up(first.rows)
        if rows is None:
            raise KeyboardInterrupt
        for member in others:
            member.net.module_.load_state_dict(first.net.module_.state_dict())
            member.net.history = copy.deepcopy(first.net.history)
            # The public batches that were passed over; the first member drew them for all.
            member.net.get_iterator(member.rows, training=True)
        for member in group:
            net = member.net
            member.rows = rows
            net.optimizer_.load_state_dict(net._fresh_optimizer)
            net._schedule = (net.plan, net.epoch_steps[len(net._warm_epochs) :])
            member.schedule = net.get_iterator(rows, training=True)
        ensemble = Ensemble(group)
        try:
            ensemble.run(first.net.plan.steps)
        finally:
            ensemble.finish()
    for member in members:
        member.seconds = (time.perf_counter() - began) / len(members)


class Ensemble:
    """The state of a stack's training.

    Parameters
    ----------
    members : list of Member
        With rows in common.
    """

    def __init__(self, members: list[Member]):
        self.members = members
        first = members[0].net
        self.layout = Layout(first.module_)
        with torch.no_grad():
            self.flat = torch.stack(
                [
                    torch.cat([p.flatten() for p in trained_parameters(m.net.module_).values()])
                    for m in members
                ]
            ).double()
        self.average = self.flat.clone()
        self.model = StackedMLP(self.layout, self.flat, first._bits().generator())
        which = "public_lr" if first.plan is None else "head_lr" if first._head_only else "lr"
        rates = [getattr(m.net, which) for m in members]
        self.optimizer = StackedOptimizer([m.net.optimizer_ for m in members], rates, self.flat)
        self.row_loss = first.criterion_
        self.objective = TwoViewObjective(self.row_loss, 0.0, first.consistency_bound)
        # A penalty on what is before the head moves no head.
        betas = [0.0 if m.net._head_only else float(m.net.beta) for m in members]
        self.beta = torch.tensor(betas).unsqueeze(1)
        self.source = _Source(members[0].rows, first.module_.head if first._head_only else None)
        self.steps = 0
        self.private_steps = 0
        self.losses: list[Tensor] = []

    def start_from(self, other: Ensemble) -> None:
        """Copy the state of a stack of one to each model."""
        self.flat.copy_(other.flat.expand_as(self.flat))
        self.average.copy_(other.average.expand_as(self.flat))
        self.optimizer.first.copy_(other.optimizer.first.expand_as(self.flat))
        if self.optimizer.adam:
            self.optimizer.second.copy_(other.optimizer.second.expand_as(self.flat))
        self.optimizer.steps = self.steps = other.steps
        self.losses = [loss.expand(len(self.members)) for loss in other.losses]
        for member in self.members:
            # The public batches that were passed over; the member whose batches they were drew them.
            for _ in range(other.steps if member is not other.members[0] else 0):
                member.schedule._draw()

    def run(self, steps: int) -> None:
        """Train on."""
        with torch.no_grad():
            for _ in range(steps):
                self._step()

    def finish(self) -> None:
        """Hand each member its averaged parameters, its history and the number of private steps."""
        for member, values in zip(self.members, self.average, strict=True):
            with torch.no_grad():
                for name, parameter in trained_parameters(member.net.module_).items():
                    where, shape = self.layout.slots[name]
                    parameter.copy_(values[where].reshape(shape))
        losses = torch.stack(self.losses, 1).tolist() if self.losses else [[]] * len(self.members)
        for member, own in zip(self.members, losses, strict=True):
            net = member.net
            net.private_steps_ = self.private_steps
            start, before = 0, len(net.history)
            for epoch, count in enumerate(member.schedule.epochs, before + 1):
                part = own[start : start + count]
                start += count
                if part:
                    net.history.new_epoch()
                    net.history.record("epoch", epoch)
                    net.history.record("train_loss", float(np.mean(part)))
                    net.history.record("train_batch_count", len(part))

    def _step(self) -> None:
        drawn = [m.schedule._draw() for m in self.members]
        public = None if drawn[0][0] is None else np.stack([p for p, _ in drawn])  # type: ignore[misc]
        private = [sample[0] for _, sample in drawn] if drawn[0][1] else None
        if private is not None:
            # Paid for and counted before the rows are used, as the net does.
            if not self.private_steps:
                for member in self.members:
                    if member.net.begin is not None:
                        member.net.begin()
            self.private_steps += 1
        gradient = self._gradient(public, private)
        self.optimizer.step(gradient)
        self._average()
        self.steps += 1

    def _gradient(self, public: np.ndarray | None, private: list[np.ndarray] | None) -> Tensor:
        total = torch.zeros_like(self.flat)
        n_public = 0 if public is None else public.shape[1]
        sample = None if private is None else _padded(private, self.source)
        n_views = 0 if sample is None else sample.private.n_views
        x, offset = self.source.read(public, sample)
        outputs, hidden = self.model.forward(x, n_public, n_views)
        if offset is not None:
            outputs = outputs + offset
        g_outputs, g_hidden = self._loss_gradients(outputs, hidden, public, sample)
        tensors = self.model.backward(g_outputs, g_hidden)
        if public is not None:
            tensors.part(slice(0, n_public)).add_sums(self.layout.views(total))
        if sample is not None:
            clippings = [m.net.plan.clipping for m in self.members]
            part = tensors.part(slice(n_public, None))
            clipped = clipped_sums(part, sample.private, clippings, self.layout)
            for i, member in enumerate(self.members):
                net = member.net
                scale = (1.0 if public is None else net.alpha) / net.plan.expected_batch_size
                total[i].add_(net._tiers[0][1].add_to(clipped[i]), alpha=scale)
        return total

    def _loss_gradients(
        self, outputs: Tensor, hidden: Tensor, public: np.ndarray | None, sample: Sample | None
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients at outputs and representation: of a mean over public rows, of each private row."""
        n_public = 0 if public is None else public.shape[1]
        consistent = sample is not None and sample.private.n_views == 2 and bool(self.beta.any())
        with torch.enable_grad():
            outputs = outputs.detach().requires_grad_()
            hidden = hidden.detach().requires_grad_(consistent)
            objective = outputs.new_zeros(())
            if public is None:
                self.losses.append(torch.full((len(self.members),), float("nan")))
            else:
                index = torch.from_numpy(public)
                losses = self.row_loss(
                    outputs[:, :n_public].flatten(0, 1), self.source.y[index].flatten(0, 1)
                )
                means = (losses.unflatten(0, index.shape) * self.source.weight[index]).mean(1)
                self.losses.append(means.detach())
                objective = objective + means.sum()
            if sample is not None:
                shape = sample.weight.shape
                n = shape[1]
                views = [
                    slice(n_public + v * n, n_public + (v + 1) * n) for v in range(sample.private.n_views)
                ]
                ends = torch.stack([outputs[:, v].flatten(0, 1) for v in views])
                inner = torch.stack([hidden[:, v].flatten(0, 1) for v in views])
                y, weight = sample.y.flatten(0, 1), sample.weight.flatten()
                objective = objective + self.objective(ends, inner, y, weight).sum()
                if consistent:
                    true, imputed = (self.objective._bounded(h) for h in inner)
                    penalty = (true - imputed).square().mean(1).unflatten(0, shape)
                    objective = objective + (self.beta * penalty).sum()
            wanted = [outputs, hidden] if consistent else [outputs]
            gradients = torch.autograd.grad(objective, wanted)
        return gradients[0], gradients[1] if consistent else None

    def _average(self) -> None:
        # IterateAverage: the first iterate as it is, then an average that widens as it goes on.
        decay = self.members[0].net.averaging
        weight = 1.0 if self.steps == 0 else 1 - min(decay, (1 + self.steps) / (10 + self.steps))
        self.average.lerp_(self.flat, weight)


class Sample:
    """The private rows of one step of every model, by position, each of shape (n_models, n_rows)."""

    def __init__(self, index: Tensor, y: Tensor, weight: Tensor, private: Private):
        self.index = index
        self.y = y
        self.weight = weight
        self.private = private


class _Source:
    """All views of the rows under one another, so that a step is one read.

    Where only a head's wide part is trained, what it is added to is an offset.
    """

    def __init__(self, rows: Any, head: Any = None):
        views = [] if rows.views is None else list(rows.views)
        self.n_rows = len(rows)
        self.n_views = len(views)
        extra = rows.extra
        public = [] if rows.free is None else [rows.free, *([] if extra is None else [extra.x])]
        self.first_view = sum(len(p) for p in public)
        y = rows.y if extra is None else torch.cat([rows.y, extra.y])
        self.y = y.double() if y.is_floating_point() else y
        self.weight = (rows.weight if extra is None else torch.cat([rows.weight, extra.weight])).double()
        # Double precision, as in the per-row engine: a row's gradient must not follow its batch.
        self.table = torch.cat([*public, *views]).double()
        self.offset = None
        if head is not None:
            self.offset, self.table = self.table.tensor_split([head.wide.out_features], dim=1)
            self.table = self.table.contiguous()
        # Rows whose views are the same add nothing.
        self.differ = torch.ones(self.n_rows, dtype=torch.bool)
        if len(views) == 2:
            self.differ = (views[0] != views[1]).any(-1)

    def read(self, public: np.ndarray | None, sample: Sample | None) -> tuple[Tensor, Tensor | None]:
        """Public rows, then the private ones view after view, (n_models, n_rows, ...); their offset."""
        index = [] if public is None else [torch.from_numpy(public)]
        if sample is not None:
            index += [sample.index + self.first_view + self.n_rows * v for v in range(self.n_views)]
        both = torch.cat(index, 1)
        offset = None if self.offset is None else self.offset[both]
        return self.table.index_select(0, both.flatten()).unflatten(0, both.shape), offset


def _padded(drawn: list[np.ndarray], source: _Source) -> Sample:
    """Stack samples of different sizes; what fills the shorter ones counts for nothing."""
    longest = max(1, *(len(d) for d in drawn))
    index = np.zeros((len(drawn), longest), dtype=np.int64)
    real = np.zeros((len(drawn), longest), dtype=bool)
    for i, d in enumerate(drawn):
        index[i, : len(d)] = d
        real[i, : len(d)] = True
    index_, real_ = torch.from_numpy(index), torch.from_numpy(real)
    private = Private(source.n_views, real_, source.differ[index_])
    return Sample(index_, source.y[index_], source.weight[index_] * real_, private)
