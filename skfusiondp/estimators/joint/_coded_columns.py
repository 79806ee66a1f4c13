"""Sensitive columns as one of a few parts: intervals between cuts, or values; the last part is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...tables._domain import Domain
from ...tables._ordered import Ordered
from ._support_cells import LocatedCells

# An interval is cut into so many even shares of its cells, and into ever smaller ones towards both ends.
_EVEN, _FINEST = 16, 64
# Parts of a domain that is neither an interval nor a list.
_PARTS = 16
# A column of at most so many values has a part for each.
_FEW = 24
# Quantiles of the cells by which places within the parts are known, and places that are kept of each part.
_QUANTILES, _PLACES = 2**11, 33
# Parts so many times wider than the middle one are wide.
_WIDE = 3.0


class CodedColumn:
    """One sensitive column in parts.

    Parameters
    ----------
    domain : Domain
    edges : ndarray of shape (n_parts,) or None
        Bounds of the intervals of numbers; None for values of a list.
    places : ndarray of shape (n_parts, n_places) or None
        Even shares of the cells of each interval, between which cells are drawn evenly. None where nothing
        is known of them.
    """

    _plain_values = True

    def __init__(self, domain: Domain, edges: np.ndarray | None, places: np.ndarray | None = None):
        self.domain, self.edges, self.places = domain, edges, places

    @classmethod
    def of(cls, domain: Domain, column: str, cells: LocatedCells) -> CodedColumn:
        """Cut a column where its cells lie, as far as that is known, and at its knots."""
        if not isinstance(domain, Ordered):
            return cls(domain, None)
        tail = 2.0 ** -np.arange(1, np.log2(_FINEST) + 1)
        shares = np.unique(np.r_[np.linspace(0, 1, _EVEN + 1)[1:-1], tail, 1 - tail])
        low, high = domain.span
        apart = domain.apart or 0.0
        n_steps = round((high - low) / apart) if apart else _FEW
        if n_steps < _FEW:  # a part a value
            cuts = low + apart * np.arange(n_steps)
        else:
            cuts = cells.quantiles(column, shares)
            if domain.knots is not None or not len(cuts):
                cuts = np.r_[cuts, domain.edges]
        # The first and the last value are as likely drawn out of their parts as those between.
        edges = np.r_[low - apart / 2, domain.between_values(cuts), high + apart / 2]
        known = cells.quantiles(column, np.linspace(0, 1, _QUANTILES + 1))
        return cls(domain, edges, _places(edges, known) if len(known) else None)

    @property
    def ordered(self) -> bool:
        """Whether the parts that are not missing follow one another."""
        return self.edges is not None

    @property
    def n_parts(self) -> int:
        """Number of parts, the missing one included."""
        known = len(self.domain.centers(_PARTS)) if self.edges is None else len(self.edges) - 1
        return known + 1

    def codes(self, cells: pd.Series) -> np.ndarray:
        """The part of each cell, whatever the cell is; what the domain does not hold counts as missing."""
        last = self.n_parts - 1
        if self.edges is None:
            return np.minimum(self.domain.bins(cells, _PARTS), last).astype(np.int64)
        assert isinstance(self.domain, Ordered)
        values = self.domain.clean(cells)
        inside = np.searchsorted(self.edges[1:-1], values, side="right")
        return np.where(np.isnan(values), last, inside)

    def cells(self, codes: np.ndarray, uniforms: np.ndarray) -> pd.Series:
        """Cells in given parts: numbers are drawn where in theirs cells are known to lie, or evenly."""
        known = np.minimum(codes, self.n_parts - 2)
        if self.edges is None:
            numbers = self.domain.centers(_PARTS)[known]
        elif self.places is None:
            numbers = self.edges[known] + np.diff(self.edges)[known] * uniforms
        else:
            at = uniforms * (_PLACES - 1)
            before = np.minimum(at.astype(np.int64), _PLACES - 2)
            lower, upper = self.places[known, before], self.places[known, before + 1]
            numbers = lower + (upper - lower) * (at - before)
        return self._restored(numbers, codes == self.n_parts - 1)

    def cleaned(self, cells: pd.Series) -> pd.Series:
        """True cells as drawn ones are: within the domain, or missing."""
        target = self.domain.target(cells)
        return self._restored(np.nan_to_num(target), np.isnan(target)).set_axis(cells.index)

    def _restored(self, numbers: np.ndarray, missing: np.ndarray) -> pd.Series:
        values = self.domain.restore(numbers)
        found = pd.Series(values, dtype=values.dtype)
        if found.dtype != object:
            return found.where(~missing)
        found[missing] = None
        return found


def _places(edges: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Even shares of the cells of each interval, by quantiles of all cells, of shape (n_parts, n_places).

    Wide intervals are those of few cells, most of which lie near one end. In the others noise would tell more
    of where cells lie than the cells do: there they are spread evenly.
    """
    found = np.linspace(edges[:-1], edges[1:], _PLACES, axis=1)
    width = np.diff(edges)
    for k in np.flatnonzero(width > _WIDE * np.median(width)):
        inside = quantiles[(quantiles >= edges[k]) & (quantiles <= edges[k + 1])]
        if len(inside) > 1:
            found[k] = np.interp(np.linspace(0, 1, _PLACES), np.linspace(0, 1, len(inside)), inside)
    return found
