"""What noised gradients say about coefficients: a posterior mean, whose prior they show too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Prior variance that the search starts from, and about the square of what the coefficients may add to a
# score.
_START, _LARGEST = 0.25, 1.0
# Steps of that search after each release; the next release goes on where it ended.
_SEARCH = 12
# Log odds for some coefficients against none from which on they are believed in.
BELIEVED = 3.0


@dataclass(frozen=True)
class Landscape:
    """What rows with borrowed or drawn cells say of the loss: directions in which their features vary, and
    how it bends there.

    Parameters
    ----------
    basis : ndarray of shape (n_features, n_directions)
        Orthonormal.
    expected : callable
        Given coefficients of shape (n_features, n_outputs), what is expected of all training rows' clipped
        gradients if these coefficients are the best, and their curvature: (n_directions, n_outputs) each.
    spread : float
        Variance that the sampling of rows adds to a gradient, over the curvature: 1 for log loss.
    bounded : callable
        Takes coefficients, and returns them shorter where they are longer than can be believed.
    """

    basis: np.ndarray
    expected: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    spread: float = 1.0
    bounded: Callable[[np.ndarray], np.ndarray] = lambda coef: coef


def posterior_coefficients(
    gradient: Callable[[np.ndarray], np.ndarray],
    landscape: Landscape,
    n_outputs: int,
    releases: int,
    std: float,
) -> np.ndarray:
    """Coefficients by some noised gradients of a convex loss, and nothing else.

    A release at coefficients t shows, along a direction of curvature h, ``h (t - best)`` beside what is
    expected at the best ones, plus noise; the sampling of rows adds a variance in proportion to h. All
    releases together are one such view of the best coefficients; later ones count for more, since the loss
    is closer to its parabola there. The prior is normal with mean 0 and the variance that makes the view
    most likely, in the span of the directions. Where the view is about as likely
    without any coefficients, which noise alone can bring about, all are 0.

    Parameters
    ----------
    gradient : callable
        Noised gradient at coefficients, both of shape (n_features, n_outputs).
    landscape : Landscape
    n_outputs : int
    releases : int
    std : float
        Standard deviation of one release's noise.

    Returns
    -------
    ndarray of shape (n_features, n_outputs)

    References
    ----------
    MacKay (1992), "Bayesian interpolation": prior variances by evidence. Its search is the fixed point of
    Hunter and Lange (2004), "A tutorial on MM algorithms", for variance components.
    """
    basis = landscape.basis
    variances = np.full(n_outputs, _START)
    # Coefficients lie in the span of the directions: of what lies beside it the view says nothing, and
    # gradients taken there would hold what `h` does not explain.
    inner, view, bend = np.zeros((3, basis.shape[1], n_outputs))
    total = squares = 0.0
    for weight in range(1, releases + 1):
        coef = basis @ inner
        drift, h = landscape.expected(coef)
        h = np.maximum(h, 1e-9)
        view += weight * (h * inner - (basis.T @ gradient(coef) - drift))
        bend += weight * h
        total += weight
        squares += weight**2
        noise = std**2 * squares / total**2
        gain = 0.0
        for k in range(n_outputs):
            seen = _View(view[:, k] / total, bend[:, k] / total, noise, landscape.spread)
            variances[k] = seen.likeliest(variances[k])
            gain += seen.gain(variances[k])
            inner[:, k] = seen.mean(variances[k])
    return landscape.bounded(basis @ inner) if gain > BELIEVED else np.zeros((len(basis), n_outputs))


class _View:
    """What was seen of the best coefficients along each direction, and what noise there is in it.

    Parameters
    ----------
    seen : ndarray of shape (n_directions,)
    h : ndarray of shape (n_directions,)
        What is seen of a coefficient of 1.
    noise, spread : float
        Variance of the releases' noise, and of the sampling of rows over `h`.
    """

    def __init__(self, seen: np.ndarray, h: np.ndarray, noise: float, spread: float):
        self._seen, self._h, self._alone = seen, h, noise + spread * h

    def _total(self, variance: float) -> np.ndarray:
        """Variance of the view along each direction."""
        return self._alone + variance * self._h**2

    def likeliest(self, variance: float) -> float:
        """The prior variance that makes the view likelier, searched from one."""
        for _ in range(_SEARCH):
            total = self._total(variance)
            signal = np.square(self._h * self._seen / total).sum()
            expected = (self._h**2 / total).sum() + 1 / _LARGEST
            variance = max(variance * math.sqrt(signal / expected), 1e-10)
        return variance

    def mean(self, variance: float) -> np.ndarray:
        """The posterior mean along each direction."""
        return variance * self._h * self._seen / self._total(variance)

    def gain(self, variance: float) -> float:
        """Log of how much likelier the view is with this prior variance than with none."""
        total = self._total(variance)
        none = np.log(self._alone) + self._seen**2 / self._alone
        return float((none - np.log(total) - self._seen**2 / total).sum()) / 2
