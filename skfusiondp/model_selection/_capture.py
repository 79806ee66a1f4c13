"""Run an estimator's ``fit`` up to its training, and hand over the net in place of training it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from ..tables._paired_table import PairedTable

# What an estimator must have for its training to be taken over.
_HOOKS = ("_table", "_training_rows", "_fit_net", "_pay")


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
        self.table, self.schema, self.imputer = probe._table(X)
        self.names = {k: v for k, v in vars(probe).items() if k not in before}
        self.usable = not self.schema.leaks and hasattr(self.table, "iloc")
        self._hybrid: PairedTable | None = None
        self._paired = X if isinstance(X, PairedTable) else None

    def cut(self, rows: Any) -> tuple:
        """What ``_table`` gives for some rows, by position."""
        imputer = None if self.imputer is None else CutImputer(self, rows)
        return self.table.iloc[rows].reset_index(drop=True), self.schema, imputer

    def hybrid(self, rows: Any) -> PairedTable:
        """Both views of some rows; the table is imputed at the first call, and only then."""
        assert self.imputer is not None
        if self._hybrid is None:
            self._hybrid = self.imputer._pair(self.table)
        return self._hybrid[rows]


class CutImputer:
    """Stand in for a fitted imputer while a fold is prepared: its pairs are cut from the shared one."""

    def __init__(self, shared: SharedTable, rows: Any):
        self.fitted = shared.imputer
        self._shared = shared
        self._rows = rows

    def _pair(self, frame: Any, *positions: Any) -> PairedTable:
        # Draws go by a row's position in its table, so they cannot be cut from a larger table's.
        if self.fitted.strategy == "sample":
            return self.fitted._pair(frame, *positions)
        return self._shared.hybrid(self._rows)


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
        def _table(self, X: Any) -> tuple:
            if shared is None:
                return super()._table(X)
            self.__dict__.update(shared.names)
            return shared.cut(fold.rows)

        def _spending(self, *args: Any) -> Any:
            return nullcontext(lambda spent: None)  # what is stacked has no budget of its own

        def _warn_outside(self, table: Any) -> None:
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
