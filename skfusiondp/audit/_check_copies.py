"""Which public columns of a table tell what its sensitive columns hold."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._html import card
from ..exceptions import InvalidInputError
from ..tables._determined import DETERMINED, Determined, PublicFeatures, jointly, rows_for, singly
from ..tables._domain import Domain
from ..tables._read_table import as_table
from ._check_domains import HOLDER_ALONE, declared_domains

# Of each sensitive column, so many of the columns that tell most about it are printed.
_SHOWN = 3


@dataclass(frozen=True, repr=False)
class CopyCheck:
    """How far public columns tell what sensitive ones hold. Not to be published.

    Parameters
    ----------
    n_rows : int
        Rows that were looked at.
    pairs : tuple of Determined
        Every pair of a sensitive and a public column, and all public columns together, by how much they
        explain.
    """

    n_rows: int
    pairs: tuple[Determined, ...]

    @property
    def found(self) -> tuple[Determined, ...]:
        """Public columns, alone or together, that determine a sensitive one."""
        return tuple(pair for pair in self.pairs if pair.explained >= DETERMINED)

    @property
    def ok(self) -> bool:
        """Whether no public column determines a sensitive one."""
        return not self.found

    def to_frame(self) -> pd.DataFrame:
        """One row a sensitive column and public column, or public columns together.

        Returns
        -------
        pandas.DataFrame of shape (n_pairs, 4)
            Columns "sensitive", "public", "explained" (share of what was left out, 1 for a copy) and "how".
        """
        rows = [(p.sensitive, _names(p), p.explained, p.how) for p in self.pairs]
        return pd.DataFrame(rows, columns=["sensitive", "public", "explained", "how"])

    @property
    def _verdict(self) -> str:
        if self.ok:
            return f"No public column determines a sensitive one ({self.n_rows} rows looked at)."
        return (
            f"{'; '.join(map(str, self.found))}: protecting such a column protects nothing. Name the public "
            "ones sensitive too, or leave them out."
        )

    @property
    def _most_telling(self) -> pd.DataFrame:
        return self.to_frame().groupby("sensitive", sort=False).head(_SHOWN)

    def __repr__(self) -> str:
        table = self._most_telling.to_string(index=False, float_format="{:.3f}".format)
        return f"{HOLDER_ALONE}\n{self._verdict}\n{table}"

    def _repr_html_(self) -> str:
        table = self._most_telling.to_html(
            index=False, float_format="{:.3f}".format, classes="wide", border=0
        )
        said = f"<b>{html.escape(HOLDER_ALONE)}</b><br>{html.escape(self._verdict)}"
        return card(f"<p>{said}</p>{table}")


def _names(pair: Determined) -> str:
    undecided = len(pair.public) > 1 and pair.explained < DETERMINED
    return "(all public columns)" if undecided else ", ".join(pair.public)


def check_copies(X: Any, sensitive: Mapping) -> CopyCheck:
    """Look for public columns that determine a sensitive one, such as a year of birth beside an age.

    Feature-level privacy takes public columns as known, so a sensitive column that they determine is not
    protected at all. Nothing is kept, and nothing of it may be published: it is read off sensitive cells
    without noise. A fit looks for the same among its public support rows, and nowhere else.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
        In memory or on disk, as ``fit`` takes it.
    sensitive : mapping of str to Domain
        As ``fit`` takes it, with a domain for each column.

    Returns
    -------
    CopyCheck
        Text when printed, a table in a notebook.

    Raises
    ------
    InvalidInputError
        If `sensitive` names no column of `X`, or gives one no domain, or names all.

    Notes
    -----
    Up to 500 rows are looked at. "explained" is what a decision tree on the public columns, or a weighted sum
    of numbers, says of rows that it was not fitted on: of a number the R² of its ranks, of a category the
    share of the cells that are not of the most frequent one. From 0.99 on the column counts as determined.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.audit import check_copies
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"lab": rng.normal(size=300), "age": rng.integers(18, 90, 300)})
    >>> table["born"] = 2020 - table["age"]
    >>> [str(found) for found in check_copies(table, {"age": Numeric(18, 90)}).found]
    ["'born' determines 'age' (a linear function of it)"]
    """
    table = as_table(X)
    domains: dict[str, Domain] = declared_domains(table, sensitive)
    if len(domains) == table.shape[1]:
        raise InvalidInputError(
            "sensitive names every column of X, so that no public one is left that could tell of them."
        )
    index = rows_for(*table.shape)
    frame = table.take(index)
    public = PublicFeatures(frame[[c for c in frame.columns if c not in domains]])
    pairs: list[Determined] = []
    for column, domain in domains.items():
        target = domain.target(frame[column])
        own = [singly(public, c, column, target, domain.task) for c in public.values]
        together = jointly(public, column, target, domain.task)
        if together is not None and len(together.public) > 1:
            own.append(together)
        pairs += sorted(own, key=lambda pair: -pair.explained)
    return CopyCheck(len(index), tuple(pairs))
