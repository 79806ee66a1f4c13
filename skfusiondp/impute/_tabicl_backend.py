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
    Worth it where you have its weights and a GPU, and some hundred to a few thousand support rows: it reads
    them all at every prediction. Elsewhere take ``backend="ensemble"``, which needs neither.
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

    def _make_model(self, task: str) -> Any:
        tabicl = needed("tabicl", "tabicl", "'skfusiondp[tabicl]'")
        kind = {"classifier": "TabICLClassifier", "regressor": "TabICLRegressor"}[task]
        settings = {"random_state": seed_of(self.random_state), **(self.options or {})}
        model = getattr(tabicl, kind)(
            **settings, model_path=self._checkpoint(task), allow_auto_download=False
        )
        if model.model_path is None:
            model.model_path = self._cached(model.checkpoint_version)
        return model

    @staticmethod
    def _cached(name: str) -> str:
        """Return the path of weights in the local Hugging Face cache.

        TabICL's own search there asks huggingface.co for a list of known agents (huggingface-hub 2), and its
        message about absent weights names a switch that this backend keeps off.
        """
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache("jingang/TabICL", name)
        if not isinstance(path, str):
            raise MissingDependencyError(
                f"backend='tabicl' finds no weights on this machine ({name!r} in the Hugging Face cache) and "
                "downloads none; pass TabICLBackend(model_path={'classifier': path, 'regressor': path})."
            )
        return path

    @staticmethod
    def _quantiles(model: Any, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        said = model.predict(features, output_type=["mean", "quantiles"], alphas=list(QUANTILE_LEVELS))
        return said["mean"], said["quantiles"]
