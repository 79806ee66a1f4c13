"""Public columns, score and label as features that go with sensitive cells, of norm at most 1."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre

# Shares of a row's squared norm: what is the same for all rows; the label; the score; label times score;
# the public columns themselves.
_SHARES = {"all": 0.15, "label": 0.35, "score": 0.15, "label by score": 0.2, "public": 0.15}
# Positions among these of what is of the label.
LABEL_GROUPS = (1, 3)
_DEGREE = 2
# Quantiles by which numbers become ranks, and how many directions of the public columns are kept.
_QUANTILES, _MOST_DIRECTIONS = 257, 60
# Of more products of label and score than this, as many classes have, none is a feature.
_MOST_PRODUCTS = 200


class Ranks:
    """Ranks of numbers among those of training rows, from -1 to 1."""

    _plain_values = True

    def __init__(self, numbers: np.ndarray):
        shares = np.linspace(0, 1, _QUANTILES)
        self.quantiles = np.quantile(numbers, shares, axis=0) if len(numbers) else np.zeros((1, 0))

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Ranks of shape (n_rows, n_columns); those of a number that many rows have are in the middle."""
        found = np.empty(numbers.shape)
        for k, known in enumerate(self.quantiles.T):
            below = np.searchsorted(known, numbers[:, k], side="left")
            upto = np.searchsorted(known, numbers[:, k], side="right")
            found[:, k] = (below + upto) / len(known) - 1
        return found


class PublicFeatures:
    """Features of a row's public facts.

    Parameters
    ----------
    encoded : ndarray of shape (n_rows, n_public)
        Public columns of training rows, standardised, without gaps.
    score : ndarray of shape (n_rows, n_scores)
        Cross-fitted scores of a public model; no column where there is no label.
    label : ndarray of shape (n_rows, n_labels)
        Of norm at most 1 each.
    """

    _plain_values = True

    def __init__(self, encoded: np.ndarray, score: np.ndarray, label: np.ndarray):
        self._ranks, self._score_ranks = Ranks(encoded), Ranks(score)
        ranked = self._ranks(encoded)
        self._mean = ranked.mean(axis=0)
        spread = ranked.std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        standard = (ranked - self._mean) / self._scale
        _, _, directions = np.linalg.svd(standard.T @ standard / max(1, len(standard)))
        self._directions = directions[:_MOST_DIRECTIONS].T
        self._has_label, self._has_score = label.shape[1] > 0, score.shape[1] > 0
        self.group = np.concatenate(
            [np.full(part.shape[1], k) for k, part in self._parts(encoded, score, label)]
        )

    def __call__(self, encoded: np.ndarray, score: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Features of shape (n_rows, n_features); `group` says what each is of, 0 being the same for all."""
        parts = [part for _, part in self._parts(encoded, score, label)]
        return np.hstack(parts)

    def _parts(
        self, encoded: np.ndarray, score: np.ndarray, label: np.ndarray
    ) -> list[tuple[int, np.ndarray]]:
        rank = np.clip(self._score_ranks(score), -1, 1)
        bends = legendre.legvander(rank, _DEGREE)[..., 1:] / np.sqrt(max(1, rank.shape[1]) * _DEGREE)
        bends = bends.reshape(len(rank), -1)
        public = _shortened((self._ranks(encoded) - self._mean) / self._scale @ self._directions)
        few = label.shape[1] * bends.shape[1] <= _MOST_PRODUCTS
        both = np.zeros((len(label), 0))
        if few:
            both = (label[:, :, None] * bends[:, None, :]).reshape(len(label), -1)
        parts = {
            "all": np.ones((len(label), 1)),
            "label": label,
            "score": bends,
            "label by score": both,
            "public": public,
        }
        there = {name: part for name, part in parts.items() if part.shape[1]}
        whole = sum(_SHARES[name] for name in there)
        return [
            (k, np.sqrt(_SHARES[name] / whole) * part)
            for k, (name, part) in enumerate(parts.items())
            if name in there
        ]


def _shortened(rows: np.ndarray) -> np.ndarray:
    """Rows of norm 1; none is longer."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
