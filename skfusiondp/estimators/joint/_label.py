"""The public label as features that go with sensitive cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from scipy.special import softmax

from ...exceptions import InvalidInputError
from ...tables._targets import one_column, read_labels, read_numbers
from ._public_features import Ranks

# More whole numbers than this are numbers and no classes.
_MOST_CLASSES = 20
# Bends of a number's rank; quantiles of what the score leaves of a number, and how many deviations of it are
# told apart.
_BENDS, _RESIDUALS, _FAR = 3, 257, 2.5


class LabelKind:
    """Classes or numbers, or no label at all.

    Parameters
    ----------
    task : {"binary", "multiclass", "regression", ""}
    classes : ndarray
        None of them for numbers.
    ranks : Ranks or None
        Of numbers.
    """

    _plain_values = True

    def __init__(self, task: str, classes: Any = (), ranks: Ranks | None = None):
        self.task, self.classes, self.ranks = task, np.asarray(classes), ranks
        self._mean, self._spread = 0.0, 1.0
        self._residuals, self._shares = np.zeros(1), np.ones(1)

    @property
    def n_scores(self) -> int:
        """Scores of a public model."""
        return len(self.classes) if self.task == "multiclass" else 1

    def features(self, target: np.ndarray, score: np.ndarray | None = None) -> np.ndarray:
        """Features of norm at most 1, of shape (n_rows, any); with a score after `learn`.

        A number has bends of its rank, and with a score, to an equal share, what this leaves of it: squared
        errors, by which models of numbers are judged, rest on that.
        """
        if self.task == "binary":
            return 2.0 * target[:, None] - 1
        if self.task == "multiclass":
            return np.eye(self.n_scores)[target.astype(int)] - 1 / self.n_scores
        if self.task == "regression":
            assert self.ranks is not None
            rank = np.clip(self.ranks(target[:, None])[:, 0], -1, 1)
            bends = legendre.legvander(rank, _BENDS)[:, 1:] / np.sqrt(_BENDS)
            if score is None:
                return bends
            left = np.clip(self._left(target, score) / (_FAR * self._spread), -1, 1)
            return np.column_stack([left, bends]) / np.sqrt(2)
        return np.zeros((len(target), 0))

    def learn(self, target: np.ndarray, score: np.ndarray) -> None:
        """Learn what the score leaves of numbers, and the shares of classes."""
        if self.task in ("binary", "multiclass"):
            self._shares = np.bincount(target.astype(int)) / len(target)
        if self.task == "regression":
            self._mean = float(target.mean())
            left = self._left(target, score)
            self._residuals = np.quantile(left, np.linspace(0, 1, _RESIDUALS))
            self._spread = max(float(left.std()), np.finfo(float).tiny)

    def _guess(self, score: np.ndarray) -> Any:
        return score[:, 0] if score.shape[1] else self._mean

    def _left(self, target: np.ndarray, score: np.ndarray) -> np.ndarray:
        """What the score leaves of numbers."""
        return target - self._guess(score)

    def drawn(self, score: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Likely targets of rows with such scores."""
        if self.task == "regression":
            at = np.interp(uniforms, np.linspace(0, 1, len(self._residuals)), self._residuals)
            return at + self._guess(score)
        if self.task == "":
            return np.zeros(len(score))
        if not score.shape[1]:
            logits = np.tile(np.log(self._shares), (len(score), 1))
        else:
            logits = np.column_stack([np.zeros(len(score)), score]) if self.task == "binary" else score
        return (softmax(logits, axis=1).cumsum(axis=1)[:, :-1] < uniforms[:, None]).sum(axis=1).astype(float)


@dataclass(frozen=True, eq=False)
class Label:
    """A training target.

    Parameters
    ----------
    kind : LabelKind
    target : ndarray of shape (n_rows,)
        Positions of classes, or numbers.
    """

    kind: LabelKind
    target: np.ndarray


def classes(y: Any, n_rows: int) -> Label:
    """A target of classes."""
    labels, _ = read_labels(y, n_rows)
    return _of_classes(_single(labels))


def numbers(y: Any, n_rows: int) -> Label:
    """A target of numbers."""
    found = _single(read_numbers(y, n_rows))
    return Label(LabelKind("regression", ranks=Ranks(found[:, None])), found)


def any_label(y: Any, n_rows: int) -> Label:
    """A target of classes or numbers, whichever it is, or none."""
    if y is None:
        return Label(LabelKind(""), np.zeros(n_rows))
    labels, kind = read_labels(y, n_rows, numbers=True)
    labels = _single(labels)
    number = labels.dtype.kind in "fiu" and len(np.unique(labels)) > _MOST_CLASSES
    return numbers(y, n_rows) if kind.startswith("continuous") or number else _of_classes(labels)


def _of_classes(labels: np.ndarray) -> Label:
    found, codes = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        return Label(LabelKind("", found), np.zeros(len(labels)))
    task = "binary" if len(found) == 2 else "multiclass"
    return Label(LabelKind(task, found), codes.astype(float))


def _single(y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] != 1:
        raise InvalidInputError(
            f"y has {y.shape[1]} columns, and the model of the sensitive columns takes one label a row; give "
            "the others as public columns of X."
        )
    return one_column(y)


NO_LABEL = Label(LabelKind(""), np.zeros(0))
