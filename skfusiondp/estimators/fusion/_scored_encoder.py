"""The default module's encoding: a table's, with what other models learn for free as further features."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from ...tables._schema import SensitiveSchema
from ...tables._table import Table
from ...tables._table_encoder import TableEncoder
from ..offset._correction import ClippedLoss, Loss
from ..offset._public_rows import PublicRows, SupportRows
from ..offset._structure import Structure
from ._imputed_start import ImputedStart
from ._public_score import PublicScore

Imputed = Callable[[pd.DataFrame, np.ndarray], Mapping[str, np.ndarray]]
"""Expected encodings of the sensitive columns, of public rows at positions of the table."""

# Rows that models are learnt from; all of a table of fewer.
_LEARNT_ROWS = 2**17
# Rows that a start is learnt from by their imputed cells.
IMPUTED_ROWS = 2**15
# Directions in which the leaves of the start's trees are shown, and the curvature, as a share of the largest,
# from which on one of them is shown at most of its length.
_DIRECTIONS, _MUCH = 64, 0.01
# A bound of gradients, which the curvature does not depend on.
_ANY_BOUND = 1.0


class ScoredEncoder(TableEncoder):
    """Encode a table with scores of a model of the public columns as the first features.

    A training row's score comes from a model that has not seen it. With labelled support rows the last
    features are sensitive ones, by trees that were learnt from these rows and from training rows to which
    they lend their sensitive cells, as in OffsetFusion: directions of the leaves that a row falls into, and
    the start, which is what the trees add to the score. Both are 0 where a sensitive column is absent. Where
    no support row is labelled, a start can be learnt from imputed cells (ImputedStart).

    Attributes
    ----------
    start_alone : bool
        Set before fitting: leave out all sensitive features but the start.
    n_scores : int
        Score features, which come first.
    n_starts, n_leaves : int
        Features of the start, which come last, and of the leaves, which come before them.
    """

    _plain_values = True

    start_alone = False
    n_starts = n_leaves = 0
    _imputed_start: ImputedStart | None = None

    def fit_scores(
        self,
        table: Table,
        target: np.ndarray,
        weight: np.ndarray,
        score: PublicScore,
        seed: int,
    ) -> np.ndarray:
        """Learn scores after `_fit_schema`.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs), float32
            Scores of the table's rows, by models that have not seen them.
        """
        self.score_ = score
        learnt, public = self._learnt(table, seed)
        found = score.fit(public, None, target[learnt], weight[learnt], seed)
        return self._with_scores(table, learnt, found)

    def fit_start(
        self,
        table: Table,
        target: np.ndarray,
        weight: np.ndarray,
        score: PublicScore,
        seed: int,
        support: pd.DataFrame,
        support_target: np.ndarray,
        support_weight: np.ndarray,
        starts: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learn scores from labelled support rows too, and the start if asked for.

        Trees of several targets are not learnt.

        Returns
        -------
        scores, support_scores : ndarray of shape (n_rows, n_outputs), float32
            Of the table's rows and of the support rows, by models that have not seen them.
        """
        self.score_ = score
        learnt, public = self._learnt(table, seed)
        aims = np.concatenate([target[learnt], support_target])
        weights = np.concatenate([weight[learnt], support_weight])
        columns = support[list(self.schema_.public)]
        found = score.fit(public, columns, aims, weights, seed)
        n = len(learnt)
        if starts and score.task != "multilabel" and self.schema_.domains:
            strata = aims if aims.ndim == 1 else aims[:, 0]
            aims = np.eye(score.n_outputs)[aims] if aims.ndim == 1 else aims.astype(float)
            if score.task == "regression":
                strata = np.searchsorted(np.quantile(strata[:n], [0.2, 0.4, 0.6, 0.8]), strata)
            rows = PublicRows(
                score.encoded(public),
                found[:n],
                aims[:n],
                strata[:n],
                weight[learnt].astype(float),
                len(table) / n,
            )
            own = SupportRows(support, aims[n:], strata[n:], score.encoded(columns), found[n:])
            self._fit_leaves(rows, own, Loss(score.task), np.random.default_rng(seed))
        return self._with_scores(table, learnt, found[:n]), found[n:].astype(np.float32)

    def with_imputed_start(
        self,
        table: Table,
        target: np.ndarray,
        weight: np.ndarray,
        scores: np.ndarray,
        imputed: Imputed,
        seed: int,
        most_rows: int = IMPUTED_ROWS,
    ) -> ScoredEncoder:
        """A copy with a start that is learnt from imputed cells, after the scores of the table's rows.

        There is none where the same is imputed for every row, as without support rows. At most `most_rows`
        rows are learnt from, drawn by chance among those of some weight.
        """
        rows = np.flatnonzero(weight)
        if len(rows) > most_rows:
            rows = np.sort(np.random.default_rng(seed).choice(rows, most_rows, replace=False, shuffle=False))
        frame = table.take(rows, self.schema_.public)
        encoded = super()._encode(frame, imputed(frame, rows))
        split = encoded.shape[1] - self._n_own
        if not np.ptp(encoded[:, split:], axis=0).any():
            return self
        start = ImputedStart(self.score_.task, self.schema_.domains)
        known = self.score_.encoded(frame)
        views = encoded[:, :split], known, encoded[:, split:]
        other = copy.copy(self)
        other._imputed_start = start.fit(*views, target[rows], weight[rows], scores[rows].astype(float), seed)
        other.n_starts = scores.shape[1]
        other._name_learnt()
        return other

    def _fit_leaves(
        self, rows: PublicRows, support: SupportRows, loss: Loss, rng: np.random.Generator
    ) -> None:
        structure = Structure(self.schema_.domains, loss)
        landscape = structure.fit(rows, support, ClippedLoss(loss, _ANY_BOUND), rng)
        outputs = rows.score.shape[1]
        bend = landscape.expected(np.zeros((structure.n_features, outputs)))[1].mean(axis=1)
        most = np.argsort(-bend)[:_DIRECTIONS]
        shown = np.sqrt(bend[most] / (bend[most] + _MUCH * bend.max()))
        self._structure, self._directions = structure, landscape.basis[:, most] * shown
        self.n_leaves, self.n_starts = 0 if self.start_alone else len(most), outputs

    def _learnt(self, table: Table, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
        n, public = len(table), self.schema_.public
        if n <= _LEARNT_ROWS:
            return np.arange(n), table.sample(public)
        rows = np.random.default_rng(seed).choice(n, _LEARNT_ROWS, replace=False, shuffle=False)
        return np.sort(rows), table.take(np.sort(rows), public)

    def _fit_schema(self, table: Table, schema: SensitiveSchema) -> TableEncoder:
        super()._fit_schema(table, schema)
        self._table_names = self._names
        return self

    def _of_schema(self, table: Table, schema: SensitiveSchema) -> TableEncoder:
        other = super()._of_schema(table, schema)
        assert isinstance(other, ScoredEncoder)
        if self._imputed_start is not None:  # it goes by this schema's knots
            other._imputed_start, other.n_starts = None, 0
        other._name_learnt()
        return other

    def _with_scores(self, table: Table, learnt: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Name the new features; give rows that no model has seen their scores too."""
        self.n_scores = scores.shape[1]
        self._name_learnt()
        every = np.empty((len(table), self.n_scores), np.float32)
        if len(learnt) < len(table):
            for first, frame in table.chunks(self.schema_.public):
                every[first : first + len(frame)] = self.score_(frame)
        every[learnt] = scores
        return every

    def _name_learnt(self) -> None:
        own = len(self._table_names) - (self._n_own if self.start_alone else 0)
        names = [f"sensitive__leaves{i}" for i in range(self.n_leaves)]
        names += [f"sensitive__start{i}" for i in range(self.n_starts)]
        self._names = [*(f"public__score{i}" for i in range(self.n_scores)), *self._table_names[:own], *names]
        self.sensitive_features_ = np.array([name.startswith("sensitive__") for name in self._names])

    def _encode(
        self,
        frame: pd.DataFrame,
        expected: Mapping[str, np.ndarray] | None = None,
        scores: np.ndarray | None = None,
    ) -> np.ndarray:
        """Encode a frame; training rows come with their `scores`, since the models have seen them."""
        score = self.score_(frame) if scores is None else scores
        encoded = super()._encode(frame, expected)
        split = encoded.shape[1] - self._n_own
        parts = [score, encoded[:, :split] if self.start_alone else encoded]
        if self.n_starts and not all(c in frame for c in self.schema_.domains):
            parts.append(np.zeros((len(frame), self.n_leaves + self.n_starts)))
        elif self._imputed_start is not None:
            parts.append(self._imputed_start(self.score_.encoded(frame), encoded[:, split:]))
        elif self.n_starts:
            leaves, start = self._structure.expand(self.score_.encoded(frame), score.astype(float), frame)
            parts += [leaves.matrix() @ self._directions] if self.n_leaves else []
            parts.append(start)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    @property
    def _n_own(self) -> int:
        """Features of the sensitive columns in the table's own encoding, which are its last."""
        return sum(d.width for d in self.schema_.domains.values())

    def _features_of(self, columns: Sequence[str]) -> np.ndarray:
        if (self.n_leaves or self.n_starts) and not set(self.schema_.domains) <= set(columns):
            # A fault of ours: what is learnt of several columns belongs to no tier of some of them.
            raise RuntimeError("A start of columns with budgets of their own is not to be used.")
        own = [c in columns for c, d in self.schema_.domains.items() for _ in range(d.width)]
        learnt = [True] * (self.n_leaves + self.n_starts)
        return np.array([False] * (len(self._names) - len(own) - len(learnt)) + own + learnt)
