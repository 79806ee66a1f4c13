"""Bins of the sensitive columns as features of the correction."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ...tables._domain import Domain
from ...tables._ordered import Ordered
from ._correction import ClippedLoss, Loss
from ._counted_cells import CountedCells
from ._indicators import Indicators
from ._posterior import Landscape
from ._principal_directions import landscape_of
from ._public_rows import PublicRows

# Numeric columns are cut finely and coarsely, in between for products with the score, and for pairs.
_FINE, _MIDDLE, _COARSE = 32, 16, 8
# The score is cut coarsely for these products, and finely to be bent as a whole.
_SCORE_LEVELS, _FINE_SCORE = 4, 16
_PAIR_LEVELS, _MOST_PAIRED = 12, 12
# Rows that curvature is learnt from.
_MOST_ROWS = 20_000


class Bins:
    """Piecewise-constant features: each sensitive column, times the public score, and pairs of columns.

    Parameters
    ----------
    domains : mapping of str to domain
        Of the sensitive columns.
    loss : Loss
    """

    _plain_values = True

    def __init__(self, domains: Mapping[str, Domain], loss: Loss):
        self.domains, self.loss = dict(domains), loss

    def fit(
        self, training: PublicRows, cells: CountedCells, clipped: ClippedLoss, rng: np.random.Generator
    ) -> Landscape:
        """Cut columns where their cells lie, and say how the loss bends."""
        score = training.score
        self.edges = {c: _edges(d, cells, c) for c, d in self.domains.items() if isinstance(d, Ordered)}
        self.score_edges, self.fine_score_edges = (
            np.unique(np.quantile(score[:, 0], np.linspace(0, 1, k + 1)[1:-1]))
            for k in (_SCORE_LEVELS, _FINE_SCORE)
        )
        self.pairs = list(combinations(self.domains, 2)) if len(self.domains) <= _MOST_PAIRED else []
        some = rng.permutation(len(score))[:_MOST_ROWS]
        likely = cells.rows(len(some), rng)
        codes, sizes = self._codes(likely, score[some])
        self.n_features = int(sum(sizes))
        stand_for = training.stand_for * len(score) / len(some)
        group = np.repeat(np.arange(len(sizes)), sizes)
        return landscape_of(
            Indicators(codes, sizes), score[some], training.weight[some], stand_for, group, clipped, rng
        )

    def expand(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame
    ) -> tuple[Indicators, np.ndarray]:
        """Features of true rows, and what is added to their score for free: nothing."""
        return Indicators(*self._codes(frame, score)), np.zeros_like(score)

    def corrected(
        self, public: np.ndarray, score: np.ndarray, frame: pd.DataFrame, coef: np.ndarray
    ) -> np.ndarray:
        """Scores of rows with the correction, of coefficients `coef`, added."""
        features, _ = self.expand(public, score, frame)
        return score + features.sums(coef * features.height)

    def _codes(self, frame: pd.DataFrame, score: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        """The active indicator of each group of each row, and the groups' sizes."""
        level, levels = np.searchsorted(self.score_edges, score[:, 0]), len(self.score_edges) + 1
        groups = [(np.searchsorted(self.fine_score_edges, score[:, 0]), len(self.fine_score_edges) + 1)]
        crossed, coarse = [], {}
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


def _edges(domain: Ordered, cells: CountedCells, column: str) -> tuple[np.ndarray, ...]:
    """Fine, middle and coarse cuts of an interval, and cuts for pairs."""
    knots = np.asarray(domain.edges[1:-1] if domain.knots is not None else [])

    def cut(pieces: int, finest: float) -> np.ndarray:
        """Even shares of the cells, and ever smaller ones towards both ends."""
        tail = 2.0 ** -np.arange(1, np.ceil(-np.log2(finest)) + 1)
        shares = np.unique(np.r_[np.linspace(0, 1, pieces + 1)[1:-1], tail, 1 - tail])
        return np.unique(np.r_[cells.quantiles(column, shares), knots])

    return (
        cut(_FINE, 1 / 256),
        cut(_MIDDLE, 1 / 64),
        cut(_COARSE, 1 / 32),
        knots if len(knots) else cut(_COARSE, 1 / _COARSE),
    )


def _cut(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, int]:
    codes = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return codes, len(edges) + 2
