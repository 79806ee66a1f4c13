"""Trees and start of the correction, from hybrid rows: their sensitive cells are lent, or drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from ...tables._domain import Domain
from ..joint._indicators import Indicators
from ._additive import Pieces, fit_additive
from ._correction import ClippedLoss, Loss
from ._drawn_cells import DrawnCells
from ._posterior import Landscape
from ._principal_directions import judged_by_draws, landscape_of
from ._public_rows import PublicRows, SupportRows
from ._trees import Trees, boost, hot_deck

# Weight of a true row against a hybrid one.
_TRUE_WEIGHT = 3.0
# Sums of trees boosted on hybrid and on support rows alone, and how many training rows one of them sees.
_HYBRID, _OWN, _SHARE, _MOST_ROWS = 5, 3, 0.6, 20_000
# Training rows whose cells are drawn: each sum of trees sees four fifths.
_MOST_DRAWN = 25_000
# Hybrid rows understate how sure the model gets on true ones, where residuals shrink.
_SURER = 0.6


def sensitive_matrix(frame: pd.DataFrame, domains: Mapping[str, Domain]) -> np.ndarray:
    """Sensitive columns by their domains alone: clipped numbers (NaN: missing), indicators of categories."""
    parts = [d.tree_features(frame[c]) for c, d in domains.items()]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(frame), 0))


def best_shares(
    loss: Loss,
    score: np.ndarray,
    parts: list[np.ndarray],
    target: np.ndarray,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """The share of each part, from 0 to 1, that added to a score fits public targets best.

    Few support rows stand behind many hybrid ones, so that models of these make too much of chance.
    """

    def objective(shares: np.ndarray) -> tuple[float, np.ndarray]:
        total = score + sum(s * p for s, p in zip(shares, parts, strict=True))
        slope = loss.residuals(total, target) * each[:, None]
        return float(loss.losses(total, target) @ each), np.array([(slope * p).sum() for p in parts])

    each = np.ones(len(score)) if weight is None else weight
    bounds = [(0.0, 1.0)] * len(parts)
    return minimize(objective, np.full(len(parts), 0.5), jac=True, method="L-BFGS-B", bounds=bounds).x


class Structure:
    """Features of the correction, and what is added to the public score before it.

    Learnt of public facts and labelled support rows, or of public facts and drawn cells.

    Parameters
    ----------
    domains : mapping of str to domain
        Of the sensitive columns.
    loss : Loss
    """

    _plain_values = True

    def __init__(self, domains: Mapping[str, Domain], loss: Loss):
        self.domains, self.loss = dict(domains), loss
        self.hybrid: list[Trees] = []
        self.own: list[Trees] = []
        # By what the scores of the trees and of the additive model are multiplied.
        self.shares = np.ones(2)
        self.pieces: Pieces | None = None
        self.additive: np.ndarray | None = None
        # What each leaf of the trees adds to the score.
        self.leaf_values: np.ndarray | None = None

    def fit(
        self, training: PublicRows, support: SupportRows, clipped: ClippedLoss, rng: np.random.Generator
    ) -> Landscape:
        """Learn trees from hybrid and labelled support rows."""
        public, score, target = training.public, training.score, training.target
        weight, strata = training.weight, training.strata
        true = sensitive_matrix(support.frame, self.domains)
        own = self._table(support.public, support.score, true)

        known = np.column_stack([support.public, support.score])
        everyone = np.arange(len(own))

        def hybrid(rows: np.ndarray, donors: np.ndarray) -> np.ndarray:
            """Training rows with sensitive cells lent by some support rows."""
            lent = hot_deck(
                np.column_stack([public, score])[rows],
                strata[rows],
                known[donors],
                true[donors],
                support.strata[donors],
                rng,
            )
            return self._table(public[rows], score[rows], true[donors[lent]])

        n = len(public)
        share = min(int(_SHARE * n) + 1, _MOST_ROWS)
        # Each pair of models leaves out a fold of the support rows: its scores of these are not overfitted.
        fold = rng.permutation(len(own)) % _HYBRID
        honest = [np.zeros_like(support.score) for _ in self.shares]
        self.pieces = Pieces([*public.T, *score.T, *true.T])
        additive = []
        for k in range(_HYBRID):
            rows = rng.permutation(n)[:share]
            held = fold == k
            seen = everyone if held.all() else np.flatnonzero(~held)
            table = np.vstack([hybrid(rows, seen), own[seen]])
            aims = (
                np.vstack([target[rows], support.target[seen]]),
                np.vstack([score[rows], support.score[seen]]),
                np.concatenate([weight[rows], np.full(len(seen), _TRUE_WEIGHT)]),
                self.loss,
            )
            additive.append(self._learn(table, aims, own, held, honest, rng))
        self.additive = np.mean(additive, axis=0)
        self.shares = best_shares(self.loss, support.score, honest, support.target)
        start = support.score + self.shares[0] * honest[0] + self.shares[1] * honest[1]
        for _ in range(_OWN):
            # Only the splits of these trees are used: the private step learns the values of their leaves.
            rows = rng.integers(len(own), size=len(own))
            self.own.append(
                boost(own[rows], support.target[rows], start[rows], np.ones(len(own)),
                      self.loss, 3, rng)
            )  # fmt: skip
        rows = rng.permutation(n)[:_MOST_ROWS]
        stand_for = training.stand_for * n / len(rows)
        features, start = self._start(hybrid(rows, everyone))
        return self._landscape(features, score[rows] + start, weight[rows], stand_for, clipped, rng)

    def fit_draws(
        self,
        training: PublicRows,
        draw: DrawnCells,
        clipped: ClippedLoss,
        rng: np.random.Generator,
        judged: bool,
    ) -> Landscape:
        """Learn trees from training rows whose sensitive cells are drawn, given their labels too.

        `judged` says whether gradients of true rows follow.
        """
        rows = rng.permutation(len(training.public))[:_MOST_DRAWN]
        public, score, target = training.public[rows], training.score[rows], training.target[rows]
        weight = training.weight[rows]

        def drawn() -> np.ndarray:
            return self._table(public, score, sensitive_matrix(draw(rows), self.domains))

        # Each pair of models leaves out a fold of the rows, as they are in its own draw.
        fold = np.arange(len(rows)) % _HYBRID
        honest = [np.zeros_like(score) for _ in self.shares]
        table = drawn()
        self.pieces = Pieces(table.T)
        additive = []
        for k in range(_HYBRID):
            held = fold == k
            seen = ~held
            aims = (target[seen], score[seen], weight[seen], self.loss)
            additive.append(self._learn(table[seen], aims, table, held, honest, rng))
            table = drawn()
        self.additive = np.mean(additive, axis=0)
        if draw.informative(judged):
            self.shares = best_shares(self.loss, score, honest, target, weight)
        else:
            self.shares = np.zeros(2)
        stand_for = training.stand_for * len(training.public) / len(rows)
        few = slice(0, _MOST_ROWS)
        score, target, weight = score[few], target[few], weight[few]

        def landscape() -> Landscape:
            features, start = self._start(table[few])
            plain = self._landscape(features, score + start, weight, stand_for, clipped, rng)
            return judged_by_draws(plain, features, score, start, target, weight, stand_for, clipped)

        found = landscape()
        if found.start is None and self.shares.any():  # not even drawn rows gain by it
            self.shares = np.zeros(2)
            found = landscape()
        return found

    def _learn(
        self,
        table: np.ndarray,
        aims: tuple[np.ndarray, np.ndarray, np.ndarray, Loss],
        judged: np.ndarray,
        held: np.ndarray,
        honest: list[np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Fit trees, which are kept, and an additive model, whose coefficients are returned.

        Their scores of the rows `held` out, of those of the table `judged`, are noted in `honest`.
        """
        assert self.pieces is not None
        trees = boost(table, *aims, 4, rng)
        coef = fit_additive(self.pieces.transform(table), *aims)
        if held.any():
            honest[0][held] = trees.score(judged[held])
            honest[1][held] = self.pieces.transform(judged[held]) @ coef
        self.hybrid.append(trees)
        return coef

    def expand(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame
    ) -> tuple[Indicators, np.ndarray]:
        """Features of true rows, and what the models of hybrid rows add to their score.

        Returns
        -------
        features : Indicators
        start : ndarray of shape (n_rows, n_outputs)
            A function of true cells, learnt without any.
        """
        assert self.leaf_values is not None
        features, smooth = self._features(public, score, frame)
        return features, smooth + features.sums(self.leaf_values)

    def corrected(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame, coef: np.ndarray
    ) -> np.ndarray:
        """Scores of rows with the start and the correction, of coefficients `coef`, added."""
        assert self.leaf_values is not None
        features, smooth = self._features(public, score, frame)
        return score + smooth + features.sums(coef * features.height + self.leaf_values)

    def _features(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame
    ) -> tuple[Indicators, np.ndarray]:
        return self._of_table(self._table(public, score, sensitive_matrix(frame, self.domains)))

    @property
    def n_features(self) -> int:
        """Number of features."""
        assert self.leaf_values is not None
        return len(self.leaf_values)

    def _of_table(self, table: np.ndarray) -> tuple[Indicators, np.ndarray]:
        """Features of rows as trees read them, and what the additive model adds to their score."""
        assert self.pieces is not None and self.additive is not None
        trees = [*self.hybrid, *self.own]
        leaves = Indicators(
            (leaf for t in trees for leaf in t.leaves(table)), [k for t in trees for k in t.sizes]
        )
        return leaves, self.shares[1] * (self.pieces.transform(table) @ self.additive)

    def _start(self, hybrid: np.ndarray) -> tuple[Indicators, np.ndarray]:
        """Set what each leaf adds to the score; return rows' features, and what the start adds to theirs."""
        mine = [self.shares[0] / _HYBRID * v for t in self.hybrid for _, v in t.trees]
        self.leaf_values = np.vstack([*mine, *(np.zeros_like(v) for t in self.own for _, v in t.trees)])
        features, smooth = self._of_table(hybrid)
        return features, smooth + features.sums(self.leaf_values)

    def _landscape(
        self,
        features: Indicators,
        score: np.ndarray,
        weight: np.ndarray,
        stand_for: float,
        clipped: ClippedLoss,
        rng: np.random.Generator,
    ) -> Landscape:
        surer = 1.0 if self.loss.task == "regression" else _SURER
        return landscape_of(features, score, weight, stand_for, clipped, rng, surer)

    def _table(self, public: np.ndarray, score: np.ndarray, sensitive: np.ndarray) -> np.ndarray:
        """What trees read, in their own precision."""
        return np.column_stack([public, score, sensitive]).astype(np.float32)
