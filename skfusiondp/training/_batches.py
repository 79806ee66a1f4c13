"""The rows of a fit, and the batches of its two branches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..privacy import PrivatePlan
from ..privacy._random_bits import RandomBits
from ..privacy._sampling import PoissonSampler

if TYPE_CHECKING:
    from ._lazy_rows import LazyView, TableReader

    View = Tensor | LazyView

# Rows represented at once, and the most numbers of representations that are kept of small encodings.
_REPRESENTED = 4096
_KEPT_NUMBERS = 2**26
# Rows that means are taken over.
_MOST_AVERAGED = 10_000


class Rows(NamedTuple):
    """Encoded rows with their target and public weight; `x` may stack views first."""

    x: Tensor
    y: Tensor
    weight: Tensor

    def to(self, device: str | torch.device) -> Rows:
        """The same rows on a device."""
        return Rows(*(t.to(device) for t in self))

    def pieces(self, size: int) -> Iterator[Rows]:
        """The same rows, at most `size` at a time; of one view only."""
        for start in range(0, len(self.y), size):
            yield Rows(*(t[start : start + size] for t in self))


@dataclass(frozen=True, eq=False, repr=False)
class PrivateSample:
    """Rows of one private step, which are read piece by piece, and only when they are used.

    Parameters
    ----------
    rows : TrainingRows
    index : ndarray of shape (n_sampled,), int64
        Positions of the Poisson sample; may be empty.
    tier : int
        Which pair of views it reads.
    """

    rows: TrainingRows
    index: np.ndarray
    tier: int = 0

    def pieces(self, size: int) -> Iterator[Rows]:
        """The rows in every private view, at most `size` at a time; one empty piece if there are none.

        The caller has to account for a private step.
        """
        for start in range(0, max(len(self.index), 1), size):
            yield self.rows.private_rows(self.index[start : start + size], self.tier)


class Batch(NamedTuple):
    """One step's rows: those of the public branch, and of the private one a sample for each tier."""

    public: Rows | None
    private: tuple[PrivateSample, ...] | None


@dataclass(frozen=True, eq=False, repr=False)
class TrainingRows(Dataset):
    """What a fit trains on. Indexed as a torch Dataset, it gives rows of the free view only.

    Parameters
    ----------
    free : Tensor or LazyView of shape (n_rows, n_features), or None
        View of the public branch; what callbacks that score on training rows get to see.
    views : sequence of n_views Tensors or LazyViews of shape (n_rows, n_features), or None
        Views of the private branch, (original, hybrid) or (original,): only the private step may
        read them.
    y : Tensor of shape (n_rows, ...)
    weight : Tensor of shape (n_rows,)
    reader : TableReader, optional
        Reads the views' rows where they lie on disk and are best fetched for many steps at once.
    tiers : sequence of Tensors of shape (n_features,), bool, optional
        Where columns have budgets of their own: which features each tier's difference makes true.
    extra : Rows, optional
        Labelled support rows, with true values in sensitive columns, that the public branch reads too.
    kept : ndarray of shape (n_rows,), bool, optional
        Rows that the private branch may read; all if not given. The others, such as those of a unit beyond
        its bound, are in the public branch alone.
    """

    free: View | None
    views: Sequence[View] | None
    y: Tensor
    weight: Tensor
    reader: TableReader | None = None
    tiers: Sequence[Tensor] = ()
    extra: Rows | None = None
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.free is None:
            raise RuntimeError(
                "This fit has no view of the training rows that is free to read; score on public or "
                "held-out rows instead."
            )
        return self.free[index], self.y[index]

    @property
    def n_public(self) -> int:
        """Rows of the public branch: those of the free view, then the extra ones."""
        return len(self) + (0 if self.extra is None else len(self.extra.y))

    def public_rows(self, index: np.ndarray) -> Rows:
        """Rows of the public branch."""
        assert self.free is not None
        own = torch.from_numpy(index[index < len(self)])
        rows = Rows(self.free[own], self.y[own], self.weight[own])
        if self.extra is None:
            return rows
        more = torch.from_numpy(index[index >= len(self)] - len(self))
        return Rows(*(torch.cat([a, b[more]]) for a, b in zip(rows, self.extra, strict=True)))

    def free_means(self) -> np.ndarray:
        """Each feature's mean in the free view, over rows of even distance where these are many."""
        assert self.free is not None
        index = np.linspace(0, len(self) - 1, min(len(self), _MOST_AVERAGED)).astype(np.int64)
        return self.free[torch.from_numpy(index)].mean(dim=0).numpy()

    def private_rows(self, index: np.ndarray, tier: int = 0) -> Rows:
        """Rows in a tier's two views: with true values in the tier's columns, and with imputed ones.

        The caller has to account for a private step. With one tier these are the private views. With more,
        the views form a chain from the hybrid view to the true one: each tier's first view is the second
        view of the next tier.
        """
        assert self.views is not None
        index_ = torch.from_numpy(index)
        views = torch.stack([view[index_] for view in self.views])
        if len(self.tiers) > 1:
            true, free = views
            before = torch.stack((*self.tiers[:tier], torch.zeros_like(self.tiers[0]))).any(0)
            with_own = before | self.tiers[tier]
            views = torch.stack([torch.where(with_own, true, free), torch.where(before, true, free)])
        return Rows(views, self.y[index_], self.weight[index_])


