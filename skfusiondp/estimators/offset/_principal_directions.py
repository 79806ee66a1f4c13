"""Along which directions public rows vary, and how the loss bends along them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ...privacy._noised_sums import clipped_factors
from ..joint._indicators import Indicators
from ._correction import ClippedLoss
from ._posterior import Landscape, Start

_DIRECTIONS, _SVD_ROWS = 128, 8_000
# Where columns are alike, drawn rows understate how the loss bends on true ones, and a whole step would go
# too far: the deviation of what it adds to drawn rows' scores is at most so much of theirs.
_MOST_ADDED = 0.4
# Bend of the loss along a start, at least, over its fall.
_LEAST_BEND = 0.1
# A fall of the loss of all rows together that is none: squares of much smaller numbers would be 0.
_NO_FALL = 1e-6


def landscape_of(
    features: Indicators,
    score: np.ndarray,
    weight: np.ndarray,
    stand_for: float,
    clipped: ClippedLoss,
    rng: np.random.Generator,
    surer: float = 1.0,
) -> Landscape:
    """Principal directions of rows' features, turned to the axes of the loss's curvature.

    Parameters
    ----------
    features : Indicators
        Of rows in random order, whose sensitive cells are public or made up.
    score : ndarray of shape (n_rows, n_outputs)
    weight : ndarray of shape (n_rows,)
    stand_for : float
        Training rows that each row stands for.
    clipped : ClippedLoss
    rng : Generator
    surer : float, default=1.0
        Curvature of true rows' loss, whose residuals are smaller, over that of these.
    """
    phi = features.matrix()
    few = phi[:_SVD_ROWS]
    seed = int(rng.integers(2**31 - 1))
    wanted = min(_DIRECTIONS, min(few.shape) - 1)
    _, _, basis = randomized_svd(few, wanted, n_iter=2, random_state=seed)
    along = phi @ basis.T
    each = surer * stand_for * weight[:, None]
    h = clipped.loss.curvature(score) * each
    _, axes = np.linalg.eigh((along * h.mean(axis=1, keepdims=True)).T @ along)
    along = along @ axes

    def expected(coef: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reached = score + features.height * features.sums(coef)
        drift = surer * stand_for * clipped.drift(reached, weight)
        return along.T @ drift, np.square(along).T @ (clipped.loss.curvature(reached) * each)

    return Landscape(basis.T @ axes, expected, clipped.spread)


def judged_by_draws(
    landscape: Landscape,
    features: Indicators,
    score: np.ndarray,
    start: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    stand_for: float,
    clipped: ClippedLoss,
) -> Landscape:
    """A landscape that knows what drawn rows promise of the start, and what they cannot promise.

    Parameters
    ----------
    landscape : Landscape
    features, weight, stand_for, clipped
        As in `landscape_of`, of drawn rows.
    score, start, target : ndarray of shape (n_rows, n_outputs)
        Public score, what the start adds to it, and the rows' labels.
    """
    reached = score + start
    allowed = _MOST_ADDED * float(np.linalg.norm(reached - reached.mean(axis=0)))

    def length(coef: np.ndarray) -> float:
        added = features.height * features.sums(coef)
        return float(np.linalg.norm(added - added.mean(axis=0)))

    def bounded(coef: np.ndarray, centre: np.ndarray) -> np.ndarray:
        size = length(coef)
        return coef if size <= allowed else coef * min(1.0, max(allowed, length(centre)) / size)

    along = features.matrix() @ landscape.basis
    bend = clipped.loss.curvature(reached) * weight[:, None]
    inner = np.column_stack([_least_squares(along, s, w) for s, w in zip(start.T, bend.T, strict=True)])
    shown = stand_for * (along @ inner)

    def slope(at: np.ndarray) -> float:
        residuals = clipped_factors(clipped.loss.residuals(at, target), weight, clipped.max_grad_norm)
        return clipped.max_grad_norm * float((shown * residuals).sum())

    fall = -slope(score)
    secant = fall + slope(reached) - float((shown * clipped.drift(reached, weight)).sum())
    told = Start(inner, fall, max(secant, _LEAST_BEND * fall))
    return replace(landscape, bounded=bounded, start=told if fall > _NO_FALL else None)


def _least_squares(features: np.ndarray, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    gram = (features * weight[:, None]).T @ features
    return np.linalg.lstsq(gram, features.T @ (weight * values), rcond=1e-9)[0]
