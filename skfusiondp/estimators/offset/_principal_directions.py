"""Along which directions public rows vary, and how the loss bends along them."""

from __future__ import annotations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ..joint._indicators import Indicators
from ._correction import ClippedLoss
from ._posterior import Landscape

_DIRECTIONS, _SVD_ROWS = 128, 8_000


def landscape_of(
    features: Indicators,
    score: np.ndarray,
    weight: np.ndarray,
    stand_for: float,
    clipped: ClippedLoss,
    rng: np.random.Generator,
    most: float = np.inf,
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
    most : float, default=inf
        Deviation of what coefficients may add to these rows' scores, over the scores' own.
    """
    phi = features.matrix()
    few = phi[:_SVD_ROWS]
    seed = int(rng.integers(2**31 - 1))
    wanted = min(_DIRECTIONS, min(few.shape) - 1)
    _, _, basis = randomized_svd(few, wanted, n_iter=2, random_state=seed)
    along = phi @ basis.T
    each = stand_for * weight[:, None]
    h = clipped.loss.curvature(score) * each
    _, axes = np.linalg.eigh((along * h.mean(axis=1, keepdims=True)).T @ along)
    along = along @ axes

    def expected(coef: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reached = score + features.height * features.sums(coef)
        drift = stand_for * clipped.drift(reached, weight)
        return along.T @ drift, np.square(along).T @ (clipped.loss.curvature(reached) * each)

    allowed = most * np.linalg.norm(score - score.mean(axis=0))

    def bounded(coef: np.ndarray) -> np.ndarray:
        added = features.height * features.sums(coef)
        size = np.linalg.norm(added - added.mean(axis=0))
        return coef * (allowed / size) if size > allowed else coef

    return Landscape(basis.T @ axes, expected, clipped.spread, bounded)
