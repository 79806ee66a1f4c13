"""What share of a table's sensitive cells lies outside their declared domains."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from .._html import card
from ..exceptions import InvalidInputError
from ..tables._domain import Domain
from ..tables._kinds import declarations
from ..tables._outside import WORTH_SAYING, Outside, count_outside
from ..tables._read_table import as_table
from ..tables._select import select_columns
from ..tables._table import Table

HOLDER_ALONE = (
    "For the holder of the data alone: read off sensitive cells without noise, and covered by no guarantee. "
    "Do not publish it."
)


@dataclass(frozen=True, repr=False)
class DomainCheck:
    """How many cells of each sensitive column its domain does not hold. Not to be published.

    Parameters
    ----------
    n_rows : int
    domains : mapping of str to Domain
    counts : mapping of str to Outside
        Cells that are present, and those that lie outside, by what is wrong with them.
    """

    n_rows: int
    domains: Mapping[str, Domain]
    counts: Mapping[str, Outside]

    @property
    def ok(self) -> bool:
        """Whether of each column at most 1 % of the present cells lie outside."""
        return all(found.share <= WORTH_SAYING for found in self.counts.values())

    def to_frame(self) -> pd.DataFrame:
        """One row a sensitive column: its domain, and shares of its cells.

        Returns
        -------
        pandas.DataFrame of shape (n_sensitive, 4)
            "missing" is a share of the rows, "outside" of the present cells; "remedy" is empty where at most
            1 % of them lie outside.
        """
        rows = {
            column: {
                "domain": self.domains[column].brief(),
                "missing": 1 - found.present / max(self.n_rows, 1),
                "outside": found.share,
                "what": ", ".join(f"{n} {what}" for what, n in found.wrong.items() if n),
                "remedy": self.domains[column].outside_remedy if found.share > WORTH_SAYING else "",
            }
            for column, found in self.counts.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        frame = self.to_frame()
        lines = [HOLDER_ALONE]
        width = max((len(c) for c in frame.index), default=0)
        for column, row in frame.iterrows():
            what = f" ({row['what']})" if row["what"] else ""
            found = f"{row['outside']:7.2%} outside{what}"
            lines.append(f"  {column:<{width}}  {found}, {row['missing']:.2%} missing; {row['domain']}")
            if row["remedy"]:
                lines.append(f"  {'':<{width}}  {row['remedy']}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(float_format="{:.2%}".format, classes="wide", border=0)
        return card(f"<p><b>{html.escape(HOLDER_ALONE)}</b></p>{table}")


def check_domains(X: Any, sensitive: Mapping) -> DomainCheck:
    """Count the sensitive cells that lie outside their declared domains, before anything is fitted.

    A misspelt category, a wrong unit or a way of writing dates shows here. Nothing is kept, and nothing of it
    may be published: the counts are read off the cells without noise.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
        In memory or on disk, as ``fit`` takes it.
    sensitive : mapping of str to Domain
        As ``fit`` takes it, with a domain for each column.

    Returns
    -------
    DomainCheck
        Text when printed, a table in a notebook.

    Raises
    ------
    InvalidInputError
        If `sensitive` names no column of `X`, or gives one no domain.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import Categorical, Numeric
    >>> from skfusiondp.audit import check_domains
    >>> table = pd.DataFrame({"age": [34, 340, 41, None], "sex": ["f", "M", "m", "f"]})
    >>> found = check_domains(table, {"age": Numeric(18, 90), "sex": Categorical(["f", "m"])})
    >>> found.ok, found.to_frame()["what"].tolist()
    (False, ['1 above', '1 categories in other upper and lower case'])
    """
    table = as_table(X)
    domains = declared_domains(table, sensitive)
    counts = MappingProxyType(count_outside(table, domains))
    return DomainCheck(len(table), MappingProxyType(domains), counts)


def declared_domains(table: Table, sensitive: Mapping) -> dict[str, Domain]:
    """The domain of each sensitive column of a table, all of which have to be declared."""
    declared = select_columns(table.columns, table.labels, sensitive).domains
    lacking = [c for c, domain in declared.items() if domain is None]
    if lacking or not declared:
        raise InvalidInputError(
            f"sensitive={sensitive!r} declares no domain for {lacking or 'any column'}; give each sensitive "
            f"column {declarations()}."
        )
    return {c: d for c, d in declared.items() if d is not None}
