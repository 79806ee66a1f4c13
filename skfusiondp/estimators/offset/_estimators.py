"""OffsetFusionClassifier and OffsetFusionRegressor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import column_or_1d

from ..._parameters import constraints
from ..._privacy_parameters import CLASS_WEIGHT
from ...exceptions import InvalidInputError
from ...tables._targets import read_labels, read_numbers
from ._correction import MAX_GRAD_NORM, Loss
from ._offset_base import BaseOffsetFusion, OffsetTarget
from ._offset_constraints import OFFSET, public_model
from ._offset_doc import with_parameters

# Probabilities of the public model are kept this far from 0 and 1, so that scores stay finite.
_CERTAIN = 1e-4
_TARGET_STRATA = 5


def _boosting(seed: int) -> dict[str, Any]:
    return {
        "max_iter": 200,
        "learning_rate": 0.05,
        "max_leaf_nodes": 15,
        "l2_regularization": 1.0,
        "max_features": 0.3,
        "early_stopping": False,
        "random_state": seed,
    }


@with_parameters
class OffsetFusionClassifier(ClassifierMixin, BaseOffsetFusion):
    """Classifier: a public model as a free offset, plus a private correction in the sensitive columns.

    Any scikit-learn classifier learns from the public columns, which costs nothing. What the sensitive
    columns add to its score is a sum of indicators, whose structure is learnt for free and whose values
    are trained under differential privacy. Binary and multiclass.

    Parameters
    ----------
    {parameters}
    max_grad_norm : float, default=0.5
        Bound C of a row's gradient, from 1e-19 to 1e19.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss. Labels are public, so they cost nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    {attributes}

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from skfusiondp import OffsetFusionClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> model = OffsetFusionClassifier(adult.sensitive, epsilon=1.0, random_state=0)
    >>> model = model.fit(adult.table[:2000], adult.target[:2000])
    >>> model.predict_proba(adult.table[2000:2003]).shape
    (3, 2)
    >>> bool(model.epsilon_ <= 1.0), sorted(model.shape_functions())[0]
    (True, 'age')
    """

    _plain_values = True

    _stratified = True
    _constraints = constraints(OFFSET, public_model=public_model("predict_proba"), class_weight=CLASS_WEIGHT)

    def __init__(
        self,
        sensitive: Any = None,
        *,
        public_model: Any = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        epsilon: float | None = None,
        noise_multiplier: float | None = None,
        delta: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        max_grad_norm: float = 0.5,
        steps: int | None = None,
        class_weight: Any = None,
        on_leak: str = "warn",
        budget: Any = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.sensitive = sensitive
        self.public_model = public_model
        self.support = support
        self.support_target = support_target
        self.imputer = imputer
        self.epsilon = epsilon
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self.adjacency = adjacency
        self.groups = groups
        self.max_rows_per_unit = max_rows_per_unit
        self.max_grad_norm = max_grad_norm
        self.steps = steps
        self.class_weight = class_weight
        self.on_leak = on_leak
        self.budget = budget
        self.verbose = verbose
        self.random_state = random_state

    def _encode_target(self, y: Any, n_rows: int) -> tuple[OffsetTarget, Loss]:
        y, kind = read_labels(y, n_rows)
        if kind.startswith("multilabel"):
            raise InvalidInputError(
                f"y has {y.shape[1]} columns of labels, and a release bounds what one label a row adds; fit "
                "one classifier a column, for example with sklearn.multioutput.MultiOutputClassifier."
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidInputError(
                f"y has only one class, {self.classes_[0]!r}; a classifier needs rows of at least two."
            )
        return self._targets(codes), Loss("binary" if len(self.classes_) == 2 else "multiclass")

    def _encode_support_target(self, y: Any) -> OffsetTarget:
        y, _ = read_labels(y, len(y), name="support_target")
        unknown = sorted(set(np.unique(y).tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise InvalidInputError(
                f"support_target has the class(es) {unknown}, which y does not have; drop these support rows."
            )
        codes = np.searchsorted(self.classes_, y)
        return self._targets(codes)

    def _targets(self, codes: np.ndarray) -> OffsetTarget:
        two = len(self.classes_) == 2
        return OffsetTarget(codes.astype(float)[:, None] if two else np.eye(len(self.classes_))[codes], codes)

    def _class_weight(self, y: Any, n_rows: int) -> np.ndarray:
        try:
            weighted = self.class_weight is not None
            return compute_sample_weight(self.class_weight, y) if weighted else np.ones(n_rows)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"class_weight={self.class_weight!r} does not fit y: {error}") from error

    def _default_model(self, seed: int) -> Any:
        return HistGradientBoostingClassifier(**_boosting(seed))

    def _model_target(self, target: np.ndarray) -> np.ndarray:
        return self.classes_[target[:, 0].astype(int) if target.shape[1] == 1 else target.argmax(axis=1)]

    def _constant_score(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.average(target, axis=0, weights=weight)
        if len(share) == 1:
            share = np.array([1 - share[0], share[0]])
        return _score(share[None, :])[0]

    def _score_of(self, model: Any, public: Any) -> np.ndarray:
        probability = np.zeros((len(public), len(self.classes_)))
        probability[:, np.searchsorted(self.classes_, model.classes_)] = model.predict_proba(public)
        return _score(probability)

    def decision_function(self, X: Any) -> np.ndarray:
        """Score of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns if there is an imputer.

        Returns
        -------
        ndarray of shape (n_rows,), or (n_rows, n_classes) for more than two classes
            Log odds of the second class, or the classes' scores before softmax.
        """
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns if there is an imputer.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
        """
        scores = self._scores(X)
        if len(self.classes_) > 2:
            return softmax(scores, axis=1)
        positive = expit(scores[:, 0])
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.classifier_tags.poor_score = True
        return tags


