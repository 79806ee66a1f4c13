"""Mean and standard deviation of sensitive columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._parameters import Real, constraints, store_parameters
from ..privacy._release import UNIT
from ..tables._numeric import Numeric
from ..tables._ordered import Ordered
from ._private_transformer import PrivateTransformer, Release, with_shared_docs

# A cell's position in its interval is rounded to this, so that its square is whole in units of UNIT.
_STEP = 2.0**-15
# A column's standard deviation is taken to be at least this share of half its interval.
_LEAST = 0.01


@with_shared_docs
class PrivateStandardScaler(PrivateTransformer):
    """Standardise sensitive numbers by a mean and a standard deviation that are paid for.

    The number of present cells, their sum and their sum of squares, scaled to [-1, 1] by the declared
    interval, are released with noise, all columns at once. Public columns pass as they are, and so do
    sensitive categories, which are not read.

    Parameters
    ----------
    {sensitive}
    limit : float, default=5.0
        Standardised cells are cut off here, so that their domain is known before the fit.
    {privacy}

    Attributes
    ----------
    mean_, scale_ : dict of str to float
        Released mean and standard deviation of each column, in its own unit.
    {release}

    Notes
    -----
    Formal guarantee: for a cell at position t in [-1, 1] of its interval a row adds (1, t, t^2), for a
    missing one (0, 0, 0). Two present cells lie ``|t - s| sqrt(1 + (t + s)^2) <= 2`` apart: with
    ``a = |t - s|`` in [0, 2] and ``|t + s| <= 2 - a``, the square ``a^2 (1 + (2 - a)^2)`` is largest,
    4, at a = 2. A present and a missing one lie at most sqrt(3) apart. So d columns have diameter
    2 sqrt(d), and one row lies within sqrt(3 d) of an erased one.

    Positions are rounded to multiples of 2**-15 first, which keeps them in [-1, 1] and all sums whole.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.preprocessing import PrivateStandardScaler
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"lab": rng.normal(size=5000), "age": rng.normal(60, 10, 5000)})
    >>> scaler = PrivateStandardScaler({"age": Numeric(0, 120)}, random_state=0).fit(table)
    >>> bool(abs(scaler.mean_["age"] - 60) < 1), bool(abs(scaler.scale_["age"] - 10) < 3)
    (True, True)
    """

    _plain_values = True

    _needs = Ordered
    _diameter, _reach = 2.0, 3.0**0.5
    _unit = UNIT

    _constraints = constraints(PrivateTransformer._constraints, limit=Real(0))

    def __init__(
        self,
        sensitive: Any = None,
        *,
        limit: float = 5.0,
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
        position = _position(domain.clean(cells), domain)
        present = ~np.isnan(position)
        t = np.rint(np.where(present, position, 0.0) / _STEP).astype(np.int64)
        one = round(1 / _STEP)
        return np.array([present.sum() * one * one, (t * one).sum(), (t * t).sum()])

    def _learn(self, released: np.ndarray, job: Release) -> None:
        self.mean_, self.scale_ = {}, {}
        for column, (count, first, second) in zip(job.columns, released.reshape(-1, 3), strict=True):
            domain = self._domain(column)
            count = max(float(count), 1.0)
            mean = float(np.clip(first / count, -1.0, 1.0))
            variance = float(np.clip(second / count - mean**2, _LEAST**2, 1.0))
            centre, half = _halves(domain)
            self.mean_[column] = centre + half * mean
            self.scale_[column] = half * variance**0.5

    def _transformed(self, cells: pd.Series, column: str) -> np.ndarray:
        domain = self._domain(column)
        values = (domain.clean(cells) - self.mean_[column]) / self.scale_[column]
        return np.clip(values, -self.limit, self.limit)

    def _new_domain(self, column: str) -> Numeric:
        return Numeric(-float(self.limit), float(self.limit))


def _position(values: np.ndarray, domain: Ordered) -> np.ndarray:
    """Position of each value between the bounds, from -1 to 1; NaN where it is missing."""
    centre, half = _halves(domain)
    return np.clip((values - centre) / half, -1.0, 1.0)


def _halves(domain: Ordered) -> tuple[float, float]:
    """Centre and half width of an interval."""
    low, high = domain.span
    return low / 2 + high / 2, high / 2 - low / 2
