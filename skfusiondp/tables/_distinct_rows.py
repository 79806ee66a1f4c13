"""The distinct rows of a table: how often each occurs, how rare its cells are, and what is near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from ._public_columns import PublicColumn
from ._same_rows import row_codes

# A number column with more values than this has neighbouring values; one with fewer is like a category.
_FEW = 20
# Numbers are neighbours up to this many of the smaller gaps between the column's values.
_GAPS = 10
# That one column determines another is first looked for in so many rows.
_FIRST = 2000
# Values that occur in so many rows each are those of a category, even if its other columns add nothing.
_OFTEN = 20
# Two values that independent columns would pair in so many rows, and that never meet, exclude each other.
_EXPECTED = 5


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The distinct rows of a table and how often each occurs.

    Copying rows changes how often they occur. Which rows are near which it does not change.

    Parameters
    ----------
    values : ndarray of shape (n_distinct, n_columns)
        Values of each column, numbered from 0; columns with one value are left out.
    numbers : tuple of (ndarray of shape (n_distinct,) or None)
        Cells of number columns with many values, None for others.
    counts : ndarray of shape (n_distinct,)
        How many rows of the table are alike.
    """

    values: np.ndarray
    numbers: tuple[np.ndarray | None, ...]
    counts: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: tuple[str, ...]) -> DistinctRows:
        """Find the distinct rows of `columns`."""
        readers = [PublicColumn.of(frame[c]) for c in columns]
        kinds = [pd.factorize(row_codes(frame, [reader]))[0] for reader in readers]
        told = [(reader, kind) for reader, kind in zip(readers, kinds, strict=True) if kind.max(initial=0)]
        whole = _sum([_hashed(kind, seed) for seed, (_, kind) in enumerate(told)], len(frame))
        first, counts = np.unique(whole, return_index=True, return_counts=True)[1:]
        numbers = [_many(reader.numbers(frame)[first]) if reader.is_number else None for reader, _ in told]
        values = np.array([kind[first] for _, kind in told]).reshape(len(told), len(first)).T
        return cls(values, tuple(numbers), counts)

    def rare(self) -> np.ndarray:
        """Which rows belong to the half whose cells few distinct rows share; shape (n_distinct,)."""
        often = np.zeros(len(self.values))
        for column in self.values.T:
            often += np.log(np.bincount(column))[column]
        return often <= np.median(often) + 1e-9

    def neighbours(self) -> np.ndarray:
        """How many distinct rows differ from each in one column only; shape (n_distinct,).

        Numbers with many values must be close, too. A column that another determines does not count, and
        columns that exclude each other (of a category in several 0/1 columns) count as one: rows never
        differ in just one of them.
        """
        groups = self._groups()
        parts = [_sum([_hashed(self.values[:, i], i) for i in group], len(self.values)) for group in groups]
        whole = _sum(parts, len(self.values))
        n = np.zeros(len(whole), dtype=np.int64)
        for group, part in zip(groups, parts, strict=True):
            numbers = self.numbers[group[0]]
            if numbers is None:
                where, sizes = np.unique(whole - part, return_inverse=True, return_counts=True)[1:]
                n += sizes[where] - 1
            else:
                n += _beside(whole - part, numbers)
        return n

    def most_neighbours(self) -> float:
        """How many neighbours a row could have: two for a number, the other values of a category.

        Rare values count for less: of shares p, one over the sum of p**2 counts as so many values.
        """
        most = 0.0
        for group in self._groups():
            if self.numbers[group[0]] is None:
                whole = _sum([_hashed(self.values[:, i], i) for i in group], len(self.values))
                shares = np.unique(whole, return_counts=True)[1] / len(whole)
                most += 1 / (shares**2).sum() - 1
            else:
                most += 2
        return most

    def _groups(self) -> list[list[int]]:
        """Columns in which rows may differ alone, each in a list; columns that exclude each other in one."""
        return self._exclusive(self._free())

    def _free(self) -> list[int]:
        """The columns that no other determines, such as a code its name; one of those that do so mutually."""
        sizes = self.values.max(axis=0, initial=0) + 1
        free = list(range(len(sizes)))
        for i in np.argsort(-sizes, kind="stable").tolist():
            # A column that hardly repeats a value would seem to determine every other.
            if i in free and (len(self.values) >= 2 * sizes[i] or self.counts.sum() >= _OFTEN * sizes[i]):
                others = [j for j in free if j != i]
                for rows in (self.values[:_FIRST], self.values):
                    others = [j for j in others if _determines(rows[:, i], rows[:, j])]
                free = [j for j in free if j not in others]
        return free

    def _exclusive(self, free: list[int]) -> list[list[int]]:
        """Groups of two-valued columns that exclude each other; every other column on its own."""
        two = [i for i in free if self.values[:, i].max(initial=0) == 1]
        ones = self.values[:, two].astype(np.float64)
        often, n_rows = self.counts @ ones, max(self.counts.sum(), 1)
        ones, often = np.where(often > n_rows / 2, 1 - ones, ones), np.minimum(often, n_rows - often)
        both = ones.T @ (ones * self.counts[:, None])
        first, second = often[:, None], often[None, :]
        by_chance = first * second / n_rows
        exclude = _categories(np.where(both > 0.5, -np.inf, by_chance), np.argsort(-often, kind="stable"))
        for met, expected in (
            (both, by_chance),
            (first - both, first - by_chance),
            (second - both, second - by_chance),
            (n_rows - first - second + both, n_rows - first - second + by_chance),
        ):
            exclude |= (met < 0.5) & (expected >= _EXPECTED)
        np.fill_diagonal(exclude, False)
        labels = connected_components(exclude)[1]
        groups = [[two[k] for k in np.flatnonzero(labels == label)] for label in np.unique(labels)]
        return groups + [[i] for i in free if i not in two]


