"""Public columns that determine a sensitive one, so that protecting it protects nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ._domain import Domain
from ._public_columns import PublicColumn

# What has to be explained of rows that were left out, for columns to determine another one.
DETERMINED = 0.99
_WORTH_MORE_FOLDS = 0.9
_FEWEST_ROWS, _MOST_ROWS = 30, 500
# Cells that a pass over trees may read, so that wide tables cost no more than others.
_MOST_CELLS = 50_000
# Fewer rows of a category, or rows that are not of the largest one, tell nothing.
_FEWEST_OF_A_KIND, _FEWEST_OTHERS = 5, 10
# The weight or importance, relative to the largest, from which a column counts among several.
_COUNTS = 0.02
_MOST_SAID = 4


@dataclass(frozen=True)
class Determined:
    """A sensitive column, and public ones that say what it holds.

    Parameters
    ----------
    sensitive : str
    public : tuple of str
    explained : float
        Share explained of rows that were left out: of the variance of ranks, or of the cells that are not
        of the most frequent category.
    how : str
        How it follows from them.
    """

    sensitive: str
    public: tuple[str, ...]
    explained: float
    how: str

    def __str__(self) -> str:
        names = " and ".join(map(repr, self.public[:_MOST_SAID]))
        names += f" and {len(self.public) - _MOST_SAID} more" * (len(self.public) > _MOST_SAID)
        verb = "determines" if len(self.public) == 1 else "determine"
        return f"{names} {verb} {self.sensitive!r} ({self.how})"


class PublicFeatures:
    """Public columns as one number a cell: categories by position, gaps as NaN.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_public)
    """

    def __init__(self, frame: pd.DataFrame):
        columns = [PublicColumn.of(frame[name]) for name in frame.columns]
        values = {c.name: _as_numbers(c, frame) for c in columns}
        # Columns of one value say nothing.
        self.values = {c: v for c, v in values.items() if len(np.unique(v[~np.isnan(v)])) > 1}
        self.numeric = [c.name for c in columns if c.is_number and c.name in self.values]

    def matrix(self, names: list[str]) -> np.ndarray:
        """Ranks of the cells of some columns, which say to a tree what the numbers say."""
        return np.column_stack([_ranks(self.values[c]) for c in names])


def rows_for(n_rows: int, n_columns: int) -> np.ndarray:
    """Rows, always the same, that suffice to see whether columns determine another one."""
    most = max(_FEWEST_ROWS, min(_MOST_ROWS, _MOST_CELLS // max(n_columns, 1)))
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def determined(frame: pd.DataFrame, domains: Mapping[str, Domain]) -> tuple[Determined, ...]:
    """Find the sensitive columns that public columns determine, alone or together, in public rows.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Public rows. Its columns without a domain are the public ones.
    domains : mapping of str to Domain

    Returns
    -------
    tuple of Determined
        For each sensitive column the public ones that determine it alone; if there are none, those that
        do so together.
    """
    frame = frame.iloc[rows_for(*frame.shape)]
    public = PublicFeatures(frame[[c for c in frame.columns if c not in domains]])
    found: list[Determined] = []
    for column, domain in domains.items():
        if column not in frame:
            continue
        target = domain.target(frame[column])
        together = jointly(public, column, target, domain.task)
        if together is not None and together.explained >= DETERMINED:
            alone = [singly(public, c, column, target, domain.task) for c in public.values]
            found += [d for d in alone if d.explained >= DETERMINED] or [together]
    return tuple(found)


def singly(public: PublicFeatures, name: str, column: str, target: np.ndarray, task: str) -> Determined:
    """How far one public column says what a sensitive one holds."""
    share = _by_tree(public.matrix([name]), target, task)[0]
    numbers = name in public.numeric and task == "regressor"
    how = _relation(public.values[name], target, numbers) if share >= DETERMINED else ""
    return Determined(column, (name,), share, how)


def jointly(public: PublicFeatures, column: str, target: np.ndarray, task: str) -> Determined | None:
    """How far all public columns together do; None where there are none."""
    names = list(public.values)
    if not names:
        return None
    share, parts = _by_tree(public.matrix(names), target, task)
    how = "together"
    if task == "regressor" and public.numeric:
        linear, weights = _by_line(np.column_stack([public.values[c] for c in public.numeric]), target)
        if linear > share:
            names, share, parts, how = public.numeric, linear, weights, "a sum of multiples of them"
    names = [c for c, part in zip(names, parts, strict=True) if part >= _COUNTS * parts.max()]
    if len(names) == 1:
        how = _relation(public.values[names[0]], target, names[0] in public.numeric and task == "regressor")
    return Determined(column, tuple(names), share, how)


def _by_tree(features: np.ndarray, target: np.ndarray, task: str) -> tuple[float, np.ndarray]:
    """Share that a tree explains of rows left out, and the features' importance to it."""
    known = ~np.isnan(target)
    features, target = features[known], target[known]
    if task == "regressor":
        return _left_out(DecisionTreeRegressor(random_state=0), features, rankdata(target), _variance)
    counts = np.unique(target, return_inverse=True, return_counts=True)[1:]
    often = counts[1][counts[0]] >= _FEWEST_OF_A_KIND if len(target) else known[:0]
    features, target = features[often], target[often]
    if len(target) - counts[1].max(initial=0) < _FEWEST_OTHERS:
        return 0.0, np.zeros(features.shape[1])
    return _left_out(DecisionTreeClassifier(random_state=0), features, target, _others)


