"""The rows of a fit, and the batches of its two branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .privacy import PrivatePlan
from .privacy._sampling import PoissonSampler


class Rows(NamedTuple):
    """Encoded rows with their target and public weight; `x` may stack views first."""

    x: Tensor
    y: Tensor
    weight: Tensor

    def to(self, device: str | torch.device) -> Rows:
        """The same rows on a device."""
        return Rows(*(t.to(device) for t in self))


class Batch(NamedTuple):
    """One step's rows: those of the public branch, and those of the private one."""

    public: Rows | None
    private: Rows | None


class TrainingRows(Dataset):
    """What a fit trains on. As a dataset it shows the free view only.

    Parameters
    ----------
    free : Tensor of shape (n_rows, n_features) or None
        View of the public branch; what callbacks that score on training rows get to see.
    views : Tensor of shape (n_views, n_rows, n_features) or None
        Views of the private branch, (original, hybrid) or (original,): only the private step may
        read them.
    y : Tensor of shape (n_rows, ...)
    weight : Tensor of shape (n_rows,)
    """

    def __init__(self, free: Tensor | None, views: Tensor | None, y: Tensor, weight: Tensor):
        self.free = free
        self.views = views
        self.y = y
        self.weight = weight

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.free is None:
            raise RuntimeError(
                "This fit has no view of the training rows that is free to read; score on public or "
                "held-out rows instead."
            )
        return self.free[index], self.y[index]

    def public_rows(self, index: np.ndarray) -> Rows:
        """Rows of the free view."""
        assert self.free is not None
        index_ = torch.from_numpy(index)
        return Rows(self.free[index_], self.y[index_], self.weight[index_])

    def private_rows(self, index: np.ndarray) -> Rows:
        """Rows in every private view. Whoever calls this owes the ledger a step."""
        assert self.views is not None
        index_ = torch.from_numpy(index)
        return Rows(self.views[:, index_], self.y[index_], self.weight[index_])


class BatchSchedule:
    """Iterate over one epoch's batches at each pass: first public epochs, then private ones.

    Parameters
    ----------
    rows : TrainingRows
    plan : PrivatePlan or None
        Fixes the number of private steps and their sampling. None: every epoch is public.
    epochs : sequence of int
        Steps of each epoch; the private steps come last.
    public_batch_size : int
    seed : SeedSequence
    """

    def __init__(
        self,
        rows: TrainingRows,
        plan: PrivatePlan | None,
        epochs: Sequence[int],
        public_batch_size: int,
        seed: np.random.SeedSequence,
    ):
        self.rows = rows
        self.plan = plan
        self.epochs = tuple(epochs)
        self.public_batch_size = public_batch_size
        private, public = seed.spawn(2)
        self._first_private = sum(self.epochs) - (plan.steps if plan else 0)
        self._sampler = None if plan is None else PoissonSampler(plan.n_rows, plan.sample_rate, private)
        self._rng = np.random.default_rng(public)
        self._order = np.empty(0, dtype=np.int64)
        self._step = 0
        self._epoch = 0

    def __iter__(self) -> Iterator[Batch]:
        steps = self.epochs[self._epoch]
        self._epoch += 1
        for _ in range(steps):
            private = None
            if self._sampler is not None and self._step >= self._first_private:
                private = self.rows.private_rows(self._sampler.draw())
            self._step += 1
            yield Batch(self._public_batch(), private)

    def _public_batch(self) -> Rows | None:
        if self.rows.free is None:
            return None
        # Passes over a fresh shuffle: every row is seen equally often. Nothing here is accounted.
        if len(self._order) < self.public_batch_size:
            self._order = np.concatenate([self._order, self._rng.permutation(len(self.rows))])
        index, self._order = np.split(self._order, [self.public_batch_size])
        return self.rows.public_rows(index)
