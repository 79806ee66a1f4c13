"""Parts of a column as points, near ones close together: what is summed over rows, in whole units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Coordinates are whole multiples of this.
UNIT = 2.0**-16
# How alike two parts of an interval are falls by e over this share of its cells; and the share of
# likeness that only a part itself has.
_REACH, _OWN = 0.3, 0.15
# Pairs of more parts than this are bounded by the triangle inequality and not one by one.
_MOST_COMPARED = 2**13
# Products of squared norms are rounded to doubles: far more than what that may take off.
_ROUNDING = 1 + 2.0**-40


@dataclass(frozen=True, eq=False)
class Embedding:
    """A point for each part of a column.

    Parameters
    ----------
    whole : ndarray of shape (n_parts, n_coordinates), int64
        In units of 2**-16; each at most 2**17 in absolute value.
    """

    _plain_values = True

    whole: np.ndarray

    @classmethod
    def of(cls, n_parts: int, ordered: bool) -> Embedding:
        """Points whose inner products are how alike two parts are; the last part is like no other."""
        alike = np.eye(n_parts)
        if ordered and n_parts > 2:
            place = (np.arange(n_parts - 1) + 0.5) / (n_parts - 1)
            apart = np.abs(place[:, None] - place[None, :])
            alike[:-1, :-1] = (1 - _OWN) * np.exp(-apart / _REACH) + _OWN * np.eye(n_parts - 1)
        # What all parts have in common says nothing.
        centred = np.eye(n_parts) - 1 / n_parts
        size, directions = np.linalg.eigh(centred @ alike @ centred)
        order = np.argsort(-size, kind="stable")[: n_parts - 1]
        points = directions[:, order] * np.sqrt(np.maximum(size[order], 0.0))
        return cls(np.rint(points / UNIT).astype(np.int64))

    @property
    def points(self) -> np.ndarray:
        """The points as numbers."""
        return self.whole * UNIT

    def leading(self, n: int) -> Embedding:
        """The same points in their first coordinates, along which they vary most and most smoothly."""
        return Embedding(self.whole[:, :n])

    @property
    def diameter(self) -> float:
        """The largest distance of two points, in units."""
        products = self.whole @ self.whole.T
        norms = np.diag(products)
        return _root(int((norms[:, None] + norms[None, :] - 2 * products).max()))

    @property
    def radius(self) -> float:
        """The largest norm of a point, in units."""
        return _root(int(np.square(self.whole).sum(axis=1).max()))


def pair_bounds(one: Embedding, other: Embedding) -> tuple[float, float]:
    """Diameter and radius of all outer products of a point of one and a point of the other, in units²."""
    radius = math.nextafter(one.radius * other.radius, math.inf)
    if len(one.whole) * len(other.whole) > _MOST_COMPARED:
        return 2 * radius, radius
    first, second = (e.whole @ e.whole.T * 1.0 for e in (one, other))
    norms, others = np.diag(first), np.diag(second)
    farthest = max(
        float((norms[u] * others[:, None] + norms[v] * others[None, :] - 2 * first[u, v] * second).max())
        for u in range(len(first))
        for v in range(u, len(first))
    )
    return math.sqrt(farthest * _ROUNDING), radius


def _root(square: int) -> float:
    return math.nextafter(math.sqrt(square), math.inf)