def _score(probability: np.ndarray) -> np.ndarray:
    """Log odds of two classes; of more, log probabilities."""
    p = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    if p.shape[1] == 2:
        return np.log(p[:, 1:] / p[:, :1])
    return np.log(p) - np.log(p).mean(axis=1, keepdims=True)


@with_parameters
class OffsetFusionRegressor(RegressorMixin, BaseOffsetFusion):
    """Regressor: a public model as a free offset, plus a private correction in the sensitive columns.

    Any scikit-learn regressor learns from the public columns, which costs nothing. What the sensitive
    columns add to its prediction is a sum of indicators, whose structure is learnt for free and whose
    values are trained under differential privacy. One target, squared error (Huber's beyond the clip).

    Parameters
    ----------
    {parameters}
    max_grad_norm : float or None, default=None
        Bound C of a row's gradient, from 1e-19 to 1e19. None means 0.2 with labelled support rows, else 1.0.

    Attributes
    ----------
    {attributes}

    Notes
    -----
    The target is public, and standardised by its mean and scale; `max_grad_norm` is in that unit.

    {notes}

    Examples
    --------
    >>> from skfusiondp import OffsetFusionRegressor
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> table, hours = adult.table[:2000], adult.table["hours-per-week"][:2000]
    >>> model = OffsetFusionRegressor(adult.sensitive, epsilon=1.0, random_state=0)
    >>> model = model.fit(table.drop(columns="hours-per-week"), hours)
    >>> model.predict(adult.table[2000:2003].drop(columns="hours-per-week")).shape
    (3,)
    """

    _plain_values = True

    _stratified = False
    _constraints = constraints(
        OFFSET, public_model=public_model("predict"), max_grad_norm=replace(MAX_GRAD_NORM, none=True)
    )

    def __init__(
        self,
        sensitive: Any = None,
        *,
        public_model: Any = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        epsilon: float | None = None,
        noise_multiplier: float | None = None,
        delta: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        max_grad_norm: float | None = None,
        steps: int | None = None,
        on_leak: str = "warn",
        budget: Any = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.sensitive = sensitive
        self.public_model = public_model
        self.support = support
        self.support_target = support_target
        self.imputer = imputer
        self.epsilon = epsilon
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self.adjacency = adjacency
        self.groups = groups
        self.max_rows_per_unit = max_rows_per_unit
        self.max_grad_norm = max_grad_norm
        self.steps = steps
        self.on_leak = on_leak
        self.budget = budget
        self.verbose = verbose
        self.random_state = random_state

    def _bound(self) -> Any:
        # Labelled support rows give a start that leaves little to correct, so that less noise is worth more
        # than long gradients are.
        default = 1.0 if self.support_target is None else 0.2
        return default if self.max_grad_norm is None else self.max_grad_norm

    def _encode_target(self, y: Any, n_rows: int) -> tuple[OffsetTarget, Loss]:
        y = _one_column(read_numbers(y, n_rows))
        self.target_mean_, scale = float(y.mean()), float(y.std())
        self.target_scale_ = scale if scale > 0 else 1.0
        standard = (y - self.target_mean_) / self.target_scale_
        self._cuts = np.unique(np.quantile(standard, np.linspace(0, 1, _TARGET_STRATA + 1)[1:-1]))
        return OffsetTarget(standard[:, None], np.searchsorted(self._cuts, standard)), Loss("regression")

    def _encode_support_target(self, y: Any) -> OffsetTarget:
        y = _one_column(read_numbers(y, len(y), "support_target"), "support_target")
        standard = (y - self.target_mean_) / self.target_scale_
        return OffsetTarget(standard[:, None], np.searchsorted(self._cuts, standard))

    def _default_model(self, seed: int) -> Any:
        return HistGradientBoostingRegressor(**_boosting(seed))

    def _model_target(self, target: np.ndarray) -> np.ndarray:
        return target[:, 0]

    def _constant_score(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.average(target, axis=0, weights=weight)

    def _score_of(self, model: Any, public: Any) -> np.ndarray:
        return np.asarray(model.predict(public), dtype=float).reshape(len(public), 1)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted target of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
            A frame may lack sensitive columns if there is an imputer.

        Returns
        -------
        ndarray of shape (n_rows,), in the target's unit
        """
        scores = self._scores(X)
        return scores[:, 0] * self.target_scale_ + self.target_mean_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.regressor_tags.poor_score = True
        return tags


def _one_column(target: np.ndarray, name: str = "y") -> np.ndarray:
    if target.ndim == 2 and target.shape[1] > 1:
        raise InvalidInputError(
            f"{name} has {target.shape[1]} columns; fit one regressor a column, for example with "
            "sklearn.multioutput.MultiOutputRegressor."
        )
    return column_or_1d(target, warn=True)
