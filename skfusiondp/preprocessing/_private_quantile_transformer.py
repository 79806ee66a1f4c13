"""Quantiles of sensitive columns, from noised histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.isotonic import isotonic_regression

from .._parameters import OneOf, constraints, store_parameters
from ..tables._numeric import Numeric
from ..tables._ordered import Ordered
from ._private_transformer import N_BINS, PrivateTransformer, Release, with_shared_docs

# Normal output is cut off at this share of either tail.
_TAIL = 1e-4


@with_shared_docs
class PrivateQuantileTransformer(PrivateTransformer):
    """Bring sensitive numbers to a uniform or normal distribution, by quantiles that are paid for.

    Counts of the cells in equally wide bins of each declared interval are released with noise, all
    columns at once; their running sum, made monotone, is the distribution function. Public columns pass
    as they are, and so do sensitive categories, which are not read.

    Parameters
    ----------
    {sensitive}
    n_bins : int, default=64
        Bins of each interval.
    output : {"uniform", "normal"}, default="uniform"
        Distribution of the transformed cells: on [0, 1], or normal and cut off at 3.72.
    {privacy}

    Attributes
    ----------
    edges_ : dict of str to ndarray of shape (n_bins + 1,)
        Edges of each column's bins.
    cdf_ : dict of str to ndarray of shape (n_bins + 1,)
        Released distribution function at the edges.
    {release}

    Notes
    -----
    Formal guarantee: a row adds to each column's counts a unit vector, or nothing where the cell is
    missing, so two contributions lie at most sqrt(2) apart and one at most 1 from that of an erased
    cell; with d columns, sqrt(2 d) and sqrt(d). The noise multiplier is that of half the first
    ("replace") or of the second ("zero-out"). The number of missing cells is part of what is noised.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.preprocessing import PrivateQuantileTransformer
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"lab": rng.normal(size=5000), "income": rng.exponential(20, 5000)})
    >>> ranks = PrivateQuantileTransformer({"income": Numeric(0, 200)}, random_state=0).fit(table)
    >>> bool(abs(np.median(ranks.transform(table)["income"]) - 0.5) < 0.05)
    True
    >>> ranks.domains_
    {'income': Numeric(low=0.0, high=1.0)}
    """

    _plain_values = True

    _needs = Ordered
    _diameter, _reach = 2.0**0.5, 1.0

    _constraints = constraints(
        PrivateTransformer._constraints, n_bins=N_BINS, output=OneOf(("uniform", "normal"))
    )

    def __init__(
        self,
        sensitive: Any = None,
        *,
        n_bins: int = 64,
        output: str = "uniform",
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
        codes = domain.bins(cells, self.n_bins)
        return np.bincount(codes, minlength=self.n_bins + 1)[: self.n_bins]

    def _learn(self, released: np.ndarray, job: Release) -> None:
        self.edges_, self.cdf_ = {}, {}
        for column, counts in zip(job.columns, released.reshape(len(job.columns), self.n_bins), strict=True):
            low, high = self._domain(column).span
            self.edges_[column] = np.linspace(low, high, self.n_bins + 1)
            self.cdf_[column] = _distribution(counts)

    def _transformed(self, cells: pd.Series, column: str) -> np.ndarray:
        domain = self._domain(column)
        share = np.interp(domain.clean(cells), self.edges_[column], self.cdf_[column])
        return share if self.output == "uniform" else ndtri(np.clip(share, _TAIL, 1 - _TAIL))

    def _new_domain(self, column: str) -> Numeric:
        limit = float(ndtri(1 - _TAIL))
        return Numeric(0.0, 1.0) if self.output == "uniform" else Numeric(-limit, limit)


def _distribution(counts: np.ndarray) -> np.ndarray:
    """Monotone distribution function, from 0 to 1, closest to the running sum of noised counts."""
    running = isotonic_regression(np.concatenate([[0.0], np.cumsum(counts)]))
    reach = running[-1] - running[0]
    if reach <= 0:  # nothing but noise: the declared interval is all that is known
        return np.linspace(0.0, 1.0, len(running))
    return np.clip((running - running[0]) / reach, 0.0, 1.0)
