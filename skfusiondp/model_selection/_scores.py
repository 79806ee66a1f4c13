"""Scores of a trial that a search may look at: free ones, and one that is paid for."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from ..accounting._step_outputs import does_nothing, keeps_places
from ..exceptions import InvalidInputError
from ..privacy import relation
from ..privacy._random_bits import RandomBits
from ..privacy._release import UNIT, SumNoise, in_units
from ..tables._frames import as_frame, is_frame, is_polars
from ..tables._paired_table import PairedTable
from ._trials import steps_of

ROW_SCORES = ("accuracy", "log-loss", "squared-error")
# A row's log loss counts up to this; beyond it a prediction is simply wrong.
_WORST = 5.0


def free_score(model: Any, X: Any, y: Any, scoring: Any) -> float:
    """Score on rows whose sensitive cells are public or imputed; NaN ranks last."""
    # A scorer of the user's own may keep something from call to call.
    score = float(check_scoring(model, copy.deepcopy(scoring))(model, X, y))
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
    frame = as_frame(X)
    schemas = [s.schema_ for s in steps if hasattr(s, "schema_")]
    sensitive = {s.name(c) for s in schemas for c in s.sensitive}
    check_hybrid(model, X)
    if unknown := sensitive - set(frame.columns):
        raise InvalidInputError(
            f"validation='hybrid' cannot find the sensitive column(s) {sorted(unknown)} in the table: a step "
            "before renames them. Let it keep names, or use validation='private' or public rows."
        )
    # A step before must not mix true cells into other columns; nor may their types be seen.
    blank: Any = _blank(X, frame, sensitive)
    if len(steps) > 1:
        blank = model[:-1].transform(blank)
    if isinstance(blank, PairedTable):  # a step before has imputed
        return hybrid_score(final, blank, y, scoring)
    imputer = getattr(final, "imputer_", None)
    if imputer is None and final._given_support() is not None:
        imputer = final._unfitted_imputer(lambda: 0)._fit_schema(final.schema_)
    if imputer is None:
        raise InvalidInputError(f"validation='hybrid' needs {type(final).__name__} to have an imputer.")
    hybrid: Any = imputer._pair(as_frame(blank)).hybrid
    if not is_frame(blank):
        hybrid = hybrid.to_numpy()
    elif isinstance(blank, pd.DataFrame):
        hybrid = hybrid.set_axis(blank.columns, axis=1)
    return free_score(final, hybrid, y, scoring)


def check_hybrid(model: Any, X: Any) -> None:
    """Refuse an array whose columns steps may have moved, so that the sensitive ones cannot be told."""
    if is_frame(X) or isinstance(X, PairedTable):
        return
    if not all(does_nothing(s) or keeps_places(s) for s in steps_of(model)[:-1]):
        raise InvalidInputError(
            "validation='hybrid' cannot tell the sensitive columns of an array behind the steps of a "
            "pipeline; search on a frame, or use validation='private' or public rows."
        )


def _blank(X: Any, frame: pd.DataFrame, sensitive: set[str]) -> Any:
    """A table of the kind of `X` whose sensitive cells are missing, and whose types tell nothing of them."""
    if is_polars(X):
        import polars as pl

        return X.with_columns(pl.lit(None, dtype=pl.Float64).alias(c) for c in X.columns if c in sensitive)
    blank = frame.assign(**{c: np.full(len(frame), np.nan) for c in sensitive})
    if isinstance(X, pd.DataFrame):
        return blank
    # One text among an array's sensitive cells makes objects, or texts, of all.
    public = [c for c in blank if c not in sensitive]
    numbers = {c: pd.to_numeric(blank[c], errors="coerce") for c in public}
    all_numbers = all(numbers[c].isna().equals(blank[c].isna()) for c in public)
    return (blank.assign(**numbers) if all_numbers else blank.astype(object)).to_numpy()


def paid_score(
    model: Any,
    X: Any,
    y: Any,
    scoring: Any,
    sigma: float,
    adjacency: str,
    bits: RandomBits,
    unscored: Counter | None = None,
) -> float:
    """Noised mean over held-out rows of a score in [0, 1], read from their true sensitive cells.

    `unscored` counts rows that had no score, and counted as 0, by what was wrong: for the data holder alone.

    Notes
    -----
    Formal guarantee: the model given, a row adds one number in [0, 1] to the sum, which is a function of
    that row alone, so two tables' sums differ by at most 1: the Gaussian mechanism with clipping norm 1/2
    under "replace", whose pair lies two norms apart. An erased row adds 0: norm 1 under "zero-out".
    """
    scores = row_scores(model, X, y, scoring, Counter() if unscored is None else unscored)
    total = in_units(scores).sum(keepdims=True)
    noise = SumNoise(sigma, relation(adjacency).clipping_norm(diameter=1.0, reach=1.0), UNIT)
    return float(noise.added_to(total, bits)[0]) / len(scores)


def check_row_scoring(scoring: Any, model: Any) -> None:
    """Refuse what gives no score a row, or cannot be copied, before anything is read.

    Raises
    ------
    InvalidInputError
    """
    if not callable(scoring):
        _named(scoring, model)
        return
    try:
        copy.deepcopy(scoring)
    except Exception as error:
        raise InvalidInputError(
            f"scoring={scoring!r} cannot be copied ({error}), and each row is scored by a copy of its own, "
            "so that nothing is kept from row to row; pass a function, or an object that copy.deepcopy "
            "copies."
        ) from error


def row_scores(model: Any, X: Any, y: Any, scoring: Any, unscored: Counter) -> np.ndarray:
    """Each row's score in [0, 1], a function of that row and of public facts alone.

    `unscored` counts the rows that had no score, and count as 0, by what was wrong.

    Rows go to a scorer one at a time, each with a copy of the scorer and of the model, so that neither can
    hand anything from row to row; only this library's own classes score by names of `ROW_SCORES` in one go,
    because their rows do not mix. What a scorer keeps outside itself, such as in a global variable, no
    copy undoes.
    """
    with warnings.catch_warnings():
        # A warning could reveal something about a row.
        warnings.simplefilter("ignore")
        scores = None
        if not callable(scoring) and all(_is_own(step) for step in steps_of(model)):
            scores = _all_at_once(_named(scoring, model), model, X, y)
        if scores is None:
            scores = _one_by_one(scoring, model, X, y, unscored)
    return np.clip(np.nan_to_num(scores, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)


def _is_own(step: Any) -> bool:
    # A subclass may mix rows.
    return type(step).__module__.split(".")[0] == __name__.split(".")[0]


def _all_at_once(score: Callable, model: Any, X: Any, y: Any) -> np.ndarray | None:
    try:
        return score(model, X, y, every=y)
    except Exception:
        return None  # one row that cannot be scored must not change the scores of the others


def _one_by_one(scoring: Any, model: Any, X: Any, y: Any, unscored: Counter) -> np.ndarray:
    schemas = [s.schema_ for s in steps_of(model) if hasattr(s, "schema_")]
    sensitive = {s.name(c) for s in schemas for c in s.sensitive}
    named = None if callable(scoring) else partial(_named(scoring, model), every=y)
    scores = np.zeros(_num_samples(y))
    for i in range(len(scores)):
        fresh, score = copy.deepcopy(model), named or copy.deepcopy(scoring)
        try:
            value = np.asarray(score(fresh, _row(X, i, sensitive), _safe_indexing(y, [i])), dtype=float)
        except (Exception, SystemExit) as error:
            unscored[type(error).__name__] += 1
            continue
        if value.size != 1 or np.isnan(value).any():
            unscored["no number" if value.size == 1 else "not one number a row"] += 1
        else:
            scores[i] = value.item()
    return scores


def _row(X: Any, i: int, sensitive: set[str]) -> Any:
    """One row as a table of its own, in which the type of a sensitive cell depends on no other row."""
    if isinstance(X, PairedTable):
        row = X[[i]]
        original = _row(row.original, 0, set(row.schema.sensitive))
        return PairedTable(original, row.hybrid, row.schema, row.expected)
    row = _safe_indexing(X, [i])
    if not is_frame(X):
        cells = [_cell(v) for v in np.asarray(row, dtype=object)[0]]
        numbers = all(isinstance(v, float) for v in cells)
        table = np.empty((1, len(cells)), dtype=float if numbers else object)
        table[0, :] = cells
        return table
    names = [str(c) for c in X.columns]
    # Columns without names, or that a step renames, are all treated alike.
    chosen = [j for j, c in enumerate(names) if c in sensitive or not sensitive <= set(names)]
    if is_polars(X):
        import polars as pl

        return row.with_columns(pl.Series(names[j], [_cell(row[0, j])], strict=False) for j in chosen)
    columns = [_alone(row.iloc[:, j]) if j in chosen else row.iloc[:, j] for j in range(len(names))]
    return pd.concat(columns, axis=1)


def _alone(cell: pd.Series) -> pd.Series:
    value = _cell(cell.astype(object).iloc[0])
    kind = float if isinstance(value, float) else object
    return pd.Series([value], index=cell.index, name=cell.name, dtype=kind)


def _cell(value: Any) -> Any:
    """A number as a float, whatever the column's others are; what is missing as NaN."""
    if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        return float(value)
    return np.nan if value is None or value is pd.NA or value is pd.NaT else value


