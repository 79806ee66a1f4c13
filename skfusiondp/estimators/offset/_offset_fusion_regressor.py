"""OffsetFusionRegressor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _num_samples

from ..._parameters import constraints, store_parameters
from ...exceptions import InvalidInputError
from ...tables._targets import mean_and_scale, one_column, read_numbers
from ._correction import MAX_GRAD_NORM, Loss
from ._offset_base import BaseOffsetFusion, OffsetTarget
from ._offset_constraints import OFFSET, public_model
from ._offset_doc import with_parameters

# Digits of a standardised target.
_DIGITS = 9
_TARGET_STRATA = 5


@with_parameters
class OffsetFusionRegressor(RegressorMixin, BaseOffsetFusion):
    """Regressor: a public model as a free offset, plus a private correction in the sensitive columns.

    Any scikit-learn regressor learns from the public columns, which costs nothing. What the sensitive
    columns add to its prediction is learnt for free from labelled support rows, or from rows whose sensitive
    cells are drawn from a private model, and corrected on the true rows under differential privacy.
    One target, squared error (Huber's beyond the clip).

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Other Parameters
    ----------------
    max_grad_norm : float, default=None (0.2 with labelled support rows, else 1.0)
        Bound C of a row's gradient, from 1e-19 to 1e19.
    {other_parameters}

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
        epsilon: float | None = None,
        delta: float | None = None,
        support: Any = None,
        support_target: Any = None,
        imputer: Any = None,
        public_model: Any = None,
        max_grad_norm: float | None = None,
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

    def _bound(self) -> Any:
        # Labelled support rows give a start that leaves little to correct, so that less noise is worth more
        # than long gradients are.
        default = 1.0 if self.support_target is None else 0.2
        return default if self.max_grad_norm is None else self.max_grad_norm

    def _encode_target(self, y: Any, n_rows: int) -> tuple[OffsetTarget, Loss]:
        y = _one_column(read_numbers(y, n_rows))
        self.target_mean_, self.target_scale_ = (float(v) for v in mean_and_scale(y))
        standard = self._standard(y)
        self._cuts = np.unique(np.quantile(standard, np.linspace(0, 1, _TARGET_STRATA + 1)[1:-1]))
        return OffsetTarget(standard[:, None], np.searchsorted(self._cuts, standard)), Loss("regression")

    def _encode_support_target(self, y: Any) -> OffsetTarget:
        y = _one_column(read_numbers(y, _num_samples(y), "support_target"), "support_target")
        standard = self._standard(y)
        return OffsetTarget(standard[:, None], np.searchsorted(self._cuts, standard))

    def _standard(self, y: np.ndarray) -> np.ndarray:
        # Trees split where a sum is largest. The last digits of a number depend on its unit; without the
        # rounding they would decide between splits that are equally good.
        return np.round((y - self.target_mean_) / self.target_scale_, _DIGITS)

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
    return one_column(target)