@dataclass(frozen=True, eq=False, repr=False)
class RepresentedRows(TrainingRows):
    """Rows as a module represents them, for training what comes after; made by `of`.

    Parameters
    ----------
    represent : callable or None
        Represents the rows of a step when they are read; None where `free` and `views` hold
        representations already.
    """

    represent: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(cls, rows: TrainingRows, represent: Callable[[Tensor], Tensor]) -> RepresentedRows:
        """The representations of some rows, made once for all steps where they fit in memory.

        Parameters
        ----------
        rows : TrainingRows
        represent : callable
            ``(n_rows, ...) -> (n_rows, n_hidden)``, of each row on its own and without randomness, in
            double precision: a row's representation must not depend on the other rows of its sample.
            (Where it is made once for all steps, each row is always in the same block of rows.)
        """
        given = {f.name: getattr(rows, f.name) for f in fields(TrainingRows)}
        private = None if rows.views is None else list(rows.views)
        views = [rows.free, *(private or [])]
        # Tiers mix encoded views before they are represented.
        if len(rows.tiers) > 1 or not all(isinstance(v, Tensor) for v in views):
            return cls(**given, represent=represent)
        few = torch.cat([v[:1] for v in views if isinstance(v, Tensor)])
        width, rows_width = represent(few).shape[1], few.shape[1]
        # What is no wider than the encoded rows, which lie in memory too, is kept however many they are.
        if width > rows_width and len({id(v) for v in views}) * len(rows) * width > _KEPT_NUMBERS:
            return cls(**given, represent=represent)
        made = {i: _in_pieces(represent, v) for i, v in {id(v): v for v in views}.items()}
        given["free"] = made[id(rows.free)]
        given["views"] = None if private is None else [made[id(v)] for v in private]
        if rows.extra is not None:
            given["extra"] = rows.extra._replace(x=_in_pieces(represent, rows.extra.x))
        return cls(**given)

    def public_rows(self, index: np.ndarray) -> Rows:
        rows = super().public_rows(index)
        return rows if self.represent is None else rows._replace(x=self.represent(rows.x).float())

    def private_rows(self, index: np.ndarray, tier: int = 0) -> Rows:
        rows = super().private_rows(index, tier)
        if self.represent is None:
            return rows
        # Rounded, as what is made once for all steps is: so that it does not matter which of the two is done.
        return rows._replace(x=torch.stack([self.represent(view).float() for view in rows.x]))


def _in_pieces(represent: Callable[[Tensor], Tensor], x: Any) -> Tensor:
    parts = [represent(x[i : i + _REPRESENTED]) for i in range(0, len(x), _REPRESENTED)]
    return torch.cat(parts).float()


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
        Of the order of public rows, and of the samples where they are repeatable.
    secret : bool
        Draw the samples from the operating system's bits, and not from `seed`.
    """

    def __init__(
        self,
        rows: TrainingRows,
        plan: PrivatePlan | None,
        epochs: Sequence[int],
        public_batch_size: int,
        seed: np.random.SeedSequence,
        secret: bool = True,
    ):
        if plan is not None and len(plan.tiers) != max(1, len(rows.tiers)):
            # A fault of ours: a tier would read columns that it does not pay for.
            raise RuntimeError(f"The rows are of {len(rows.tiers)} tier(s), the plan of {len(plan.tiers)}.")
        self.rows = rows
        self.plan = plan
        self.epochs = tuple(epochs)
        self.public_batch_size = public_batch_size
        private, public = seed.spawn(2)
        self._first_private = sum(self.epochs) - (plan.steps if plan else 0)
        # Not plan.n_rows: with several processes, each samples from its own rows.
        self._samplers: list[PoissonSampler] = []
        if plan is not None:
            # Tiers sample independently of each other: that is what their composition accounts for.
            seeds = [private, *private.spawn(len(plan.tiers) - 1)]
            self._samplers = [
                PoissonSampler(len(rows), plan.sample_rate, RandomBits(None if secret else s)) for s in seeds
            ]
        self._rng = np.random.default_rng(public)
        self._order = np.empty(0, dtype=np.int64)
        self._step = 0
        self._epoch = 0

    def __iter__(self) -> Iterator[Batch]:
        steps = self.epochs[self._epoch]
        self._epoch += 1
        at_once = self._steps_at_once()
        for first in range(0, steps, at_once):
            drawn = [self.draw() for _ in range(min(at_once, steps - first))]
            if self.rows.reader is not None:
                public = [index for index, _ in drawn if index is not None]
                self.rows.reader.read_ahead(public, [index for _, sample in drawn for index in sample])
            for public_index, sample in drawn:
                yield Batch(
                    None if public_index is None else self.rows.public_rows(public_index),
                    tuple(PrivateSample(self.rows, index, t) for t, index in enumerate(sample)) or None,
                )

    @property
    def remaining(self) -> int:
        """Steps that have not been drawn yet."""
        return sum(self.epochs) - self._step

    def _steps_at_once(self) -> int:
        """Steps whose rows are drawn, and fetched, together; which rows they are does not change."""
        if self.rows.reader is None:
            return 1
        private = sum(s.sample_rate * s.n_rows for s in self._samplers)
        return max(1, int(self.rows.reader.rows_ahead / (self.public_batch_size + private)))

    def draw(self) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Positions of one step's public rows, and of each tier's private ones."""
        private = []
        if self._step >= self._first_private:
            private = [self._kept(sampler.draw()) for sampler in self._samplers]
        self._step += 1
        return self._draw_public(), private

    def _kept(self, index: np.ndarray) -> np.ndarray:
        # Rows beyond a unit's bound are dropped after the draw: all rows are sampled independently.
        return index if self.rows.kept is None else index[self.rows.kept[index]]

    def _draw_public(self) -> np.ndarray | None:
        if self.rows.free is None:
            return None
        # Passes over a fresh shuffle: every row is seen equally often. Nothing here is accounted.
        if len(self._order) < self.public_batch_size:
            self._order = np.concatenate([self._order, self._rng.permutation(self.rows.n_public)])
        index, self._order = np.split(self._order, [self.public_batch_size])
        return index
