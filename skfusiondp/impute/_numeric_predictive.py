"""The predictive distribution of a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..exceptions import InvalidInputError
from ._draws import inverse


@dataclass(frozen=True, eq=False)
class NumericPredictive:
    """Predictive distribution of a numeric column, one a row.

    Parameters
    ----------
    mean : ndarray of shape (n_rows,)
        Predictive mean, in the column's unit.
    atoms : ndarray of shape (n_atoms,) or (n_rows, n_atoms), optional
        Possible values, ascending along the last axis. None: only the mean is known.
    probabilities : ndarray of shape (n_atoms,) or (n_rows, n_atoms), optional
        Weight of each atom, up to a factor. None: all atoms weigh the same.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.impute import NumericPredictive
    >>> coin = NumericPredictive(np.array([0.75]), np.array([0.0, 1.0]), np.array([[1.0, 3.0]]))
    >>> coin.median().tolist(), coin.sample(np.array([0.1])).tolist()
    ([1.0], [0.0])
    """

    mean: np.ndarray
    atoms: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def choose(self, strategy: str, uniforms: np.ndarray) -> np.ndarray:
        """Return one value a row: the "mean", the "median" or a "sample", drawn by uniform numbers."""
        if strategy == "mean":
            return np.asarray(self.mean, dtype=float)
        return self.median() if strategy == "median" else self.sample(uniforms)

    def median(self) -> np.ndarray:
        """Return the predictive median, or the mean where that is all there is."""
        if self.atoms is None:
            return np.asarray(self.mean, dtype=float)
        return self.sample(np.full(len(self.mean), 0.5))

    def sample(self, uniforms: np.ndarray) -> np.ndarray:
        """Map one uniform number a row to one draw a row (the inverse distribution function).

        Parameters
        ----------
        uniforms : ndarray of shape (n_rows,)
            Numbers in [0, 1). Their caller owns the randomness, so draws do not depend on
            how the rows are cut into batches.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        if self.atoms is None:
            raise InvalidInputError(
                "strategy='sample' needs predictive distributions, but the backend gives means alone; use "
                "strategy='mean' or strategy='median', or another backend."
            )
        shape = (len(self.mean), np.shape(self.atoms)[-1])
        weights = np.ones(shape) if self.probabilities is None else self.probabilities
        chosen = inverse(np.broadcast_to(weights, shape), uniforms)
        return np.broadcast_to(self.atoms, shape)[np.arange(shape[0]), chosen].astype(float)
