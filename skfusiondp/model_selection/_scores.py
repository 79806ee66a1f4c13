"""Scores of a trial that a search may look at: free ones, and one that is paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring

from .._exceptions import InvalidInputError
from .._paired import PairedTable
from .._tables import as_frame, is_frame
from ..privacy._release import UNIT, in_units, noise_std_in_units, release
from ._trials import steps_of

ROW_SCORES = ("accuracy", "log-loss", "squared-error")
# A row's log loss counts up to this; beyond it a prediction is simply wrong.
_WORST = 5.0


def free_score(model: Any, X: Any, y: Any, scoring: Any) -> float:
    """Score on rows whose sensitive cells are public or imputed; NaN ranks last."""
    score = float(check_scoring(model, scoring)(model, X, y))
    return score if np.isfinite(score) else -np.inf


def hybrid_score(model: Any, X: Any, y: Any, scoring: Any) -> float:
    """Score on the hybrid view of held-out rows: their true sensitive cells are not read.

    Raises
    ------
    InvalidInputError
        If the model has no imputer of its own, or its sensitive columns cannot be told apart.
    """
    if isinstance(X, PairedTable):
        return free_score(model, PairedTable(X.hybrid, X.hybrid, X.schema, X.expected), y, scoring)
    steps = steps_of(model)
    final = steps[-1]
    imputer = getattr(final, "imputer_", None)
    if imputer is None:
        raise InvalidInputError(f"validation='hybrid' needs {type(final).__name__} to have an imputer.")
    frame = as_frame(X)
    schemas = [s.schema_ for s in steps if hasattr(s, "schema_")]
    sensitive = {c for s in schemas for c in s.sensitive}
    if unknown := sensitive - set(frame.columns):
        raise InvalidInputError(
            f"validation='hybrid' cannot find the sensitive column(s) {sorted(unknown)} in the table: a step "
            "before renames them. Let it keep names, or use validation='private' or public rows."
        )
    # A step before must not mix true cells into other columns.
    blank: Any = frame.assign(**{c: np.full(len(frame), np.nan) for c in sensitive})
    if not is_frame(X):
        blank = blank.to_numpy()
    if len(steps) > 1:
        blank = model[:-1].transform(blank)
    hybrid: Any = imputer._pair(as_frame(blank)).hybrid
    if not is_frame(blank):
        hybrid = hybrid.to_numpy()
    elif isinstance(blank, pd.DataFrame):
        hybrid = hybrid.set_axis(blank.columns, axis=1)
    return free_score(final, hybrid, y, scoring)


def paid_score(model: Any, X: Any, y: Any, scoring: Any, sigma: float, adjacency: str, seed: Any) -> float:
    """Noised mean over held-out rows of a score in [0, 1], read from their true sensitive cells.

    Notes
    -----
    Formal guarantee: the model given, a row adds one number in [0, 1] to the sum, so two tables' sums
    differ by at most 1: the Gaussian mechanism with clipping norm 1/2 under "replace", whose pair lies
    two norms apart, and 1 under "zero-out".
    """
    scores = np.nan_to_num(row_scores(scoring, model)(model, X, y), nan=0.0, posinf=1.0, neginf=0.0)
    total = in_units(np.clip(scores, 0.0, 1.0)).sum(keepdims=True)
    norm = 0.5 if adjacency == "replace" else 1.0
    noised = release(total, noise_std_in_units(sigma, norm, UNIT), seed)[0] * UNIT
    return float(noised) / len(scores)


def row_scores(scoring: Any, model: Any) -> Callable:
    """Function of (model, X, y) that gives each row a score in [0, 1]; the larger, the better."""
    if callable(scoring):
        return lambda m, X, y: _one_a_row(scoring(m, X, y), y)
    name = ("squared-error" if is_regressor(model) else "accuracy") if scoring is None else scoring
    functions = dict(zip(ROW_SCORES, (_accuracy, _log_loss, _squared_error), strict=True))
    if not isinstance(name, str) or name not in functions:
        raise InvalidInputError(
            f"scoring={scoring!r} with validation='private' must be one of {', '.join(ROW_SCORES)}, or a "
            "function of (estimator, X, y) that gives each row a number in [0, 1]: the noise is in "
            "proportion to what one row can change."
        )
    return functions[name]


def _accuracy(model: Any, X: Any, y: Any) -> np.ndarray:
    return (model.predict(X) == np.asarray(y)).astype(float)


def _log_loss(model: Any, X: Any, y: Any) -> np.ndarray:
    known = {c: i for i, c in enumerate(np.asarray(model.classes_).tolist())}
    column = np.array([known.get(v, -1) for v in np.asarray(y).tolist()])
    p = model.predict_proba(X)[np.arange(len(column)), column] * (column >= 0)
    return 1 + np.log(np.maximum(p, np.exp(-_WORST))) / _WORST


def _squared_error(model: Any, X: Any, y: Any) -> np.ndarray:
    # The target is public, and so is its spread.
    y = np.asarray(y, dtype=float).reshape(len(y), -1)
    error = (model.predict(X).reshape(y.shape) - y) ** 2 / np.maximum(y.var(axis=0), 1e-300)
    return 1 - np.minimum(error.mean(axis=1), 1.0)


def _one_a_row(scores: Any, y: Any) -> np.ndarray:
    scores = np.asarray(scores, dtype=float)
    if scores.shape != (len(y),):
        raise InvalidInputError(
            f"scoring gave an array of shape {scores.shape} for {len(y)} rows; it must give one number a row."
        )
    return scores
