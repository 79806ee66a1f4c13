"""FusionDPClassifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from ..._parameters import constraints, store_parameters
from ..._privacy_parameters import CLASS_WEIGHT
from ...exceptions import InvalidInputError
from ...tables._targets import read_labels
from .._private_classifier import PrivateClassifier
from ._fusion_base import BaseFusionDP, EncodedTarget
from ._fusion_constraints import FUSION
from ._fusion_doc import with_parameters


@with_parameters
class FusionDPClassifier(PrivateClassifier, BaseFusionDP):
    """Classifier that keeps only the sensitive columns private (FusionDP).

    Trains a torch module on two views of the table: a free gradient on the hybrid view, whose
    sensitive columns are imputed from public knowledge, plus `alpha` times a clipped and noised
    gradient of what the true sensitive values add. Binary, multiclass and multilabel targets.

    {groups_of_parameters}

    Parameters
    ----------
    {parameters}
    class_weight : dict or "balanced", default=None (1 for each class)
        Weights of the classes in the loss. Labels are public, so they cost nothing.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; ``0 .. n_labels - 1`` for multilabel targets.
    {attributes}

    Other Parameters
    ----------------
    {other_parameters}

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from skfusiondp import FusionDPClassifier
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> model = FusionDPClassifier(adult.sensitive, epsilon=2.0, random_state=0, epochs=2)
    >>> model = model.fit(adult.table[:2000], adult.target[:2000])
    >>> model.predict_proba(adult.table[2000:2003]).shape
    (3, 2)
    >>> bool(model.epsilon_ <= 2.0), model.plan_.adjacency
    (True, 'replace')
    """

    _plain_values = True

    _constraints = constraints(FUSION, class_weight=CLASS_WEIGHT)

    def __init__(
        self,
        sensitive: Any = None,
        *,
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        class_weight: Any = None,
        noise_multiplier: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        method: str = "fusiondp",
        max_grad_norm: float = 1.0,
        clipping: str = "flat",
        alpha: float = 1.0,
        beta: float = 0.0,
        consistency_bound: float = 1.0,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        public_epochs: int | None = None,
        public_batch_size: int | None = None,
        ema_decay: float = 0.99,
        module: Any = None,
        optimizer: Any = None,
        lr: float | None = None,
        public_lr: float = 2e-3,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
        callbacks: Any = None,
        device: str = "cpu",
        verbose: int = 0,
        random_state: Any = None,
        **kwargs: Any,
    ):
        store_parameters(self, locals())
        self._store_net_parameters(kwargs)

    def _encode_target(self, y: Any, n_rows: int) -> EncodedTarget:
        y, kind = read_labels(y, n_rows)
        weight = self._class_weight(y, n_rows).astype(np.float32)
        self._multilabel = kind.startswith("multilabel")
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
            return EncodedTarget(np.asarray(y, dtype=np.float32), weight, "multilabel", y.shape[1])
        codes = self._encode_classes(y)
        self._weight_of_class = dict(zip(codes.tolist(), weight.tolist(), strict=True))
        two = len(self.classes_) == 2
        outputs = 1 if two else len(self.classes_)
        return EncodedTarget(self._for_net(codes), weight, "binary" if two else "multiclass", outputs)

    def _for_net(self, codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.float32)[:, None] if len(self.classes_) == 2 else codes.astype(np.int64)

    def _encode_more(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        if self._multilabel:
            y = self._indicators(y)
            return y, np.ones(len(y), np.float32)
        codes = self._encode_support_classes(y)
        weight = np.array([self._weight_of_class[c] for c in codes.tolist()], dtype=np.float32)
        return self._for_net(codes), weight

    def _indicators(self, y: Any) -> np.ndarray:
        """Which labels apply to each support row, as the training target says it."""
        labels, kind = read_labels(y, _num_samples(y), name="support_target")
        n_labels = len(self.classes_)
        if not kind.startswith("multilabel") or labels.shape[1] != n_labels:
            given = "one label a row" if labels.ndim == 1 else f"{labels.shape[1]} columns"
            raise InvalidInputError(
                f"support_target has {given} and y {n_labels} columns of labels; give each support row the "
                "same columns."
            )
        return np.asarray(labels, dtype=np.float32)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
