"""Whole numbers of which some are missing: the others stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

# Up to here floats hold every whole number.
WHOLE_IN_FLOATS = 2**53


def with_gaps(values: np.ndarray, missing: np.ndarray) -> Any:
    """Whole numbers as floats with gaps, or as whole numbers with gaps where floats would round one.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), int or uint
        Anything where one is missing.
    missing : ndarray of shape (n_rows,), bool

    Returns
    -------
    ndarray, float64, or pandas.arrays.IntegerArray, of shape (n_rows,)
    """
    known = np.where(missing, values.dtype.type(0), values)
    if len(known) and (known.max() > WHOLE_IN_FLOATS or known.min() < -WHOLE_IN_FLOATS):
        return pd.arrays.IntegerArray(known, missing)
    return np.where(missing, np.nan, known.astype(np.float64))
