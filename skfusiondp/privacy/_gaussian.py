"""The Gaussian mechanism without sampling, in closed form."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

# Beyond so many standard deviations nothing is left that a float holds.
_FAR = 37.0


def gaussian_delta(distance: float, epsilon: float) -> float:
    """Delta at `epsilon` of a Gaussian whose means lie `distance` standard deviations apart.

    Notes
    -----
    Balle and Wang (2018), Theorem 8, ``Phi(-a) - exp(epsilon) Phi(-a - distance)`` with ``a = epsilon /
    distance - distance / 2``. The second term is the density at a times Mills' ratio at ``a + distance``.
    """
    return _delta_at(epsilon / distance - distance / 2, distance)


def gaussian_epsilon(distance: float, delta: float) -> float:
    """Epsilon at `delta` of a Gaussian whose means lie `distance` standard deviations apart."""
    low = -distance / 2
    if _delta_at(low, distance) <= delta:
        return 0.0
    low = max(low, -_FAR)
    a = brentq(lambda a: _delta_at(a, distance) - delta, low, _FAR, xtol=1e-14, rtol=1e-14)
    return float(distance * a + distance**2 / 2)


def _delta_at(a: float, distance: float) -> float:
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    if a < 0:
        return float(ndtr(-a) - density * _mills(a + distance))
    return float(density * (_mills(a) - _mills(a + distance)))


def _mills(z: float) -> float:
    return float(math.sqrt(math.pi / 2) * erfcx(z / math.sqrt(2)))
