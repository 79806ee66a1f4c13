"""Domains read off training cells, where nobody declared one: a leak, of which no cell is kept.

The guarantee is void all the same, and every report says so: bounds and categories are functions of
the cells. But what is released, printed or saved with a model should not quote them.
"""

from __future__ import annotations

import hashlib
import math
import os
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError
from ._domains import Categorical, Domain, Numeric
from ._frames import (
    as_text,
    is_numeric,
    missing_cells,
    numeric_values,
)

_LARGEST = 1e307


class HiddenCategorical(Categorical):
    """Categories known by a salted hash: cells are found again, and none is stored or shown.

    Parameters
    ----------
    cells : list
        Distinct categories; only their order and hashes are kept.
    """

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


def leaked_domain(column: pd.Series) -> Domain:
    """Domain that holds all cells of a column, with bounds on a coarse grid or hidden categories.

    Raises
    ------
    InvalidInputError
        For a column of complex numbers alone, which no domain can hold.
    """
    present = column[~missing_cells(column)]
    if is_numeric(column) and not pd.api.types.is_bool_dtype(column.dtype):
        if len(present) and all(isinstance(v, complex | np.complexfloating) for v in present.tolist()):
            # The words of scikit-learn, whose checks ask for them.
            raise InvalidInputError(
                f"Complex data not supported: column {column.name!r} has no declared domain and holds "
                "complex numbers; declare Numeric(low, high), or leave the column out."
            )
        values = numeric_values(present, sensitive=True)
        values = values[np.isfinite(values)]
        return _coarse(float(values.min()), float(values.max())) if values.size else Numeric(0.0, 1.0)
    cells = sorted(set(_hashable(present)), key=lambda v: (str(type(v)), str(v)))
    return HiddenCategorical(cells or ["missing"])


def remedy(column: pd.Series, domain: Domain) -> str:
    """How to declare a column: by the kind of its own cells."""
    dates = pd.api.types.is_datetime64_any_dtype(column.dtype) or any(
        isinstance(v, date | np.datetime64) for v in column.tolist()
    )
    if dates:
        return f"{column.name!r}: Numeric(low, high), after converting the date to a number of days"
    kind = "Numeric(low, high)" if isinstance(domain, Numeric) else "Categorical([...])"
    return f"{column.name!r}: {kind}"


def _coarse(low: float, high: float) -> Numeric:
    """An interval around both, its bounds multiples of a power of ten that none of the cells reaches."""
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    spread = high - low or max(abs(low), 1.0)
    step = 10.0 ** math.floor(math.log10(max(spread, 1e-300)))
    step = max(step, 2 * max(math.ulp(low), math.ulp(high)))
    return Numeric((math.ceil(low / step) - 1) * step, (math.floor(high / step) + 1) * step)


def _hashable(cells: pd.Series) -> list:
    found = []
    for value in cells.astype(object).tolist():
        try:
            hash(value)
        except TypeError:  # "other", like every cell that cannot be looked up
            continue
        found.append(value)
    return found


def _text(cell: Any) -> str:
    try:
        return as_text(cell)
    except Exception:  # a cell that has no text is none of the categories
        return ""


def _digest(salt: str, cell: Any) -> str:
    return hashlib.sha256(f"{salt}:{_text(cell)}".encode("utf-8", "surrogatepass")).hexdigest()