def _by_line(numbers: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Share that a weighted sum of numbers explains of rows left out, and the weights in standard units."""
    known = ~np.isnan(target) & ~np.isnan(numbers).any(axis=1)
    numbers, target = numbers[known], target[known]
    with np.errstate(over="ignore", invalid="ignore"):
        spread = numbers.std(axis=0)
    if len(target) < 3 * numbers.shape[1] or not np.isfinite(spread).all():
        return 0.0, np.zeros(numbers.shape[1])
    numbers = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return _left_out(LinearRegression(), numbers, target, _variance)


def _left_out(
    model: Any, features: np.ndarray, target: np.ndarray, explained: Any
) -> tuple[float, np.ndarray]:
    """Share explained of rows left out, and the size of each feature's part in that."""
    nothing = np.zeros(features.shape[1])
    if len(target) < _FEWEST_ROWS or len(np.unique(target)) < 2:
        return 0.0, nothing
    folds = KFold(5, shuffle=True, random_state=0)
    rest, some = next(folds.split(features))  # most columns are told apart by the first fold
    share = explained(target[some], model.fit(features[rest], target[rest]).predict(features[some]))
    if share < _WORTH_MORE_FOLDS:
        return max(share, 0.0), nothing
    share = explained(target, cross_val_predict(model, features, target, cv=folds))
    model.fit(features, target)
    parts = model.coef_ if isinstance(model, LinearRegression) else model.feature_importances_
    return max(share, 0.0), np.abs(parts)


def _variance(target: np.ndarray, guess: np.ndarray) -> float:
    return float(r2_score(target, guess)) if np.ptp(target) else 1.0


def _others(target: np.ndarray, guess: np.ndarray) -> float:
    """Share guessed right, of what the most frequent value gets wrong."""
    others = len(target) - np.unique(target, return_counts=True)[1].max()
    return float(1 - (guess != target).sum() / max(others, 1))


def _relation(values: np.ndarray, target: np.ndarray, numeric: bool) -> str:
    """How a sensitive column follows from a public one that determines it."""
    known = ~np.isnan(values) & ~np.isnan(target)
    values, target = values[known], target[known]
    if numeric:
        if np.allclose(values, target):
            return "the same numbers"
        if np.corrcoef(values, target)[0, 1] ** 2 > 0.9999:
            return "a linear function of it"
        if abs(spearmanr(values, target).statistic) > 0.9999:
            return "a monotone function of it"
        return "a function of it"
    pairs = len(np.unique(np.column_stack([values, target]), axis=0))
    if pairs == len(np.unique(values)) == len(np.unique(target)):
        return "the same values under other names"
    return "a function of it" if pairs == len(np.unique(values)) else "nearly a function of it"


def _as_numbers(column: PublicColumn, frame: pd.DataFrame) -> np.ndarray:
    if column.is_number:
        values = column.numbers(frame)
        return np.where(np.isfinite(values), values, np.nan)
    codes = pd.factorize(column.words(frame), sort=True)[0]
    return np.where(codes < 0, np.nan, codes.astype(float))


def _ranks(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    ranks[known] = rankdata(values[known])
    return ranks
