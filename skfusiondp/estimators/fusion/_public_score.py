"""Scores of a public model for the network to start from: boosting on the public columns, cross-fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

from ...tables._public_encoder import PublicEncoder
from ..offset._boosting import MANY_CATEGORIES, boosted_model, fitted
from ..offset._public_view import PublicView

_FOLDS = 5
# Probabilities are kept this far from 0 and 1, so that scores stay finite.
_CERTAIN = 1e-4


class PublicScore:
    """Gradient boosting on public columns, a model a fold and output, in the unit of a network's outputs.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
    n_outputs : int
    """

    _plain_values = True

    def __init__(self, task: str, n_outputs: int):
        self.task, self.n_outputs = task, n_outputs

    def fit(
        self,
        public: pd.DataFrame,
        support: pd.DataFrame | None,
        target: np.ndarray,
        weight: np.ndarray,
        seed: int,
    ) -> np.ndarray:
        """Fit on training rows, and on support rows that follow them in `target` and `weight`.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            Scores by models that have not seen the row.
        """
        self.columns = PublicEncoder("ordinal", order="name").fit(public, support)
        known = self.encoded(public)
        if support is not None:
            known = np.vstack([known, self.encoded(support)])
        self._folds: list[list[Any]] = []
        found = np.zeros((len(target), self.n_outputs))
        for train, held in self._split(target, seed):
            self._folds.append(self._fit_fold(known, target, weight, train, seed))
            found[held] = self._of(self._folds[-1], known[held])
        return found

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Scores of new rows, of shape (n_rows, n_outputs): the mean of the folds' models."""
        known = self.encoded(frame)
        if not self._folds:
            return np.zeros((len(known), self.n_outputs))
        return np.mean([self._of(models, known) for models in self._folds], axis=0)

    def encoded(self, frame: pd.DataFrame) -> np.ndarray:
        """The public columns as trees read them."""
        return self.columns.transform(frame[[known.column.name for known in self.columns.learnt_]])

    def _split(self, target: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Folds of rows; none where a class has fewer than two rows, or nearly none are there."""
        one = target if target.ndim == 1 else target[:, 0]
        if self.task in ("binary", "multiclass"):
            folds = min(_FOLDS, int(np.unique(one, return_counts=True)[1].min()))
            splitter: Any = StratifiedKFold
        else:
            folds, splitter = min(_FOLDS, len(target) // 2), KFold
        if folds < 2:
            return []
        return list(splitter(folds, shuffle=True, random_state=seed).split(one, one))

    def _fit_fold(
        self, known: np.ndarray, target: np.ndarray, weight: np.ndarray, rows: np.ndarray, seed: int
    ) -> list[Any]:
        """A model for each output, or one of all classes; a number where a fold's labels are all the same."""
        single = target.ndim == 1
        task = "binary" if self.task == "multilabel" else self.task
        many, outputs = self.columns.positions_of(MANY_CATEGORIES), self.n_outputs if single else 1
        models: list[Any] = []
        for aim in [target] if single else list(target.T):
            if self.task != "regression" and np.ptp(aim[rows]) == 0:
                models.append(float(aim[rows][0]))
                continue
            model = boosted_model(task, seed, outputs, len(rows), many)
            models.append(fitted(model, PublicView.rows(known, rows), aim[rows], weight[rows]))
        return models

    def _of(self, models: list[Any], known: np.ndarray) -> np.ndarray:
        if self.task == "multiclass":
            p = np.full((len(known), self.n_outputs), _CERTAIN)
            p[:, models[0].classes_.astype(int)] = models[0].predict_proba(known)
            log = np.log(np.clip(p, _CERTAIN, 1 - _CERTAIN))
            return log - log.mean(axis=1, keepdims=True)
        return np.column_stack([self._of_one(model, known) for model in models])

    def _of_one(self, model: Any, known: np.ndarray) -> np.ndarray:
        if self.task == "regression":
            return model.predict(known)
        p = np.full(len(known), model) if isinstance(model, float) else model.predict_proba(known)[:, 1]
        p = np.clip(p, _CERTAIN, 1 - _CERTAIN)
        return np.log(p / (1 - p))
