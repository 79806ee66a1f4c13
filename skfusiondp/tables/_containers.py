"""Transformed tables of the kind that was given, or that `set_output` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config

from ..exceptions import InvalidInputError
from ._frames import as_frame, is_arrow, is_polars


class SetOutput:
    """`set_output` for a transformer that may also return a `PairedTable`.

    scikit-learn's own mixin wraps whatever `transform` returns. This one reads the same two settings
    (the object's and the global one), and the transformer says which results are wrapped.
    """

    get_feature_names_out: Any

    def set_output(self, *, transform: str | None = None) -> Any:
        """Choose the kind of table that `transform` returns with ``output="hybrid"``.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            Which kind of table; "default" is the kind given, and None leaves the setting as it is.

        Returns
        -------
        self
        """
        if transform is not None:
            # The name under which scikit-learn's clone copies the setting.
            self._sklearn_output_config = {"transform": transform}
        return self

    def _contain(self, table: Any) -> Any:
        """Convert a hybrid table to the kind that is asked for."""
        configured = getattr(self, "_sklearn_output_config", {})
        kind = configured.get("transform", get_config()["transform_output"])
        if kind == "default":
            return table
        if kind not in ("pandas", "polars"):
            raise ValueError(f"output config must be in ['default', 'pandas', 'polars'], got {kind}")
        return _to_kind(table, kind, list(self.get_feature_names_out()))


def replace_columns(X: Any, frame: pd.DataFrame, imputed: pd.DataFrame, names: list[str]) -> Any:
    """Return `X` with its sensitive columns replaced, as the same kind of table.

    Parameters
    ----------
    X : table of shape (n_rows, n_columns)
        What the user passed; may lack imputed columns if it is a frame.
    frame : DataFrame of shape (n_rows, n_columns)
        The same as a frame.
    imputed : DataFrame of shape (n_rows, n_sensitive)
    names : list of str
        Names of all columns in the order of the result.

    Returns
    -------
    table of shape (n_rows, len(names))
    """
    values = {c: imputed[c].infer_objects() for c in imputed}
    if is_polars(X):
        return _replace_polars(X, values, names)
    if is_arrow(X):
        return _replace_arrow(X, values, names)
    if isinstance(X, pd.DataFrame):
        return _replace_pandas(X, values, names)
    return _replace_array(X, frame, values, names)


def _replace_pandas(X: pd.DataFrame, values: dict, names: list[str]) -> pd.DataFrame:
    whole = X.shape[1] == len(names)
    # Labels that are no strings go by position; then no column can be absent.
    there = {str(c): c for c in X.columns}
    out = X.copy(deep=False) if whole else X[[there[c] for c in names if c in there]]
    for position, name in enumerate(names):
        if name not in values:
            continue
        cells = values[name].set_axis(X.index)
        if whole:
            out.isetitem(position, cells)
        elif name in there:
            out[there[name]] = cells
        else:
            out.insert(position, name, cells)
    return out


def _replace_polars(X: Any, values: dict, names: list[str]) -> Any:
    import polars as pl

    # If all columns are there they count by position: the fit may have seen a table without names.
    given = dict(zip(names, X.columns if X.width == len(names) else names, strict=True))
    columns = [pl.Series(given[c], _polars_cells(v), strict=False) for c, v in values.items()]
    return X.with_columns(columns).select(list(given.values()))


def _replace_arrow(X: Any, values: dict, names: list[str]) -> Any:
    import pyarrow as pa

    whole = X.num_columns == len(names)
    given = dict(zip(names, X.schema.names if whole else names, strict=True))
    columns = [
        pa.array(_polars_cells(values[c]), from_pandas=True) if c in values else X.column(given[c])
        for c in names
    ]
    return pa.table(columns, names=list(given.values()))


def _polars_cells(column: pd.Series) -> np.ndarray | list:
    """A column's cells, of which missing ones are null in polars and Arrow."""
    if column.dtype.kind in "fiub" and column.notna().all():
        return column.to_numpy()
    cells = column.astype(object)
    return cells.where(cells.notna(), None).tolist()


def _replace_array(X: Any, frame: pd.DataFrame, values: dict, names: list[str]) -> np.ndarray:
    columns = [values.get(name, frame[name]) for name in names]
    given = getattr(X, "dtype", None)
    # The type follows the new cells: a cell that is replaced may have decided the type of the given array.
    if all(c.dtype.kind == "M" for c in columns):
        dtype: np.dtype = np.dtype("datetime64[us]")
    elif not all(c.dtype.kind in "fiub" for c in columns):
        dtype = np.dtype(object)
    elif isinstance(given, np.dtype) and given.kind == "f":
        dtype = given  # float32 stays float32
    else:
        dtype = np.dtype(np.float64)
    out = np.empty(frame.shape, dtype=dtype)
    for position, column in enumerate(columns):
        out[:, position] = column
    return out


def _to_kind(table: Any, kind: str, names: list[str]) -> Any:
    frame = table if isinstance(table, pd.DataFrame) else None
    if kind == "pandas":
        frame = as_frame(table).infer_objects() if frame is None else frame
        return frame.set_axis(names, axis=1)
    try:
        import polars as pl
    except ImportError:
        raise InvalidInputError(
            "set_output(transform='polars') needs polars; install it with: pip install polars"
        ) from None
    if is_polars(table):
        return table
    frame = as_frame(table).infer_objects() if frame is None else frame
    return pl.DataFrame([_polars_series(n, frame.iloc[:, i]) for i, n in enumerate(names)])


def _polars_series(name: str, column: pd.Series) -> Any:
    """A column of pandas as one of polars, of the same kind."""
    import polars as pl

    kind = column.dtype
    if isinstance(kind, np.dtype) and kind.kind in "fiubM":
        return pl.Series(name, column.to_numpy())
    if isinstance(kind, pd.DatetimeTZDtype):
        plain = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return pl.Series(name, plain).dt.replace_time_zone("UTC").dt.convert_time_zone(str(kind.tz))
    cells = column.astype(object)
    cells = cells.where(cells.notna(), None)
    wanted = _polars_type(kind)
    return pl.Series(name, cells.tolist(), dtype=wanted, strict=wanted is not None)


def _polars_type(kind: Any) -> Any:
    import polars as pl

    if isinstance(kind, pd.CategoricalDtype):
        return pl.Categorical if all(isinstance(c, str) for c in kind.categories) else None
    if isinstance(kind, pd.StringDtype):
        return pl.String
    if pd.api.types.is_bool_dtype(kind):
        return pl.Boolean
    return getattr(pl, str(getattr(kind, "name", "")), None) if str(kind)[:1] in "IUF" else None
