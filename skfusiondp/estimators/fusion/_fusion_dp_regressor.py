"""FusionDPRegressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from ...tables._targets import read_numbers
from ._fusion_base import BaseFusionDP, EncodedTarget
from ._fusion_doc import with_parameters


@with_parameters
class FusionDPRegressor(RegressorMixin, BaseFusionDP):
    """Regressor that keeps only the sensitive columns private (FusionDP).

    Trains a torch module on two views of the table: a free gradient on the hybrid view, whose
    sensitive columns are imputed from public knowledge, plus `alpha` times a clipped and noised
    gradient of what the true sensitive values add. One or several targets, squared error.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    The target is public: it is standardised before training and predictions are scaled back.

    {notes}

    Examples
    --------
    >>> from skfusiondp import FusionDPRegressor
    >>> from skfusiondp.datasets import load_adult
    >>> adult = load_adult()
    >>> hours = adult.table["hours-per-week"][:2000]
    >>> model = FusionDPRegressor(adult.sensitive, epsilon=2.0, random_state=0, epochs=2)
    >>> model = model.fit(adult.table[:2000].drop(columns="hours-per-week"), hours)
    >>> model.predict(adult.table[2000:2003].drop(columns="hours-per-week")).shape
    (3,)
    """

    _plain_values = True

    def __init__(
        self,
        sensitive: Any = None,
        *,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        method: str = "fusiondp",
        epsilon: float | None = None,
        noise_multiplier: float | None = None,
        delta: float | None = None,
        budget: Any = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        max_grad_norm: float = 1.0,
        clipping: str = "flat",
        alpha: float = 1.0,
        beta: float = 0.0,
        consistency_bound: float = 1.0,
        averaging: float = 0.99,
        batch_size: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        public_batch_size: int | None = None,
        public_epochs: int | None = None,
        module: Any = None,
        optimizer: Any = None,
        lr: float | None = None,
        public_lr: float = 2e-3,
        private_parameters: Sequence[str] | None = None,
        micro_batch_size: int | None = None,
        callbacks: Any = None,
        device: str = "cpu",
        on_leak: str = "warn",
        verbose: int = 0,
        random_state: Any = None,
        **kwargs: Any,
    ):
        self.sensitive = sensitive
        self.support = support
        self.support_target = support_target
        self.imputer = imputer
        self.method = method
        self.epsilon = epsilon
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self.budget = budget
        self.adjacency = adjacency
        self.groups = groups
        self.max_rows_per_unit = max_rows_per_unit
        self.max_grad_norm = max_grad_norm
        self.clipping = clipping
        self.alpha = alpha
        self.beta = beta
        self.consistency_bound = consistency_bound
        self.averaging = averaging
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps = steps
        self.public_batch_size = public_batch_size
        self.public_epochs = public_epochs
        self.module = module
        self.optimizer = optimizer
        self.lr = lr
        self.public_lr = public_lr
        self.private_parameters = private_parameters
        self.micro_batch_size = micro_batch_size
        self.callbacks = callbacks
        self.device = device
        self.on_leak = on_leak
        self.verbose = verbose
        self.random_state = random_state
        self._store_net_parameters(kwargs)

    def _encode_target(self, y: Any, n_rows: int) -> EncodedTarget:
        y = read_numbers(y, n_rows)
        self._one_target = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.target_mean_ = y.mean(axis=0)
        scale = y.std(axis=0)
        self.target_scale_ = np.where(scale > 0, scale, 1.0)
        standard = (y - self.target_mean_) / self.target_scale_
        weight = np.ones(len(y), np.float32)
        return EncodedTarget(standard.astype(np.float32), weight, "regression", y.shape[1])

    def _encode_more(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = read_numbers(y, len(y), "support_target")
        standard = (y.reshape(len(y), -1) - self.target_mean_) / self.target_scale_
        return standard.astype(np.float32), np.ones(len(y), np.float32)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted target of each row.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns), or PairedTable
            A frame may lack sensitive columns: they are imputed.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_targets), in the target's unit
        """
        outputs = self._scores(X) * self.target_scale_ + self.target_mean_
        return outputs[:, 0] if self._one_target else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # At a few dozen rows the noise that privacy needs drowns the signal, as it must.
        tags.regressor_tags.poor_score = True
        return tags
