"""Noised sums about the sensitive cells: all that the model is made of. Each has a share of one plan."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from ...privacy import PrivatePlan, relation
from ...privacy._noised_sums import whole_factors
from ...privacy._random_bits import RandomBits
from ...privacy._release import SumNoise
from ..offset._indicators import Indicators
from ._embedding import UNIT, Embedding, pair_bounds

# What `whole_factors` are multiples of.
_FACTOR = 2.0**-20
# Shares add up to the plan's steps but for rounding.
_ROUNDING = 1e-9


class Releases:
    """The noised sums of one plan, whose steps they share out among them.

    A sum of share w has the noise that w of the plan's releases of it, averaged, would have.

    Parameters
    ----------
    plan : PrivatePlan
    bits : RandomBits
        Where the noise comes from.
    started : callable
        Called before each sum.
    """

    def __init__(self, plan: PrivatePlan, bits: RandomBits, started: Callable[[], None]):
        self._plan, self._bits, self._started = plan, bits, started
        self.left = float(plan.steps)

    def counts(self, features: Indicators, n_groups: int, share: float) -> np.ndarray:
        """How many rows have each indicator active, one of each of so many groups."""
        active = features.matrix().astype(bool).astype(np.int64)
        total = np.asarray(active.sum(axis=0, dtype=np.int64)).ravel()
        return self._noised(total, 1.0, math.sqrt(2 * n_groups), math.sqrt(n_groups), share)[0]

    def marginal(
        self, codes: np.ndarray, embedding: Embedding, public: np.ndarray, share: float
    ) -> tuple[np.ndarray, float]:
        """Sum over rows of public features (of norm at most 1) times the points of a column's parts.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,)
        embedding : Embedding
        public : ndarray of shape (n_rows, n_features)
        share : float

        Returns
        -------
        total : ndarray of shape (n_features, n_coordinates)
        std : float
            Of its noise.
        """
        total = whole_factors(public).T @ _indicators(codes, len(embedding.whole)) @ embedding.whole
        factor = round(1 / _FACTOR)
        return self._noised(
            total, UNIT * _FACTOR, embedding.diameter * factor, embedding.radius * factor, share
        )

    def pair(
        self, codes: tuple[np.ndarray, np.ndarray], embeddings: tuple[Embedding, Embedding], share: float
    ) -> tuple[np.ndarray, float]:
        """Sum over rows of the outer product of the points of two columns' parts; its noise's deviation."""
        one, other = embeddings
        together = _indicators(codes[0], len(one.whole)).T @ _indicators(codes[1], len(other.whole))
        total = one.whole.T @ together.toarray() @ other.whole
        return self._noised(total, UNIT**2, *pair_bounds(one, other), share)

    def _noised(
        self, total: np.ndarray, unit: float, diameter: float, radius: float, share: float
    ) -> tuple[np.ndarray, float]:
        """A sum in whole units with the noise that its share leaves it, and the noise's deviation."""
        if share > self.left + _ROUNDING:
            raise RuntimeError("All releases of the plan are made.")  # a fault of ours: it is not paid for
        self.left -= share
        self._started()
        norm = relation(self._plan.adjacency).clipping_norm(diameter, radius) / math.sqrt(share)
        noise = SumNoise(self._plan.noise_multiplier, norm * unit, unit)
        return noise.added_to(total, self._bits), noise.std_in_units * unit


def _indicators(codes: np.ndarray, n: int) -> sp.csr_matrix:
    """A one in each row's part, int64."""
    rows = len(codes)
    return sp.csr_matrix((np.ones(rows, np.int64), codes, np.arange(rows + 1)), shape=(rows, n))
