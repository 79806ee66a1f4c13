"""The kinds of domains, for columns whose domain the user has not declared; new kinds are added here."""

from __future__ import annotations

import pandas as pd

from ._categorical import Categorical
from ._date import Date
from ._domain import Domain
from ._numeric import Numeric

# A column is of the first kind that holds it; the last holds every column.
KINDS: tuple[type[Domain], ...] = (Numeric, Date, Categorical)


def declarations() -> str:
    """How domains are declared, for messages."""
    *most, last = (kind.declaration for kind in KINDS)
    return f"{', '.join(most)} or {last}"


def support_domain(column: pd.Series) -> Domain:
    """The domain that public support rows give a column."""
    return _kind_of(column).from_support(column)


def leaked_domain(column: pd.Series) -> Domain:
    """The domain read off a column's training cells: a leak, but no cell is kept.

    The guarantee is void all the same, and every report says so: bounds and categories are functions of
    the cells. But what is released, printed or saved with a model should not quote them.

    Raises
    ------
    InvalidInputError
        For a column of complex numbers alone, which no domain can hold.
    """
    return _kind_of(column).from_training(column)


def remedy(column: pd.Series) -> str:
    """How to declare a column, by the kind of its own cells."""
    return f"{column.name!r}: {_kind_of(column).declaration}"


def _kind_of(column: pd.Series) -> type[Domain]:
    return next(kind for kind in KINDS if kind.holds(column))
