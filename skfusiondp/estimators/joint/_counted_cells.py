"""Where the cells of sensitive columns of numbers lie, by counts that are released."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from ...tables._ordered import Ordered
from ._indicators import Indicators

# An interval is cut into even leaves, and by halving towards its ends and towards zero: columns that are
# skewed, or whose bounds are many times too wide, keep their cells there.
_EVEN, _HALVINGS = 256, 20


class CountedCells:
    """By counts of cells in the leaves of each interval, once `learn` has seen them; else leaves are alike.

    A row's indicators (`features`) are counted, one active in each group: the leaf that the cell lies in,
    then the pairs, fours and so on of leaves, so that the noise of a sum over many leaves is that of few
    counts.

    Parameters
    ----------
    domains : mapping of str to Ordered
    """

    def __init__(self, domains: Mapping[str, Ordered]):
        self.domains = dict(domains)
        self._edges = {c: _leaves(d) for c, d in domains.items()}
        # Cells of each leaf.
        self._held = {c: np.ones(len(edges) - 1) for c, edges in self._edges.items()}

    def features(self, frame: pd.DataFrame) -> Indicators:
        """Which parts each row's cells lie in."""
        groups: list[np.ndarray] = []
        for c, d in self.domains.items():
            n = len(self._held[c])
            values = d.clean(frame[c])
            leaf = np.searchsorted(self._edges[c][1:-1], values, side="right")
            for level in range(_levels(n)):
                groups.append(np.where(np.isnan(values), _nodes(n, level), leaf >> level))
        return Indicators(groups, self.sizes)

    @property
    def sizes(self) -> list[int]:
        """Indicators of each group of `features`; the last one of each is that of missing cells."""
        return [_nodes(len(h), level) + 1 for h in self._held.values() for level in range(_levels(len(h)))]

    def learn(self, counts: np.ndarray) -> None:
        """Take over noised counts of the indicators, of shape (sum of sizes,)."""
        for c, held in self._held.items():
            n = len(held)
            size = sum(_nodes(n, level) + 1 for level in range(_levels(n)))
            own, counts = counts[:size], counts[size:]
            leaves = _consistent(own, n, _levels(n))
            # The distribution function that is closest to the running sums.
            rising = np.maximum(np.diff(isotonic_regression(np.r_[0.0, np.cumsum(leaves)])), 0.0)
            if rising.sum() > 0:
                self._held[c] = rising

    def quantiles(self, column: str, shares: np.ndarray) -> np.ndarray:
        """Quantiles of a column of numbers."""
        edges, below = self._edges[column], np.r_[0.0, np.cumsum(self._held[column])]
        rises = np.r_[True, np.diff(below) > 0]
        return np.interp(shares * below[-1], below[rises], edges[rises])


def _leaves(domain: Ordered) -> np.ndarray:
    low, high = domain.span
    width, halves = high - low, 2.0 ** -np.arange(1, _HALVINGS + 1)
    edges = [np.linspace(low, high, _EVEN + 1), low + width * halves, high - width * halves, domain.edges]
    if low < 0 < high:
        edges += [high * halves, low * halves, np.zeros(1)]
    found = np.unique(np.concatenate(edges))
    return found[(found >= low) & (found <= high)]


def _levels(n_leaves: int) -> int:
    return max(1, math.ceil(math.log2(n_leaves)))


def _nodes(n_leaves: int, level: int) -> int:
    return ((n_leaves - 1) >> level) + 1


def _consistent(counts: np.ndarray, n_leaves: int, levels: int) -> np.ndarray:
    """Leaves whose sums are closest to the counts of all levels, by least squares.

    A node's count and the sum of what its halves say are two estimates of one number: on the way up they
    are averaged by their precision, and on the way down the halves share what then is left between them.
    """
    sizes = [_nodes(n_leaves, k) for k in range(levels)]
    *split, _ = np.split(counts, np.cumsum([size + 1 for size in sizes]))
    found, variance = [split[0][:-1]], [np.ones(n_leaves)]
    sums: list[tuple[np.ndarray, np.ndarray]] = []
    for level in split[1:]:
        below, spread = (_halves(values) for values in (found[-1], variance[-1]))
        sums.append((below, spread))
        found.append((level[:-1] * spread + below) / (1 + spread))
        variance.append(spread / (1 + spread))
    last = found.pop()
    for own, share, (below, spread) in zip(reversed(found), variance[-2::-1], reversed(sums), strict=True):
        parent = np.arange(len(own)) // 2
        last = own + ((last - below) / spread)[parent] * share
    return last


def _halves(values: np.ndarray) -> np.ndarray:
    """Sums of neighbours, two by two; the last one may be alone."""
    return np.add.reduceat(values, np.arange(0, len(values), 2))
