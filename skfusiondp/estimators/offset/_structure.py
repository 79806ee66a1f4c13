"""Everything that is learnt for free: encodings, hybrid rows, trees, bins. No sensitive training cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.extmath import randomized_svd

from ...tables._domain import Domain
from ...tables._ordered import Ordered
from ._additive import Pieces, fit_additive
from ._correction import Groups, Loss, PublicCurvature

# Trees of the donor forest, weight of a true row against a hybrid one.
_FOREST, _TRUE_WEIGHT = 60, 3.0
# Sums of trees boosted on hybrid and on support rows alone, and how many training rows one of them sees.
_HYBRID, _OWN, _SHARE, _MOST_ROWS = 5, 3, 0.6, 20_000
_TREES, _SHRINKAGE = 60, 0.1
_DIRECTIONS, _SVD_ROWS = 200, 8_000
# Hybrid rows understate how sure the model gets on true ones, where residuals shrink.
_SURER = 0.6
_PAIR_LEVELS = 12
# Numeric columns are cut finely and coarsely, and in between for products with the score. Halves towards
# both ends are for skewed columns, which keep their rows there.
_FINE, _MIDDLE, _COARSE, _SCORE_LEVELS = 32, 16, 8, 4
_ENDS = np.concatenate([2.0 ** -np.arange(1, 13), 1 - 2.0 ** -np.arange(1, 13)])
# Belief in a pair of columns before anything is released, against 1 for a column.
_PAIR_PRIOR = 0.3
_MOST_PAIRED = 12


@dataclass(frozen=True)
class SupportRows:
    """Public rows with true sensitive cells.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_support, n_columns)
    target : ndarray of shape (n_support, n_outputs) or None
        None where the rows have no labels.
    strata : ndarray of shape (n_support,) or None
        Classes, or classes of a number.
    public : ndarray of shape (n_support, n_public) or None
        Their public columns, encoded.
    score : ndarray of shape (n_support, n_outputs) or None
        The public model's, cross-fitted.
    """

    frame: pd.DataFrame
    target: Any = None
    strata: Any = None
    public: Any = None
    score: Any = None

    @property
    def labelled(self) -> bool:
        """Whether the rows have labels."""
        return self.target is not None


def sensitive_matrix(frame: pd.DataFrame, domains: Mapping[str, Domain]) -> np.ndarray:
    """Sensitive columns by their domains alone: clipped numbers (NaN: missing), indicators of categories."""
    parts = [d.tree_features(frame[c]) for c, d in domains.items()]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(frame), 0))


@dataclass
class Trees:
    """A boosted sum of small trees: what it adds to the score, and which leaf a row falls into."""

    _plain_values = True

    trees: list[tuple[DecisionTreeRegressor, np.ndarray]] = field(default_factory=list)

    def leaves(self, table: np.ndarray) -> list[np.ndarray]:
        """The node that each row of a float32 table ends in, tree by tree."""
        # The estimator's own apply checks the table anew for each of hundreds of trees.
        return [tree.tree_.apply(table) for tree, _ in self.trees]

    @property
    def sizes(self) -> list[int]:
        """Number of nodes of each tree."""
        return [tree.tree_.node_count for tree, _ in self.trees]

    def score(self, leaves: list[np.ndarray]) -> np.ndarray:
        """Sum of the trees' values at their leaves, of shape (n_rows, n_outputs)."""
        return np.sum([v[leaf] for (_, v), leaf in zip(self.trees, leaves, strict=True)], axis=0)


