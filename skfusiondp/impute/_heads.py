"""Heads: a model of one sensitive column given encoded public features.

A head learns from a matrix and that column's support cells (numbers, or positions of the
declared categories) and returns a predictive distribution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict

from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._numeric_predictive import NumericPredictive

N_ATOMS = 64
# Odd, so that the mean of a uniform distribution is one of them.
_EVEN_ATOMS = 4 * N_ATOMS + 1


class Head(ABC):
    """Model of one sensitive column, of which everybody knows the domain."""

    def __init__(self, domain: Domain):
        self.domain = domain

    def fit(self, features: np.ndarray, target: np.ndarray) -> Head:
        """Learn from ``features`` (n_support, n_features) and ``target`` (n_support,), if anything."""
        return self

    @abstractmethod
    def predict(self, features: np.ndarray) -> Predictive:
        """Return the predictive distribution at ``features`` (n_rows, n_features)."""


class UniformHead(Head):
    """No knowledge: uniform over the domain, whose mean is its centre."""

    _plain_values = True

    def predict(self, features: np.ndarray) -> Predictive:
        n, atoms = len(features), self.domain.centers(_EVEN_ATOMS)
        if self.domain.task == "classifier":
            return CategoricalPredictive(np.ones((n, len(atoms))))
        return NumericPredictive(np.full(n, atoms[len(atoms) // 2]), atoms)


class MarginalHead(Head):
    """The support rows' own distribution, the same for every row: for columns with too few support rows."""

    _plain_values = True

    def fit(self, features: np.ndarray, target: np.ndarray) -> MarginalHead:
        if self.domain.task == "classifier":
            self.counts_ = np.bincount(target, minlength=len(self.domain.centers(0))).astype(float)
        else:
            self.mean_ = float(target.mean())
            self.atoms_, bins = bin_values(target)
            self.counts_ = np.bincount(bins, minlength=len(self.atoms_)).astype(float)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        n = len(features)
        if self.domain.task == "classifier":
            return CategoricalPredictive(np.tile(self.counts_, (n, 1)))
        return NumericPredictive(np.full(n, self.mean_), self.atoms_, self.counts_)


class EstimatorHead(Head):
    """Any scikit-learn estimator: a regressor for numbers, a classifier for categories.

    A regressor's predictive distribution is its prediction plus its out-of-fold residuals
    (five folds), which, unlike residuals on the fitted rows, are not too small.
    """

    _plain_values = True

    def __init__(self, estimator: Any, domain: Domain):
        super().__init__(domain)
        self.estimator = estimator

    def fit(self, features: np.ndarray, target: np.ndarray) -> EstimatorHead:
        if self.domain.task == "regressor":
            folds = KFold(min(5, len(target)), shuffle=True, random_state=0)
            guess = cross_val_predict(clone(self.estimator), features, target, cv=folds)
            self.residuals_ = bin_values(target - np.ravel(guess))[0]
        self.model_ = clone(self.estimator).fit(features, target)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        if self.domain.task == "regressor":
            mean = np.ravel(self.model_.predict(features)).astype(float)
            return NumericPredictive(mean, mean[:, None] + self.residuals_)
        return CategoricalPredictive(class_probabilities(self.model_, features, self.domain))


def class_probabilities(model: Any, features: np.ndarray, domain: Domain) -> np.ndarray:
    """Return ``predict_proba`` spread over the values of a domain that is guessed by classification.

    Returns
    -------
    ndarray of shape (n_rows, n_categories)
        Zero for categories that the support rows do not show. A classifier without
        ``predict_proba`` puts everything on its prediction.
    """
    spread = np.zeros((len(features), len(domain.centers(0))))
    if hasattr(model, "predict_proba"):
        spread[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(features)
    else:
        spread[np.arange(len(features)), np.asarray(model.predict(features), dtype=int)] = 1.0
    return spread


def varying(features: np.ndarray) -> np.ndarray:
    """Which features differ between rows by more than rounding (missing is a value), of bool."""
    filled = np.where(np.isnan(features), -1e30, features)
    return np.ptp(filled, axis=0) > 1e-9 if len(filled) else np.zeros(features.shape[1], dtype=bool)


def bin_values(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace values by at most `N_ATOMS` representatives, equal shares of them each.

    Returns
    -------
    atoms : ndarray of shape (n_atoms,)
        Ascending; the values themselves where they are few, else the mean of each bin.
    bins : ndarray of shape (n_values,)
        Position of each value's atom.
    """
    atoms, bins = np.unique(values, return_inverse=True)
    if len(atoms) <= N_ATOMS:
        return atoms, bins
    inner = np.unique(np.quantile(values, np.arange(1, N_ATOMS) / N_ATOMS))
    # A value that many rows share is an edge twice over; empty bins are closed up again.
    _, bins = np.unique(np.searchsorted(inner, values, side="left"), return_inverse=True)
    return np.bincount(bins, weights=values) / np.bincount(bins), bins
