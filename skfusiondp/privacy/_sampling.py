"""Poisson sampling of rows."""

from __future__ import annotations

import numpy as np


class PoissonSampler:
    """Include each of `n_rows` rows in a step independently with probability `sample_rate`.

    Parameters
    ----------
    n_rows : int
    sample_rate : float in (0, 1]
    seed : int, SeedSequence or None
        None takes entropy from the operating system.

    Notes
    -----
    Formal guarantee: inclusions are independent over rows and steps, as the amplification theorem
    of the accountant needs. A binomial number of rows, then that many without replacement, is the
    same distribution at a cost that grows with the batch and not with the table.
    """

    def __init__(self, n_rows: int, sample_rate: float, seed: int | np.random.SeedSequence | None = None):
        self.n_rows = n_rows
        self.sample_rate = sample_rate
        self._rng = np.random.default_rng(seed)

    def draw(self) -> np.ndarray:
        """Return the positions of one step's rows, an int64 array that may be empty."""
        size = self._rng.binomial(self.n_rows, self.sample_rate)
        return self._rng.choice(self.n_rows, size=size, replace=False, shuffle=False)
