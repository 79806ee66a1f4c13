"""Run an estimator's ``fit`` up to its training, and hand over the net in place of training it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._random_state import seeded
from .._spender import Begin
from ..tables._paired_table import PairedTable
from ..tables._table import FrameTable

if TYPE_CHECKING:
    from ..estimators.fusion._views import FitTable

# What an estimator must have for its training to be taken over.
_HOOKS = ("_fit_table", "_training_rows", "_fit_net", "_pay")


def can_capture(estimator: Any) -> bool:
    """Tell whether an estimator's training can be taken over."""
    # Whose row it is, the estimator's own fit reads.
    units = getattr(estimator, "groups", None) is not None
    return not units and all(callable(getattr(estimator, name, None)) for name in _HOOKS)


class SharedTable:
    """Schema, imputer and hybrid view of the whole table, which every fold cuts its rows from.

    Parameters
    ----------
    estimator : estimator that ``can_capture``
        Its parameters; the object itself is not changed.
    X : table of shape (n_rows, n_columns), or PairedTable

    Attributes
    ----------
    usable : bool
        False where the schema depends on the rows (domains read off the training cells): every fold
        must then resolve its own.
    """

    def __init__(self, estimator: Any, X: Any):
        probe = _clone(estimator)
        before = set(vars(probe))
        self.whole: FitTable = probe._fit_table(X)
        self.names = {k: v for k, v in vars(probe).items() if k not in before}
        self.usable = not self.whole.schema.leaks and self.whole.table.in_memory
        self._expected: Mapping[str, np.ndarray] | None = None

    def cut(self, rows: Any, X: Any) -> FitTable:
        """What ``_fit_table`` gives for some rows by position, which `X` holds."""
        imputer: Any = None if self.whole.imputer is None else CutImputer(self, rows)
        views = X if isinstance(X, PairedTable) else None
        cut = FrameTable(self.whole.table.take(rows), X if views is None else views.original, views)
        return replace(self.whole, table=cut, imputer=imputer)

    def expected(self, rows: Any) -> dict[str, np.ndarray]:
        """Expected encodings of some rows; the table is imputed at the first call, and only then."""
        assert self.whole.imputer is not None
        if self._expected is None:
            public = self.whole.table.sample(self.whole.schema.public)
            self._expected = self.whole.imputer._expected(public)
        return {c: v[rows] for c, v in self._expected.items()}


class CutImputer:
    """Stand in for a fitted imputer while a fold is prepared: its rows are cut from the shared ones."""

    def __init__(self, shared: SharedTable, rows: Any):
        self.fitted: Any = shared.whole.imputer
        self._shared = shared
        self._rows = rows

    def _expected(self, public: Any, *positions: Any) -> Any:
        # Draws go by a row's position in its table, so they cannot be cut from a larger table's.
        if self.fitted.strategy == "sample":
            return self.fitted._expected(public, *positions)
        return self._shared.expected(self._rows)


class Fold:
    """One training set: its rows by position, and what its models have in common."""

    def __init__(self, X: Any, y: Any, rows: Any):
        self.X = X
        self.y = y
        self.rows = rows
        self.encoded: Any = None


def captured(estimator: Any, fold: Fold, shared: SharedTable | None) -> tuple[Any, Any, Any, Any]:
    """Fit everything but the net's parameters.

    Parameters
    ----------
    estimator : estimator that ``can_capture``
        Unfitted, and fitted in place. What is wrong with its parameters is raised as by ``fit``.
    fold : Fold
        Its rows are encoded at the first call.
    shared : SharedTable or None

    Returns
    -------
    estimator
    net : FusionDPNet
        Prepared by its own code: module initialised, engine and noise generator in place.
    rows : TrainingRows
    random : Tensor
        State of torch's generator when its training would have begun.
    """
    cls = type(estimator)
    caught: dict[str, Any] = {}

    class Capturing(cls):  # type: ignore[misc, valid-type]
        def _fit_table(self, X: Any) -> FitTable:
            if shared is None:
                return super()._fit_table(X)
            self.__dict__.update(shared.names)
            return shared.cut(fold.rows, X)

        def _reserved(self, *args: Any) -> Any:
            self._seeded = seeded(self.random_state)
            return nullcontext(Begin(lambda: None))  # the stack pays for each of its models

        def _tell_holder(self, job: Any) -> None:
            """Nothing has been paid for yet; the search's own refit tells the data holder."""

        def _training_rows(self, *args: Any, **kwargs: Any) -> Any:
            if fold.encoded is None:
                fold.encoded = super()._training_rows(*args, **kwargs)
            return fold.encoded

        def _fit_net(self, net: Any, rows: Any) -> None:
            import torch

            caught.update(net=net, rows=rows, random=torch.get_rng_state())

    # Messages, tags and the ledger name the class that the user knows.
    Capturing.__name__, Capturing.__qualname__ = cls.__name__, cls.__qualname__
    estimator.__class__ = Capturing
    try:
        estimator.fit(fold.X, fold.y)
    finally:
        estimator.__class__ = cls
    if isinstance(estimator.imputer_, CutImputer):
        estimator.imputer_ = estimator.imputer_.fitted
    return estimator, caught["net"], caught["rows"], caught["random"]


def _clone(estimator: Any) -> Any:
    from sklearn.base import clone

    return clone(estimator)