def _named(scoring: Any, model: Any) -> Callable:
    """Function of (model, X, y, every y) that gives each row a score; the larger, the better."""
    name = ("squared-error" if is_regressor(model) else "accuracy") if scoring is None else scoring
    functions = dict(zip(ROW_SCORES, (_accuracy, _log_loss, _squared_error), strict=True))
    if not isinstance(name, str) or name not in functions:
        raise InvalidInputError(
            f"scoring={scoring!r} with validation='private' must be one of {', '.join(ROW_SCORES)}, or a "
            "function of (estimator, X, y) that gives each row a number in [0, 1]: the noise is in "
            "proportion to what one row can change."
        )
    return functions[name]


def _accuracy(model: Any, X: Any, y: Any, every: Any) -> np.ndarray:
    return (model.predict(X) == np.asarray(y)).astype(float)


def _log_loss(model: Any, X: Any, y: Any, every: Any) -> np.ndarray:
    known = {c: i for i, c in enumerate(np.asarray(model.classes_).tolist())}
    column = np.array([known.get(v, -1) for v in np.asarray(y).tolist()])
    p = model.predict_proba(X)[np.arange(len(column)), column] * (column >= 0)
    return 1 + np.log(np.maximum(p, np.exp(-_WORST))) / _WORST


def _squared_error(model: Any, X: Any, y: Any, every: Any) -> np.ndarray:
    # The target is public, and so is its spread.
    y, every = (np.asarray(t, dtype=float).reshape(len(t), -1) for t in (y, every))
    error = (model.predict(X).reshape(y.shape) - y) ** 2 / np.maximum(every.var(axis=0), 1e-300)
    return 1 - np.minimum(error.mean(axis=1), 1.0)
