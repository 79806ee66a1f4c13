"""What share of a sensitive column lies outside its declared domain: a warning to the data holder.

The shares are read off sensitive cells, so no estimator, report or file may hold them. Whoever runs the
fit sees them once, in a warning, after the fit has been paid for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass, replace

import numpy as np
import pandas as pd

from ..exceptions import DataHolderWarning
from ._domains import Domain, Numeric
from ._frames import missing_cells, numeric_values
from ._table import Table

_MOST_SHOWN = 8
# What PrivateCategories writes for the categories that it merges.
OTHER = "(other)"
_quiet: ContextVar[bool] = ContextVar("_quiet", default=False)
# The share of a column's present cells that is worth a warning: clipping and "other" are for rare cells.
WORTH_SAYING = 0.01


@dataclass
class Outside:
    """Counts of one column's cells.

    Parameters
    ----------
    present : int
        Cells that are not missing.
    below, above, no_number : int
        Of a numeric column: cells below and above the bounds, and those that hold no number.
    unknown : int
        Of a categorical column: cells that are no declared category.
    """

    present: int = 0
    below: int = 0
    above: int = 0
    no_number: int = 0
    unknown: int = 0

    def __add__(self, other: Outside) -> Outside:
        return Outside(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def share(self) -> float:
        """Share of the present cells that lie outside."""
        return (self.below + self.above + self.no_number + self.unknown) / max(self.present, 1)


def outside(cells: pd.Series, domain: Domain) -> Outside:
    """Count the cells of a column that its domain does not hold.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
    domain : Numeric or Categorical

    Returns
    -------
    Outside
    """
    missing = missing_cells(cells)
    present = int((~missing).sum())
    if isinstance(domain, Numeric):
        values = numeric_values(cells, sensitive=True)
        below, above = int((values < domain.low).sum()), int((values > domain.high).sum())
        return Outside(present, below, above, int((np.isnan(values) & ~missing).sum()))
    unknown = domain.codes(cells) == len(domain.categories)
    # Rare categories that PrivateCategories has merged are "other" on purpose.
    merged = np.array([type(v) is str and v == OTHER for v in cells.astype(object).tolist()], dtype=bool)
    return Outside(present, unknown=int((unknown & ~merged).sum()))


def warn_outside(table: Table, domains: Mapping[str, Domain]) -> None:
    """Warn the data holder of each column with more than 1 % of its cells outside its domain.

    Call it last, when everything that reads the table has been paid for.

    Parameters
    ----------
    table : Table
    domains : mapping of str to Numeric or Categorical
    """
    if _quiet.get() or not domains:
        return
    counts = {c: Outside() for c in domains}
    for _, frame in table.chunks(list(domains)):
        for column, domain in domains.items():
            counts[column] += outside(frame[column], domain)
    for column, domain in domains.items():
        if counts[column].share > WORTH_SAYING:
            tell_data_holder(_sentence(column, domain, counts[column]))


@contextmanager
def one_for_all() -> Iterator[None]:
    """Silence the warnings of fits inside: their number would reveal how many there are. The caller warns."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def tell_data_holder(message: str) -> None:
    """Warn, and never raise, even under an error filter: an exception would be an output of the fit."""
    try:
        warnings.warn(message, DataHolderWarning, stacklevel=4)
    except Exception:
        print(f"DataHolderWarning: {message}", file=sys.stderr)


def _sentence(column: str, domain: Domain, found: Outside) -> str:
    def percent(count: int) -> str:
        return f"{100 * count / found.present:.3g} %"

    if isinstance(domain, Numeric):
        kinds = {"below": found.below, "above": found.above, "no number": found.no_number}
        parts = ", ".join(f"{percent(n)} {kind}" for kind, n in kinds.items() if n)
        done = "they are clipped to the bounds, and what is no number counts as missing"
        remedy = "check unit and type, or declare the range that is publicly known as Numeric(low, high)"
    else:
        parts = f"{percent(found.unknown)} unknown categories"
        done = 'they are encoded as "other"'
        remedy = "check spelling and type, or declare every publicly known category in Categorical([...])"
    return (
        f"For the holder of the data alone: {100 * found.share:.3g} % of the present cells of the sensitive "
        f"column {column!r} lie outside its domain {_brief(domain)} ({parts}); {done}: {remedy}. This share "
        "is not covered by the privacy guarantee: do not publish it."
    )


def _brief(domain: Domain) -> str:
    if isinstance(domain, Numeric):
        return repr(replace(domain, knots=None))
    few = domain.categories[:_MOST_SHOWN]
    more = len(domain.categories) - len(few)
    return f"Categorical({list(few)!r})" + (f" and {more} more" if more else "")
