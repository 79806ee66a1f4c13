"""Boosted sums of small trees, and the hot deck that lends training rows their sensitive cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.tree import DecisionTreeRegressor

from ._correction import Loss

# Trees of a sum, what each is multiplied by, and trees of the donor forest.
_TREES, _SHRINKAGE = 60, 0.1
_FOREST = 60


@dataclass
class Trees:
    """A boosted sum of small trees: what it adds to the score, and which leaf a row falls into."""

    _plain_values = True

    trees: list[tuple[DecisionTreeRegressor, np.ndarray]] = field(default_factory=list)

    def leaves(self, table: np.ndarray) -> Iterator[np.ndarray]:
        """The node that each row of a float32 table ends in, tree by tree."""
        # The estimator's own apply checks the table anew for each of hundreds of trees.
        return (tree.tree_.apply(table) for tree, _ in self.trees)

    @property
    def sizes(self) -> list[int]:
        """Number of nodes of each tree."""
        return [tree.tree_.node_count for tree, _ in self.trees]

    def score(self, table: np.ndarray) -> np.ndarray:
        """Sum of the trees' values at the leaves of rows, of shape (n_rows, n_outputs)."""
        return sum(v[leaf] for (_, v), leaf in zip(self.trees, self.leaves(table), strict=True))


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
    # Columns that a split is looked for in: two at the least, for of few columns one often says nothing.
    tried = min(table.shape[1], max(2, int(0.4 * table.shape[1])))
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
            max_features=tried,
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
        ).fit(support_public[pool], filled[pool] if filled.shape[1] > 1 else filled[pool, 0])
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
