"""A Gaussian process for one sensitive column, where support rows are few."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.preprocessing import StandardScaler

from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._heads import Head
from ._numeric_predictive import NumericPredictive

# Standard deviations at which features of rows unlike the support rows are cut.
_FAR = 10.0
# Least probability of a class, which a regression on its indicator may undercut.
_LEAST = 0.01


class GaussianProcessHead(Head):
    """Gaussian process regression on the number, or on the indicators of the classes.

    One length for all standardised features, amplitude and noise by marginal likelihood (Rasmussen and
    Williams, Gaussian Processes for Machine Learning, 2006, chapters 2, 5 and 6.5).

    Parameters
    ----------
    domain : Domain
    """

    _plain_values = True

    def __init__(self, domain: Domain):
        super().__init__(domain)

    def fit(self, features: np.ndarray, target: np.ndarray) -> GaussianProcessHead:
        self.scaler_ = StandardScaler().fit(features)
        if self.domain.task == "classifier":
            self.shown_ = np.unique(target)
        wanted = self._indicators(target)
        kernel = ConstantKernel(0.3, (1e-3, 1e2)) * RBF(
            np.sqrt(2 * features.shape[1]), (1.0, 1e3)
        ) + WhiteKernel(0.7, (1e-2, 1.5))
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        with warnings.catch_warnings():
            # A length at its bound is an answer: that column cannot be guessed.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(self._scaled(features), wanted)
        # Numbers alone are kept: a file of a model may hold nothing that runs code when it is loaded.
        amplitude, length = process.kernel_.k1.k1.constant_value, process.kernel_.k1.k2.length_scale
        self.rows_, self.length_, self.mean_ = process.X_train_, float(length), wanted.mean(axis=0)
        weights = process.alpha_.reshape(wanted.shape) * wanted.std(axis=0)
        self.weights_ = amplitude * weights
        # Prediction of each row from the others (section 5.4.2 of the book).
        known = process.kernel_(process.X_train_) + process.alpha * np.eye(len(wanted))
        precision = np.diag(cho_solve(cho_factor(known, lower=True), np.eye(len(wanted))))
        self.left_out_ = self._guess(wanted - weights / precision[:, None])
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        near = np.exp(
            -0.5 * cdist(self._scaled(features) / self.length_, self.rows_ / self.length_, "sqeuclidean")
        )
        guess = self._guess(self.mean_ + near @ self.weights_)
        return NumericPredictive(guess) if self.domain.task == "regressor" else CategoricalPredictive(guess)

    def _indicators(self, target: np.ndarray) -> np.ndarray:
        """What is regressed on, of shape (n_rows, n_outputs)."""
        if self.domain.task == "regressor":
            return target[:, None].astype(float)
        return (target[:, None] == self.shown_).astype(float)

    def _guess(self, outputs: np.ndarray) -> np.ndarray:
        """The number; or probabilities of the domain's classes."""
        if self.domain.task == "regressor":
            return outputs[:, 0]
        found = np.zeros((len(outputs), len(self.domain.centers(0))))
        found[:, self.shown_] = np.clip(outputs, _LEAST, 1.0)
        return found / found.sum(axis=1, keepdims=True)

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        return np.clip(self.scaler_.transform(features), -_FAR, _FAR)
