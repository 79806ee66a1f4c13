"""The backend that uses the domains alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..tables._domain import Domain
from ._columnwise import ColumnwiseBackend
from ._heads import Head, UniformHead


class DomainBackend(ColumnwiseBackend):
    """Impute the centre of each interval, or categories that are all equally probable.

    It learns from no row, so its hybrid view adds no information to the public columns: the
    baseline for all other backends.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfusiondp import Numeric
    >>> from skfusiondp.impute import DomainBackend
    >>> empty = pd.DataFrame({"age": []})
    >>> backend = DomainBackend().fit(empty[[]], empty, {"age": Numeric(20, 80)})
    >>> backend.predict(pd.DataFrame({"lab": [1.0, 2.0]}))["age"].mean.tolist()
    [50.0, 50.0]
    """

    _plain_values = True

    needs_support = False

    def _fit_features(self, public: pd.DataFrame) -> np.ndarray:
        return self._features(public)

    def _features(self, public: pd.DataFrame) -> np.ndarray:
        return np.empty((len(public), 0))

    def _head_for(self, column: str, domain: Domain, target: np.ndarray, width: int) -> Head:
        return UniformHead(domain)
