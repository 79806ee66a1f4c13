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
from ._embedding import UNIT, Embedding, pair_bounds
from ._indicators import Indicators

# What `whole_factors` are multiples of.
_FACTOR = 2.0**-20
# Noise is larger than a share asks for by this much, far more than what rounding takes off shares and their
# sum, so that the check of what was spent is strict. What it finds is rounded upwards.
_LARGER, _UPWARDS = 1 + 2.0**-26, 1 + 2.0**-44


class JointReleases:
    """The noised sums of one plan, whose steps they share out among them.

    A sum of share w has the noise that w of the plan's releases of it, averaged, would have. Later shares
    may follow earlier sums, so that each is checked before it is released: what all have spent, in squared
    distances of the neighbours' sums in deviations of the noise, is at most what the plan's steps spend.

    Parameters
    ----------
    plan : PrivatePlan
    bits : RandomBits
        Where the noise comes from.
    started : callable
        Called before each sum.
    steps : int, optional
        How many of the plan's steps they may make; all, unless others make releases of the same plan.
    """

    def __init__(
        self, plan: PrivatePlan, bits: RandomBits, started: Callable[[], None], steps: int | None = None
    ):
        self._plan, self._bits, self._started = plan, bits, started
        self._steps = plan.steps if steps is None else steps
        # Steps that are not shared out yet; and steps that the noise of earlier sums amounts to.
        self.left, self.spent = float(self._steps), 0.0

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
        total = (together.T @ one.whole).T @ other.whole
        return self._noised(total, UNIT**2, *pair_bounds(one, other), share)

    def _noised(
        self, total: np.ndarray, unit: float, diameter: float, radius: float, share: float
    ) -> tuple[np.ndarray, float]:
        """A sum in whole units with the noise that its share leaves it, and the noise's deviation."""
        multiplier = self._plan.noise_multiplier
        moves = relation(self._plan.adjacency).clipping_norm(diameter, radius)
        noise = SumNoise(multiplier, moves / math.sqrt(share) * _LARGER * unit, unit)
        spent = (self.spent + (multiplier * moves / noise.std_in_units) ** 2) * _UPWARDS
        if not spent <= self._steps:  # a fault of ours: it is not paid for
            raise RuntimeError("This release is more than what is left of the plan; nothing is released.")
        self.left, self.spent = self.left - share, spent
        self._started()
        return noise.added_to(total, self._bits), noise.std_in_units * unit


def largest_norm(n_columns: int, steps: int) -> float:
    """What the noise multiplier multiplies at most, of all sums about so many columns, in units of 2**36.

    Of n columns and T steps a sum with public features has a share of at least T/(24n), and one of a pair,
    whose unit is larger by 2**4, one of at least T/(6n²) (`JointModel`).
    """
    return max(math.sqrt(24 * n_columns / steps), math.sqrt(6 / steps) * n_columns / 16)


def _indicators(codes: np.ndarray, n: int) -> sp.csr_matrix:
    """A one in each row's part, int64."""
    rows = len(codes)
    return sp.csr_matrix((np.ones(rows, np.int64), codes, np.arange(rows + 1)), shape=(rows, n))