def _categories(expected: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which columns are values of one category: no two are 1 in a row, though chance would bring rows.

    Parameters
    ----------
    expected : ndarray of shape (n_columns, n_columns)
        In how many rows both columns would be 1 by chance; -inf if both are in some row.
    order : ndarray of shape (n_columns,)
        Columns in the order in which they join the category that most speaks for.

    Returns
    -------
    ndarray of shape (n_columns, n_columns), dtype bool
    """
    found: list[list[int]] = []
    for i in order.tolist():
        evidence = [expected[i, members].sum() for members in found]
        if evidence and max(evidence) >= 0:
            found[int(np.argmax(evidence))].append(i)
        else:
            found.append([i])
    same = np.zeros(expected.shape, dtype=bool)
    for members in found:
        block = expected[np.ix_(members, members)]
        same[np.ix_(members, members)] = np.triu(block, 1).sum() >= _EXPECTED
    return same


def _many(numbers: np.ndarray) -> np.ndarray | None:
    """The numbers, if they have many values."""
    return numbers if len(np.unique(numbers[~np.isnan(numbers)])) > _FEW else None


def _hashed(kind: np.ndarray, seed: int) -> np.ndarray:
    """A random number for each value; sums of them are equal where the values are."""
    numbers = np.random.default_rng(seed).integers(0, 2**64, kind.max(initial=0) + 1, dtype=np.uint64)
    return np.asarray(numbers[kind])


def _sum(parts: list[np.ndarray], n_rows: int) -> np.ndarray:
    """The sum of several columns' hashes, modulo 2**64."""
    total = np.zeros(n_rows, dtype=np.uint64)
    for part in parts:
        total += part
    return total


def _determines(column: np.ndarray, other: np.ndarray) -> bool:
    """Whether rows that agree in one column agree in the other."""
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    other = other[order]
    return bool((np.minimum.reduceat(other, starts) == np.maximum.reduceat(other, starts)).all())


def _beside(others: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """How many of the next smaller and the next larger number are close, among rows alike in all else."""
    n = np.zeros(len(numbers), dtype=np.int64)
    rows = _not_alone(others)
    if len(rows):
        close = _GAPS * np.quantile(np.diff(np.unique(numbers[np.isfinite(numbers)])), 0.1)
        rows = rows[np.lexsort((numbers[rows], others[rows]))]
        with np.errstate(invalid="ignore"):
            near = np.diff(numbers[rows]) <= close * (1 + 1e-6)
        near &= np.diff(others[rows]) == 0
        n[rows[1:]] += near
        n[rows[:-1]] += near
    return n


def _not_alone(others: np.ndarray) -> np.ndarray:
    """The rows that agree with another one."""
    order = np.argsort(others)
    same = np.diff(others[order]) == 0
    return np.asarray(order[np.r_[False, same] | np.r_[same, False]])
