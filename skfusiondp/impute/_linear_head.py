"""Linear models of one sensitive column: ridge regression for numbers, logistic regression for classes."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._heads import Head, class_probabilities
from ._numeric_predictive import NumericPredictive

_FOLDS = 5
_ALPHAS = np.logspace(-1, 4, 11)
# scikit-learn's C; of many classes, whose fits take long, one of them.
_PENALTIES, _OF_MANY, _MANY = (0.001, 0.01, 0.1, 1.0), (0.1,), 10
_LEAST = 1e-6
# Standard deviations at which features of rows unlike the support rows are cut.
_FAR = 10.0


class LinearHead(Head):
    """Linear in the standardised public features; the penalty is chosen on the support rows.

    Parameters
    ----------
    domain : Domain
    """

    _plain_values = True

    def fit(self, features: np.ndarray, target: np.ndarray) -> LinearHead:
        self.scaler_ = StandardScaler().fit(features)
        scaled = self._scaled(features)
        if self.domain.task == "regressor":
            self.model_ = Ridge(alpha=RidgeCV(_ALPHAS).fit(scaled, target).alpha_)
            folds = KFold(min(_FOLDS, len(target)), shuffle=True, random_state=0)
            self.left_out_ = cross_val_predict(self.model_, scaled, target, cv=folds)
        else:
            counts = np.unique(target, return_counts=True)[1]
            tried = [
                LogisticRegression(C=c, max_iter=200)
                for c in (_PENALTIES if len(counts) <= _MANY else _OF_MANY)
            ]
            each = [self._left_out(model, scaled, target, counts.min() >= _FOLDS) for model in tried]
            values = np.arange(each[0].shape[1])
            best = int(np.argmin([log_loss(target, p, labels=values) for p in each]))
            self.model_, self.left_out_ = tried[best], each[best]
        self.model_.fit(scaled, target)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        scaled = self._scaled(features)
        if self.domain.task == "regressor":
            return NumericPredictive(self.model_.predict(scaled))
        return CategoricalPredictive(class_probabilities(self.model_, scaled, self.domain))

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        return np.clip(self.scaler_.transform(features), -_FAR, _FAR)

    def _left_out(
        self, model: LogisticRegression, scaled: np.ndarray, target: np.ndarray, stratified: bool
    ) -> np.ndarray:
        """Probabilities of each row by a model that has not seen it."""
        kind = StratifiedKFold if stratified else KFold
        folds = kind(min(_FOLDS, len(target)), shuffle=True, random_state=0)
        found = np.full((len(target), len(self.domain.centers(0))), _LEAST)
        for train, rest in folds.split(scaled, target):
            if len(np.unique(target[train])) > 1:
                model.fit(scaled[train], target[train])
                found[rest] += class_probabilities(model, scaled[rest], self.domain)
            else:
                found[rest, target[train][0]] += 1.0
        return found / found.sum(axis=1, keepdims=True)
