"""The joint model of the sensitive columns: one family after the other, each given those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ...impute._draws import inverse
from ._coded_columns import CodedColumn
from ._conditional_family import ABSENT, COMMON, Released, fit_family, probabilities
from ._embedding import Embedding
from ._releases import Releases

# Share of a pair of columns against that of a column with public facts.
_PAIR = 0.1
ORACLE: dict = {}
# Coordinates of an interval, and of a list, that enter pairs.
_PAIR_BENDS, _PAIR_VALUES = 8, 31
# Rows, drawn several times where they are fewer, that the families are fitted on.
_FITTED_ROWS, _MOST_COPIES = 30_000, 3
# Rows that are drawn at once.
_DRAWN_ROWS = 16_384

# Uniform numbers for all rows, given the position of a column and which of its two they are.
Uniforms = Callable[[int, int], np.ndarray]


class JointModel:
    """Sensitive cells given public features.

    Parameters
    ----------
    columns : mapping of str to CodedColumn
    """

    _plain_values = True

    def __init__(self, columns: Mapping[str, CodedColumn]):
        self.columns = dict(columns)
        self._embeddings = [Embedding.of(c.n_parts, c.ordered) for c in columns.values()]
        self._in_pairs = [
            e.leading(_PAIR_BENDS if c.ordered else _PAIR_VALUES)
            for e, c in zip(self._embeddings, columns.values(), strict=True)
        ]
        self.theta: list[np.ndarray] = []

    def fit(
        self,
        cells: pd.DataFrame,
        kept: np.ndarray,
        features: np.ndarray,
        group: np.ndarray,
        releases: Releases,
        rng: np.random.Generator,
    ) -> None:
        """Release sums of true cells, and fit.

        Parameters
        ----------
        cells : DataFrame of shape (n_rows, n_sensitive)
        kept : ndarray of shape (n_rows,), bool
            Rows whose cells are read.
        features : ndarray of shape (n_rows, n_features)
            Public, of norm at most 1.
        group : ndarray of shape (n_features,), int
            What each is of; 0 is the same for all rows.
        releases : Releases
        rng : Generator
            For draws that the fit rests on.
        """
        released = self._release(cells, kept, features, group, releases)
        rows = np.arange(len(features))
        if len(rows) > _FITTED_ROWS:
            rows = rng.choice(len(rows), _FITTED_ROWS, replace=False)
        rows = np.tile(rows, min(_MOST_COPIES, max(1, _FITTED_ROWS // len(rows))))
        known, weight = features[rows], kept.sum() / len(rows)
        self.theta = []
        for j, sums in enumerate(released):
            points = self._embeddings[j].points
            self.theta.append(fit_family(sums, known, weight, points))
            drawn = inverse(probabilities(self.theta[j], known, points), rng.random(len(rows)))
            known = np.hstack([known, self._in_pairs[j].points[drawn]])

    def _release(
        self,
        cells: pd.DataFrame,
        kept: np.ndarray,
        features: np.ndarray,
        group: np.ndarray,
        releases: Releases,
    ) -> list[Released]:
        """The sums of each column: with public features, then with each column before it."""
        codes = [c.codes(cells[name])[kept] for name, c in self.columns.items()]
        pairs = list(combinations(range(len(codes)), 2))
        weights = np.array([ORACLE.get(c, 1.0) for c in self.columns])
        share = releases.left / (weights.sum() + _PAIR * len(pairs))
        public = features[kept]
        found = []
        for j, embedding in enumerate(self._embeddings):
            total, std = releases.marginal(codes[j], embedding, public, weights[j] * share)
            totals, stds = [total], [np.full(len(total), std)]
            groups = [np.where(group[:, None] == 0, COMMON, 8 * group[:, None] + embedding.band)]
            for i in range(j):
                one, other = self._in_pairs[i], self._in_pairs[j]
                total, std = releases.pair((codes[i], codes[j]), (one, other), _PAIR * share)
                more = ((0, 0), (0, embedding.whole.shape[1] - total.shape[1]))
                totals.append(np.pad(total, more))
                stds.append(np.full(len(total), std))
                own = 1000 * (i + 1) + 8 * one.band[:, None] + other.band
                groups.append(np.pad(own, more, constant_values=ABSENT))
            found.append(Released(np.vstack(totals), np.concatenate(stds), np.vstack(groups)))
        return found

    def draw(self, features: np.ndarray, uniforms: Uniforms) -> pd.DataFrame:
        """Sensitive cells of rows with such public features.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
        uniforms : callable
            Uniform numbers of all rows, given the position of a column and 0 for the part or 1 for the place
            in it.
        """
        n, drawn = len(features), {}
        codes: list[np.ndarray] = []
        for j, (name, column) in enumerate(self.columns.items()):
            chance, part = uniforms(j, 0), np.empty(n, dtype=np.int64)
            for first in range(0, n, _DRAWN_ROWS):
                rows = slice(first, first + _DRAWN_ROWS)
                before = [e.points[c[rows]] for e, c in zip(self._in_pairs, codes, strict=False)]
                known = np.hstack([features[rows], *before])
                p = probabilities(self.theta[j], known, self._embeddings[j].points)
                part[rows] = inverse(p, chance[rows])
            codes.append(part)
            drawn[name] = column.cells(part, uniforms(j, 1))
        return pd.DataFrame(drawn)
