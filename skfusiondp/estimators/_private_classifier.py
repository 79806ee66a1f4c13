"""What classifiers do with the scores of their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _num_samples

from .._parameters import shown
from ..exceptions import InvalidInputError
from ..tables._domain import plain
from ..tables._targets import read_labels

# Training in single precision stays finite with weights up to this one.
LARGEST_WEIGHT = 1e9


class PrivateClassifier(ClassifierMixin):
    """Classes and their weights, and predictions from the scores that `_scores` gives. Not for users."""

    class_weight: Any
    classes_: np.ndarray
    _scores: Callable[[Any], np.ndarray]
    _multilabel = False

    def _class_weight(self, y: np.ndarray, n_rows: int) -> np.ndarray:
        """Public weight of each row by its class."""
        if self.class_weight is None:
            return np.ones(n_rows)
        given = f"class_weight={shown(self.class_weight)}"
        try:
            with np.errstate(all="ignore"):  # what overflows is refused below
                weight = compute_sample_weight(self.class_weight, y).astype(np.float32)
        except Exception as error:
            raise InvalidInputError(f"{given} does not fit y: {error}") from error
        if not ((weight >= 0) & (weight <= LARGEST_WEIGHT)).all() or not weight.any():
            raise InvalidInputError(
                f"{given} gives a class of y a weight that is no number from 0 to {LARGEST_WEIGHT:g}, or all "
                "of them 0; give each class such a number, or pass 'balanced'."
            )
        return weight.astype(np.float64)

    def _encode_classes(self, y: np.ndarray) -> np.ndarray:
        """Set `classes_`; return the position of each row's class among them."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInputError(
                f"y has only one class, {plain(self.classes_[0])!r}; a classifier needs rows of at least two."
            )
        return codes

    def _encode_support_classes(self, y: Any) -> np.ndarray:
        """Position of each support row's class among those of the training target."""
        labels, kind = read_labels(y, _num_samples(y), name="support_target")
        if kind.startswith("multilabel"):
            raise InvalidInputError(
                f"support_target has {labels.shape[1]} columns and y one label a row; give each support row "
                "its label, as y does."
            )
        theirs, ours = np.unique(labels).tolist(), self.classes_.tolist()
        if isinstance(theirs[0], str) != isinstance(ours[0], str):
            raise InvalidInputError(
                f"support_target holds labels such as {theirs[0]!r} and y such as {ours[0]!r}: one are texts "
                "and the others are not; give both one type."
            )
        unknown = sorted(set(theirs) - set(ours), key=str)
        if unknown:
            raise InvalidInputError(
                f"support_target has the class(es) {unknown}, which y does not have; drop these support rows."
            )
        return np.searchsorted(self.classes_, labels)

    def decision_function(self, X: Any) -> np.ndarray:
        """Score of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns if they can be imputed.

        Returns
        -------
        ndarray of shape (n_rows,), (n_rows, n_classes) or (n_rows, n_labels)
            Log odds of the second of two classes, scores of more classes before softmax, or log odds of
            each label.
        """
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 and not self._multilabel else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns if they can be imputed.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            For multilabel targets the probability of each label, (n_rows, n_labels).
        """
        scores = self.decision_function(X)
        if self._multilabel:
            return expit(scores)
        if scores.ndim == 1:
            positive = expit(scores)
            return np.column_stack([1 - positive, positive])
        return softmax(scores, axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of what ``predict_proba`` gives.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_classes) or (n_rows, n_labels)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,), or (n_rows, n_labels) of 0 and 1 for multilabel targets
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.classifier_tags.poor_score = True
        return tags
