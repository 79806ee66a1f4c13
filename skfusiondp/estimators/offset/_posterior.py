"""What noised gradients say about coefficients: a posterior mean, whose prior they show too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

# Prior variance that the search starts from, and about the square of what the coefficients may add to a
# score.
_START, _LARGEST = 0.25, 1.0
# Steps of that search after each release; the next release goes on where it ended.
_SEARCH = 12
# Deviations of the fall and of the bend of true rows' loss along the start, over those of drawn rows.
_DOUBT = (2.0, 1.0)
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
        Takes coefficients and those that take off a share of the start; returns the former shorter where
        they are longer than can be believed.
    start : Start or None
        Of a start that drawn rows have taught.
    """

    basis: np.ndarray
    expected: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    spread: float = 1.0
    bounded: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda coef, centre: coef
    start: Start | None = None


@dataclass(frozen=True)
class Start:
    """What drawn rows promise of the start, which is added to the public score before the correction.

    Along the share s of the start that is added, the loss has slope ``bend * s - fall`` on these rows.

    Parameters
    ----------
    inner : ndarray of shape (n_directions, n_outputs)
        The start along the landscape's directions.
    fall : float
    bend : float
    """

    inner: np.ndarray
    fall: float
    bend: float

    def judged(self, slopes: list[tuple[float, float, float]], sampling: float = 0.0) -> tuple[float, float]:
        """The share of the start to keep, and how much more than drawn rows' loss that of true rows bends.

        Drawn rows may promise what is not there, or bend less than true ones do, as where columns are alike.
        Either they are right, or fall and bend are normal around what they say; what was released is a linear
        view of both. The two are averaged by how likely they make it. Under the latter the posterior's mode
        is taken, among falls of 0 or more and bends of what drawn rows show or more.

        Parameters
        ----------
        slopes : list of tuple of (share, slope, variance)
            Of true rows' loss, as released, and of the noise.
        sampling : float
            Variance of the slopes by the sampling of rows, which are the same in all of them.

        Returns
        -------
        share, ratio : float
        """
        promised = np.array([self.fall, self.bend])
        noise = np.diag([variance for *_, variance in slopes]) + sampling
        view = np.array([[-1.0, share] for share, *_ in slopes]).reshape(-1, 2)
        weighed = np.linalg.solve(noise, view).T
        doubt = np.square(promised * _DOUBT)
        precision = np.diag(1 / doubt) + weighed @ view
        seen = promised / doubt + weighed @ [slope for _, slope, _ in slopes]
        fall, bend = np.linalg.solve(precision, seen)
        # Each where it is possible, and the other given it.
        if bend < self.bend:
            bend = self.bend
            fall = (seen[0] - precision[0, 1] * bend) / precision[0, 0]
        if fall < 0:
            fall = 0.0
            bend = max(self.bend, seen[1] / precision[1, 1])
        apart = np.array([slope for _, slope, _ in slopes]) - view @ promised
        doubted = expit(_log_normal(apart, noise + view * doubt @ view.T) - _log_normal(apart, noise))
        share = doubted * min(1.0, fall / bend) + (1 - doubted) * min(1.0, self.fall / self.bend)
        return float(share), float(doubted * bend / self.bend + 1 - doubted)


def _log_normal(values: np.ndarray, covariance: np.ndarray) -> float:
    """Log density of normal values of mean 0, but for a constant."""
    _, size = np.linalg.slogdet(covariance)
    return -0.5 * float(size + values @ np.linalg.solve(covariance, values))


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
    without any coefficients, which noise alone can bring about, they are the prior's mean. Where drawn rows
    have taught a start, the gradients also say how much of it true rows keep (`Start.judged`): the prior's
    mean is not 0 but takes off the rest, and curvatures are as much larger as along the start.

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
    basis, start = landscape.basis, landscape.start
    variances = np.full(n_outputs, _START)
    # Coefficients lie in the span of the directions: of what lies beside it the view says nothing, and
    # gradients taken there would hold what `h` does not explain.
    inner, centre, pulled, pushed, bend = np.zeros((5, basis.shape[1], n_outputs))
    ratio, slopes = 1.0, []
    total = squares = 0.0
    for weight in range(1, releases + 1):
        coef = basis @ inner
        drift, h = landscape.expected(coef)
        h = np.maximum(h, 1e-9)
        surplus = basis.T @ gradient(coef) - drift
        if start is not None:
            # The share at which the loss has this slope along the start: what coefficients add beside it,
            # in the metric of the curvature, does not change it.
            curved = h * start.inner
            along = float(np.vdot(curved, inner) / np.vdot(curved, start.inner))
            variance = std**2 * float(np.vdot(start.inner, start.inner))
            slopes.append((1.0 + along, float(np.vdot(start.inner, surplus)), variance))
            sampling = landscape.spread * float(np.vdot(curved, start.inner))
            share, ratio = start.judged(slopes, sampling)
            centre = (share - 1.0) * start.inner
        pulled += weight * h * inner
        pushed += weight * surplus
        bend += weight * h
        total += weight
        squares += weight**2
        noise = std**2 * squares / total**2
        gain = 0.0
        for k in range(n_outputs):
            h = ratio * bend[:, k] / total
            view = (ratio * pulled[:, k] - pushed[:, k]) / total - h * centre[:, k]
            seen = _View(view, h, noise, landscape.spread)
            variances[k] = seen.likeliest(variances[k])
            gain += seen.gain(variances[k])
            inner[:, k] = centre[:, k] + seen.mean(variances[k])
    return landscape.bounded(basis @ (inner if gain > BELIEVED else centre), basis @ centre)


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
