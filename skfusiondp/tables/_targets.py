"""The target as an array, or a refusal in words."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _num_samples, check_array, check_consistent_length, column_or_1d

from ..exceptions import InvalidInputError, callers_level
from ._domain import plain


def read_labels(y: Any, n_rows: int, *, numbers: bool = False, name: str = "y") -> tuple[np.ndarray, str]:
    """Labels of a classifier, and the kind of target that they are.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_labels)
    n_rows : int
    numbers : bool
        Whether a regressor's numbers are taken too.
    name : str
        What messages call it.

    Returns
    -------
    labels : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Several columns are scikit-learn's indicator matrix of 0 and 1.
    kind : str
        As `sklearn.utils.multiclass.type_of_target` names it.

    Raises
    ------
    InvalidInputError
        If `y` is no such target.
    """
    try:
        labels = check_array(
            _present(y, name), ensure_2d=False, dtype=None, input_name=name, ensure_min_samples=1
        )
        if not numbers:
            check_classification_targets(labels)
        kind = type_of_target(labels, input_name=name)
        if kind == "unknown":
            raise ValueError("Unknown label type: objects that are no labels, or texts and numbers together.")
        if kind == "multiclass-multioutput" or (kind.startswith("multilabel") and not _indicates(labels)):
            some = plain(labels.ravel()[0])
            raise InvalidInputError(
                f"{name} has several columns that hold other labels than 0 and 1, which say whether a label "
                f"applies: pass such indicators, as ({name} == {some!r}).astype(int), or fit one classifier "
                "a column, for example with sklearn.multioutput.MultiOutputClassifier."
            )
        if not kind.startswith("multilabel"):
            labels = one_column(labels)
        check_consistent_length(np.empty(n_rows), labels)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refusal(error, name, "one label a row, all texts or all whole numbers") from error
    return labels, kind


def read_numbers(y: Any, n_rows: int, name: str = "y") -> np.ndarray:
    """Target of a regressor.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
    n_rows : int
    name : str
        What messages call it.

    Returns
    -------
    ndarray of shape (n_rows,) or (n_rows, n_targets), float64

    Raises
    ------
    InvalidInputError
        If `y` is no such target.
    """
    try:
        numbers = check_array(_present(y, name), ensure_2d=False, dtype="numeric", input_name=name)
        check_consistent_length(np.empty(n_rows), numbers)
        numbers = numbers.astype(np.float64)
        with np.errstate(over="ignore"):
            if not np.isfinite(numbers.std(axis=0)).all():
                raise InvalidInputError(f"{name} holds numbers whose spread no float can hold; rescale it.")
    except (ValueError, TypeError, OverflowError) as error:
        raise _refusal(error, name, "one finite number a row") from error
    return numbers


def check_support_target(target: Any, n_rows: int) -> None:
    """Refuse targets of the support rows that are not one a row; they are still to be read.

    Parameters
    ----------
    target : array-like of shape (n_rows,) or (n_rows, n_outputs)
    n_rows : int
        Number of support rows.

    Raises
    ------
    InvalidInputError
        If there is not one entry for each row.
    """
    try:
        n_labels = _num_samples(target)
    except TypeError as error:
        raise _refusal(error, "support_target", "one label or number a support row") from error
    if n_labels != n_rows:
        raise InvalidInputError(
            f"support_target has {n_labels} entries for {n_rows} support rows; give each row its label."
        )


def mean_and_scale(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each target, the latter 1 where a target is constant.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, n_targets)

    Returns
    -------
    mean, scale : ndarray of shape (n_targets,)
    """
    mean = numbers.mean(axis=0)
    reach = np.abs(numbers - mean).max(axis=0)
    reach = np.where(reach > 0, reach, 1.0)
    # The squares of tiny numbers would be nothing.
    scale = reach * ((numbers - mean) / reach).std(axis=0)
    return mean, np.where(scale > 0, scale, 1.0)


def _present(y: Any, name: str) -> Any:
    """The target as an array of its own cells' type, none of which is missing or a date."""
    if isinstance(y, str):
        raise InvalidInputError(
            f"{name}={y!r} is a name; pass the column itself, X[{y!r}], and leave it out of X: "
            f"fit(X.drop(columns={y!r}), X[{y!r}])."
        )
    cells = np.asarray(y, dtype=object)
    if np.any(pd.isna(cells)):
        raise InvalidInputError(
            f"{name} contains NaN (a missing target); drop those rows: the target is public."
        )
    kinds = {type(v) for v in cells.ravel().tolist()}
    if any(issubclass(k, date | timedelta | np.datetime64 | np.timedelta64 | pd.Period) for k in kinds):
        raise InvalidInputError(
            f"{name} holds dates or durations; give numbers, such as days since a first day, or labels of "
            "periods as texts."
        )
    texts = {k for k in kinds if issubclass(k, str)}
    if texts and kinds - texts:
        raise InvalidInputError(
            f"{name} cannot be used as a target: it holds texts and other labels; give one kind alone."
        )
    # Whole numbers and truth values of pandas' own types would become floats.
    return y.to_numpy() if isinstance(y, pd.Series | pd.DataFrame | pd.Index) else y


def _indicates(labels: np.ndarray) -> bool:
    return bool(np.isin(labels, (0, 1)).all())


def one_column(y: Any) -> np.ndarray:
    """A target of one column as a vector; a warning, at the user's line, if it is a table of one column."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn(
            f"A column-vector y was passed when a 1d array was expected: it has the shape {y.shape}. Pass a "
            "single column, as y.ravel() or one column of the table.",
            DataConversionWarning,
            stacklevel=callers_level(),
        )
    return column_or_1d(y)


def _refusal(error: Exception, name: str, wanted: str) -> InvalidInputError:
    if isinstance(error, InvalidInputError):
        return error
    first, *others = str(error).splitlines() or [""]  # scikit-learn may append the whole target
    reason = (first if others else str(error)).rstrip(". ")
    return InvalidInputError(f"{name} cannot be used as a target: {reason}. Give {wanted}.")
