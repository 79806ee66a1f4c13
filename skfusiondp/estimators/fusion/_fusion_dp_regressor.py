"""FusionDPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import _num_samples

from ...exceptions import InvalidInputError
from ...tables._targets import mean_and_scale, read_numbers
from ._fusion_base import BaseFusionDP, EncodedTarget
from ._fusion_doc import with_parameters


@with_parameters
class FusionDPRegressor(RegressorMixin, BaseFusionDP):
    """Regressor that keeps only the sensitive columns private (FusionDP).

    Trains a torch module on two views of the table: a free gradient on the hybrid view, whose
    sensitive columns are imputed from public knowledge, plus `alpha` times a clipped and noised
    gradient of what the true sensitive values add. One or several targets, squared error.

    {groups_of_parameters}

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Other Parameters
    ----------------
    {other_parameters}

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

    def _encode_target(self, y: Any, n_rows: int) -> EncodedTarget:
        y = read_numbers(y, n_rows)
        self._one_target = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.target_mean_, self.target_scale_ = mean_and_scale(y)
        standard = (y - self.target_mean_) / self.target_scale_
        weight = np.ones(len(y), np.float32)
        return EncodedTarget(standard.astype(np.float32), weight, "regression", y.shape[1])

    def _encode_more(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = read_numbers(y, _num_samples(y), "support_target")
        y = y.reshape(len(y), -1)
        if y.shape[1] != len(self.target_mean_):
            raise InvalidInputError(
                f"support_target has {y.shape[1]} column(s) and y {len(self.target_mean_)}; give each "
                "support row the same targets."
            )
        standard = (y - self.target_mean_) / self.target_scale_
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
