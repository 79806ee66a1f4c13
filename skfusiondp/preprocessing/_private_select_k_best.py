"""Choosing among sensitive columns by what they say about the public target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from .._parameters import Integer, constraints, store_parameters
from ..exceptions import InvalidInputError
from ..tables._containers import replace_columns
from ..tables._domain import Domain
from ..tables._frames import check_table, is_arrow
from ..tables._targets import read_labels
from ._private_transformer import N_BINS, PrivateTransformer, Release, with_shared_docs


@with_shared_docs
class PrivateSelectKBest(PrivateTransformer):
    """Keep the sensitive columns that say most about the public target, by scores that are paid for.

    A table of counts, bins or categories of a sensitive column by groups of the target, is released with
    noise for all columns at once. Public columns pass as they are. Where there are no more than
    `k` sensitive ones, all are kept, and nothing is read.

    Parameters
    ----------
    {sensitive}
    k : int, default=10
        Number of sensitive columns to keep.
    n_bins : int, default=8
        Bins of a numeric column's interval.
    n_groups : int, default=4
        Groups of a continuous target, by its public quantiles; classes are groups of their own.
    {privacy}

    Attributes
    ----------
    scores_ : dict of str to float
        Released association of each column; empty if nothing was read.
    kept_ : tuple of str
        Sensitive columns that are kept.
    {release}

    Notes
    -----
    A column's score is the sum over bins b and groups g of ``(p_bg - p_b p_g)^2 / p_g``, 0 where column
    and target are independent, with the public share ``p_g`` of each group. Noise raises its square by a
    known amount, which is subtracted, so that scores of wide and narrow columns compare.

    Formal guarantee: a row's group is public, and in the counts of its group each column adds a unit
    vector, or nothing where the cell is missing: as for PrivateQuantileTransformer, two contributions lie
    at most sqrt(2 d) apart, one at most sqrt(d) from that of an erased one, for d columns.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.preprocessing import PrivateSelectKBest
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame(rng.random((4000, 3)), columns=["lab", "useful", "useless"])
    >>> domains = {"useful": Numeric(0, 1), "useless": Numeric(0, 1)}
    >>> selector = PrivateSelectKBest(domains, k=1, random_state=0)
    >>> selector.fit(table, table["useful"] > 0.5).kept_
    ('useful',)
    >>> selector.get_feature_names_out().tolist()
    ['lab', 'useful']
    """

    _plain_values = True

    _diameter, _reach = 2.0**0.5, 1.0

    _constraints = constraints(
        PrivateTransformer._constraints, k=Integer(0), n_bins=N_BINS, n_groups=Integer(2)
    )

    def __init__(
        self,
        sensitive: Any = None,
        *,
        k: int = 10,
        n_bins: int = 8,
        n_groups: int = 4,
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

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> PrivateSelectKBest:
        """Release the columns' association with the target, with noise, and choose.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            Classes or numbers, public.
        groups : array-like of shape (n_rows,), optional
            Whose row it is, public, in place of the parameter `groups`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            As for the other transformers, and if `y` is missing or has several columns.
        """
        self._require_target(y)
        super().fit(X, y, groups)
        return self

    def _strata(self, y: Any, n_rows: int) -> np.ndarray:
        return _groups(y, n_rows, int(self.n_groups))

    def _columns_to_read(self, domains: Mapping[str, Domain | None]) -> tuple[str, ...]:
        return tuple(domains) if len(domains) > self.k or "?" in domains else ()

    def _share(self, cells: pd.Series, column: str, strata: np.ndarray | None) -> np.ndarray:
        assert strata is not None
        codes = self.schema_.domains[column].bins(cells, self.n_bins)
        n_groups = int(strata.max()) + 1
        counts = np.bincount(codes * n_groups + strata, minlength=(self._width(column) + 1) * n_groups)
        return counts[:-n_groups]  # without the missing cells, by bin and group

    def _width(self, column: str) -> int:
        return self.schema_.domains[column].n_bins(self.n_bins)

    def _learn(self, released: np.ndarray, job: Release) -> None:
        self.scores_: dict[str, float] = {}
        share = np.bincount(np.asarray(job.strata)) / job.n_rows
        std = 0.0 if self.plan_ is None else self.plan_.tiers[0].noise_std
        start = 0
        for column in job.columns:
            size = self._width(column) * len(share)
            counts = released[start : start + size].reshape(-1, len(share))
            start += size
            self.scores_[column] = association(counts, share, std) / self.n_rows_**2
        kept = sorted(job.columns, key=lambda c: -self.scores_[c])[: self.k]
        sensitive = self.schema_.sensitive
        self.kept_ = tuple(c for c in sensitive if c in kept) if job.columns else sensitive

    def transform(self, X: Any) -> Any:
        """Leave out the sensitive columns that were not chosen.

        Parameters
        ----------
        X : table of shape (n_rows, n_columns)

        Returns
        -------
        table of shape (n_rows, n_public + n_kept)
            Of the kind given, or that ``set_output`` asks for.
        """
        check_is_fitted(self, "kept_")
        frame = check_table(self, X, reset=False, optional=self._may_be_absent)
        kept = [c for c in frame.columns if self._stays(c)]
        if hasattr(X, "columns"):
            positions = [frame.columns.get_loc(c) for c in kept]
            if is_arrow(X):
                return self._contain(X.select(positions))
            return self._contain(_safe_indexing(X, positions, axis=1))
        return self._contain(replace_columns(X, frame[kept], frame[[]], kept))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that are kept.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only None, or the columns seen in ``fit``.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "kept_")
        names = super().get_feature_names_out(input_features)
        stay = [self._stays(c) for c in self.schema_.columns]
        return names[np.array(stay, dtype=bool)]

    def _stays(self, column: str) -> bool:
        return column in self.kept_ or column not in self.schema_.domains

    @property
    def domains_(self) -> dict[str, Domain]:
        """Domain of each sensitive column that is kept."""
        check_is_fitted(self, "kept_")
        return {c: self.schema_.domains[c] for c in self.kept_}

    def _public_facts(self) -> list[str]:
        return [*super()._public_facts(), "the target"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def association(counts: np.ndarray, share: np.ndarray, std: float) -> float:
    """Unbiased estimate of the squared dependence of bins on groups, times n squared.

    `counts`, of shape (n_bins, n_groups), have independent noise of standard deviation `std`; `share` is the
    public share of each group.
    """
    # Linear in the counts, so that what the noise adds to the square is known exactly.
    centre = (np.eye(len(share)) - np.outer(np.ones(len(share)), share)) / np.sqrt(share)
    noise = std**2 * len(counts) * float(np.sum(centre**2))
    return float(np.sum((counts @ centre) ** 2)) - noise


def _groups(y: Any, n_rows: int, n_groups: int) -> np.ndarray:
    y, kind = read_labels(y, n_rows, numbers=True)
    if y.ndim > 1:
        raise InvalidInputError(f"y has {y.shape[1]} columns; choose columns for one target at a time.")
    if kind == "continuous":
        edges = np.unique(np.quantile(np.asarray(y, dtype=float), np.linspace(0, 1, n_groups + 1)[1:-1]))
        y = np.searchsorted(edges, np.asarray(y, dtype=float))
    return np.unique(y, return_inverse=True)[1]
