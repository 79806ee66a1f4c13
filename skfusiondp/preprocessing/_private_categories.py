"""Shares of the categories of sensitive columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._parameters import OneOf, Real, constraints, store_parameters
from ..tables._categorical import OTHER
from ..tables._domain import Countable, Domain
from ..tables._numeric import Numeric
from ..tables._unreadable import cells_of
from ._private_transformer import PrivateTransformer, Release, with_shared_docs


@with_shared_docs
class PrivateCategories(PrivateTransformer):
    """Merge rare sensitive categories, or encode each by its share; the shares are paid for.

    Counts of the declared categories, and of cells that are none of them, are released with noise, all
    columns at once. Public columns pass as they are, and so do sensitive numbers, which are not read.

    Parameters
    ----------
    {sensitive}
    min_frequency : float, default=0.01
        Categories with a smaller released share of the present cells are merged: their cells become
        ``"(other)"``, which later steps encode as none of the declared categories.
    output : {"categories", "frequencies"}, default="categories"
        Cells that come out: categories, the rare ones merged, or their released shares in [0, 1].
    {privacy}

    Attributes
    ----------
    frequencies_ : dict of str to ndarray of shape (n_categories + 1,)
        Released share of each declared category, and of all others together.
    rare_ : dict of str to list
        Categories that are merged.
    {release}

    Notes
    -----
    Formal guarantee: as for PrivateQuantileTransformer, with categories for bins: two contributions of
    a row lie at most sqrt(2 d) apart, one at most sqrt(d) from that of an erased one, for d columns.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import Categorical
    >>> from skfusiondp.preprocessing import PrivateCategories
    >>> table = pd.DataFrame({"unit": ["medical"] * 1400 + ["surgical"] * 590 + ["burns"] * 10})
    >>> units = {"unit": Categorical(["medical", "surgical", "burns"])}
    >>> merged = PrivateCategories(units, min_frequency=0.1, random_state=0).fit(table)
    >>> merged.rare_, merged.transform(table)["unit"].iloc[-1]
    ({'unit': ['burns']}, '(other)')
    """

    _plain_values = True

    _needs = Countable
    _diameter, _reach = 2.0**0.5, 1.0

    _constraints = constraints(
        PrivateTransformer._constraints,
        min_frequency=Real(0, 1, closed="left"),
        output=OneOf(("categories", "frequencies")),
    )

    def __init__(
        self,
        sensitive: Any = None,
        *,
        min_frequency: float = 0.01,
        output: str = "categories",
        epsilon: float | None = None,
        noise_multiplier: float | None = None,
        delta: float | None = None,
        adjacency: str = "replace",
        groups: Any = None,
        max_rows_per_unit: int | None = None,
        budget: Any = None,
        on_leak: str = "warn",
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    def _share(self, cells: pd.Series, column: str, strata: np.ndarray | None) -> np.ndarray:
        domain = self._domain(column)
        return np.bincount(domain.codes(cells), minlength=domain.n_bins(0) + 1)[:-1]

    def _learn(self, released: np.ndarray, job: Release) -> None:
        self.frequencies_, self.rare_ = {}, {}
        start = 0
        for column in job.columns:
            domain = self._domain(column)
            counts = np.maximum(released[start : start + domain.n_bins(0)], 0.0)
            start += domain.n_bins(0)
            # Nothing but noise says nothing: all alike.
            share = counts / counts.sum() if counts.sum() > 0 else np.full(len(counts), 1 / len(counts))
            self.frequencies_[column] = share
            known = zip(domain.categories, share[:-1], strict=True)
            self.rare_[column] = [c for c, s in known if s < self.min_frequency]

    def _transformed(self, cells: pd.Series, column: str) -> np.ndarray | pd.Series:
        domain = self._domain(column)
        codes = domain.codes(cells)
        if self.output == "frequencies":
            return np.append(self.frequencies_[column], np.nan)[codes]
        merged = np.fromiter(cells_of(cells), dtype=object, count=len(cells))
        merged[np.isin(codes, [domain.categories.index(c) for c in self.rare_[column]])] = OTHER
        return pd.Series(merged, index=cells.index, dtype=object)

    def _new_domain(self, column: str) -> Domain:
        return Numeric(0.0, 1.0) if self.output == "frequencies" else self.schema_.domains[column]
