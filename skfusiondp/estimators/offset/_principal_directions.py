"""Along which directions public rows vary, and how the loss bends along them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

from ._posterior import PublicCurvature

_DIRECTIONS, _SVD_ROWS = 200, 8_000


def public_curvature(
    features: sp.csr_matrix, curvature: np.ndarray, group: np.ndarray, rng: np.random.Generator
) -> PublicCurvature:
    """Principal directions of rows' features, turned to the axes of the loss's curvature.

    Parameters
    ----------
    features : csr_matrix of shape (n_rows, n_features)
        Of rows in random order, whose sensitive cells are public or made up.
    curvature : ndarray of shape (n_rows, n_outputs)
        Of each row's loss in its scores, times the training rows that the row stands for.
    group : ndarray of shape (n_features,), int
    rng : Generator
    """
    few = features[:_SVD_ROWS]
    seed = int(rng.integers(2**31 - 1))
    wanted = min(_DIRECTIONS, min(few.shape) - 1)
    _, _, basis = randomized_svd(few, wanted, n_iter=2, random_state=seed)
    along = features @ basis.T
    _, axes = np.linalg.eigh((along * curvature.mean(axis=1, keepdims=True)).T @ along)
    return PublicCurvature(basis.T @ axes, np.square(along @ axes).T @ curvature, group)
