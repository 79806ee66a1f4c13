"""Any table a user may bring, as one pandas frame with string column names."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from fractions import Fraction
from numbers import Complex, Real
from typing import Any, cast

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..exceptions import InvalidInputError
from ._arrow import from_arrow
from ._no_table import two_dimensional
from ._unreadable import cells_of, is_numeric_type
from ._whole_numbers import WHOLE_IN_FLOATS, with_gaps


def is_polars(X: Any) -> bool:
    """Tell whether `X` is a polars DataFrame, without importing polars."""
    return type(X).__module__.split(".")[0] == "polars" and hasattr(X, "get_column")


def is_frame(X: Any) -> bool:
    """Tell whether `X` is a pandas or polars DataFrame."""
    return isinstance(X, pd.DataFrame) or is_polars(X)


def is_arrow(X: Any) -> bool:
    """Tell whether `X` is a pyarrow Table or RecordBatch, without importing pyarrow."""
    return type(X).__module__.split(".")[0] == "pyarrow" and hasattr(X, "to_pandas") and hasattr(X, "schema")


def as_frame(X: Any, name: str = "X") -> pd.DataFrame:
    """Return `X` as a pandas frame whose columns are strings.

    Columns of arrays, and of frames whose labels are numbers, are called ``x0, x1, ...`` as scikit-learn
    calls them; the labels of a MultiIndex are written as texts. Each column is read on its own, so that
    one odd cell (a text, a missing one) changes the type of its own column at most, and a column of
    numbers has the same type whether an array of numbers, objects or texts, or a list holds it.

    Parameters
    ----------
    X : pandas.DataFrame, polars.DataFrame, pyarrow.Table or array-like of shape (n_rows, n_columns)
    name : str
        What the user passed it as, for messages.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
    """
    if is_polars(X):
        return pd.DataFrame({name: _polars_values(X.get_column(name)) for name in X.columns})
    if is_arrow(X):
        X = from_arrow(X)
    if isinstance(X, pd.DataFrame):
        texts = [str(c) for c in X.columns]
        twice = X.columns.duplicated(keep=False) | pd.Index(texts, dtype=object).duplicated(keep=False)
        if twice.any():
            names = sorted(set(np.array(texts)[twice].tolist()))
            raise InvalidInputError(f"Column names {names} occur twice in {name}; rename them.")
        names = texts if any(isinstance(c, str | tuple) for c in X.columns) else _numbered(X.shape[1])
        frame = X.set_axis(names, axis=1).reset_index(drop=True)
        odd = {c: _narrowed(frame[c]) for c in frame if frame[c].dtype == object}
        swapped = [c for c in frame if getattr(frame[c].dtype, "byteorder", "=") == _SWAPPED]
        odd |= {c: frame[c].astype(frame[c].dtype.newbyteorder("=")) for c in swapped}
        return frame.assign(**odd) if odd else frame
    X = as_cells(X, name)
    if X.dtype.byteorder == _SWAPPED:
        X = X.astype(X.dtype.newbyteorder("="))
    names = _numbered(X.shape[1])
    if X.dtype.kind in "biu":
        # Floats with or without a missing cell, which would turn whole numbers into floats.
        X = X.astype(np.float64)
    if X.dtype.kind in "Mm":
        X = _that_pandas_holds(X)
    if X.dtype.kind in "fMm":
        return pd.DataFrame(X, columns=names)
    cells = X.astype(object)
    columns = {n: _narrowed(pd.Series(cells[:, j], dtype=object)) for j, n in enumerate(names)}
    return pd.DataFrame(columns, index=range(len(X)), columns=names)


def as_cells(X: Any, name: str = "X") -> np.ndarray:
    """Return anything with rows and columns as an array of them; masked cells are missing ones.

    Raises
    ------
    InvalidInputError
        If `X` has no rows and columns.
    """
    masked = None
    if isinstance(X, np.ma.MaskedArray):
        X, masked = X.data, np.ma.getmaskarray(X)
    try:
        cells = np.asarray(own_cells(X))
    except Exception:  # whatever an object's own conversion to an array raises, which may quote its cells
        cells = None
    read = two_dimensional(X, cells, name)
    return read if masked is None else _with_gaps(read, masked)


def _with_gaps(cells: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Masked cells as missing ones, of a type that does not depend on whether there are any."""
    kind, gap = cells.dtype.kind, cast("Any", None)
    if kind in "biu":
        cells = cells.astype(np.float64)  # as `as_frame` does without a mask
    elif kind not in "fMm":
        cells = cells.astype(object)
    if cells.dtype.kind == "f":
        gap = np.nan
    elif cells.dtype.kind in "Mm":
        gap = np.array("NaT", dtype=cells.dtype)
    cells = cells.copy()
    cells[masked] = gap
    return cells


