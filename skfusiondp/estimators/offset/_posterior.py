"""What noised gradients say about coefficients: a posterior mean, whose prior they show too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Variance that the search for the prior starts from, and about the largest that it believes in.
_START, _LARGEST = 0.25, 100.0
# Steps of that search after each release; the next release goes on where it ended.
_SEARCH = 12


@dataclass(frozen=True)
class PublicCurvature:
    """Directions in which public rows vary, the loss's curvature along them, and groups of features.

    Parameters
    ----------
    basis : ndarray of shape (n_features, n_directions)
        Orthonormal.
    curvature : ndarray of shape (n_directions, n_outputs)
        Of the sum over all training rows.
    group : ndarray of shape (n_features,), int
        Features of one group have coefficients of one prior variance.
    """

    _plain_values = True

    basis: np.ndarray
    curvature: np.ndarray
    group: np.ndarray


def posterior_coefficients(
    gradient: Callable[[np.ndarray], np.ndarray], shape: PublicCurvature, releases: int, std: float
) -> np.ndarray:
    """Coefficients by some noised gradients of a convex loss, and nothing else.

    A release at coefficients t shows, along a direction of curvature h, ``h (best - t)`` plus noise, of which
    the sampling of rows adds a variance of h. All releases together are one such view of the best
    coefficients; later ones count for more, since the loss is closer to its parabola there. The prior is
    normal with mean 0 and a variance for each group of features that makes the view most likely: where
    nothing but noise was seen, the coefficients are 0.

    Parameters
    ----------
    gradient : callable
        Noised gradient at coefficients, both of shape (n_features, n_outputs).
    shape : PublicCurvature
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
    basis, h = shape.basis, np.maximum(shape.curvature, 1e-9)
    names, group = np.unique(shape.group, return_inverse=True)
    parts = np.stack([basis[group == g].T @ basis[group == g] for g in range(len(names))])
    variances = np.full((len(names), h.shape[1]), _START)
    coef, view = np.zeros((len(basis), h.shape[1])), np.zeros_like(h)
    total = squares = 0.0
    for weight in range(1, releases + 1):
        slope = basis.T @ gradient(coef)
        view += weight * (h * (basis.T @ coef) - slope)
        total += weight
        squares += weight**2
        noise = std**2 * squares / total**2
        for k in range(h.shape[1]):
            variances[:, k], pull = _evidence(view[:, k] / total, h[:, k], noise, parts, variances[:, k])
            coef[:, k] = variances[group, k] * (basis @ (h[:, k] * pull))
    return coef


def _evidence(
    view: np.ndarray, h: np.ndarray, noise: float, parts: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Prior variances that make a view likely, and the view in units of its covariance."""
    each = h[:, None] * parts * h[None, :]
    flat = each.reshape(len(each), -1)
    own = np.diag(noise + h)

    def covariance(variances: np.ndarray) -> np.ndarray:
        return own + (variances @ flat).reshape(own.shape)

    for _ in range(_SEARCH):
        inverse = np.linalg.inv(covariance(variances))
        pull = inverse @ view
        signal = np.einsum("i,gij,j->g", pull, each, pull)
        expected = flat @ inverse.ravel() + 1 / _LARGEST
        variances = np.maximum(variances * np.sqrt(np.maximum(signal, 0) / expected), 1e-10)
    return variances, np.linalg.solve(covariance(variances), view)