def boost(
    table: np.ndarray,
    target: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    loss: Loss,
    depth: int,
    rng: np.random.Generator,
) -> Trees:
    """Newton boosting of small trees from a fixed offset, by row and column subsampling."""
    found = Trees()
    score = offset.copy()
    least = max(15, len(table) // 250)
    for _ in range(_TREES):
        residual = loss.residuals(score, target)
        h = np.maximum(loss.curvature(score), 1e-3)
        flat = h.mean(axis=1)
        drawn = rng.random(len(table)) < 0.7
        if drawn.sum() < 2 * least:
            drawn[:] = True
        tree = DecisionTreeRegressor(
            max_depth=depth,
            min_samples_leaf=min(least, max(1, len(table) // 4)),
            max_features=0.4,
            random_state=int(rng.integers(2**31 - 1)),
        ).fit(table[drawn], (-residual / flat[:, None])[drawn], sample_weight=(weight * flat)[drawn])
        nodes = tree.tree_.apply(table)
        values = np.column_stack(
            [
                _SHRINKAGE
                * -np.bincount(nodes, weight * residual[:, k], tree.tree_.node_count)
                / (np.bincount(nodes, weight * h[:, k], tree.tree_.node_count) + 1.0)
                for k in range(score.shape[1])
            ]
        )
        score += values[nodes]
        found.trees.append((tree, values))
    return found


def hot_deck(
    public: np.ndarray,
    strata: np.ndarray,
    support_public: np.ndarray,
    support_sensitive: np.ndarray,
    support_strata: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """A random hot deck: support rows that lend their sensitive cells to training rows alike in public
    columns and label.

    A row draws a tree of a forest grown on the support rows of its stratum, then a support row of its
    leaf. Whole rows are lent, so sensitive columns keep their dependence.

    Returns
    -------
    ndarray of shape (n_rows,)
        Positions of support rows.
    """
    chosen = rng.integers(len(support_public), size=len(public))
    filled = np.nan_to_num(support_sensitive, nan=0.0)
    scale = filled.std(axis=0)
    filled = (filled - filled.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        pool = np.flatnonzero(support_strata == stratum)
        if len(pool) < 16 or not public.shape[1]:
            if len(pool):
                chosen[rows] = rng.choice(pool, size=len(rows))
            continue
        forest = ExtraTreesRegressor(
            _FOREST, min_samples_leaf=8, max_features=0.4, random_state=int(rng.integers(2**31 - 1))
        ).fit(support_public[pool], filled[pool])
        here, there = forest.apply(public[rows]), forest.apply(support_public[pool])
        trees = rng.integers(_FOREST, size=len(rows))
        for tree in range(_FOREST):
            order = np.argsort(there[:, tree], kind="stable")
            leaves, starts, counts = np.unique(there[order, tree], return_index=True, return_counts=True)
            mine = np.flatnonzero(trees == tree)
            leaf = np.searchsorted(leaves, here[mine, tree])
            pick = starts[leaf] + (rng.random(len(mine)) * counts[leaf]).astype(int)
            chosen[rows[mine]] = pool[order[pick]]
    return chosen


def best_shares(loss: Loss, score: np.ndarray, parts: list[np.ndarray], target: np.ndarray) -> np.ndarray:
    """The share of each part, from 0 to 1, that added to a score fits public targets best.

    Few support rows stand behind many hybrid ones, so that models of these make too much of chance.
    """

    def objective(shares: np.ndarray) -> tuple[float, np.ndarray]:
        total = score + sum(s * p for s, p in zip(shares, parts, strict=True))
        slope = loss.residuals(total, target)
        return float(loss.losses(total, target).sum()), np.array([(slope * p).sum() for p in parts])

    bounds = [(0.0, 1.0)] * len(parts)
    return minimize(objective, np.full(len(parts), 0.5), jac=True, method="L-BFGS-B", bounds=bounds).x


class Bins:
    """Piecewise-constant bases: each sensitive column, times the public score, and pairs of columns."""

    _plain_values = True

    def __init__(self, domains: Mapping[str, Domain], support: pd.DataFrame | None, score: np.ndarray):
        self.domains = dict(domains)
        self.edges: dict[str, tuple[np.ndarray, ...]] = {}
        for c, d in domains.items():
            if isinstance(d, Ordered):
                known = d.clean(support[c]) if support is not None and c in support else np.empty(0)
                self.edges[c] = _edges(d, known[~np.isnan(known)])
        self.score_edges = np.unique(np.quantile(score[:, 0], np.linspace(0, 1, _SCORE_LEVELS + 1)[1:-1]))
        numeric = len(self.edges)
        self.pairs = list(combinations(self.domains, 2)) if len(self.domains) <= _MOST_PAIRED else []
        own = 2 * numeric + (len(self.domains) - numeric) + len(self.domains)
        self.prior = np.array([1.0] * own + [_PAIR_PRIOR] * len(self.pairs))

    def codes(self, frame: pd.DataFrame, score: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        """The active indicator of each group of each row, and the groups' sizes."""
        level, levels = np.searchsorted(self.score_edges, score[:, 0]), len(self.score_edges) + 1
        groups, crossed, coarse = [], [], {}
        for c, d in self.domains.items():
            if isinstance(d, Ordered):
                values = d.clean(frame[c])
                fine, middle, few, pieces = [_cut(values, e) for e in self.edges[c]]
                groups += [few, fine]
            else:
                middle = d.bins(frame[c], _MIDDLE), d.n_bins(_MIDDLE) + 1
                groups += [middle]
                pieces = np.minimum(middle[0], _PAIR_LEVELS), min(middle[1], _PAIR_LEVELS + 1)
            crossed.append((middle[0] * levels + level, middle[1] * levels))
            coarse[c] = pieces
        groups += crossed
        groups += [
            (coarse[a][0] * coarse[b][1] + coarse[b][0], coarse[a][1] * coarse[b][1]) for a, b in self.pairs
        ]
        return [g for g, _ in groups], [k for _, k in groups]


def _edges(domain: Ordered, known: np.ndarray) -> tuple[np.ndarray, ...]:
    """Fine, middle and coarse cuts of an interval, and cuts for pairs, from public facts."""

    low, high = domain.span

    def cut(fractions: np.ndarray, *more: np.ndarray) -> np.ndarray:
        return np.unique(np.concatenate([low + (high - low) * fractions, *more]))

    def even(pieces: int) -> np.ndarray:
        return np.linspace(0, 1, pieces + 1)[1:-1]

    knots = np.asarray(domain.edges[1:-1] if domain.knots is not None else [])
    quantiles = np.quantile(known, even(_FINE)) if len(known) else known
    return (
        cut(np.concatenate([even(_FINE), _ENDS]), knots, quantiles),
        cut(np.concatenate([even(_MIDDLE), _ENDS]), knots),
        cut(np.concatenate([even(_COARSE), _ENDS]), knots),
        knots if len(knots) else cut(even(_COARSE)),
    )


def _cut(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, int]:
    codes = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return codes, len(edges) + 2


def indicators(codes: list[np.ndarray], sizes: list[int]) -> sp.csr_matrix:
    """Indicator columns of all groups, scaled so that each row has norm 1 whatever its cells are."""
    n, k = len(codes[0]), len(codes)
    columns = np.column_stack(codes) + np.cumsum([0, *sizes[:-1]])
    data = np.full(n * k, k**-0.5)
    return sp.csr_matrix((data, columns.ravel(), np.arange(0, n * k + 1, k)), shape=(n, sum(sizes)))


class Structure:
    """Features of the correction and the free part of the score, from public facts alone.

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
        self.bins: Bins | None = None
        self.curvature: PublicCurvature | None = None

    def fit(
        self,
        public: np.ndarray,
        score: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        strata: np.ndarray,
        support: SupportRows | None,
        rng: np.random.Generator,
    ) -> Structure:
        """Learn trees from hybrid and support rows where these are labelled, else bins.

        `score`, of shape (n_rows, n_outputs), is cross-fitted; `strata` are classes, or classes of a number.
        """
        if support is None or not support.labelled or not self.domains:
            self.bins = Bins(self.domains, None if support is None else support.frame, score)
            return self
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
        own_pieces = self.pieces.transform(own)
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
            trees = boost(table, *aims, 4, rng)
            coef = fit_additive(self.pieces.transform(table), *aims)
            if held.any():
                honest[0][held] = trees.score(trees.leaves(own[held]))
                honest[1][held] = own_pieces[held] @ coef
            self.hybrid.append(trees)
            additive.append(coef)
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
        self.curvature = self._curvature(
            hybrid(rows, everyone), score[rows], weight[rows] * n / len(rows), rng
        )
        return self

    def expand(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame
    ) -> tuple[sp.csr_matrix, np.ndarray]:
        """Features of true rows, and what the models of hybrid rows add to their score.

        Returns
        -------
        features : csr_matrix of shape (n_rows, n_features)
            Non-negative, rows of norm 1.
        start : ndarray of shape (n_rows, n_outputs)
            A function of true cells, learnt without any.
        """
        if self.bins is not None:
            return indicators(*self.bins.codes(frame, score)), np.zeros_like(score)
        return self._expand(self._table(public, score, sensitive_matrix(frame, self.domains)))

    def groups(self) -> Groups:
        """Which columns of the features exclude each other, and the belief in each such group of bins."""
        assert self.bins is not None
        nothing = pd.DataFrame({c: d.draw(1, np.random.default_rng(0)) for c, d in self.domains.items()})
        _, sizes = self.bins.codes(nothing, np.zeros((1, 1)))
        return Groups(np.repeat(np.arange(len(sizes)), sizes), self.bins.prior)

    def _expand(self, table: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        trees = [*self.hybrid, *self.own]
        leaves = [t.leaves(table) for t in trees]
        boosted = np.mean([t.score(own) for t, own in zip(self.hybrid, leaves, strict=False)], axis=0)
        assert self.pieces is not None and self.additive is not None
        start = self.shares[0] * boosted + self.shares[1] * (self.pieces.transform(table) @ self.additive)
        sizes = [k for t in trees for k in t.sizes]
        return indicators([leaf for own in leaves for leaf in own], sizes), start

    def _curvature(
        self, hybrid: np.ndarray, score: np.ndarray, weight: np.ndarray, rng: np.random.Generator
    ) -> PublicCurvature:
        """Principal directions of the hybrid rows' features, turned to the axes of the loss's curvature."""
        phi, start = self._expand(hybrid)
        few = phi[:_SVD_ROWS]
        seed = int(rng.integers(2**31 - 1))
        _, _, basis = randomized_svd(few, min(_DIRECTIONS, min(few.shape) - 1), n_iter=2, random_state=seed)
        along = phi @ basis.T
        h = self.loss.curvature(score + start) * weight[:, None]
        h = h * (1.0 if self.loss.task == "regression" else _SURER)
        _, axes = np.linalg.eigh((along * h.mean(axis=1, keepdims=True)).T @ along)
        return PublicCurvature(basis.T @ axes, np.square(along @ axes).T @ h)

    def _table(self, public: np.ndarray, score: np.ndarray, sensitive: np.ndarray) -> np.ndarray:
        """What trees read, in their own precision."""
        return np.column_stack([public, score, sensitive]).astype(np.float32)
