"""Backends that model each sensitive column by itself, from shared features of the public ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .._keywords import KnownKeywords
from .._parameters import check_parameters, constraints
from ..tables._domain import Domain
from ..tables._public_encoder import PublicEncoder
from ._backend import Predictive
from ._configurable import Configurable
from ._heads import Head, MarginalHead, UniformHead, varying

# Below this a conditional model only learns noise; the marginal is the better guess.
_FEWEST_ROWS = 10


class ColumnwiseBackend(KnownKeywords, Configurable):
    """Base of the backends that fit one head a sensitive column.

    Subclasses choose the head (`_make_head`) and, if they like, the features
    (`_fit_features`, `_features`). A column whose support cells are all missing falls back
    to its domain, and one with few rows, one value or no public features to its marginal.
    """

    _constraints = constraints()
    needs_support = True
    _encoding = "dense"

    def fit(
        self, public_support: pd.DataFrame, sensitive_support: pd.DataFrame, domains: Mapping[str, Domain]
    ) -> ColumnwiseBackend:
        """Fit one head a sensitive column; see `Backend.fit`."""
        check_parameters(self)
        self._check(domains)
        features = self._fit_features(public_support)
        self.heads_: dict[str, Head] = {}
        for column, domain in domains.items():
            target = domain.target(sensitive_support[column])
            present = ~np.isnan(target)
            target = target[present] if domain.task == "regressor" else target[present].astype(np.int64)
            head = self._head_for(column, domain, target, features[present])
            self.heads_[column] = head.fit(features[present], target)
        return self

    def predict(self, public: pd.DataFrame) -> dict[str, Predictive]:
        """Return each column's predictive distribution; see `Backend.predict`."""
        features = self._features(public)
        return {column: head.predict(features) for column, head in self.heads_.items()}

    def _check(self, domains: Mapping[str, Domain]) -> None:
        """Refuse columns that this backend cannot model."""

    def _fit_features(self, public: pd.DataFrame) -> np.ndarray:
        self.encoder_ = PublicEncoder(self._encoding).fit(public)
        return self.encoder_.transform(public)

    def _features(self, public: pd.DataFrame) -> np.ndarray:
        return self.encoder_.transform(public)

    def _head_for(self, column: str, domain: Domain, target: np.ndarray, features: np.ndarray) -> Head:
        if not len(target):
            return UniformHead(domain)
        if len(target) < _FEWEST_ROWS or np.all(target == target[0]) or not varying(features).any():
            return MarginalHead(domain)
        return self._make_head(column, domain)

    def _make_head(self, column: str, domain: Domain) -> Head:
        raise NotImplementedError