def own_cells(X: Any) -> Any:
    """Return a list of rows, or an array of texts or complex numbers, as an array of objects.

    numpy turns every number of a list into a text if one cell is a text, and into a complex number if
    one cell is complex, and that cell may be sensitive. Any other input is returned unchanged.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "Uc":
        read = _read_text if X.dtype.kind == "U" else _read_complex
        cells = np.fromiter((read(v) for v in X.ravel().tolist()), dtype=object, count=X.size)
        return cells.reshape(X.shape)
    if not isinstance(X, list | tuple):
        return X
    rows = [own_cells(row) if isinstance(row, np.ndarray) else row for row in X]
    if not rows or not all(isinstance(r, list | tuple) or getattr(r, "ndim", 0) == 1 for r in rows):
        return X  # not a list of rows; the caller refuses it
    width = len(rows[0])
    if not width or any(len(r) != width for r in rows):
        return X
    table = np.empty((len(rows), width), dtype=object)
    for j in range(width):
        table[:, j] = np.fromiter((row[j] for row in rows), dtype=object, count=len(rows))
    return table


def as_text(value: Any) -> str:
    """Write a cell as a text; whole numbers are written alike, as integers or as floats."""
    if isinstance(value, float | np.floating) and np.isfinite(value) and float(value).is_integer():
        return str(int(value))
    return str(value)


def short_text(value: Any) -> str:
    """A cell as a sentence says it: as `as_text` does, fractions with four significant digits."""
    text = as_text(value)
    # Whole numbers are written alike, be their column one of whole numbers or of floats.
    fraction = isinstance(value, float | np.floating) and text == str(value)
    return f"{value:.4g}" if fraction else text


def check_table(estimator: BaseEstimator, X: Any, *, reset: bool, optional: tuple = ()) -> pd.DataFrame:
    """Validate a table in memory as scikit-learn does, and return it as a frame.

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
    if isinstance(X, str | os.PathLike):
        raise InvalidInputError(
            f"X={os.fspath(X)!r} is a path, and {name} needs its table in memory; read it first, for example "
            "with pandas.read_parquet."
        )
    if is_arrow(X) or (isinstance(X, pd.DataFrame) and any(isinstance(c, tuple) for c in X.columns)):
        X = as_frame(X)  # with names that scikit-learn compares
    if not is_frame(X):
        # scikit-learn refuses a matrix; its words about other shapes would show cells.
        cells = X if isinstance(X, np.matrix) else as_cells(X)
        X = validate_data(
            estimator, cells, dtype=None, ensure_all_finite=False, reset=reset, ensure_min_samples=1
        )
        return _named_as_fitted(estimator, as_frame(X), reset)
    frame = as_frame(X)
    known = [] if reset else [str(c) for c in getattr(estimator, "feature_names_in_", ())]
    absent = set(known) - set(frame.columns)
    if absent and absent <= set(optional) and set(frame.columns) <= set(known):
        return frame[[c for c in known if c in frame]]
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    for count, what in zip(frame.shape, ("sample(s)", "feature(s)"), strict=True):
        if not count:
            raise InvalidInputError(
                f"Found array with 0 {what} (shape={frame.shape}) while a minimum of 1 is required by {name}."
            )
    return _named_as_fitted(estimator, frame, reset)


def numeric_values(column: pd.Series, *, sensitive: bool = False) -> np.ndarray:
    """Return a column as float64 with NaN for missing cells.

    Parameters
    ----------
    column : Series of shape (n_rows,)
    sensitive : bool
        Cells of a sensitive column are never refused, since a refusal would reveal something about
        them: what is not a number (a text, a date, a list, a complex number) counts as missing, and
        whole numbers too large for a float become infinite.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    InvalidInputError
        If a cell of a public column is not a number.
    """
    if sensitive:
        return _numbers_or_missing(column)
    if column.dtype.kind in "OU":  # objects, texts and categories, and Arrow's decimals
        column = column.astype(object).where(~missing_cells(column), np.nan)
        column = column.map(lambda v: float(v) if isinstance(v, Decimal | Fraction) else v)
    try:
        numbers = pd.to_numeric(column)
        if np.iscomplexobj(numbers):
            raise TypeError("complex number")  # a conversion would drop its imaginary part
        return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"The public column {column.name!r} holds numbers, and something that is not a number or that "
            f"no float holds ({error}); convert it with pandas.to_numeric, or to texts before the fit."
        ) from None


