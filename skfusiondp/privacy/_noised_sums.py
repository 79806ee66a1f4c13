"""Sums of clipped rows times their features, in whole units, with noise: exact whatever rounding does."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp

from ..exceptions import InvalidInputError
from ._random_bits import RandomBits
from ._release import SumNoise

# A row's features and its factors are whole multiples of these, so what it adds to a release is a whole
# multiple of their product, which is in units of the largest norm.
_FEATURE, _FACTOR = 2.0**-16, 2.0**-20
UNIT = _FEATURE * _FACTOR
# Sums of more rows, with their noise, might not fit into 64 bits.
_MOST_ROWS = 2**26
# Rows are shortened by this much, so that none is dropped because rounding left it a little too long.
_SHORTER = 1 - 2.0**-32


def clipped_factors(residuals: np.ndarray, weight: np.ndarray, max_grad_norm: float) -> np.ndarray:
    """Factors of each row's features in the released sum, in units of `max_grad_norm`: of norm at most 1.

    Parameters
    ----------
    residuals : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    max_grad_norm : float

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        Zero where a residual is not finite. The bound holds up to rounding; `whole_factors` makes it exact.
    """
    weighted = residuals * weight[:, None]
    largest = np.abs(weighted).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        # Divided by the largest first: squares of very small or very large numbers are 0 or infinite.
        norms = largest * np.linalg.norm(weighted / largest, axis=1, keepdims=True)
        clipped = weighted / np.maximum(norms, max_grad_norm)
    return np.where(np.isfinite(norms) & (largest > 0), clipped, 0.0)


def whole_features(features: sp.csr_matrix) -> sp.csr_matrix:
    """Non-negative features rounded down to whole multiples of ``2**-16``, as int64.

    The norm of each row is at most ``2**16``: a row that would be longer is left out.
    """
    whole = _rounded(features.data, _FEATURE)
    rows = sp.csr_matrix((whole, features.indices, features.indptr), shape=features.shape)
    squares = rows.multiply(rows) @ np.ones(rows.shape[1], dtype=np.int64)
    rows.data = np.where(np.repeat(squares <= round(_FEATURE**-2), np.diff(rows.indptr)), whole, 0)
    return rows


def whole_factors(factors: np.ndarray) -> np.ndarray:
    """Factors of norm at most 1 rounded towards zero to whole multiples of ``2**-20``, as int64.

    The norm of each row is at most ``2**20``: a row that would be longer adds nothing.
    """
    whole = _rounded(factors, _FACTOR)
    squares = np.square(whole).sum(axis=1, keepdims=True)
    return np.where(squares <= round(_FACTOR**-2), whole, 0)


def _rounded(values: np.ndarray, unit: float) -> np.ndarray:
    # A number beyond 1 belongs to a row that is dropped as too long; it only has to fit into 64 bits.
    return (np.clip(np.nan_to_num(values, nan=2.0), -2.0, 2.0) * (_SHORTER / unit)).astype(np.int64)


def noised_sum(
    parts: Iterable[tuple[sp.csr_matrix, np.ndarray]],
    shape: tuple[int, int],
    noise: SumNoise,
    bits: RandomBits,
) -> np.ndarray:
    """One release: the sum over rows of features times factors, plus noise in every coordinate.

    Parameters
    ----------
    parts : iterable of (features, factors)
        The rows, some at a time. `features`, of `whole_features`, is a csr_matrix of shape (n_part,
        n_features), `factors`, of `clipped_factors`, an ndarray of shape (n_part, n_outputs).
    shape : tuple of int
        (n_features, n_outputs).
    noise : SumNoise
        Of `noise_of_sums`.
    bits : RandomBits

    Returns
    -------
    ndarray of shape (n_features, n_outputs)
        In units of the bound of a row's norm.

    Notes
    -----
    Formal guarantee: a row adds a vector of whole numbers whose norm is at most ``2**36 = 1 / UNIT``,
    exactly, and rounding towards zero turns no sign, so that two versions of a row of a labelled table
    lie at most ``sqrt(2)`` times that apart (docs/offset.md, lemma 2). Sums of 64 bits are exact in any
    order, and the noise comes by `privacy._release.release`.
    """
    total = np.zeros(shape, dtype=np.int64)
    for features, factors in parts:
        total += np.asarray(features.T @ whole_factors(factors))
    return noise.added_to(total, bits)


def noise_of_sums(noise_multiplier: float, norm: float, n_rows: int) -> SumNoise:
    """Noise of a plan for sums of so many rows of norm at most 1, if 64 bits hold it and the sum.

    Parameters
    ----------
    noise_multiplier : float
    norm : float
        What it multiplies: the accountant's clipping norm for such rows.
    n_rows : int

    Raises
    ------
    InvalidInputError
        If they do not.
    """
    if n_rows > _MOST_ROWS:
        raise InvalidInputError(
            f"X has {n_rows} rows, whose sum 64 bits may not hold; at most {_MOST_ROWS} can be "
            "taken: fit on some of the rows."
        )
    return SumNoise(noise_multiplier, norm, UNIT)
