"""The rows that the free part learns from: training rows without sensitive cells, and support rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PublicRows:
    """Public facts of training rows; they may be a sample of a larger table.

    Parameters
    ----------
    public : ndarray of shape (n_rows, n_public)
        Public columns, encoded.
    score : ndarray of shape (n_rows, n_outputs)
        The public model's, cross-fitted.
    target : ndarray of shape (n_rows, n_outputs)
    strata : ndarray of shape (n_rows,)
        Classes, or classes of a number.
    weight : ndarray of shape (n_rows,)
    stand_for : float
        Rows of the table for each of these.
    frame : pandas.DataFrame of shape (n_rows, n_public), optional
        Public columns as they are.
    positions : ndarray of shape (n_rows,) or None
        Where these rows are in the table; None: they are all.
    """

    public: np.ndarray
    score: np.ndarray
    target: np.ndarray
    strata: np.ndarray
    weight: np.ndarray
    stand_for: float
    frame: Any = None
    positions: Any = None


@dataclass(frozen=True)
class SupportRows:
    """Public rows with true sensitive cells.

    Parameters
    ----------
    frame : pandas.DataFrame of shape (n_support, n_columns)
    target : ndarray of shape (n_support, n_outputs) or None
        None where the rows have no labels.
    strata : ndarray of shape (n_support,) or None
        Classes, or classes of a number.
    public : ndarray of shape (n_support, n_public) or None
        Their public columns, encoded.
    score : ndarray of shape (n_support, n_outputs) or None
        The public model's, cross-fitted.
    """

    frame: pd.DataFrame
    target: Any = None
    strata: Any = None
    public: Any = None
    score: Any = None

    @property
    def labelled(self) -> bool:
        """Whether the rows have labels."""
        return self.target is not None
