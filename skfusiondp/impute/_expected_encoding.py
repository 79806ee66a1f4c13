"""The mean of a column's encoding over its predictive distribution."""

from __future__ import annotations

import numpy as np

from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive


def expected_encoding(guess: Predictive, domain: Domain) -> np.ndarray | None:
    """The expected encoding of a cell, which the encoding of an expected cell is not.

    A model that is linear in the encoding predicts the mean over what the cell may be. The encoding of the
    mean says of a cell that lies at one of two ends that it lies between them.

    Parameters
    ----------
    guess : CategoricalPredictive or NumericPredictive
    domain : Domain

    Returns
    -------
    ndarray of shape (n_rows, width of the encoding), float32, or None
        None where the mean of a number is all that is known.
    """
    if isinstance(guess, CategoricalPredictive):
        return _mean(guess.probabilities, domain.encode(domain.grid(0)))
    if guess.atoms is None:
        return None
    encoded = domain.encode(domain.restore(np.ravel(guess.atoms)))
    if guess.atoms.ndim == 2:
        encoded = encoded.reshape(*guess.atoms.shape, -1)
    weights = np.ones(guess.atoms.shape) if guess.probabilities is None else guess.probabilities
    return np.array(np.broadcast_to(_mean(weights, encoded), (len(guess), domain.width)))


def _mean(weights: np.ndarray, encoded: np.ndarray) -> np.ndarray:
    shares = weights / weights.sum(axis=-1, keepdims=True)
    return np.matmul(shares[..., None, :], encoded)[..., 0, :].astype(np.float32)
