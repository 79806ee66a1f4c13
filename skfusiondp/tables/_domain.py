"""The interface of domains. All other code calls these methods and never asks for a domain's kind.

Bounds and categories are stated by the user or come from public support rows, never from the training
cells that they protect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._keywords import KnownKeywords
from .._parameters import Real, as_float

OWN_EPSILON = Real(
    0,
    none=True,
    exact=True,
    says="of a domain must be a positive, finite number, or None for the estimator's",
)


class Domain(KnownKeywords, ABC):
    """What everybody knows that the cells of a sensitive column may hold.

    A kind of column is a subclass: of `Ordered` if its cells are points of an interval, of `Countable` if
    they are some of a list, else of this class. To have columns of the new kind recognised among support
    rows, add it to ``tables/_kinds.py``.

    No method refuses a cell or depends on other rows' cells, since either would reveal something about them.
    """

    kind: ClassVar[str]
    """Its name in reports."""

    declaration: ClassVar[str]
    """How a user declares one, for messages."""

    task: ClassVar[str]
    """Which estimator guesses the column: a "regressor" of `target`, or a "classifier" among its values."""

    outside_remedy: ClassVar[str]
    """What happens to cells outside the domain, and what to do if there are many."""

    epsilon: float | None
    """The column's own budget; None takes the estimator's."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of encoded features."""

    @abstractmethod
    def feature_names(self, column: str) -> list[str]:
        """Names of the encoded features of a column of that name."""

    @abstractmethod
    def encode(self, values: Any) -> np.ndarray:
        """Encode cells for networks: finite, float32, of shape (n_rows, width)."""

    def tree_features(self, values: Any) -> np.ndarray:
        """Encode cells for trees, which take numbers of any size and NaN: shape (n_rows, any width)."""
        return self.encode(values)

    @abstractmethod
    def target(self, values: Any) -> np.ndarray:
        """Cells as numbers that a model learns to guess; NaN where a cell is missing or undeclared."""

    @abstractmethod
    def restore(self, target: np.ndarray) -> np.ndarray:
        """The cells that numbers like those of `target` stand for."""

    @abstractmethod
    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` cells uniformly."""

    @abstractmethod
    def grid(self, n: int) -> np.ndarray:
        """Cells at which to show what the column does: `n` of an interval, or each of a list."""

    @abstractmethod
    def centers(self, n: int) -> np.ndarray:
        """The centres of `n` equal parts of an interval, or each value of a list, as `target` has them."""

    @abstractmethod
    def phrases(self, n: int) -> list[str]:
        """What a sentence says about a cell in each of the parts of `centers`, after the word "is"."""

    @abstractmethod
    def bins(self, values: Any, n: int) -> np.ndarray:
        """Which part of `centers` each cell lies in; then undeclared values, if any; last, missing ones."""

    def n_bins(self, n: int) -> int:
        """Number of bins of cells that are not missing."""
        return len(self.centers(n))

    @abstractmethod
    def far_apart(self) -> tuple[Any, Any]:
        """Two cells that are encoded far apart: an audit plants one of them in each canary row."""

    @abstractmethod
    def outside(self, cells: pd.Series) -> dict[str, int]:
        """How many cells the domain does not hold, by what is wrong with them."""

    def informed_by(self, cells: pd.Series) -> Domain:
        """The same domain, encoded with the help of public cells."""
        return self

    @abstractmethod
    def describe(self) -> str:
        """The domain in the words of a report."""

    def brief(self) -> str:
        """The declaration, shortened for a message."""
        return repr(self)

    @abstractmethod
    def _facts(self) -> dict:
        """The declaration as plain values."""

    def to_dict(self) -> dict:
        """The declaration as plain values, and in words, for the report."""
        own = {} if self.epsilon is None else {"epsilon": float(self.epsilon)}
        return {"kind": self.kind, "text": self.describe(), **self._facts(), **own}

    @classmethod
    @abstractmethod
    def holds(cls, column: pd.Series) -> bool:
        """Tell whether a column without a declaration is of this kind, by its type and cells."""

    @classmethod
    @abstractmethod
    def from_support(cls, column: pd.Series) -> Domain:
        """The domain that public cells give."""

    @classmethod
    @abstractmethod
    def from_training(cls, column: pd.Series) -> Domain:
        """The domain that training cells give, a leak: it must quote none of them."""


class Countable(Domain):
    """A domain of a list of values.

    A subclass says which value each cell holds (`codes`) and gives the values as `categories`.
    """

    task = "classifier"
    outside_remedy = (
        'they are encoded as "other": check spelling and type, or declare every publicly known category in '
        "Categorical([...])"
    )
    categories: tuple

    @abstractmethod
    def codes(self, values: Any) -> np.ndarray:
        """Each cell's position among the categories; their number for others, one more for missing."""

    def target(self, values: Any) -> np.ndarray:
        codes = self.codes(values)
        return np.where(codes < len(self.categories), codes, np.nan)

    def restore(self, target: np.ndarray) -> np.ndarray:
        table = np.empty(len(self.categories), dtype=object)
        table[:] = self.categories
        return table[np.asarray(target, dtype=np.int64)]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` categories uniformly."""
        return self.restore(rng.integers(len(self.categories), size=n))

    def grid(self, n: int) -> np.ndarray:
        return self.restore(self.centers(n))

    def centers(self, n: int) -> np.ndarray:
        return np.arange(len(self.categories), dtype=float)

    def bins(self, values: Any, n: int) -> np.ndarray:
        return self.codes(values)

    def n_bins(self, n: int) -> int:
        return len(self.categories) + 1

    def far_apart(self) -> tuple[Any, Any]:
        """The last value and the first; missing, where there is one value."""
        return self.categories[-1], self.categories[0] if len(self.categories) > 1 else None

    def outside(self, cells: pd.Series) -> dict[str, int]:
        return {"unknown categories": int((self.codes(cells) == len(self.categories)).sum())}


def plain(value: Any) -> Any:
    """Numpy's scalars as Python's: these hash, compare and pickle alike wherever they came from."""
    return value.item() if isinstance(value, np.generic) else value


def own_epsilon(epsilon: Any) -> float | None:
    """Check a domain's epsilon."""
    OWN_EPSILON.check("epsilon", epsilon)
    return None if epsilon is None else as_float(epsilon)


def epsilon_text(epsilon: float | None) -> str:
    """A domain's epsilon as a further argument of its repr."""
    return "" if epsilon is None else f", epsilon={epsilon!r}"


def as_column(values: Any) -> pd.Series:
    """Cells as a column. The types of a list are left as they are: pandas would refuse some."""
    if isinstance(values, pd.Series):
        return values
    return pd.Series(values, dtype=None if isinstance(values, np.ndarray | pd.Index) else object)