def is_numeric(column: pd.Series) -> bool:
    """Tell whether a public column is encoded as a number (else as a category)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if column.dtype == object:
        kinds = {type(v) for v in column[~missing_cells(column)].tolist()}
        return bool(kinds) and all(issubclass(k, Complex | Decimal | np.number | np.bool_) for k in kinds)
    return pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)


def missing_cells(column: pd.Series) -> np.ndarray:
    """Which cells are missing. Works for cells at which pandas raises, such as Decimal("sNaN").

    Parameters
    ----------
    column : Series of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,), bool
    """
    try:
        return np.asarray(column.isna())
    except Exception:
        return np.array([_is_missing(v) for v in column.tolist()], dtype=bool)


def _is_missing(cell: Any) -> bool:
    try:
        return pd.isna(cell) is True
    except Exception:
        return True  # pandas cannot tell, as for a signalling NaN


def _numbers_or_missing(column: pd.Series) -> np.ndarray:
    kind = column.dtype
    if is_numeric_type(kind) and not isinstance(kind, pd.CategoricalDtype):
        with np.errstate(all="ignore"):  # a number too large for a float becomes infinite; no warning
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.array([_number(v) for v in cells_of(column)], dtype=np.float64)


def _number(cell: Any) -> float:
    """The number in one cell, NaN if it holds none. No other cell is looked at."""
    try:
        if isinstance(cell, complex | np.complexfloating):
            cell = _read_complex(complex(cell))
        known = isinstance(cell, str | Real | Decimal | np.bool_)
        if not known or isinstance(cell, np.timedelta64):
            return np.nan
        try:
            return float(cell)
        except OverflowError:
            return np.inf if cell > 0 else -np.inf
    except Exception:  # numbers of other libraries may raise anything
        return np.nan


def _read_complex(value: complex) -> Any:
    return value.real if value.imag == 0 else value


def _read_text(text: str) -> Any:
    """The number or truth value that numpy would write as this text, or else the text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return {"True": True, "False": False}.get(text, text)


# Byte order of numbers that other machines have written, which pandas and torch do not read.
_SWAPPED = ">" if sys.byteorder == "little" else "<"
_MOST_SECONDS = 10**13  # some 300,000 years
_NUMBERS = (int, float, np.integer, np.floating)
_NO_NUMBERS = (bool, np.timedelta64)


def _narrowed(column: pd.Series) -> pd.Series:
    """Convert a column of objects to floats if it holds only numbers and no number changes."""
    cells = column.tolist()
    kinds = {type(v) for v in cells} - {type(None), type(pd.NA)}
    if not kinds or not all(issubclass(k, _NUMBERS) and not issubclass(k, _NO_NUMBERS) for k in kinds):
        return column
    try:
        if any(isinstance(v, int | np.integer) and abs(int(v)) > WHOLE_IN_FLOATS for v in cells):
            return column
        numbers = [np.nan if v is None or v is pd.NA else float(v) for v in cells]
    except Exception:  # a number of a class of the user's own that cannot be converted
        return column
    return pd.Series(numbers, index=column.index, name=column.name, dtype=np.float64)


def _named_as_fitted(estimator: BaseEstimator, frame: pd.DataFrame, reset: bool) -> pd.DataFrame:
    # By now scikit-learn has refused other names, and warned if only one of the two tables has names.
    if reset:
        return frame
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:  # some libraries take them off a copy, so that it predicts on arrays without a warning
        names = getattr(getattr(estimator, "schema_", None), "columns", None)
    return frame.set_axis(_numbered(frame.shape[1]) if names is None else [str(c) for c in names], axis=1)


def _that_pandas_holds(cells: np.ndarray) -> np.ndarray:
    """Dates or durations in coarse units as seconds: pandas would refuse very large ones."""
    unit = np.datetime_data(cells.dtype)[0]
    if unit not in ("Y", "M", "W", "D", "h", "m") or (cells.dtype.kind == "m" and unit in "YM"):
        return cells
    seconds = np.array([-_MOST_SECONDS, _MOST_SECONDS]).astype(f"{cells.dtype.kind}8[s]")
    least, most = seconds.astype(cells.dtype)
    return np.clip(cells, least, most).astype(seconds.dtype)


def _numbered(n: int) -> list[str]:
    return [f"x{i}" for i in range(n)]


def _polars_values(series: Any) -> np.ndarray | pd.Series:
    kind = series.dtype
    # numpy has no numbers of 128 bits, and one large cell gives them to the whole column.
    if kind.is_numeric() and str(kind) not in ("Int128", "UInt128"):
        if not kind.is_integer() or not series.null_count():
            return series.to_numpy()
        # polars would make floats of all, and round large ones, where one is missing.
        return with_gaps(series.fill_null(0).to_numpy(), series.is_null().to_numpy())
    if str(kind).startswith(("Date", "Duration")):  # Python's own dates end with the year 9999
        zone = getattr(kind, "time_zone", None)
        plain = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
        cells = pd.Series(plain.to_numpy())
        return cells.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else cells
    # np.array would turn a column of lists of one length into a matrix.
    return np.fromiter(series.to_list(), dtype=object, count=len(series))
