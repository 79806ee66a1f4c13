"""TabPFN, a tabular foundation model that learns in context from the support rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .._random_state import seed_of
from ..exceptions import InvalidInputError, MissingDependencyError
from ._backend import needed
from ._in_context import QUANTILE_LEVELS, InContextBackend


class TabPFNBackend(InContextBackend):
    """Impute with TabPFN (package tabpfn, optional), as the FusionDP paper does.

    Parameters
    ----------
    model_path : path or {"classifier": path, "regressor": path}, default=None (refused: choose one)
        Weights on this machine, under their official file names (TabPFN reads the version off
        the name). Categories need a classifier's, numbers a regressor's; from version 3.5 on one file is
        both. Nothing is downloaded.
    options : mapping, default=None (none)
        Further arguments of ``TabPFNClassifier`` and ``TabPFNRegressor``, as
        ``{"n_estimators": 4, "device": "cuda"}``.
    random_state : int, RandomState or Generator, default=None (a new one each fit)
        Seed of TabPFN's ensemble.

    Raises
    ------
    MissingDependencyError
        In `fit`, if the package or the weights are absent.
    InvalidInputError
        In `fit`, if the path is a link that TabPFN would misread.

    Notes
    -----
    Worth it where you have its weights and a GPU, and some hundred to a few thousand support rows: it reads
    them all at every prediction. Elsewhere take ``backend="ensemble"``, which needs neither.
    On a CPU, TabPFN refuses more than 1,000 support rows (weights up to 2.6) or 5,000 (later ones), unless
    ``options`` have ``"ignore_pretraining_limits": True``.
    Weights have licences of their own: version 2 asks for attribution, 2.5 and later are for
    non-commercial use. So none are chosen for you.
    The pickle holds the support rows, which TabPFN reads at every prediction, and the weights.
    Weights of versions 2 and 2.5 take at most ten categories a column.

    References
    ----------
    N. Hollmann et al., "Accurate predictions on small data with a tabular foundation model",
    Nature 637, 2025.

    Examples
    --------
    >>> from skfusiondp.impute import TabPFNBackend
    >>> TabPFNBackend({"regressor": "tabpfn-v2-regressor.ckpt"})
    TabPFNBackend(model_path={'regressor': 'tabpfn-v2-regressor.ckpt'})
    """

    def _make_model(self, task: str) -> Any:
        # Read when the package is imported; a user who wants telemetry can still say "0".
        os.environ.setdefault("TABPFN_DISABLE_TELEMETRY", "1")
        tabpfn = needed("tabpfn", "tabpfn", "'skfusiondp[tabpfn]'")
        path = self._checkpoint(task)
        if path is None:
            raise MissingDependencyError(
                "backend='tabpfn' needs the path of weights, none of which is downloaded; pass "
                "TabPFNBackend(model_path={'classifier': path, 'regressor': path})."
            )
        if path.endswith(".safetensors") and Path(path).resolve().suffix != ".safetensors":
            # So it is in the Hugging Face cache. TabPFN follows links, and reads the format off the ending.
            raise InvalidInputError(
                f"model_path={path!r} is a link to a file whose name does not end in .safetensors, which "
                "TabPFN would read as another format; copy the file (cp -L) and give the copy's path."
            )
        fitted = hasattr(self, "encoder_")
        kind = {"classifier": "TabPFNClassifier", "regressor": "TabPFNRegressor"}[task]
        settings = {
            "random_state": seed_of(self.random_state),
            "categorical_features_indices": self.encoder_.category_positions if fitted else [],
            **(self.options or {}),
        }
        return getattr(tabpfn, kind)(**settings, model_path=path)

    @staticmethod
    def _quantiles(model: Any, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        said = model.predict(features, output_type="main", quantiles=list(QUANTILE_LEVELS))
        return said["mean"], np.column_stack(said["quantiles"])
