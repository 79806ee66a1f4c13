"""TabICL, a tabular foundation model that learns in context from the support rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._random_state import seed_of
from ..exceptions import MissingDependencyError
from ._backend import needed
from ._in_context import QUANTILE_LEVELS, InContextBackend


class TabICLBackend(InContextBackend):
    """Impute with TabICL (package tabicl 2, optional).

    Parameters
    ----------
    model_path : path or {"classifier": path, "regressor": path}, default=None (the local Hugging Face cache)
        Weights on this machine; categories need the classifier's, numbers the regressor's. Nothing is
        downloaded.
    options : mapping, default=None (none)
        Further arguments of ``TabICLClassifier`` and ``TabICLRegressor``, as
        ``{"n_estimators": 4, "device": "cuda"}``.
    random_state : int, RandomState or Generator, default=None (a new one each fit)
        Seed of TabICL's ensemble.

    Raises
    ------
    MissingDependencyError
        In `fit`, if the package or the weights are absent.

    Notes
    -----
    The pickle holds the support rows, which TabICL reads at every prediction, and the path of
    the weights rather than the weights.

    References
    ----------
    J. Qu et al., "TabICL: A Tabular Foundation Model for In-Context Learning on Large Data",
    arXiv:2502.05564.

    Examples
    --------
    >>> from skfusiondp.impute import TabICLBackend
    >>> TabICLBackend({"classifier": "c.ckpt", "regressor": "r.ckpt"}, options={"n_estimators": 4})
    TabICLBackend(model_path={'classifier': 'c.ckpt', 'regressor': 'r.ckpt'},
                  options={'n_estimators': 4})
    """

    def fit(self, public_support: Any, sensitive_support: Any, domains: Any) -> TabICLBackend:
        """Hand the support rows to TabICL; see `Backend.fit`."""
        try:
            super().fit(public_support, sensitive_support, domains)
        except ValueError as error:
            # TabICL's own message about its cache names a switch that this backend keeps off.
            if "automatic download is disabled" not in str(error):
                raise
            raise MissingDependencyError(
                "backend='tabicl' finds no weights on this machine and downloads none; pass "
                "TabICLBackend(model_path={'classifier': path, 'regressor': path})."
            ) from error
        return self

    def _make_model(self, task: str) -> Any:
        tabicl = needed("tabicl", "tabicl", "'skfusiondp[tabicl]'")
        kind = {"classifier": "TabICLClassifier", "regressor": "TabICLRegressor"}[task]
        settings = {"random_state": seed_of(self.random_state), **(self.options or {})}
        return getattr(tabicl, kind)(**settings, model_path=self._checkpoint(task), allow_auto_download=False)

    @staticmethod
    def _quantiles(model: Any, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        said = model.predict(features, output_type=["mean", "quantiles"], alphas=list(QUANTILE_LEVELS))
        return said["mean"], said["quantiles"]
