"""Piecewise-linear encoding of numbers: what a network learns tables from best."""

from __future__ import annotations

import numpy as np


def piecewise_linear(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """How far each value has come through each interval between knots.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        NaN where missing: every entry is 0 then.
    knots : ndarray of shape (n_intervals + 1,)
        Strictly increasing.

    Returns
    -------
    ndarray of shape (n_rows, n_intervals), float32
        0 before an interval, 1 after it, and linear within.

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), "On Embeddings for Numerical Features in Tabular Deep
    Learning", equation 1 (there, the first and the last interval are not clipped).
    """
    low, high = knots[:-1], knots[1:]
    # Differences of huge values could be infinite, those of halves cannot; and where knots are as close
    # as floats come, half their distance may be nothing.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = (values[:, None] / 2 - low / 2) / (high / 2 - low / 2)
    return np.nan_to_num(np.clip(share, 0, 1), nan=0.0).astype(np.float32)


def quantile_knots(values: np.ndarray, n_intervals: int) -> np.ndarray:
    """Knots with as many values in each interval; fewer where values repeat.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Public numbers; NaN is left out.
    n_intervals : int

    Returns
    -------
    ndarray of shape (at most n_intervals + 1,)
        Strictly increasing, at least two.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([0.0, 1.0])
    knots = np.unique(np.quantile(present, np.linspace(0, 1, n_intervals + 1)))
    return knots if len(knots) > 1 else np.array([knots[0], np.nextafter(knots[0] + 1, np.inf)])
