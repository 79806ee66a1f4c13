"""Where the cells of sensitive columns lie, by public support rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from ...tables._domain import Domain
from ...tables._ordered import Ordered


class LocatedCells(Protocol):
    """Where the cells of sensitive columns lie, from what may be known of them."""

    def quantiles(self, column: str, shares: np.ndarray) -> np.ndarray:
        """Quantiles of a column of numbers; none where nothing is known."""


class SupportCells:
    """By public support rows.

    Parameters
    ----------
    domains : mapping of str to domain
    support : pandas.DataFrame of shape (n_support, n_columns)
    """

    def __init__(self, domains: Mapping[str, Domain], support: pd.DataFrame):
        self._domains, self._support = dict(domains), support

    def quantiles(self, column: str, shares: np.ndarray) -> np.ndarray:
        """Quantiles of a column of numbers; none where no row holds one."""
        domain = self._domains[column]
        assert isinstance(domain, Ordered)
        known = domain.clean(self._support[column])
        known = known[~np.isnan(known)]
        return np.quantile(known, shares) if len(known) else known
