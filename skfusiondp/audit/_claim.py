"""What an estimator promises, wherever in a pipeline it sits."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.pipeline import Pipeline

from ..accounting._composite_report import Account
from ..accounting._parts import private_parts
from ..exceptions import InvalidInputError


def last_step(estimator: Any) -> Any:
    """The estimator itself, or the last step of a pipeline."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def fitted_part(estimator: Any) -> Any:
    """The part that keeps a ledger.

    Raises
    ------
    InvalidInputError
        If there is none, or it is not fitted.
    """
    part = last_step(estimator)
    missing = [a for a in ("ledger_", "epsilon_", "delta_", "schema_") if not hasattr(part, a)]
    if missing:
        raise InvalidInputError(
            f"{type(part).__name__} has no {', '.join(missing)}, so there is no claim that could be "
            "checked; pass a fitted skfusiondp estimator, or a Pipeline that ends in one."
        )
    return part


def check_predicts(part: Any, attack: str) -> None:
    """Refuse an estimator that predicts no labels, where an attack asks for them."""
    if not any(hasattr(type(part), name) for name in ("predict", "predict_proba")):
        raise InvalidInputError(
            f"{attack} asks a model about labels, which {type(part).__name__} does not predict; "
            "audit a model of its output, such as SynthesizedClassifier with the same parameters."
        )


def promised_epsilon(account: Account, columns: tuple[str, ...]) -> float:
    """Epsilon of the mechanisms that read some of the columns; of all where none is named."""
    if account.unbounded:
        return float("inf")
    # The ledger names columns as the user does.
    named = {*columns, *(account.called.get(c, c) for c in columns)}
    return account.same.epsilon_of_columns(named or account.domains, account.delta)


def unbudgeted(estimator: Any) -> Any:
    """A clone that draws on no shared budget: what an audit fits is not released."""
    model = clone(estimator)
    for part in private_parts(model):
        if getattr(part.spender, "budget", None) is not None:
            part.spender.set_params(budget=None)
    return model


def log_likelihood(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    """Of each row's target, up to constants; of a regressor the negative squared error."""
    if is_regressor(model):
        return -np.square(np.asarray(model.predict(X)).reshape(y.shape) - y).reshape(len(y), -1).sum(1)
    probabilities = np.clip(model.predict_proba(X), 1e-12, 1 - 1e-12)
    if y.ndim == 2:
        return np.where(y == 1, np.log(probabilities), np.log1p(-probabilities)).sum(1)
    return np.log(probabilities[np.arange(len(y)), np.searchsorted(model.classes_, y)])


def stated_sensitive(estimator: Any) -> Any:
    """The ``sensitive=`` of an unfitted estimator, its imputer, or a step before it."""
    steps = [s for _, s in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    for step in reversed(steps):
        for holder in (step, getattr(step, "imputer", None)):
            if isinstance(step, Pipeline):
                stated = stated_sensitive(step)
            else:
                stated = getattr(holder, "sensitive", None)
            if stated is not None:
                return stated
    return None
