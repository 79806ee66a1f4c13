"""Draws of several sensitive columns that hang together, as they do in one person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..tables._domain import Domain
from ._backend import Predictive

Checked = Callable[[Mapping[str, Predictive], str, int, Any], Predictive]


class Chain:
    """Backends of one sensitive column each; each sees, beside the public columns, those before it.

    While it learns, these are support cells; while it imputes, what has been drawn: never a true cell
    (chained as in scikit-learn's `RegressorChain`; fully conditional specification goes round again, van
    Buuren, Multivariate Behavioral Research 53, 2018).

    Parameters
    ----------
    domains : mapping of str to Domain
        In the order in which columns are drawn.
    """

    _plain_values = True

    def __init__(self, domains: Mapping[str, Domain]):
        self.domains = dict(domains)

    def fit(self, make: Callable[[], Any], public: pd.DataFrame, sensitive: pd.DataFrame) -> Chain:
        """Fit a backend for each column but the first, whose distribution the caller has.

        Parameters
        ----------
        make : callable
            Returns an unfitted backend.
        public, sensitive : DataFrame of n_support rows
        """
        seen = public.copy(deep=False)
        self.backends_: dict[str, Any] = {}
        for i, (column, domain) in enumerate(self.domains.items()):
            if i:
                self.backends_[column] = make().fit(seen, sensitive[[column]], {column: domain})
            seen[column] = _cells(domain, domain.target(sensitive[column]), seen.index)
        return self

    def draw(
        self,
        public: pd.DataFrame,
        first: Mapping[str, Predictive],
        uniforms: Mapping[str, np.ndarray],
        check: Checked,
    ) -> dict[str, np.ndarray]:
        """Draw each column given the draws before it.

        Parameters
        ----------
        public : DataFrame of shape (n_rows, n_public)
        first : mapping of str to predictive distribution
            Of the first column.
        uniforms : mapping of str to ndarray of shape (n_rows,)
        check : callable
            Returns a backend's distribution of a column if it is one.

        Returns
        -------
        dict of str to ndarray of shape (n_rows,)
            As the domain's ``target`` has them.
        """
        seen, drawn = public.copy(deep=False), {}
        for column, domain in self.domains.items():
            backend = self.backends_.get(column)
            predicted = first if backend is None else backend.predict(seen)
            drawn[column] = check(predicted, column, len(public), backend).sample(uniforms[column])
            seen[column] = _cells(domain, drawn[column].astype(float), seen.index)
        return drawn


def _cells(domain: Domain, target: np.ndarray, index: pd.Index) -> pd.Series:
    """Cells alike, whether they come from support rows or from draws; None or NaN where one is missing."""
    gap = np.isnan(target)
    if domain.task == "regressor":
        return pd.Series(np.where(gap, np.nan, target), index=index)
    # Phrases for backends that read; two categories can have the same.
    said = domain.phrases(0)
    words = np.array([w if said.count(w) == 1 else f"{w} ({i})" for i, w in enumerate(said)], dtype=object)
    return pd.Series(
        np.where(gap, None, words[np.where(gap, 0, target).astype(int)]), index=index, dtype=object
    )
