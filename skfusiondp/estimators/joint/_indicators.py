"""Features of which each row has one active in every group, held as small whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse as sp

# Numbers that are looked up at once.
_NUMBERS = 2**20


class Indicators:
    """Indicator features, scaled so that each row has norm 1 whatever its cells are.

    Parameters
    ----------
    codes : iterable of ndarray of shape (n_rows,), int
        The active indicator of each row, group by group.
    sizes : sequence of int
        Indicators of each group.
    """

    def __init__(self, codes: Iterable[np.ndarray], sizes: Sequence[int]):
        # Group by group, so that the codes need not all be there in their own type.
        kind = np.min_scalar_type(max(sizes) - 1)
        self._codes = np.stack([code.astype(kind) for code in codes], axis=1)
        self._first = np.cumsum([0, *sizes[:-1]], dtype=np.int32)
        self.n_features = int(sum(sizes))

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def nbytes(self) -> int:
        """Memory that the rows take."""
        return self._codes.nbytes

    def matrix(self) -> sp.csr_matrix:
        """The features, of shape (n_rows, n_features)."""
        n, k = self._codes.shape
        columns = (self._codes + self._first).ravel()
        data = np.full(n * k, k**-0.5)
        return sp.csr_matrix((data, columns, np.arange(0, n * k + 1, k)), shape=(n, self.n_features))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of the values of each row's active indicators.

        Parameters
        ----------
        values : ndarray of shape (n_features, n_outputs)

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
        """
        found = np.empty((len(self), values.shape[1]))
        size = max(1, _NUMBERS // (self._codes.shape[1] * values.shape[1]))
        for start in range(0, len(self), size):
            columns = self._codes[start : start + size] + self._first
            found[start : start + size] = np.take(values, columns, axis=0).sum(axis=1)
        return found

    @property
    def height(self) -> float:
        """Value of an active indicator."""
        return float(self._codes.shape[1] ** -0.5)
