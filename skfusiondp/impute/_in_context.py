"""What the adapters of tabular foundation models share: weights on disk, one task a column.

These models learn in context: their fitted state is the support rows, which they read again at
every prediction. Pickles of such a backend therefore hold encoded support rows.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._parameters import Satisfies, constraints
from .._random_state import RANDOM_STATE
from ..exceptions import InvalidInputError, MissingDependencyError
from ..tables._domain import Domain
from ._backend import Predictive
from ._categorical_predictive import CategoricalPredictive
from ._columnwise import ColumnwiseBackend
from ._heads import N_ATOMS, Head, class_probabilities
from ._numeric_predictive import NumericPredictive

TASKS = ("classifier", "regressor")

# Middles of equal shares, so that the quantiles at these levels weigh the same.
QUANTILE_LEVELS = [(i + 0.5) / N_ATOMS for i in range(N_ATOMS)]


class InContextBackend(ColumnwiseBackend):
    """Base of the adapters; see `TabICLBackend` and `TabPFNBackend`."""

    _encoding = "ordinal"

    _constraints = constraints(
        model_path=Satisfies(
            lambda p: isinstance(p, str | os.PathLike | Mapping),
            "a path, or a mapping of 'classifier' and 'regressor' to paths",
            none=True,
        ),
        options=Satisfies(lambda o: isinstance(o, Mapping), "a mapping of names to values", none=True),
        random_state=RANDOM_STATE,
    )

    def __init__(
        self, model_path: Any = None, *, options: Mapping[str, Any] | None = None, random_state: Any = None
    ):
        self.model_path = model_path
        self.options = options
        self.random_state = random_state

    def _check(self, domains: Mapping[str, Domain]) -> None:
        # Absent packages and files are reported before anything is computed.
        for task in sorted({domain.task for domain in domains.values()}):
            self._make_model(task)

    def _make_head(self, column: str, domain: Domain) -> Head:
        return InContextHead(self._make_model(domain.task), domain, self._quantiles)

    @abstractmethod
    def _make_model(self, task: str) -> Any:
        """Return the package's unfitted estimator for "classifier" or "regressor"."""

    @staticmethod
    @abstractmethod
    def _quantiles(model: Any, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictive means (n_rows,) and quantiles (n_rows, N_ATOMS)."""

    def _checkpoint(self, task: str) -> str | None:
        """Return the absolute path of a task's weights; None if the user gave none.

        Raises
        ------
        MissingDependencyError
            If there is no such file. The packages would start a download.
        """
        path = self.model_path
        if isinstance(path, Mapping):
            if task not in path:
                raise InvalidInputError(
                    f"model_path={dict(path)!r} has no path for {task!r}; give one for each of "
                    f"{', '.join(map(repr, TASKS))} that the sensitive columns need."
                )
            path = path[task]
        if path is None:
            return None
        if not Path(path).is_file():
            raise MissingDependencyError(
                f"model_path={str(path)!r} is no file, and weights are never downloaded silently; "
                f"give the path of the {task}'s weights."
            )
        # Links are not followed: TabPFN reads the version off the name, and the Hugging Face cache links
        # the official name to a file that is named by its hash.
        return str(Path(path).absolute())


class InContextHead(Head):
    """One column's model; numbers as quantiles, categories as probabilities."""

    def __init__(self, model: Any, domain: Domain, quantiles: Any):
        super().__init__(domain)
        self.model = model
        self.quantiles = quantiles

    def fit(self, features: np.ndarray, target: np.ndarray) -> InContextHead:
        self.model.fit(features, target)
        return self

    def predict(self, features: np.ndarray) -> Predictive:
        if self.domain.task == "classifier":
            return CategoricalPredictive(class_probabilities(self.model, features, self.domain))
        mean, quantiles = self.quantiles(self.model, features)
        # Averages over an ensemble, and networks, let neighbouring quantiles cross.
        return NumericPredictive(np.asarray(mean, dtype=float), np.sort(quantiles, axis=1))
