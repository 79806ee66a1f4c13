"""Any table a user may bring, as one pandas frame with string column names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from ._disk import DiskTable
from ._exceptions import InvalidInputError


def is_polars(X: Any) -> bool:
    """Tell whether `X` is a polars DataFrame, without importing polars."""
    return type(X).__module__.split(".")[0] == "polars" and hasattr(X, "get_column")


def is_frame(X: Any) -> bool:
    """Tell whether `X` is a pandas or polars DataFrame."""
    return isinstance(X, pd.DataFrame) or is_polars(X)


def as_frame(X: Any) -> pd.DataFrame:
    """Return `X` as a pandas frame whose columns are strings; cells are not copied.

    Columns of arrays, and of frames whose labels are no strings, are called
    ``x0, x1, ...`` as scikit-learn calls them.

    Parameters
    ----------
    X : pandas.DataFrame, polars.DataFrame or array-like of shape (n_rows, n_columns)

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
    """
    if is_polars(X):
        return pd.DataFrame({name: _polars_values(X.get_column(name)) for name in X.columns})
    if isinstance(X, pd.DataFrame):
        texts = [str(c) for c in X.columns]
        twice = X.columns.duplicated(keep=False) | pd.Index(texts, dtype=object).duplicated(keep=False)
        if twice.any():
            raise InvalidInputError(
                f"Column names {sorted(set(np.array(texts)[twice].tolist()))} occur twice in X; rename them."
            )
        names = texts if _has_string_names(X) else _numbered(X.shape[1])
        return X.set_axis(names, axis=1).reset_index(drop=True)
    X = np.asarray(X)
    if X.ndim != 2:
        raise InvalidInputError(f"X has shape {X.shape}; a table has two dimensions.")
    return pd.DataFrame(X, columns=_numbered(X.shape[1]))


def check_table(estimator: BaseEstimator, X: Any, *, reset: bool, optional: tuple = ()) -> pd.DataFrame:
    """Validate `X` as scikit-learn does, and return it as a frame.

    Parameters
    ----------
    estimator : BaseEstimator
        The caller; gets ``n_features_in_`` and ``feature_names_in_`` if `reset`.
    X : table of shape (n_rows, n_columns)
    reset : bool
        True in ``fit``, False afterwards.
    optional : tuple of str
        Columns that a frame may lack after fit (absent sensitive columns).

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        Without those optional columns that `X` lacks; after fit, under the names seen in it, so that
        a table without names counts by position.
    """
    name = type(estimator).__name__
    if sp.issparse(X):
        raise TypeError(
            f"Sparse data was passed to {name}, which needs a dense table; call X.toarray() first."
        )
    if not is_frame(X):
        X = validate_data(
            estimator, X, dtype=None, ensure_all_finite=False, reset=reset, ensure_min_samples=1
        )
        if np.iscomplexobj(X):
            check_array(X)  # scikit-learn's own message
        return _named_as_fitted(estimator, as_frame(X), reset)
    if not reset and optional and hasattr(estimator, "feature_names_in_"):
        known = [str(c) for c in estimator.feature_names_in_]
        have = {str(c) for c in X.columns}
        absent = [c for c in known if c not in have]
        if absent and set(absent) <= set(optional) and have <= set(known):
            frame = as_frame(X)
            return frame[[c for c in known if c in have]]
    frame = as_frame(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    if frame.shape[0] == 0:
        raise InvalidInputError(
            f"Found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required by {name}."
        )
    if frame.shape[1] == 0:
        raise InvalidInputError(
            f"Found array with 0 feature(s) (shape={frame.shape}) while a minimum of 1 is required by {name}."
        )
    return _named_as_fitted(estimator, frame, reset)


def check_disk_table(
    estimator: BaseEstimator, table: DiskTable, *, reset: bool, optional: tuple = ()
) -> list[str]:
    """As `check_table`, for a table on disk: its columns are checked, and no cell is read.

    Parameters
    ----------
    estimator : BaseEstimator
    table : DiskTable
    reset, optional
        As in `check_table`.

    Returns
    -------
    list of str
        Columns to read.
    """
    if not len(table):
        raise InvalidInputError(f"The table on disk has no rows; {type(estimator).__name__} needs some.")
    # A made-up row stands for the real ones.
    row = table.empty().reindex(range(1)) if table.named else np.zeros((1, table.shape[1]))
    return list(check_table(estimator, row, reset=reset, optional=optional).columns)


def numeric_values(column: pd.Series, *, sensitive: bool = False) -> np.ndarray:
    """Return a column as float64 with NaN for missing cells.

    Raises
    ------
    InvalidInputError
        If a cell is not a number. The cell is not quoted where it is sensitive.
    """
    if column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype):
        column = column.astype(object).where(column.notna(), np.nan)
    try:
        numbers = pd.to_numeric(column)
        if np.iscomplexobj(numbers):
            raise TypeError("complex number")  # a conversion would drop its imaginary part
        return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError, OverflowError) as error:
        where = "a sensitive cell" if sensitive else str(error)
        raise InvalidInputError(
            f"Column {column.name!r} is declared or was fitted as numeric but holds something that is "
            f"not a number ({where}); convert it with pandas.to_numeric, or declare it Categorical."
        ) from None


def is_numeric(column: pd.Series) -> bool:
    """Tell whether a public column is encoded as a number (else as a category)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if column.dtype == object:
        kinds = {type(v) for v in column[column.notna()].tolist()}
        return bool(kinds) and all(issubclass(k, int | float | complex | np.number | np.bool_) for k in kinds)
    return pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)


def _named_as_fitted(estimator: BaseEstimator, frame: pd.DataFrame, reset: bool) -> pd.DataFrame:
    # scikit-learn has refused other names, and has warned where only one of the tables has any.
    if reset:
        return frame
    names = getattr(estimator, "feature_names_in_", None)
    return frame.set_axis(_numbered(frame.shape[1]) if names is None else [str(c) for c in names], axis=1)


def _has_string_names(X: pd.DataFrame) -> bool:
    return any(isinstance(c, str) for c in X.columns)


def _numbered(n: int) -> list[str]:
    return [f"x{i}" for i in range(n)]


def _polars_values(series: Any) -> np.ndarray | list:
    if series.dtype.is_numeric():
        return series.to_numpy()
    return np.array(series.to_list(), dtype=object)
