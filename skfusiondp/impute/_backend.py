"""What a backend is, and the predictive distribution that it returns for a column."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from ..exceptions import InvalidInputError, MissingDependencyError
from ..tables._domain import Domain


@dataclass(frozen=True, eq=False)
class NumericPredictive:
    """Predictive distribution of a numeric column, one a row.

    Parameters
    ----------
    mean : ndarray of shape (n_rows,)
        Predictive mean, in the column's unit.
    atoms : ndarray of shape (n_atoms,) or (n_rows, n_atoms), optional
        Possible values, ascending along the last axis. None: only the mean is known.
    probabilities : ndarray of shape (n_atoms,) or (n_rows, n_atoms), optional
        Weight of each atom, up to a factor. None: all atoms weigh the same.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.impute import NumericPredictive
    >>> coin = NumericPredictive(np.array([0.75]), np.array([0.0, 1.0]), np.array([[1.0, 3.0]]))
    >>> coin.median().tolist(), coin.sample(np.array([0.1])).tolist()
    ([1.0], [0.0])
    """

    mean: np.ndarray
    atoms: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def choose(self, strategy: str, uniforms: np.ndarray) -> np.ndarray:
        """Return one value a row: the "mean", the "median" or a "sample", drawn by uniform numbers."""
        if strategy == "mean":
            return np.asarray(self.mean, dtype=float)
        return self.median() if strategy == "median" else self.sample(uniforms)

    def median(self) -> np.ndarray:
        """Return the predictive median, or the mean where that is all there is."""
        if self.atoms is None:
            return np.asarray(self.mean, dtype=float)
        return self.sample(np.full(len(self.mean), 0.5))

    def sample(self, uniforms: np.ndarray) -> np.ndarray:
        """Map one uniform number a row to one draw a row (the inverse distribution function).

        Parameters
        ----------
        uniforms : ndarray of shape (n_rows,)
            Numbers in [0, 1). Their caller owns the randomness, so draws do not depend on
            how the rows are cut into batches.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        if self.atoms is None:
            raise InvalidInputError(
                "strategy='sample' needs predictive distributions, but the backend gives means alone; use "
                "strategy='mean' or strategy='median', or another backend."
            )
        shape = (len(self.mean), np.shape(self.atoms)[-1])
        weights = np.ones(shape) if self.probabilities is None else self.probabilities
        chosen = _inverse(np.broadcast_to(weights, shape), uniforms)
        return np.broadcast_to(self.atoms, shape)[np.arange(shape[0]), chosen].astype(float)


@dataclass(frozen=True, eq=False)
class CategoricalPredictive:
    """Predictive distribution of a categorical column, one a row.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_categories)
        Weight of each declared category, up to a factor a row.

    Examples
    --------
    >>> import numpy as np
    >>> from skfusiondp.impute import CategoricalPredictive
    >>> guess = CategoricalPredictive(np.array([[0.2, 0.8]]))
    >>> guess.mode().tolist(), guess.sample(np.array([0.1])).tolist()
    ([1], [0])
    """

    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.probabilities)

    def choose(self, strategy: str, uniforms: np.ndarray) -> np.ndarray:
        """Return one position a row: a "sample", or else the most probable one."""
        return self.sample(uniforms) if strategy == "sample" else self.mode()

    def mode(self) -> np.ndarray:
        """Return the most probable category's position, ndarray of shape (n_rows,)."""
        return np.argmax(self.probabilities, axis=1)

    def sample(self, uniforms: np.ndarray) -> np.ndarray:
        """Map one uniform number in [0, 1) a row to one category's position a row."""
        return _inverse(self.probabilities, uniforms)


Predictive = NumericPredictive | CategoricalPredictive
PREDICTIVES = {"regressor": NumericPredictive, "classifier": CategoricalPredictive}
"""What a backend returns for a column, by the task of its domain."""


@runtime_checkable
class Backend(Protocol):
    """What `FoundationImputer` asks of a backend.

    A backend sees support rows and public columns, never a sensitive training cell: that is
    what makes the hybrid view free. Derive it from `sklearn.base.BaseEstimator`, so that the
    imputer can clone it and a search can reach its parameters as ``backend__name``.
    """

    needs_support: bool
    """Whether it knows nothing without support rows."""

    def fit(
        self,
        public_support: pd.DataFrame,
        sensitive_support: pd.DataFrame,
        domains: Mapping[str, Domain],
    ) -> Backend:
        """Learn from the support rows.

        Parameters
        ----------
        public_support : DataFrame of shape (n_support, n_public)
            May have no rows (a zero-shot fit) or no columns.
        sensitive_support : DataFrame of shape (n_support, n_sensitive)
            Raw cells: ``domain.target`` turns them into numbers, or positions of categories.
        domains : mapping of str to Domain
            Public domain of each sensitive column.
        """
        ...

    def predict(self, public: pd.DataFrame) -> Mapping[str, Predictive]:
        """Return the predictive distribution of each sensitive column, row by row.

        A row's distribution must not depend on the other rows: rows come in batches.
        """
        ...


def needed(package: str, backend: str, install: str) -> Any:
    """Import an optional package, or say how to install it.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingDependencyError(
            f"backend={backend!r} needs {package.replace('_', '-')}; install it with: pip install {install}"
        ) from None


def _inverse(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """First position whose cumulative share exceeds the uniform number; never one of weight 0."""
    cumulative = np.cumsum(weights, axis=1)
    cumulative = cumulative / cumulative[:, -1:]
    return np.argmax(cumulative > uniforms[:, None], axis=1)
