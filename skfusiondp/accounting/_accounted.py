"""Which steps account for what they read: this library's own as they are, and what keeps the contract."""

from __future__ import annotations

from typing import Any

from ..privacy import PrivacyLedger

# What a subclass may bring without changing what is read of training cells.
_HARMLESS = {
    *("__init__", "__doc__", "__module__", "__qualname__", "__annotations__", "__repr__", "__dict__"),
    *("__weakref__", "__abstractmethods__", "__firstlineno__", "__static_attributes__", "__sklearn_tags__"),
    "__slotnames__",  # Python keeps it in a class whose objects have been copied
    *("_abc_impl", "_sklearn_auto_wrap_output_keys", "_repr_html_", "_parameter_constraints"),
    *("predict", "predict_proba", "predict_log_proba", "decision_function", "score", "privacy_report"),
}

# Libraries whose pipelines, column transformers and searches do just what their members and parameters say.
COMPOSING = (
    *("sklearn", "imblearn", "skfusiondp", "feature_engine"),
    *("skopt", "optuna", "optuna_integration", "dask_ml"),
)
_FITS = ("fit", "fit_transform", "fit_resample", "fit_predict", "partial_fit", "transform")


def is_ours(estimator: Any) -> bool:
    """Tell whether a class is this library's, or inherits from one that is."""
    return any(map(_of_this_library, type(estimator).__mro__))


def overridden(estimator: Any) -> tuple[str, ...]:
    """What somebody else's subclass (or the object itself) has put in place of this library's methods."""
    return _replaced(estimator, ("skfusiondp",))


def brought_by_others(composite: Any) -> tuple[str, ...]:
    """Methods of a composite that are of no library known to compose: they may read what they are handed."""
    mro = type(composite).__mro__
    fits = {
        n for n in _FITS if (cls := next((c for c in mro if n in vars(c)), None)) and not _of(cls, COMPOSING)
    }
    return tuple(sorted(fits | {*_replaced(composite, COMPOSING)}))


def _replaced(estimator: Any, libraries: tuple[str, ...]) -> tuple[str, ...]:
    mro = type(estimator).__mro__
    own = next((cls for cls in mro if _of(cls, libraries)), object)
    changed = {n for cls in mro[: mro.index(own)] for n in vars(cls) if hasattr(own, n)} - _HARMLESS
    # scikit-learn's wrapper of output containers and metadata requests.
    changed = {n for n in changed if not (n.startswith("set_") and n.endswith("_request"))}
    return tuple(
        sorted(changed | {n for n in vars(estimator) if callable(getattr(type(estimator), n, None))})
    )


def accounts(estimator: Any) -> bool:
    """Tell whether a step states what it spends: this library's, as it is, or one that keeps the contract.

    Somebody else's class has to say so (``_accounts_for_privacy = True``) and to state a cost: a
    ``planned_ledger(n_rows)`` of its own with something in it, or the ``ledger_`` of its fit.
    """
    if is_ours(estimator) and not overridden(estimator):
        return True
    others = [cls for cls in type(estimator).__mro__ if not _of_this_library(cls)]
    if not any(vars(cls).get("_accounts_for_privacy") is True for cls in others):
        return False
    spent = getattr(estimator, "ledger_", None)
    if isinstance(spent, PrivacyLedger) and len(spent):
        return True
    if not any(callable(vars(cls).get("planned_ledger")) for cls in others):
        return False
    try:
        planned = estimator.planned_ledger(1_000)
    except Exception:  # it may need what only a fit tells
        return False
    return isinstance(planned, PrivacyLedger) and len(planned) > 0


def _of_this_library(cls: type) -> bool:
    return _of(cls, ("skfusiondp",))


def _of(cls: type, libraries: tuple[str, ...]) -> bool:
    return cls.__module__.split(".")[0] in libraries
