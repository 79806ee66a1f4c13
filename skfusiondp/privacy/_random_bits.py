"""Random bits for everything that secrecy depends on: noise, samples, dropout masks, numbers of trials."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy.special import ndtri

from .._parameters import is_whole
from ..exceptions import InvalidInputError

Seed = int | np.random.SeedSequence | np.random.Generator | np.random.RandomState | None

# Words below this have fewer than 53 significant bits: a second word gives them more.
_FEW_BITS = np.uint64(2**53)


class RandomBits:
    """Random numbers made of the operating system's secure bits, or of a seeded stream's.

    Parameters
    ----------
    seed : int, SeedSequence, Generator, RandomState or None, default=None
        None takes every bit from the operating system (``os.urandom``, a cryptographic stream with a key
        of 256 bits). Nothing is kept between two calls, so that no copy, fork or pickle of this object can
        repeat a number. Anything else gives a repeatable stream, which hides nothing from whoever knows
        the seed.

    Raises
    ------
    InvalidInputError
        If `seed` is none of these.

    Examples
    --------
    >>> from skfusiondp.privacy._random_bits import RandomBits
    >>> RandomBits().normal(3).shape
    (3,)
    >>> bool((RandomBits(0).words(4) == RandomBits(0).words(4)).all())
    True
    """

    def __init__(self, seed: Seed = None):
        self._stream = None if seed is None else _stream(seed)

    @property
    def secret(self) -> bool:
        """Whether the operating system gives the bits."""
        return self._stream is None

    def words(self, n: int) -> np.ndarray:
        """Return `n` words of 64 random bits, an ndarray of uint64."""
        if self._stream is None:
            return np.frombuffer(os.urandom(8 * n), dtype=np.uint64)
        return self._stream.integers(0, 2**64, size=n, dtype=np.uint64)

    def uniform(self, n: int) -> np.ndarray:
        """Return `n` uniform numbers strictly between 0 and 1.

        Notes
        -----
        A number u has a relative resolution of 2**-53 however small it is, not an absolute one: small
        probabilities are exact. The smallest one is 2**-129.
        """
        high = self.words(n)
        exact = high.astype(np.float64)
        few = np.flatnonzero(high < _FEW_BITS)
        if len(few):
            low = self.words(len(few)).astype(np.float64)
            exact[few] += (low + 0.5) * 2.0**-64
        # The largest words round up to 2**64, which would be 1.
        return np.minimum(exact * 2.0**-64, 1 - 2.0**-53)

    def normal(self, n: int) -> np.ndarray:
        """Return `n` standard normal numbers in double precision.

        Notes
        -----
        The quantile of a uniform number from the lower half, with a sign of its own, so that both tails
        are resolved alike. The largest magnitude is 13.1 standard deviations; a number is cut off there
        with a probability of 2**-128.
        """
        signs = self.words(-(-n // 64)).view(np.uint8)
        negative = np.unpackbits(signs, count=n).astype(bool)
        z = ndtri(0.5 * self.uniform(n))
        return np.where(negative, z, -z)

    def integer(self, below: int) -> int:
        """Return a whole number from 0 to `below` - 1, each with the same probability up to 2**-64."""
        high, low = (int(w) for w in self.words(2))
        return ((high << 64 | low) * below) >> 128

    def generator(self) -> np.random.Generator:
        """Return a numpy generator for draws by the million.

        Notes
        -----
        Philox with a key of 128 bits and a counter of 256 bits, all of them from this source.
        """
        return np.random.Generator(np.random.Philox(key=self.words(2), counter=self.words(4)))


def _stream(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.RandomState):
        return np.random.default_rng(seed.randint(2**31 - 1, size=4))
    if isinstance(seed, np.random.SeedSequence) or (is_whole(seed) and seed >= 0):
        return np.random.default_rng(seed)
    raise InvalidInputError(f"seed={seed!r} must be None, a whole number of at least 0, or a generator.")
