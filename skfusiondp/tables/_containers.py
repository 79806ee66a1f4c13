"""Transformed tables of the kind that was given, or that `set_output` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config

from ..exceptions import InvalidInputError
from ._frames import as_frame, is_frame, is_polars


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
    if isinstance(X, pd.DataFrame):
        return _replace_pandas(X, values, names)
    return _replace_array(X, frame, values, names)


def _replace_pandas(X: pd.DataFrame, values: dict, names: list[str]) -> pd.DataFrame:
    whole = X.shape[1] == len(names)
    # Labels that are no strings go by position; then no column can be absent.
    out = X.copy(deep=False) if whole else X[[c for c in names if c in X.columns]]
    for position, name in enumerate(names):
        if name not in values:
            continue
        cells = values[name].set_axis(X.index)
        if whole:
            out.isetitem(position, cells)
        elif name in out.columns:
            out[name] = cells
        else:
            out.insert(position, name, cells)
    return out


def _replace_polars(X: Any, values: dict, names: list[str]) -> Any:
    import polars as pl

    # If all columns are there they count by position: the fit may have seen a table without names.
    given = dict(zip(names, X.columns if X.width == len(names) else names, strict=True))
    columns = [pl.Series(given[c], _polars_cells(v), strict=False) for c, v in values.items()]
    return X.with_columns(columns).select(list(given.values()))


def _polars_cells(column: pd.Series) -> np.ndarray | list:
    """A column's cells, of which missing ones are null in polars."""
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
    if kind == "pandas":
        if isinstance(table, pd.DataFrame):
            return table.set_axis(names, axis=1)
        return as_frame(table).set_axis(names, axis=1).infer_objects()
    try:
        import polars as pl
    except ImportError:
        raise InvalidInputError(
            "set_output(transform='polars') needs polars; install it with: pip install polars"
        ) from None
    if is_polars(table):
        return table
    frame = table if is_frame(table) else as_frame(table).infer_objects()
    return pl.DataFrame({n: frame.iloc[:, i].to_numpy() for i, n in enumerate(names)})
