"""What sensitive cells add to a public score, learnt from imputed cells alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from ...tables._domain import Domain
from ..offset._boosting import settings

# Penalty of a squared coefficient, where a number's noise is as large as that of a logistic model.
_PENALTY, _LOGISTIC_VARIANCE = 10.0, np.pi**2 / 3
# Deviation that a feature's penalty is meant for, and the smallest that is told from 0.
_USUAL_DEVIATION, _SMALLEST_DEVIATION = 0.3, 0.1
_CONSTANT = 1e-9


class ImputedStart:
    """A linear effect of sensitive cells, by two-stage least squares: from what is imputed for them.

    Labels are known with imputed cells only. The first stage is the imputer, which gives the expected
    encoding of a row's sensitive cells, E(x); the second a ridge regression of the target on the public
    features and E(x), with coefficients W of the latter. A public score already holds what E(x) says, so a
    row's true cells add ``(s - E(x)) W`` to it, s being their encoding, and imputed ones nothing. E(x) W is
    given by boosting on the public columns, so that predictions need no imputer.

    Nothing tells an effect of the cells from one of public columns that they are imputed from. The more the
    cells would change scores, the less they are believed: with r the ratio of the deviation of ``s W`` to
    that of the score, what they add is divided by ``sqrt(1 + r**2)``, and so never deviates more than the
    score.

    Parameters
    ----------
    task : {"binary", "multiclass", "multilabel", "regression"}
    domains : mapping of str to Domain
        Domains of the sensitive columns, in the order of their encodings.

    References
    ----------
    Two-sample two-stage least squares: Angrist and Krueger (1992), doi:10.1080/01621459.1992.10475212.
    Expected encodings, not encodings of expected cells, enter the second stage: Wooldridge (2010),
    Econometric Analysis of Cross Section and Panel Data, section 9.5.2, "forbidden regression".
    """

    _plain_values = True

    def __init__(self, task: str, domains: Mapping[str, Domain]):
        self.task = task
        self.widths = [d.width for d in domains.values()]
        self.missing = [d.encode([None])[0] for d in domains.values()]

    def fit(
        self,
        public: np.ndarray,
        known: np.ndarray,
        expected: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        score: np.ndarray,
        seed: int,
    ) -> ImputedStart:
        """Learn from rows without their sensitive cells.

        Parameters
        ----------
        public : ndarray of shape (n_rows, n_public_features)
            Encoded public columns, from 0 to 1.
        known : ndarray of shape (n_rows, n_public)
            Public columns as trees read them.
        expected : ndarray of shape (n_rows, n_sensitive_features)
            Expected encodings of the sensitive columns.
        target : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        weight : ndarray of shape (n_rows,)
        score : ndarray of shape (n_rows, n_outputs)
            Cross-fitted public scores.
        seed : int
        """
        self.means = expected.mean(axis=0, dtype=float)
        # Of features between 0 and 1 that are 0 or 1 in most rows; of imputed ones it would be too small.
        deviation = np.sqrt(np.clip(self.means * (1 - self.means), 0, None))
        unit = _USUAL_DEVIATION / np.maximum(deviation, _SMALLEST_DEVIATION)
        # Less their means, so that features that are the same in all rows are 0 and get no coefficient.
        features = np.hstack([public, (expected - self.means) * unit])
        outputs = score.shape[1]
        effects = self._second_stage(features, target, weight, outputs)[public.shape[1] :] * unit[:, None]
        added = np.square(effects * deviation[:, None]).sum()
        spread = score.var(axis=0, dtype=float).sum()
        self.effects = effects * np.sqrt(spread / (spread + added)) if added else effects
        self._models = [_boosted(known, said, seed, outputs) for said in (expected @ self.effects).T]
        return self

    def __call__(self, known: np.ndarray, encoded: np.ndarray) -> np.ndarray:
        """What rows' encoded sensitive cells add to their scores, of shape (n_rows, n_outputs)."""
        said = [m.predict(known) if hasattr(m, "predict") else np.full(len(known), m) for m in self._models]
        return self._filled(encoded) @ self.effects - np.column_stack(said)

    def _filled(self, encoded: np.ndarray) -> np.ndarray:
        """Encoded cells, missing ones as the mean, since none were seen in training."""
        filled = encoded.astype(float)
        ends = np.cumsum(self.widths)
        for width, end, missing in zip(self.widths, ends, self.missing, strict=True):
            own = slice(end - width, end)
            filled[(encoded[:, own] == missing).all(axis=1), own] = self.means[own]
        return filled

    def _second_stage(
        self, features: np.ndarray, target: np.ndarray, weight: np.ndarray, outputs: int
    ) -> np.ndarray:
        """Ridge coefficients, of shape (n_features, n_outputs)."""
        if self.task == "regression":
            model = Ridge(_PENALTY * _LOGISTIC_VARIANCE).fit(features, target, sample_weight=weight)
            return np.reshape(model.coef_, (outputs, -1)).T
        coef = np.zeros((features.shape[1], outputs))
        if self.task == "multiclass":
            if not np.ptp(target):
                return coef
            model = _logistic(features, target, weight)
            if len(model.classes_) > 2:
                coef[:, model.classes_.astype(int)] = model.coef_.T
            return coef
        for i, labels in enumerate(np.reshape(target, (len(features), outputs)).T):
            if np.ptp(labels):
                coef[:, i] = _logistic(features, labels, weight).coef_[0]
        return coef


def _logistic(features: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        return LogisticRegression(C=1 / _PENALTY, max_iter=200).fit(features, labels, sample_weight=weight)


def _boosted(known: np.ndarray, said: np.ndarray, seed: int, outputs: int) -> Any:
    """A model of what imputed cells say, or a number where they say the same of all rows."""
    if np.ptp(said) < _CONSTANT:
        return float(said.mean())
    return HistGradientBoostingRegressor(**settings(seed, outputs, len(known))).fit(known, said)
