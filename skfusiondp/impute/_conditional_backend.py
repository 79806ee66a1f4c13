"""Ensembles of trees, one set a sensitive column, fitted on the support rows."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from threadpoolctl import threadpool_limits

from .._parameters import N_JOBS, Integer, constraints
from .._random_state import RANDOM_STATE, seed_of
from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._columnwise import ColumnwiseBackend
from ._heads import Head, bin_values, class_probabilities
from ._numeric_predictive import NumericPredictive

# Up to so many rows boosting runs on one thread, which is as fast alone and far faster where
# other processes keep the cores busy: its threads wait for each other at every split.
_ROWS_FOR_ONE_THREAD = 10_000

# Rows a tree sees at most: more support rows then cost boosting only, which takes them well.
_ROWS_PER_TREE = 5_000


class ConditionalBackend(ColumnwiseBackend):
    """Random forest, extra trees and gradient boosting, averaged, one set a sensitive column.

    Parameters
    ----------
    n_estimators : int, default=60
        Trees of each forest.
    n_jobs : int, default=None (1)
        Processor cores for the forests; as in scikit-learn.
    random_state : int, RandomState or Generator, default=None (a new one each fit)
        Seed of the trees.

    Notes
    -----
    A numeric column's distribution comes from the random forest's leaves: the weights of the
    support cells that share a leaf with the row (Meinshausen, Quantile Regression Forests,
    JMLR 7, 2006).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from skfusiondp import FoundationImputer, Numeric
    >>> from skfusiondp.impute import ConditionalBackend
    >>> rng = np.random.default_rng(0)
    >>> lab = rng.uniform(size=300)
    >>> support = pd.DataFrame({"lab": lab, "age": 20 + 60 * lab + rng.normal(0, 5, 300)})
    >>> train = pd.DataFrame({"lab": [0.17, 0.83], "age": [61.0, 33.0]})
    >>> imputer = FoundationImputer(
    ...     {"age": Numeric(20, 80)}, support=support,
    ...     backend=ConditionalBackend(n_estimators=20, random_state=0),
    ... )
    >>> imputer.fit_transform(train)["age"].round(-1).tolist()
    [30.0, 70.0]
    """

    _plain_values = True

    _constraints = constraints(n_estimators=Integer(1), n_jobs=N_JOBS, random_state=RANDOM_STATE)

    def __init__(self, n_estimators: int = 60, *, n_jobs: int | None = None, random_state: Any = None):
        self.n_estimators = n_estimators
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _make_head(self, column: str, domain: Domain) -> Head:
        return TreesHead(domain, self.n_estimators, self.n_jobs, seed_of(self.random_state))


def _quiet_threads(n_rows: int) -> Any:
    if n_rows > _ROWS_FOR_ONE_THREAD:
        return contextlib.nullcontext()
    return threadpool_limits(1, user_api="openmp")


class TreesHead(Head):
    """The averaged ensemble of one column."""

    _plain_values = True

    def __init__(
        self,
        domain: Domain,
        n_estimators: int,
        n_jobs: int | None,
        random_state: Any,
        leaves_out: bool = False,
    ):
        super().__init__(domain)
        self.leaves_out = leaves_out
        self.n_estimators = n_estimators
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, features: np.ndarray, target: np.ndarray) -> TreesHead:
        with _quiet_threads(len(target)):
            self.models_ = self._members(len(target))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
                warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
                for model in self.models_:
                    model.fit(features, target)
        if self.leaves_out:
            self.left_out_ = self._take_left_out(target)
        if self.domain.task == "regressor":
            self.atoms_, bins = bin_values(target)
            self.leaf_weights_ = self._leaf_weights(features, bins)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        with _quiet_threads(len(features)):
            if self.domain.task == "classifier":
                each = [class_probabilities(m, features, self.domain) for m in self.models_]
                return CategoricalPredictive(np.mean(each, axis=0))
            mean = np.mean([m.predict(features) for m in self.models_], axis=0)
        weights = (self._leaves(features) @ self.leaf_weights_).toarray()
        return NumericPredictive(mean, self.atoms_, weights)

    def _take_left_out(self, target: np.ndarray) -> np.ndarray:
        """Each support row by those of the random forest's trees that have not seen it."""
        forest = self.models_[0]
        if self.domain.task == "regressor":
            found, rest = forest.oob_prediction_, np.full(len(target), target.mean())
        else:
            found = np.zeros((len(target), len(self.domain.centers(0))))
            found[:, forest.classes_.astype(int)] = forest.oob_decision_function_
            rest = np.tile(np.bincount(target, minlength=found.shape[1]) / len(target), (len(target), 1))
        for name in [n for n in vars(forest) if n.startswith("oob_") and n != "oob_score"]:
            delattr(forest, name)
        return np.where(np.isfinite(found), found, rest)

    def _members(self, n_rows: int) -> list:
        forest = {
            "n_estimators": self.n_estimators,
            "n_jobs": self.n_jobs,
            "random_state": self.random_state,
            "bootstrap": n_rows > _ROWS_PER_TREE,
            "max_samples": _ROWS_PER_TREE if n_rows > _ROWS_PER_TREE else None,
        }
        boosting = {
            "learning_rate": 0.05,
            "max_iter": 150,
            "max_leaf_nodes": 8,
            "l2_regularization": 1.0,
            "max_features": 0.3,
            "early_stopping": False,
            "random_state": self.random_state,
        }
        extra = {**forest, "min_samples_leaf": 3, "max_features": 0.5}
        random = {**forest, "min_samples_leaf": 5, "max_features": 0.33, "bootstrap": True}
        random["oob_score"] = self.leaves_out
        if self.domain.task == "regressor":
            return [
                RandomForestRegressor(**random),
                ExtraTreesRegressor(**extra),
                HistGradientBoostingRegressor(**boosting),
            ]
        return [
            RandomForestClassifier(**random),
            ExtraTreesClassifier(**extra),
            HistGradientBoostingClassifier(**boosting),
        ]

    def _leaves(self, features: np.ndarray) -> sp.csr_matrix:
        """Indicators of the forest's leaves, of shape (n_rows, n_nodes of all trees)."""
        forest = self.models_[0]
        counts = [tree.tree_.node_count for tree in forest.estimators_]
        nodes = forest.apply(features) + np.cumsum([0, *counts[:-1]])
        n, trees = nodes.shape
        ones = np.ones(nodes.size, dtype=np.float32)
        rows = np.arange(0, nodes.size + 1, trees)
        return sp.csr_matrix((ones, nodes.ravel(), rows), shape=(n, sum(counts)))

    def _leaf_weights(self, features: np.ndarray, bins: np.ndarray) -> sp.csr_matrix:
        """Share of each atom in each leaf, of shape (n_nodes of all trees, n_atoms)."""
        leaves = self._leaves(features)
        size = np.asarray(leaves.sum(axis=0)).ravel()
        share = sp.diags(1.0 / np.maximum(size, 1.0), format="csr", dtype=np.float32)
        atom = sp.csr_matrix(
            (np.ones(len(bins), dtype=np.float32), (np.arange(len(bins)), bins)),
            shape=(len(bins), len(self.atoms_)),
        )
        return (share @ (leaves.T.tocsr() @ atom)).tocsr()
