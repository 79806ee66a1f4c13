"""Shares of the categories of sensitive columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._parameters import OneOf, Real, constraints
from ..tables._categorical import OTHER
from ..tables._domain import Countable, Domain
from ..tables._numeric import Numeric
from ._private_transformer import PrivateTransformer, Release


class PrivateCategories(PrivateTransformer):
    """Merge rare sensitive categories, or encode each by its share; the shares are paid for.

    Counts of the declared categories, and of cells that are none of them, are released with noise, all
    columns at once. Public columns pass as they are, and so do sensitive numbers, which are not read.

    Parameters
    ----------
    sensitive : None, mapping or column selector, default=None
        None protects every column; a mapping gives domains: ``{"age": Numeric(18, 90)}``;
        anything else is what ColumnTransformer takes as columns.
    min_frequency : float, default=0.01
        Categories with a smaller released share of the present cells are merged: their cells become
        ``"(other)"``, which later steps encode as none of the declared categories.
    output : {"categories", "frequencies"}, default="categories"
        Cells that come out: categories, the rare ones merged, or their released shares in [0, 1].
    epsilon : float or None, default=None
        Budget of one fit; None stands for 0.5 unless `noise_multiplier` is given.
    noise_multiplier : float or None, default=None
        Noise standard deviation over the clipping norm, in place of `epsilon`.
    delta : float or None, default=None
        None stands for 1/(10 n).
    adjacency : {"replace", "zero-out"}, default="replace"
        Neighbouring relation. An erased row adds nothing and comes out erased; a missing cell is a value.
    groups : str or None, default=None
        Public column of X that says whose row it is, where a person has several; it passes through, and may
        be absent afterwards. `epsilon` is then that of a unit. Or give ``fit(X, groups=array)``.
    max_rows_per_unit : int or None, default=None
        Rows of a unit that are read: its first ones. None reads all, and pays for as many as the largest has.
    budget : PrivacyBudget, path of its file or None, default=None
        Budget that the fit shares with others, and may not overdraw.
    on_leak : {"warn", "raise", "ignore"}, default="warn"
        What happens when a domain is missing and has to be read off the training cells.
    random_state : int, RandomState, Generator or None, default=None
        None takes secure noise from the operating system, as a release needs.

    Attributes
    ----------
    frequencies_ : dict of str to ndarray of shape (n_categories + 1,)
        Released share of each declared category, and of all others together.
    rare_ : dict of str to list
        Categories that are merged.
    domains_ : dict of str to Domain
        Domain of each sensitive column that comes out, for the ``sensitive=`` of the next step.
    schema_ : SensitiveSchema
        Columns that went in, and the domain of each sensitive one.
    columns_ : tuple of str
        Columns whose cells were read.
    plan_ : PrivatePlan or None
        Noise and clipping norm of the release; None if no column was read.
    epsilon_, delta_ : float
        Cost of everything in `ledger_` under the relation of the last fit.
    unit_ : str
        What says whose row it is; empty where each row is a unit.
    rows_per_unit_ : int
        The most rows of one unit that were read: whose epsilon `epsilon_` is.
    n_rows_ : int
        Rows of the training table.
    ledger_ : PrivacyLedger
        An entry a fit; refits add to it.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_columns,)
        Names of the columns seen in ``fit``, if they have any.

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
        self.sensitive = sensitive
        self.min_frequency = min_frequency
        self.output = output
        self.epsilon = epsilon
        self.noise_multiplier = noise_multiplier
        self.delta = delta
        self.adjacency = adjacency
        self.groups = groups
        self.max_rows_per_unit = max_rows_per_unit
        self.budget = budget
        self.on_leak = on_leak
        self.random_state = random_state

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
        merged = cells.astype(object).to_numpy(copy=True)
        merged[np.isin(codes, [domain.categories.index(c) for c in self.rare_[column]])] = OTHER
        return pd.Series(merged, index=cells.index, dtype=object)

    def _new_domain(self, column: str) -> Domain:
        return Numeric(0.0, 1.0) if self.output == "frequencies" else self.schema_.domains[column]
