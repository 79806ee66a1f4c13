"""Fit a clone of a synthesizer with canaries, and guess their coins from the sums that it releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ..tables._schema import SensitiveSchema
from ._canaries import Canaries
from ._claim import unbudgeted


@dataclass(frozen=True, eq=False)
class Told:
    """One released sum, and what the attacker knows of how it is made.

    Parameters
    ----------
    columns : tuple of int
        Positions of the sensitive columns that it is about: one with public features, or a pair.
    embeddings : tuple
        Points of their parts.
    public : ndarray of shape (n_rows, n_features) or None
        Public features of the rows; None for a pair.
    noised : ndarray
    std : float
        Of its noise.
    """

    columns: tuple[int, ...]
    embeddings: tuple[Any, ...]
    public: np.ndarray | None
    noised: np.ndarray
    std: float

    def of_rows(self, codes: list[np.ndarray], rows: Any) -> np.ndarray:
        """What rows with cells in such parts add to the sum, of shape (n_rows, n_features, n_coordinates)."""
        points = [e.points[codes[j][rows]] for j, e in zip(self.columns, self.embeddings, strict=True)]
        first = points[0] if self.public is None else self.public[rows]
        return first[:, :, None] * points[-1][:, None, :]

    def of_all(self, codes: list[np.ndarray]) -> np.ndarray:
        """The sum over all rows, without noise."""
        points = [e.points[codes[j]] for j, e in zip(self.columns, self.embeddings, strict=True)]
        return (points[0] if self.public is None else self.public).T @ points[-1]


class Listener:
    """Passes a fit's releases on, and keeps what they say; counts of where cells lie are left out.

    Parameters
    ----------
    releases : object
        What makes the noised sums of a fit.
    told : list of Told
        What was said so far.
    """

    def __init__(self, releases: Any, told: list[Told]):
        self._releases, self._told = releases, told
        # Each column is one array of codes, in every sum that is about it.
        self._known: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._releases, name)

    def _column(self, codes: np.ndarray) -> int:
        for position, known in enumerate(self._known):
            if known is codes:
                return position
        self._known.append(codes)
        return len(self._known) - 1

    def marginal(self, codes: Any, embedding: Any, public: Any, share: float) -> tuple[np.ndarray, float]:
        """A sum of public features times a column's points, and its noise's deviation."""
        noised, std = self._releases.marginal(codes, embedding, public, share)
        self._told.append(Told((self._column(codes),), (embedding,), public, noised, std))
        return noised, std

    def pair(self, codes: Any, embeddings: Any, share: float) -> tuple[np.ndarray, float]:
        """A sum of products of two columns' points, and its noise's deviation."""
        noised, std = self._releases.pair(codes, embeddings, share)
        columns = tuple(map(self._column, codes))
        self._told.append(Told(columns, tuple(embeddings), None, noised, std))
        return noised, std


def releases_sums(estimator: Any) -> bool:
    """Whether an estimator is a synthesizer: all that it learns of cells are noised sums."""
    return hasattr(estimator, "_releases")


def released_scores(
    estimator: Any,
    frame: pd.DataFrame,
    schema: SensitiveSchema,
    y: np.ndarray | None,
    canaries: Canaries,
    as_given: Callable[[pd.DataFrame], Any],
) -> tuple[Any, np.ndarray]:
    """A fitted clone of a synthesizer, and what the released sums say of each canary's coin.

    `as_given` makes of the frame a table of the user's kind, whose columns the estimator names.

    The sums are linear in the coins and their noise is normal, but for rounding. So all that they tell is in
    a linear regression, which guesses all coins at once: the mean of the coins given the sums, were these
    normal with the coins' own mean and variance.
    """
    if estimator.groups is not None:
        raise InvalidInputError(
            f"groups={estimator.groups!r}: score='white-box' takes a synthesizer without groups; set "
            'groups=None, or use score="black-box".'
        )
    model = unbudgeted(estimator)
    heard: list[Told] = []
    make = model._releases
    model._releases = lambda *args: Listener(make(*args), heard)
    model.fit(as_given(canaries.set_in(frame, schema)), y)
    del model._releases
    model_columns = model._model.columns

    def codes(first: bool) -> list[np.ndarray]:
        known = canaries.set_in(frame, schema, np.full(len(canaries), first))
        return [c.codes(known[name]) for name, c in model_columns.items()]

    one, other = codes(True), codes(False)
    info, evidence = np.zeros((len(canaries),) * 2), np.zeros(len(canaries))
    for told in heard:
        moved = told.of_rows(one, canaries.rows) - told.of_rows(other, canaries.rows)
        moved = moved.reshape(len(canaries), -1) / told.std
        left = (told.noised - told.of_all(other)).ravel() / told.std
        info += moved @ moved.T
        evidence += moved @ left
    # A coin is 0 or 1: its mean is 1/2, its variance 1/4.
    coins = np.linalg.solve(info + 4 * np.eye(len(canaries)), evidence - info.sum(axis=1) / 2)
    return model, coins
