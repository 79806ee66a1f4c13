"""One noised release of a sum over rows, in whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..exceptions import InvalidInputError
from ._random_bits import RandomBits

# What rows add is counted in multiples of this, where it is not counts already.
UNIT = 2.0**-30
# Beyond this a sum of 2**31 rows and its noise would not fit into 64 bits.
_LARGEST_NOISE = 2.0**58


def release(total: np.ndarray, std: float, bits: RandomBits) -> np.ndarray:
    """Return whole-number totals plus Gaussian noise, rounded to whole numbers.

    Parameters
    ----------
    total : ndarray of int64, of any shape
        Sums over rows, in whole units: counts, or multiples of ``UNIT``.
    std : float
        Standard deviation of the noise in the same units; at least 0.
    bits : RandomBits
        Where the noise comes from; it must be the operating system's where the release is to hide anything.

    Raises
    ------
    InvalidInputError
        If `total` holds no whole numbers or `std` is negative or too large.

    Notes
    -----
    Formal guarantee: since the totals are whole, rounding the noise is rounding the noised total, so this
    is post-processing of the Gaussian mechanism with standard deviation `std`. The addition is exact, and
    whether a value can come out does not depend on the total: the low-order bits by which Mironov (2012)
    attacks sums of floating-point numbers do not exist. What remains of finite precision is the noise's
    own distribution, which is the same for every table: a normal quantile with a relative error of about
    1e-15, of probabilities resolved to 2**-53 of themselves, and cut off beyond 13.1 standard deviations,
    which a coordinate exceeds with a probability of 2**-128. Nothing hides running time or memory.

    References
    ----------
    I. Mironov, "On significance of the least significant bits for differential privacy", CCS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.privacy._random_bits import RandomBits
    >>> from skfusiondp.privacy._release import release
    >>> release(np.array([100, 200]), 0.0, RandomBits()).tolist()
    [100, 200]
    """
    total = np.asarray(total)
    if total.dtype != np.int64:
        raise InvalidInputError(f"total is of type {total.dtype}; give sums in whole units, as int64.")
    if not 0 <= std < _LARGEST_NOISE:
        raise InvalidInputError(f"std={std!r} must be at least 0 and below {_LARGEST_NOISE:g} units.")
    noise = std * bits.normal(total.size).reshape(total.shape)
    return total + np.rint(noise).astype(np.int64)


def in_units(values: np.ndarray) -> np.ndarray:
    """Numbers as whole multiples of ``UNIT``; |values| at most 2**20."""
    return np.rint(values / UNIT).astype(np.int64)


@dataclass(frozen=True)
class SumNoise:
    """Gaussian noise for sums over rows of whole multiples of a unit.

    Parameters
    ----------
    noise_multiplier : float
    norm : float
        What it multiplies: the clipping norm of the accountant's pair.
    unit : float
        What each row's contribution is a whole multiple of.

    Raises
    ------
    InvalidInputError
        If 64 bits do not hold such noise.
    """

    noise_multiplier: float
    norm: float
    unit: float

    def __post_init__(self) -> None:
        if not self.std_in_units < _LARGEST_NOISE:
            raise InvalidInputError(
                f"noise_multiplier={self.noise_multiplier!r} is too large: the release would be nothing but "
                "noise, and no 64 bits hold it; give less noise, or a larger epsilon."
            )

    @property
    def std_in_units(self) -> float:
        """Standard deviation in whole units, rounded up so that the noise is never below the plan's."""
        return math.nextafter(self.noise_multiplier * self.norm / self.unit, math.inf)

    def added_to(self, total: np.ndarray, bits: RandomBits) -> np.ndarray:
        """The noised sum, of what was summed in whole units (int64)."""
        return release(total, self.std_in_units, bits) * self.unit
