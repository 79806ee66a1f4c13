"""The domain of a categorical column, and the one used where training cells gave the categories."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._display import TableShape
from .._parameters import Anything, constraints
from ..exceptions import InvalidInputError
from ._domain import OWN_EPSILON, Countable, as_column, epsilon_text, own_epsilon, plain
from ._frames import as_text, missing_cells, short_text
from ._unreadable import cells_of

_MOST_SHOWN = 8
_UNKNOWN = "unknown categories"
# How files spell a missing cell, in lower case.
_SPELT_MISSING = frozenset(("", "?", "-", ".", "na", "n/a", "nan", "<na>", "nat", "none", "null", "missing"))
# What PrivateCategories writes for the categories that it merges.
OTHER = "(other)"


@dataclass(frozen=True)
class Categorical(Countable):
    """Domain of a sensitive categorical column: the categories that everybody knows.

    Parameters
    ----------
    categories : sequence of hashable
        Public categories. A cell that is none of them is encoded as "other".
    epsilon : float, optional
        The column's own budget, where it is more or less sensitive than the others; None takes the
        estimator's.

    Raises
    ------
    InvalidInputError
        If there are no categories, one occurs twice, one is missing (NaN, None), or `epsilon` is not
        positive.

    Examples
    --------
    >>> from skfusiondp import Categorical
    >>> unit = Categorical(["medical", "surgical"])
    >>> unit.encode(["surgical", "burns", None]).tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    _plain_values = True

    categories: tuple
    epsilon: float | None

    _constraints = constraints(
        categories=Anything("what can be listed, checked category by category"), epsilon=OWN_EPSILON
    )
    kind = "categorical"
    declaration = "Categorical([...])"

    def __init__(self, categories: Sequence, epsilon: float | None = None) -> None:
        listed = isinstance(categories, Sequence) or len(getattr(categories, "shape", ())) == 1
        if isinstance(categories, str) or not listed:
            raise InvalidInputError(
                f"Categorical(categories={_typed_in(categories)}): give a list of the public categories, "
                "for example Categorical(['female', 'male'])."
            )
        epsilon = own_epsilon(epsilon)
        cats = tuple(plain(c) for c in categories)
        try:
            distinct = len(set(cats)) == len(cats) and not any(pd.isna(c) is True or c is pd.NA for c in cats)
            distinct = distinct and ... not in cats  # what `domains_from` leaves to be filled in
        except TypeError:  # what cannot be hashed cannot be looked up
            distinct = False
        if not cats or not distinct:
            raise InvalidInputError(
                f"Categorical(categories={_typed_in(categories)}): categories must be distinct, not missing, "
                "at least one, and filled in where ... stood; missing cells need no category of their own."
            )
        object.__setattr__(self, "categories", cats)
        object.__setattr__(self, "epsilon", epsilon)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(categories={self.categories!r}{epsilon_text(self.epsilon)})"

    @property
    def width(self) -> int:
        """Number of encoded features: one a category, "other" and "missing"."""
        return len(self.categories) + 2

    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features."""
        return [f"{column}_{c}" for c in (*self.categories, OTHER, "(missing)")]

    def codes(self, values: Any) -> np.ndarray:
        """Return each cell's position among the categories.

        Cells are looked up by value: 1, 1.0 and True are one, and a text is no number. Nothing is refused: a
        cell that cannot be looked up, such as a list, is "other". Only a number is found among declared
        texts too (1 as "1"), since arrays of texts hold numbers as texts.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows,), int64
            ``k`` (the number of categories) stands for "other", ``k + 1`` for missing.
        """
        cells = as_column(values)
        k = len(self.categories)
        missing = missing_cells(cells)
        codes = np.array(self._positions(cells_of(cells)), dtype=np.int64)
        return np.where(missing, k + 1, codes)

    def _positions(self, cells: list) -> list[int]:
        """Position of each cell; the number of categories where it is none of them."""
        position = {c: i for i, c in enumerate(self.categories)}
        return [_lookup(position, v, len(position)) for v in cells]

    def encode(self, values: Any) -> np.ndarray:
        """One-hot encode over the declared categories, "other" and "missing".

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Returns
        -------
        ndarray of shape (n_rows, n_categories + 2), float32
        """
        return np.eye(self.width, dtype=np.float32)[self.codes(values)]

    def phrases(self, n: int) -> list[str]:
        return [short_text(c) for c in self.categories]

    def outside(self, cells: pd.Series) -> dict[str, int]:
        # Rare categories that PrivateCategories has merged are "other" on purpose.
        others = cells_of(cells[self.codes(cells) == len(self.categories)])
        return Counter(self._what_is_wrong(v) for v in others if not (type(v) is str and v == OTHER))

    def _what_is_wrong(self, cell: Any) -> str:
        """Why a cell is none of the categories, in words that quote nothing of it."""
        texts = [c for c in self.categories if isinstance(c, str)]
        if not issubclass(type(cell), str):  # what a cell says of its own class may be an error
            return "cells that are no texts" if len(texts) == len(self.categories) else _UNKNOWN
        bare = str.strip(cell)
        if bare in texts:
            return "with blanks before or after a category"
        if bare.casefold() in {c.strip().casefold() for c in texts}:
            return "categories in other upper and lower case"
        if bare.casefold() in _SPELT_MISSING:
            return "texts such as 'nan' or '?', which are missing only as None or NaN"
        if not texts:
            return "texts, where numbers are declared"
        return _UNKNOWN

    def describe(self) -> str:
        """The domain in the words of a report."""
        few = self.categories[:_MOST_SHOWN]
        return f"categorical: {', '.join(str(c) for c in few)}{self._more(len(few))}"

    def brief(self) -> str:
        """The declaration with its first categories."""
        few = list(self.categories[:_MOST_SHOWN])
        return f"Categorical({few!r}){self._more(len(few))}"

    def _more(self, shown: int) -> str:
        more = len(self.categories) - shown
        return f" and {more} more" if more else ""

    def _facts(self) -> dict:
        return {"categories": [str(c) for c in self.categories]}

    @classmethod
    def holds(cls, column: pd.Series) -> bool:
        """Every column can be one of categories."""
        return True

    @classmethod
    def from_support(cls, column: pd.Series) -> Categorical:
        """The distinct public cells."""
        try:
            return cls(_sorted(pd.unique(column[column.notna()].astype(object))) or ["missing"])
        except TypeError:
            raise InvalidInputError(
                f"Column {column.name!r} of support holds cells that are no numbers and no categories, such "
                "as lists; convert them to texts or numbers, or drop the column."
            ) from None

    @classmethod
    def from_training(cls, column: pd.Series) -> HiddenCategorical:
        """The distinct training cells, kept as hashes."""
        return HiddenCategorical(_sorted(set(_hashable(column[~missing_cells(column)]))) or ["missing"])


class HiddenCategorical(Categorical):
    """Categories known by a salted hash: cells are found again, and none is stored or shown.

    Parameters
    ----------
    cells : list
        Distinct categories; only their order and hashes are kept.
    """

    _plain_values = True

    salt: str
    digests: dict[str, int]

    def __init__(self, cells: list) -> None:
        salt = os.urandom(16).hex()
        digests = list(dict.fromkeys(_digest(salt, c) for c in cells))
        super().__init__([f"hidden_{i}" for i in range(len(digests))])
        object.__setattr__(self, "salt", salt)
        object.__setattr__(self, "digests", {d: i for i, d in enumerate(digests)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HiddenCategorical) and self.digests == other.digests

    def __hash__(self) -> int:
        return hash(tuple(self.digests))

    def _positions(self, cells: list) -> list[int]:
        # An imputed cell is one of the shown names already.
        known = {c: i for i, c in enumerate(self.categories)}
        found: dict[str, int] = {}
        positions = []
        for text in (_text(c) for c in cells):
            if text not in found:
                digest = _digest(self.salt, text)
                found[text] = self.digests.get(digest, known.get(text, len(self.categories)))
            positions.append(found[text])
        return positions


def _typed_in(categories: Any) -> str:
    """Categories as they were typed; of a column, whose cells may be sensitive, its type and shape."""
    shape = getattr(categories, "shape", None)
    return repr(categories) if shape is None else repr(TableShape(type(categories).__name__, tuple(shape)))


def _lookup(position: dict, value: Any, other: int) -> int:
    try:
        value = _pythons(value)
        found = position.get(value)
        if found is None and isinstance(value, int | float):
            found = next((position[text] for text in _spellings(value) if text in position), None)
    except Exception:
        # What cannot be hashed, compared or written (a whole number of 5,000 digits) is no declared category.
        return other
    return other if found is None else found


def _pythons(value: Any) -> Any:
    """A number as one of Python's, as it is where a whole column of numbers is read at once.

    So how it is written does not depend on whether the column's other cells are numbers too.
    """
    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, np.integer | np.bool_) and not _is_duration(value) else value


def _is_duration(value: Any) -> bool:
    return isinstance(value, np.timedelta64)  # numpy counts them among its whole numbers


def _spellings(number: Any) -> Iterator[str]:
    """How a number or truth value may stand among declared texts."""
    yield from (as_text(number), str(number))
    if number == int(number):
        yield from (str(int(number)), str(float(number)))


def _sorted(cells: Any) -> list:
    return sorted(cells, key=lambda v: (str(type(v)), str(v)))


def _hashable(cells: pd.Series) -> list:
    found = []
    for value in cells_of(cells):
        try:
            hash(value)
        except TypeError:  # "other", like every cell that cannot be looked up
            continue
        found.append(value)
    return found


def _text(cell: Any) -> str:
    try:
        return as_text(_pythons(cell))
    except Exception:  # a cell that has no text is none of the categories
        return ""


def _digest(salt: str, cell: Any) -> str:
    return hashlib.sha256(f"{salt}:{_text(cell)}".encode("utf-8", "surrogatepass")).hexdigest()
