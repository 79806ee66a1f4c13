"""The target as an array, or a refusal in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from ..exceptions import InvalidInputError


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
        if kind == "multiclass-multioutput":
            raise InvalidInputError(
                f"{name} has several columns with more than two values each; fit one classifier a column, "
                "for example with sklearn.multioutput.MultiOutputClassifier."
            )
        if not kind.startswith("multilabel"):
            labels = column_or_1d(labels, warn=True)
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


def support_labels(target: Any, n_rows: int) -> np.ndarray:
    """Targets of the support rows, one a row, still to be read as labels or numbers.

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
    labels = np.asarray(target)
    if len(labels) != n_rows:
        raise InvalidInputError(
            f"support_target has {len(labels)} entries for {n_rows} support rows; give each row its label."
        )
    return labels


def _present(y: Any, name: str) -> Any:
    if np.any(pd.isna(np.asarray(y, dtype=object))):
        raise InvalidInputError(
            f"{name} contains NaN (a missing target); drop those rows: the target is public."
        )
    return y


def _refusal(error: Exception, name: str, wanted: str) -> InvalidInputError:
    if isinstance(error, InvalidInputError):
        return error
    return InvalidInputError(f"{name} cannot be used as a target: {error} Give {wanted}.")
