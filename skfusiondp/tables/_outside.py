"""What share of a sensitive column lies outside its declared domain: a warning to the data holder.

The shares are read off sensitive cells, so no estimator, report or file may hold them. Whoever runs the
fit sees them once, in a warning, after the fit has been paid for.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import pandas as pd

from ..exceptions import DataHolderWarning, callers_level
from ._domain import Domain
from ._frames import missing_cells
from ._table import Table

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
    wrong : mapping of str to int
        Cells that lie outside, by what is wrong with them.
    """

    present: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Outside) -> Outside:
        return Outside(self.present + other.present, self.wrong + other.wrong)

    @property
    def share(self) -> float:
        """Share of the present cells that lie outside."""
        return self.wrong.total() / max(self.present, 1)


def outside(cells: pd.Series, domain: Domain) -> Outside:
    """Count the cells of a column that its domain does not hold.

    Parameters
    ----------
    cells : Series of shape (n_rows,)
    domain : Domain
    """
    return Outside(int((~missing_cells(cells)).sum()), Counter(domain.outside(cells)))


def count_outside(table: Table, domains: Mapping[str, Domain]) -> dict[str, Outside]:
    """Count the cells of several columns of a table that their domains do not hold."""
    counts = {c: Outside() for c in domains}
    for _, frame in table.chunks(list(domains)):
        for column, domain in domains.items():
            counts[column] += outside(frame[column], domain)
    return counts


def warn_outside(
    table: Table, domains: Mapping[str, Domain], called: Mapping[str, str] | None = None
) -> None:
    """Warn the data holder of each column with more than 1 % of its cells outside its domain.

    `called` says what the user calls columns that the table has under other names.

    Call it last, when everything that reads the table has been paid for.
    """
    if _quiet.get() or not domains:
        return
    counts = count_outside(table, domains)
    for column, domain in domains.items():
        if counts[column].share > WORTH_SAYING:
            tell_data_holder(_sentence((called or {}).get(column, column), domain, counts[column]))


@contextmanager
def one_for_all() -> Iterator[None]:
    """Silence these warnings in inner fits, whose number they would reveal; the caller warns once for all."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def tell_data_holder(message: str) -> None:
    """Warn, and never raise, even under an error filter: an exception would be an output of the fit."""
    try:
        warnings.warn(message, DataHolderWarning, stacklevel=callers_level())
    except Exception:
        print(f"DataHolderWarning: {message}", file=sys.stderr)


def _sentence(column: str, domain: Domain, found: Outside) -> str:
    def percent(count: int) -> str:
        return f"{100 * count / found.present:.3g} %"

    parts = ", ".join(f"{percent(n)} {what}" for what, n in found.wrong.items() if n)
    return (
        f"For the holder of the data alone: {100 * found.share:.3g} % of the present cells of the sensitive "
        f"column {column!r} lie outside its domain {domain.brief()} ({parts}); {domain.outside_remedy}. "
        "This share is not covered by the privacy guarantee: do not publish it."
    )
