"""Piecewise-constant bases of the sensitive columns, by their domains and public rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ...tables._domain import Domain
from ...tables._ordered import Ordered

_PAIR_LEVELS = 12
# Numeric columns are cut finely and coarsely, and in between for products with the score. Halves towards
# both ends are for skewed columns, which keep their rows there.
_FINE, _MIDDLE, _COARSE, _SCORE_LEVELS = 32, 16, 8, 4
_ENDS = np.concatenate([2.0 ** -np.arange(1, 13), 1 - 2.0 ** -np.arange(1, 13)])
# Belief in a pair of columns before anything is released, against 1 for a column.
_PAIR_PRIOR = 0.3
_MOST_PAIRED = 12


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
