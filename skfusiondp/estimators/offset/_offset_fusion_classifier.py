"""OffsetFusionClassifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._parameters import constraints, store_parameters
from ..._privacy_parameters import CLASS_WEIGHT
from ...exceptions import InvalidInputError
from ...tables._targets import read_labels
from .._private_classifier import PrivateClassifier
from ._correction import Loss
from ._offset_base import BaseOffsetFusion, OffsetTarget
from ._offset_constraints import OFFSET, public_model
from ._offset_doc import with_parameters

# Probabilities of the public model are kept this far from 0 and 1, so that scores stay finite.
_CERTAIN = 1e-4


@with_parameters
class OffsetFusionClassifier(PrivateClassifier, BaseOffsetFusion):
    """Classifier: a public model as a free offset, plus a private correction in the sensitive columns.

    Any scikit-learn classifier learns from the public columns, which costs nothing. What the sensitive
    columns add to its score is learnt for free from labelled support rows, or from rows whose sensitive
    cells are drawn from a private model, and corrected on the true rows under differential privacy.
    Binary and multiclass.

    Parameters
    ----------
    {parameters}
    class_weight : dict or "balanced", default=None (1 for each class)
        Weights of the classes in the loss. Labels are public, so they cost nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    {attributes}

    Other Parameters
    ----------------
    max_grad_norm : float, default=0.5
        Bound C of a row's gradient, from 1e-19 to 1e19.
    {other_parameters}

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
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        public_model: Any = None,
        class_weight: Any = None,
        max_grad_norm: float = 0.5,
        steps: int | None = None,
        noise_multiplier: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        verbose: int = 0,
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    def _encode_target(self, y: Any, n_rows: int) -> tuple[OffsetTarget, Loss]:
        y, kind = read_labels(y, n_rows)
        if kind.startswith("multilabel"):
            raise InvalidInputError(
                f"y has {y.shape[1]} columns of labels, and a release bounds what one label a row adds; fit "
                "one classifier a column, for example with sklearn.multioutput.MultiOutputClassifier."
            )
        codes = self._encode_classes(y)
        return self._targets(codes), Loss("binary" if len(self.classes_) == 2 else "multiclass")

    def _encode_support_target(self, y: Any) -> OffsetTarget:
        return self._targets(self._encode_support_classes(y))

    def _targets(self, codes: np.ndarray) -> OffsetTarget:
        two = len(self.classes_) == 2
        return OffsetTarget(codes.astype(float)[:, None] if two else np.eye(len(self.classes_))[codes], codes)

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


def _score(probability: np.ndarray) -> np.ndarray:
    """Log odds of two classes; of more, log probabilities."""
    p = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    if p.shape[1] == 2:
        return np.log(p[:, 1:] / p[:, :1])
    return np.log(p) - np.log(p).mean(axis=1, keepdims=True)
