"""A smooth model of hybrid rows: what single columns add to the score, piecewise linearly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import minimize

from ...tables._piecewise import piecewise_linear, quantile_knots
from ._correction import Loss

_PIECES = 6
# Penalty on a coefficient of a feature of standard deviation 1, in rows: hybrid rows are many, but few true
# ones stand behind them.
_PENALTY = 1000.0
_MOST_ITERATIONS = 60


class Pieces:
    """Numbers as piecewise-linear features between quantiles, each with a mark where it is missing.

    Parameters
    ----------
    columns : iterable of ndarray
        Public values of each column, NaN where missing.
    """

    _plain_values = True

    def __init__(self, columns: Iterable[np.ndarray]):
        self.knots = [quantile_knots(np.asarray(c, dtype=float), _PIECES) for c in columns]

    def transform(self, table: np.ndarray) -> np.ndarray:
        """Return a float32 array of shape (n_rows, n_features), the last feature being 1."""
        parts = []
        for column, knots in zip(table.T, self.knots, strict=True):
            values = column.astype(float)
            parts += [piecewise_linear(values, knots), np.isnan(values)[:, None]]
        return np.concatenate([*parts, np.ones((len(table), 1))], axis=1, dtype=np.float32)


def fit_additive(
    features: np.ndarray, target: np.ndarray, offset: np.ndarray, weight: np.ndarray, loss: Loss
) -> np.ndarray:
    """Fit coefficients on top of a fixed offset, with a ridge penalty on standardised features.

    `features`, of `Pieces`, have shape (n_rows, n_features), `target` and `offset` (n_rows, n_outputs); the
    coefficients that are returned (n_features, n_outputs).
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    # A column that hardly varies here must not count for more where it does.
    scale[scale < 1e-3] = 1.0
    mean[-1] = 0.0  # the constant stays
    standard = (features - mean) / scale
    penalty = np.full((len(mean), 1), _PENALTY)
    penalty[-1] = 1e-3
    shape = (len(mean), target.shape[1])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coef = flat.reshape(shape)
        score = offset + standard @ coef
        slope = loss.residuals(score, target) * weight[:, None]
        value = loss.losses(score, target) @ weight + (penalty * coef**2).sum() / 2
        return float(value), (standard.T @ slope + penalty * coef).ravel()

    found = minimize(
        objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_ITERATIONS}
    )
    coef = found.x.reshape(shape) / scale[:, None]
    coef[-1] -= mean @ coef
    return coef
