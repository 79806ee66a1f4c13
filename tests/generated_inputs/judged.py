"""One fit of a generated input, judged: what every fit must keep to, be it refused or not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from skfusiondp import PrivacyBudget
from skfusiondp.exceptions import (
    DataHolderWarning,
    PrivacyLeakWarning,
    TrainingDivergedError,
    WeakPrivacyWarning,
)

from .outcomes import finite, refused, snapshot
from .tables import length

# Warnings that say something to whoever fits; all others come from inside.
TOLD = (DataHolderWarning, PrivacyLeakWarning, WeakPrivacyWarning, ConvergenceWarning, DataConversionWarning)


class Fault(AssertionError):
    """An input that was neither refused in words nor dealt with."""


def judged(model: Any, X: Any, y: Any, said: Any = "", **given: Any) -> str:
    """Fit and use a model; "works", or "refused"; a `Fault` if the fit keeps to neither, with what is `said`.

    A refused fit pays nothing, and leaves no model; one that diverged may have paid. One that works gives
    finite predictions, and has paid what it planned. No fit changes what it was given, nor warns of what
    happens inside it.
    """
    try:
        return _judged(model, X, y, **given)
    except Fault as fault:
        raise Fault(f"{fault} [{type(model).__name__}; {said}]") from fault.__cause__


def _judged(model: Any, X: Any, y: Any, **given: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no fit may be refused for what it costs
        budget = PrivacyBudget(1e9, 0.9)
    model.set_params(budget=budget)
    parameters = {k: v for k, v in model.get_params(deep=False).items() if k not in ("budget", "sensitive")}
    before = [snapshot(v) for v in (X, y, given, parameters)]
    try:
        quietly(model.fit, X, y, **given)
        outcome = "works"
    except Exception as error:
        if not refused(error):
            paid = " after payment" if len(budget.ledger) else ""
            raise Fault(f"fit{paid}: {type(error).__name__}: {error}") from error
        outcome = "refused"
        _check_refused(model, budget, error)
    after = [snapshot(v) for v in (X, y, given, parameters)]
    for name, one, other in zip(("X", "y", "an argument of fit", "a parameter"), before, after, strict=True):
        if one != other:
            raise Fault(f"changed: {name}")
    if outcome == "works":
        _check_fitted(model, budget, X)
    return outcome


def quietly(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call something, of which only warnings that are meant for the user may come."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args, **kwargs)
    for warning in caught:
        # Files that another fit left open are closed whenever Python collects them, which may be now.
        for_users = issubclass(warning.category, (*TOLD, ResourceWarning))
        # A layer of torch that the user took and torch would rather they did not.
        for_users |= "torch/nn/utils/weight_norm" in warning.filename.replace("\\", "/")
        # A warning that is meant for users points at their line.
        for_users |= warning.category is UserWarning and "/skfusiondp/" not in warning.filename
        if not for_users:
            raise Fault(
                f"warning from inside: {warning.category.__name__} at {warning.filename}:{warning.lineno}: "
                f"{warning.message}"
            )
    return result


def _check_refused(model: Any, budget: PrivacyBudget, error: Exception) -> None:
    paid = len(budget.ledger) or len(getattr(model, "ledger_", ()))
    if paid and not isinstance(error, TrainingDivergedError):
        raise Fault(f"paid, then refused: {error}") from error
    try:
        check_is_fitted(model)
    except NotFittedError:
        return
    raise Fault(f"refused, and yet fitted: {error}") from error


def _check_fitted(model: Any, budget: PrivacyBudget, X: Any) -> None:
    ledger = model.ledger_
    if budget.ledger.entries != ledger.entries:
        raise Fault(f"the budget was charged {budget.ledger}, the ledger says {ledger}")
    planned = model.planned_ledger(length(X), model.rows_per_unit_)
    if list(map(_unordered, ledger)) != list(map(_unordered, planned)):
        raise Fault(f"planned {planned}, paid {ledger}")
    try:
        predictions = predicted(model, X)
    except Exception as error:
        raise Fault(f"fitted, but its own table: {type(error).__name__}: {error}") from error
    if len(predictions) != length(X):
        raise Fault(f"{len(predictions)} predictions for {length(X)} rows")
    # What a transformer gives back holds the table's missing cells.
    if hasattr(model, "predict") and not finite(predictions):
        raise Fault("predictions that are not finite")


def _unordered(entry: Any) -> dict:
    # A column that `sensitive` states by its position has a name of its own only in the table.
    return {**vars(entry), "protects": len(entry.protects)}


def predicted(model: Any, X: Any) -> np.ndarray:
    """Numbers that a model predicts: probabilities, where it has them."""
    if not hasattr(model, "predict"):
        return np.asarray(quietly(model.transform, X))
    method = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    quietly(model.predict, X)
    result = quietly(method, X)
    return np.column_stack(result) if isinstance(result, list) else np.asarray(result)


def same(one: Any, other: Any) -> bool:
    """Whether two sets of predictions are alike, up to the rounding of other types of numbers."""
    return one.shape == other.shape and bool(
        pd.api.types.is_numeric_dtype(one.dtype) and np.allclose(one, other, rtol=1e-4, atol=1e-5)
    )
