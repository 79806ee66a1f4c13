"""The predictive distribution of a category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._draws import inverse


@dataclass(frozen=True, eq=False)
class CategoricalPredictive:
    """Predictive distribution of a categorical column, one a row.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_categories)
        Weight of each declared category, up to a factor a row.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.impute import CategoricalPredictive
    >>> guess = CategoricalPredictive(np.array([[0.2, 0.8]]))
    >>> guess.mode().tolist(), guess.sample(np.array([0.1])).tolist()
    ([1], [0])
    """

    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.probabilities)

    def choose(self, strategy: str, uniforms: np.ndarray) -> np.ndarray:
        """Return one position a row: a "sample", or else the most probable one."""
        return self.sample(uniforms) if strategy == "sample" else self.mode()

    def mode(self) -> np.ndarray:
        """Return the most probable category's position, ndarray of shape (n_rows,)."""
        return np.argmax(self.probabilities, axis=1)

    def sample(self, uniforms: np.ndarray) -> np.ndarray:
        """Map one uniform number in [0, 1) a row to one category's position a row."""
        return inverse(self.probabilities, uniforms)
