"""Canaries: rows of a table whose sensitive cells are set by fair coins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._parameters import Integer
from ..exceptions import InvalidInputError
from ..tables._schema import SensitiveSchema


@dataclass(frozen=True, eq=False)
class Canaries:
    """Which rows are canaries, and how their coins fell.

    Parameters
    ----------
    rows : ndarray of shape (n_canaries,)
        Positions in the table.
    coins : ndarray of shape (n_canaries,), bool
        True: the first value (or the row takes part), False: the second (or it does not).
    columns : tuple of str
        Sensitive columns that the coins set; empty where they decide about whole rows.
    """

    rows: np.ndarray
    coins: np.ndarray
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def throw(
        cls, n_rows: int, n_canaries: int | None, columns: Sequence[str], rng: np.random.RandomState
    ) -> Canaries:
        """Choose rows at random and throw a fair coin for each."""
        count = n_rows // 2 if n_canaries is None else n_canaries
        few = "hundreds of rows are needed for a bound above 0, and None takes half of all"
        Integer(1, n_rows, none=True, remedy=few).check("n_canaries", n_canaries)
        rows = rng.permutation(n_rows)[:count]
        return cls(rows, rng.randint(2, size=count).astype(bool), tuple(columns))

    def set_in(
        self, frame: pd.DataFrame, schema: SensitiveSchema, coins: np.ndarray | None = None
    ) -> pd.DataFrame:
        """The frame with the canaries' cells set by their coins, or by the coins given."""
        coins = self.coins if coins is None else coins
        frame = frame.copy()
        for column in self.columns:
            cells = frame[column].astype(object).to_numpy(copy=True)
            first, second = schema.domains[column].far_apart()
            cells[self.rows] = np.where(coins, _cell(first), _cell(second))
            frame[column] = pd.Series(cells, index=frame.index, dtype=object).infer_objects()
        return frame


def canary_columns(schema: SensitiveSchema, columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """The sensitive columns that coins set: all of them, or those named."""
    if columns is None:
        chosen = schema.sensitive
    else:
        chosen = (columns,) if isinstance(columns, str) else tuple(columns)
    unknown = [c for c in chosen if c not in schema.sensitive]
    if unknown or not chosen:
        raise InvalidInputError(
            f"columns={columns!r} must name sensitive columns of the estimator; it has "
            f"{', '.join(schema.sensitive) or 'none, so there is nothing to audit: declare sensitive='}."
        )
    return chosen


def guess_coins(scores: np.ndarray, guesses: int) -> tuple[np.ndarray, np.ndarray]:
    """Guess "first" for the highest scores and "second" for the lowest; abstain between.

    Returns which canaries are guessed, and for each whether the guess is "first": half of them, rounded up.
    """
    order = np.argsort(scores, kind="stable")
    low, high = guesses // 2, guesses - guesses // 2
    index = np.concatenate([order[len(order) - high :], order[:low]])
    return index, np.arange(guesses) < high


def _cell(value: Any) -> np.ndarray:
    """A 0-d array, so that no cell is taken apart or changes its type."""
    cell = np.empty((), dtype=object)
    cell[()] = value
    return cell
