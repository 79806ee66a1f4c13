"""Poisson sampling of rows."""

from __future__ import annotations

import math

import numpy as np

from ._random_bits import RandomBits


class PoissonSampler:
    """Include each of `n_rows` rows in a step independently with probability `sample_rate`.

    Parameters
    ----------
    n_rows : int
    sample_rate : float in (0, 1]
    bits : RandomBits, optional
        Source of the samples; the operating system's if not given. Who was sampled must be secret: that is
        what amplification by sampling stands on.

    Notes
    -----
    Formal guarantee: inclusions are independent over rows and steps, as the amplification theorem
    of the accountant needs. The number of rows passed over before the next one that is included is
    geometric, at a cost that grows with the batch and not with the table.
    """

    def __init__(self, n_rows: int, sample_rate: float, bits: RandomBits | None = None):
        self.n_rows = n_rows
        self.sample_rate = sample_rate
        self._bits = RandomBits() if bits is None else bits

    def draw(self) -> np.ndarray:
        """Return the positions of one step's rows, an increasing int64 array that may be empty."""
        if self.sample_rate == 1:
            return np.arange(self.n_rows)
        expected = self.sample_rate * self.n_rows
        at_once = math.ceil(expected + 6 * math.sqrt(expected) + 8)
        drawn, last = [], -1
        while last < self.n_rows:
            # P(passed over >= k) = (1 - q)^k, inverted; what lies beyond the table ends the draw.
            passed = np.log(self._bits.uniform(at_once)) / math.log1p(-self.sample_rate)
            steps = np.minimum(passed, self.n_rows).astype(np.int64) + 1
            drawn.append(last + np.cumsum(steps))
            last = int(drawn[-1][-1])
        rows = np.concatenate(drawn)
        return rows[rows < self.n_rows]
