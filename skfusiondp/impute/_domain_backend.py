"""The backend that uses the domains alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .._parameters import constraints
from ..tables._domain import Domain
from ._backend import Predictive
from ._configurable import Configurable
from ._heads import UniformHead


class DomainBackend(Configurable):
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

    _constraints = constraints()
    needs_support = False

    def fit(
        self, public_support: pd.DataFrame, sensitive_support: pd.DataFrame, domains: Mapping[str, Domain]
    ) -> DomainBackend:
        """Store the domains; see `Backend.fit`. No cell is read."""
        self.heads_ = {column: UniformHead(domain) for column, domain in domains.items()}
        return self

    def predict(self, public: pd.DataFrame) -> dict[str, Predictive]:
        """Return uniform distributions; see `Backend.predict`."""
        features = np.empty((len(public), 0))
        return {column: head.predict(features) for column, head in self.heads_.items()}
