"""Training rows among the support rows, found by public facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln
from scipy.stats import binom

from ._public_columns import PublicColumn

# A coincidence less probable than this is taken as proof. Two tables differ in their distributions, so
# rates of coincidence are trusted only up to a factor.
_CHANCE = 1e-6
_FACTOR = 1.5


def row_codes(frame: pd.DataFrame, columns: Sequence[PublicColumn]) -> np.ndarray:
    """A number for each row, equal where the values of all cells of `columns` are.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
    columns : sequence of PublicColumn
        Numbers are compared in single precision, whatever type holds them.

    Returns
    -------
    ndarray of shape (n_rows,), dtype uint64
    """
    codes = np.zeros(len(frame), dtype=np.uint64)
    for column in columns:
        if column.is_number:
            cells = column.numbers(frame) + 0.0
            with np.errstate(over="ignore"):
                cells = cells.astype(np.float32).astype(np.float64) if column.kind == "number" else cells
        else:
            words = column.words(frame)
            # Encoded here, since texts of halves of characters cannot be hashed as texts.
            encoded = ["" if w is None else w.encode("utf-8", "surrogatepass") for w in words]
            cells = np.array(encoded, dtype=object)
        codes = (codes * np.uint64(1_000_003)) ^ (pd.util.hash_array(cells) + np.uint64(0x9E3779B97F4A7C15))
    return codes


def training_rows_given(
    training: np.ndarray, support: np.ndarray, originals: tuple[Any, Any] = (None, None)
) -> str:
    """How rows of the training table were found among the support rows; empty if none were.

    Parameters
    ----------
    training, support : ndarray of shape (n_rows,)
        Codes of the rows' public cells.
    originals : (training table, support), optional
        As the user passed them: identity, shared memory and index labels are evidence too.
    """
    if _share_memory(*originals):
        return "they are the same object, or share its memory"
    if len(training) and len(support):
        if _same_labels(training, support, originals):
            return "index labels name the same rows in both"
        if _rare_rows_met(training, support) or _all_rows_met(training, support):
            return "their public cells are those of training rows, far more often than by chance"
    return ""


def _share_memory(X: Any, support: Any) -> bool:
    if X is None or support is None:
        return False
    if X is support:
        return True
    return any(_overlap(a, b) for a in _arrays(X) for b in _arrays(support))


def _arrays(table: Any) -> list[np.ndarray]:
    if isinstance(table, np.ndarray):
        return [table]
    if isinstance(table, pd.DataFrame):
        columns = (table.iloc[:, i].array for i in range(table.shape[1]))
        held = (getattr(c, "_ndarray", getattr(c, "_data", None)) for c in columns)
        return [a for a in held if isinstance(a, np.ndarray)]
    return []


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return False


def _labels(table: Any, n_rows: int) -> pd.Index:
    return table.index if isinstance(table, pd.DataFrame) else pd.RangeIndex(n_rows)


def _same_labels(training: np.ndarray, support: np.ndarray, originals: tuple[Any, Any]) -> bool:
    ours, theirs = (_labels(t, len(c)) for t, c in zip(originals, (training, support), strict=True))
    ours_first, theirs_first = ~ours.duplicated(), ~theirs.duplicated()
    try:
        position = ours[ours_first].get_indexer(theirs[theirs_first])
    except (TypeError, ValueError):  # labels that do not compare
        return False
    met = position >= 0
    if not met.any():
        return False
    if _name_rows(ours) and _name_rows(theirs):
        return True
    pairs = training[ours_first][position[met]] == support[theirs_first][met]
    # If labels are only row numbers, rows with the same label are equal as often as any two rows.
    seen, times = np.unique(support, return_counts=True)
    by_chance = float((_occurrences(training, seen) * (times / len(support))).sum())
    if _beyond(int(pairs.sum()), len(pairs), by_chance / len(training)):
        return True
    if not (pd.api.types.is_integer_dtype(ours) and pd.api.types.is_integer_dtype(theirs)):
        return False
    # Record numbers leave gaps: two tables share one by chance as often as their range is filled.
    distinct = ours[ours_first]
    dense = len(distinct) / (int(distinct.max()) - int(distinct.min()) + 1.0)
    return _beyond(int(met.sum()), len(met), dense)


def _name_rows(labels: pd.Index) -> bool:
    """Whether labels are texts that differ between rows: such labels identify people in every table."""
    texts = pd.api.types.infer_dtype(labels, skipna=False) in ("string", "bytes")
    return bool(texts and labels.nunique() > 0.9 * len(labels))


def _beyond(hits: int, trials: int, rate: float) -> bool:
    """Whether there are more hits than chance explains; one hit and one miss are added to a low rate."""
    rate = min(1.0, _FACTOR * (rate * trials + 1) / (trials + 2)) if rate * trials < 1 else _FACTOR * rate
    return bool(trials and rate < 1 and binom.sf(hits - 1, trials, rate) < _CHANCE)


def _rare_rows_met(training: np.ndarray, support: np.ndarray) -> bool:
    """Whether support rows meet public cells that one training row has, more often than new rows would.

    Of rows drawn anew from the same people, a share N1/n has cells that no training row has, and a share
    2 N2/n cells that exactly one has (Good 1953), with N1, N2 the numbers of kinds of rows that occur
    once and twice. Rows of the training table itself never have new cells. Cells that several training
    rows have are not counted: how common they are may differ between the tables.
    """
    counts = np.unique(training, return_counts=True)[1]
    often = _occurrences(training, np.unique(support))
    once, new = int((often == 1).sum()), int((often == 0).sum())
    n1, n2 = int((counts == 1).sum()), int((counts == 2).sum())
    rate = (2 * n2 + 1) / (2 * n2 + n1 + 2)
    rate = min(_FACTOR * rate, (1 + rate) / 2)
    return bool(once and binom.sf(once - 1, once + new, rate) < _CHANCE)


def _occurrences(training: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """How many training rows are of each kind."""
    values, counts = np.unique(training, return_counts=True)
    at = np.clip(np.searchsorted(values, kinds), 0, len(values) - 1)
    return np.where(values[at] == kinds, counts[at], 0)


def _all_rows_met(training: np.ndarray, support: np.ndarray) -> bool:
    """Whether both tables hold each kind of row equally often: the same rows in another order."""
    if len(training) != len(support) or not np.array_equal(np.sort(training), np.sort(support)):
        return False
    counts = np.unique(training, return_counts=True)[1]
    n = counts.sum()
    # Probability that n new rows, of kinds as frequent as these, fall into just these numbers.
    log_chance = gammaln(n + 1) - gammaln(counts + 1).sum() + (counts * np.log(counts / n)).sum()
    return bool(log_chance < np.log(_CHANCE))
