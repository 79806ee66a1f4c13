"""What classifiers do with the scores of their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin


class PrivateClassifier(ClassifierMixin):
    """Predictions from scores of shape (n_rows, n_outputs), which `_scores` gives. Not for users."""

    classes_: np.ndarray
    _scores: Callable[[Any], np.ndarray]
    _multilabel = False

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
